"""A stream that went back in time is filled again from the rows that are kept."""

from typing import Any

import pytest

from chassis.bus import Ack, Bus, Outgoing
from chassis.clock import utcnow
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.outbox import Relay
from chassis.testing import events, eventually
from libs.chassis.tests.probe import Happened, emit, rows


async def refill(bus: Bus, ids: list[str]) -> None:
    """Put events back into an empty stream, as an older copy of its store holds them."""
    acks = await bus.publish(
        [Outgoing("tickdesk.probe.v1.Happened", b"", each, "k", utcnow(), {}) for each in ids]
    )
    assert all(isinstance(ack, Ack) for ack in acks)


async def test_a_lost_tail_is_seen_though_another_writer_has_filled_its_numbers(
    db: Database, bus: Bus
) -> None:
    relay = Relay(db, bus)
    await emit(db, *(Happened(n=n) for n in range(10)))
    await relay.step()
    await bus.js.delete_stream("PROBE")
    bus._known.clear()
    await bus.ensure_stream("PROBE")
    kept = await rows(db, "select id from outbox order by seq limit 6")
    await refill(bus, [str(row.id) for row in kept] + [f"another writer's {n}" for n in range(9)])
    assert await relay.check() == 4
    await relay.step()
    assert (await bus.js.stream_info("PROBE")).state.messages == 19


async def test_what_goes_over_a_new_connection_is_not_noted_before_its_stream_was_looked_at(
    db: Database, bus: Bus
) -> None:
    relay = Relay(db, bus)
    await emit(db, *(Happened(n=n) for n in range(10)))
    await relay.step()
    await emit(db, Happened(n=10))
    publish = bus.publish_each

    async def over_another(*asked: Any) -> Any:
        # The server is back with an older store right behind the relay's look.
        await bus.js.delete_stream("PROBE")
        bus._known.clear()
        await bus.ensure_stream("PROBE")
        bus.client.stats["reconnects"] += 1
        setattr(bus, "publish_each", publish)  # noqa: B010 - a method on purpose
        await refill(bus, [f"another writer's {n}" for n in range(12)])
        async for acks in publish(*asked):
            yield acks

    setattr(bus, "publish_each", over_another)  # noqa: B010
    with pytest.raises(Unavailable):
        await relay.step()
    await relay.step()
    assert (await bus.js.stream_info("PROBE")).state.messages == 23
    assert len(await rows(db, "select 1 from outbox where published_at is null")) == 0


async def test_a_number_that_another_writer_fills_between_two_questions_is_lost_all_the_same(
    bus: Bus,
) -> None:
    await bus.ensure_stream("PROBE")
    ask = bus.js.stream_info

    async def ask_and_fill(stream: str) -> Any:
        found = await ask(stream)
        await refill(bus, [f"another writer's {n}" for n in range(9)])
        return found

    setattr(bus.js, "stream_info", ask_and_fill)  # noqa: B010 - a method on purpose
    assert await bus.stored("PROBE", 5) is None
    assert await bus.stored("PROBE", 5) == "another writer's 4"


async def test_events_that_an_operator_purged_are_not_lost(db: Database, bus: Bus) -> None:
    relay = Relay(db, bus)
    await emit(db, *(Happened(n=n) for n in range(10)))
    await relay.step()
    await bus.js.purge_stream("PROBE")
    assert await relay.check() == 0


async def test_a_stream_that_lost_its_tail_is_filled_again(db: Database, bus: Bus) -> None:
    relay = Relay(db, bus)
    await emit(db, *(Happened(n=n) for n in range(10)))
    await relay.step()
    # The same as an older copy of the store: numbers 7 to 10 were acknowledged and are gone.
    await bus.js.delete_stream("PROBE")
    bus._known.clear()
    await bus.ensure_stream("PROBE")
    kept = await rows(db, "select id from outbox order by seq limit 6")
    await refill(bus, [str(row.id) for row in kept])
    assert await relay.check() == 4
    await relay.step()
    info = await bus.js.stream_info("PROBE")
    assert info.state.messages == 10
    assert [row.stream_seq for row in await rows(db, "select stream_seq from outbox order by seq")][6:] == [
        7,
        8,
        9,
        10,
    ]


async def test_a_rollback_hidden_by_new_events_is_seen_by_its_reused_numbers(db: Database, bus: Bus) -> None:
    relay = Relay(db, bus)
    await emit(db, *(Happened(n=n) for n in range(3)))
    await relay.step()
    await bus.js.delete_stream("PROBE")
    bus._known.clear()
    await emit(db, *(Happened(n=n) for n in range(3, 6)))
    # No check in between: the new events get numbers 1 to 3 a second time.
    await relay.step()
    await relay.step()
    async with events(bus, Happened) as watch:
        await eventually(lambda: {event.n for event in watch.seen} == set(range(6)))


async def test_a_vanished_stream_is_made_again_from_the_retained_rows(db: Database, bus: Bus) -> None:
    relay = Relay(db, bus)
    await emit(db, *(Happened(n=n) for n in range(5)))
    await relay.step()
    await bus.js.delete_stream("PROBE")
    assert await relay.check() == 5
    await relay.step()
    assert (await bus.js.stream_info("PROBE")).state.messages == 5
