"""Outbox, bus and inbox together: nothing lost, nothing applied twice, order per key."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from nats.js.errors import NotFoundError

from chassis.bus import Ack, Bus, Outgoing, Poison, Subscription
from chassis.clock import utcnow, uuid7
from chassis.consume import Consumer, DeadLetterFlood
from chassis.db import Database, Delivery, Tx
from chassis.dlq import drop_letter, list_letters, replay_letter
from chassis.errors import InvalidInput, NotFound, Refused, Unavailable
from chassis.outbox import Relay, relay_outbox
from chassis.servers import Server
from chassis.testing import events, eventually
from libs.chassis.tests.probe import Followed, Happened, effect, emit, rows


@contextlib.asynccontextmanager
async def background(*work: Any) -> AsyncIterator[list[asyncio.Task[Any]]]:
    tasks = [asyncio.get_running_loop().create_task(one) for one in work]
    try:
        yield tasks
    finally:
        crashed = [task for task in tasks if task.done() and not task.cancelled() and task.exception()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=10)
        assert all(task.done() for task in tasks), "a loop does not let itself be cancelled"
        for task in crashed:
            if not isinstance(task.exception(), ExceptionGroup):
                task.result()


@contextlib.asynccontextmanager
async def consuming(bus: Bus, db: Database, handler: Any) -> AsyncIterator[asyncio.Task[Any]]:
    consumer = Consumer(bus, db, "PROBE", [Subscription(Happened, handler)])
    async with background(consumer.run()) as (task,):
        yield task


async def note(tx: Tx, event: Any) -> None:
    await tx.execute(sa.insert(effect), {"n": event.n, "id": event.id})


async def effects(db: Database) -> list[int]:
    return [row.n for row in await rows(db, "select n from effect order by n")]


async def test_an_event_reaches_the_stream_only_with_its_commit(db: Database, bus: Bus) -> None:
    async with background(relay_outbox(db, bus)), events(bus, Happened) as watch:
        with contextlib.suppress(RuntimeError):
            async with db.tx() as tx:
                tx.emit(Happened(id="lost"), "k")
                raise RuntimeError
        await emit(db, Happened(id="kept"))
        assert (await watch.next()).id == "kept"
        assert len(watch.seen) == 1


async def test_events_of_one_transaction_keep_their_order(db: Database, bus: Bus) -> None:
    async with background(relay_outbox(db, bus)), events(bus, Happened) as watch:
        for start in range(0, 300, 30):
            await emit(db, *(Happened(n=n) for n in range(start, start + 30)))
        await eventually(lambda: len(watch.seen) == 300)
        assert [event.n for event in watch.seen] == list(range(300))


async def test_a_relay_that_dies_between_publish_and_mark_publishes_again_under_the_same_id(
    db: Database, bus: Bus
) -> None:
    await emit(db, Happened(n=1))
    dying = Relay(db, bus)

    async def die(*_: Any) -> None:
        raise RuntimeError

    setattr(dying, "_settle", die)  # noqa: B010 - a method on purpose
    with pytest.raises(RuntimeError):
        await dying.step()
    assert (await bus.js.stream_info("PROBE")).state.messages == 1
    assert [row.published_at for row in await rows(db, "select published_at from outbox")] == [None]
    await Relay(db, bus).step()
    assert (await bus.js.stream_info("PROBE")).state.messages == 1
    assert [row.stream_seq for row in await rows(db, "select stream_seq from outbox")] == [1]


async def test_a_redelivered_event_has_its_effect_once(db: Database, bus: Bus) -> None:
    async with background(relay_outbox(db, bus)), consuming(bus, db, note):
        await emit(db, Happened(n=1))
        await eventually(lambda: effects(db))
        stored = await bus.js.get_msg("PROBE", 1)
        # The same event once more, past the stream's own deduplication.
        headers = {**(stored.headers or {}), "Nats-Msg-Id": "another"}
        await bus.js.publish(stored.subject or "", stored.data or b"", headers=headers)
        await emit(db, Happened(n=2))
        await eventually(lambda: is_acked(bus, 3))
        assert await effects(db) == [1, 2]


async def is_acked(bus: Bus, sequence: int) -> bool:
    try:
        info = await bus.js.consumer_info("PROBE", "test")
    except NotFoundError:
        return False
    return bool(info.ack_floor and info.ack_floor.stream_seq >= sequence)


async def test_a_handler_that_fails_after_its_effect_leaves_nothing_and_repeats(
    db: Database, bus: Bus
) -> None:
    attempts: list[str] = []

    async def flaky(tx: Tx, event: Any) -> None:
        await note(tx, event)
        tx.emit(Followed(n=event.n), "k")
        attempts.append(tx.event_id)
        if len(attempts) == 1:
            raise ValueError("first time")

    async with background(relay_outbox(db, bus)), consuming(bus, db, flaky), events(bus, Followed) as watch:
        await emit(db, Happened(n=1))
        await watch.next(Followed)
        assert await effects(db) == [1]
        assert attempts[0] == attempts[1]


async def test_a_handled_event_makes_the_same_event_ids_again(db: Database) -> None:
    delivery, ids = Delivery("e1", utcnow(), "test"), []
    for _ in range(2):
        with contextlib.suppress(RuntimeError):
            async with db.tx(delivery) as tx:
                ids.append((tx.emit(Followed(), "k"), tx.emit(Followed(), "k")))
                raise RuntimeError
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


async def test_later_events_of_a_key_wait_for_the_one_that_is_retried(db: Database, bus: Bus) -> None:
    order: list[tuple[str, int]] = []
    failed: list[int] = []

    async def handler(tx: Tx, event: Any) -> None:
        if event.n == 1 and event.id == "a" and len(failed) < 2:
            failed.append(event.n)
            raise ValueError
        order.append((event.id, event.n))

    async with background(relay_outbox(db, bus)), consuming(bus, db, handler):
        await emit(db, *(Happened(id="a", n=n) for n in range(1, 6)), key="a")
        await emit(db, *(Happened(id="b", n=n) for n in range(1, 6)), key="b")
        await eventually(lambda: len(order) == 10, 10)
        assert [n for key, n in order if key == "a"] == [1, 2, 3, 4, 5]
        assert [n for key, n in order if key == "b"] == [1, 2, 3, 4, 5]
        assert order.index(("b", 5)) < order.index(("a", 1)), "another key must not wait"


async def test_an_event_that_never_comes_back_is_forgotten(
    db: Database, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.consume._POISON_DELAYS", (1.0,))
    monkeypatch.setattr("chassis.consume._BEAT_SECONDS", 0.05)
    monkeypatch.setattr("chassis.consume._FORGET_SECONDS", 0.2)

    async def handler(tx: Tx, event: Any) -> None:
        # As if another replica had finished it: this one never sees it again.
        await bus.js.purge_stream("PROBE")
        raise ValueError

    consumer = Consumer(bus, db, "PROBE", [Subscription(Happened, handler)])
    async with background(relay_outbox(db, bus), consumer.run()):
        await emit(db, Happened(n=1))
        await eventually(lambda: consumer._held and consumer._failures)
        await eventually(lambda: not consumer._held and not consumer._failures)


async def test_undecodable_and_poison_go_to_the_dead_letters_at_once(db: Database, bus: Bus) -> None:
    async def handler(tx: Tx, event: Any) -> None:
        await note(tx, event)
        if event.n == 1:
            raise Poison("never")

    await bus.ensure_stream("PROBE")
    await bus.js.publish("tickdesk.probe.v1.Happened", b"\xff\xff\xff", headers={"Nats-Msg-Id": "bad"})
    async with background(relay_outbox(db, bus)), consuming(bus, db, handler):
        await emit(db, Happened(n=1), Happened(n=2))
        await eventually(lambda: is_acked(bus, 3))
        letters = [await bus.js.get_msg("DLQ", n) for n in (1, 2)]
        assert {one.headers["Tickdesk-Dlq-Reason"] for one in letters if one.headers} == {
            "DecodeError",
            "Poison",
        }
        assert {one.subject for one in letters} == {"dlq.test.tickdesk.probe.v1.Happened"}
        assert await effects(db) == [2]


async def test_an_event_that_keeps_failing_becomes_a_dead_letter_with_its_reason(
    db: Database, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.consume._POISON_DELAYS", (0.02, 0.02, 0.02, 0.02))
    attempts: list[int] = []

    async def handler(tx: Tx, event: Any) -> None:
        attempts.append(event.n)
        raise Refused("the ticket is closed", reason="TICKET_CLOSED")

    async with background(relay_outbox(db, bus)), consuming(bus, db, handler):
        await emit(db, Happened(n=1))
        await eventually(lambda: is_acked(bus, 1), 10)
        letter = await bus.js.get_msg("DLQ", 1)
        assert letter.headers
        assert letter.headers["Tickdesk-Dlq-Reason"] == "TICKET_CLOSED"
        assert Happened.FromString(letter.data).n == 1
        assert len(attempts) == 5


async def test_a_replayed_dead_letter_is_handled_and_gone(db: Database, bus: Bus) -> None:
    broken = [True]

    async def handler(tx: Tx, event: Any) -> None:
        if broken and event.n == 1:
            raise Poison("a bug")
        await note(tx, event)

    async with background(relay_outbox(db, bus)), consuming(bus, db, handler):
        await emit(db, Happened(n=1), Happened(n=2))
        await eventually(lambda: is_acked(bus, 2))
        letters = [letter async for letter in list_letters(bus)]
        assert [(one.event, one.reason, one.detail) for one in letters] == [
            ("tickdesk.probe.v1.Happened", "Poison", "a bug")
        ]
        broken.clear()
        await replay_letter(bus, letters[0].number)
        await eventually(lambda: has(db, 2))
        assert await effects(db) == [1, 2]
        assert [letter async for letter in list_letters(bus)] == []
        with pytest.raises(NotFound, match="no dead letter"):
            await drop_letter(bus, letters[0].number)


async def test_an_event_waits_for_a_dependency_and_never_becomes_a_dead_letter(
    db: Database, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.consume._AWAY_DELAYS", (0.01, 0.02))
    attempts: list[int] = []

    async def handler(tx: Tx, event: Any) -> None:
        attempts.append(event.n)
        if len(attempts) < 30:
            raise Unavailable("away")
        await note(tx, event)

    async with background(relay_outbox(db, bus)), consuming(bus, db, handler):
        await emit(db, Happened(n=1))
        await eventually(lambda: effects(db), 15)
        await bus.ensure_stream("DLQ")
        assert (await bus.js.stream_info("DLQ")).state.messages == 0


async def test_a_version_that_fails_most_events_stops_instead_of_emptying_the_stream(
    db: Database, bus: Bus
) -> None:
    async def handler(tx: Tx, event: Any) -> None:
        raise Poison("broken deploy")

    async with background(relay_outbox(db, bus)), consuming(bus, db, handler) as task:
        await emit(db, *(Happened(n=n) for n in range(100)))
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(asyncio.shield(task), 10)
        assert caught.group_contains(DeadLetterFlood)
        assert (await bus.js.stream_info("DLQ")).state.messages < 30


async def test_events_written_while_nats_is_down_arrive_when_it_is_back(
    db: Database, bus: Bus, nats_server: Server
) -> None:
    async with background(relay_outbox(db, bus)), consuming(bus, db, note):
        await emit(db, Happened(n=1))
        await eventually(lambda: effects(db))
        nats_server.kill()
        await emit(db, *(Happened(n=n) for n in range(2, 50)))
        nats_server.start()
        await eventually(lambda: has(db, 49), 15)
        assert await effects(db) == list(range(1, 50))


async def has(db: Database, count: int) -> bool:
    return len(await effects(db)) >= count


async def test_two_relays_publish_every_event_once_in_order(db: Database, bus: Bus) -> None:
    async with background(relay_outbox(db, bus), relay_outbox(db, bus)), events(bus, Happened) as watch:
        for n in range(100):
            await emit(db, Happened(n=n))
        await eventually(lambda: len(watch.seen) >= 100, 10)
        assert [event.n for event in watch.seen] == list(range(100))


async def test_a_relay_holds_no_more_than_some_bytes_of_a_backlog(db: Database, bus: Bus) -> None:
    await emit(db, *(Happened(id="x" * 800_000, n=n) for n in range(30)))
    relay = Relay(db, bus)
    assert await relay.step(), "24 MB are more than it takes at once"
    sent = "select count(*) from outbox where published_at is not null"
    assert (await rows(db, sent))[0].count == 21
    assert not await relay.step()
    assert (await rows(db, sent))[0].count == 30


async def test_an_event_too_large_for_the_stream_is_refused_before_it_is_written(db: Database) -> None:
    with pytest.raises(InvalidInput, match="send less text"):
        await emit(db, Happened(id="x" * 1_000_000))
    assert await rows(db, "select 1 from outbox") == []


async def test_a_lost_consumer_is_made_again(db: Database, bus: Bus) -> None:
    async with background(relay_outbox(db, bus)), consuming(bus, db, note):
        await emit(db, Happened(n=1))
        await eventually(lambda: effects(db))
        await bus.js.delete_consumer("PROBE", "test")
        await emit(db, Happened(n=2))
        await eventually(lambda: has(db, 2), 15)
        assert await effects(db) == [1, 2]


async def test_stop_finishes_what_was_fetched(db: Database, bus: Bus) -> None:
    gate, entered = asyncio.Event(), asyncio.Event()

    async def handler(tx: Tx, event: Any) -> None:
        entered.set()
        await gate.wait()
        await note(tx, event)

    consumer = Consumer(bus, db, "PROBE", [Subscription(Happened, handler)])
    async with background(relay_outbox(db, bus), consumer.run()) as tasks:
        await emit(db, Happened(n=1))
        await asyncio.wait_for(entered.wait(), 10)
        consumer.stop()
        gate.set()
        await asyncio.wait_for(asyncio.shield(tasks[1]), 5)
        assert await effects(db) == [1]


def outgoing() -> Outgoing:
    return Outgoing(Happened.DESCRIPTOR.full_name, b"", str(uuid7()), "k", utcnow(), {})


async def test_an_answer_that_is_none_keeps_nobody_else_waiting(bus: Bus) -> None:
    """Anybody who may publish can answer: what makes no sense is left aside, the others are read."""
    await bus.ensure_stream("PROBE")
    bus._windows["open"] = bus._write([outgoing()])
    for body in (b"+OK", b'{"x": 1}', b"[]", b"7", b'{"seq": 1}'):
        await bus.client.publish(f"{bus._reply}.open.x", body)
        await bus.client.publish(f"{bus._reply}.open.7", body)
    assert isinstance((await bus.publish([outgoing()], timeout=2))[0], Ack)
