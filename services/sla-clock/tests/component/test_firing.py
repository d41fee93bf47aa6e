"""How marks leave: in order, no faster than the stream takes them, with what let them fire."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from chassis.bus import Ack, Bus, Outgoing
from chassis.servers import Server
from chassis.testing import events, eventually
from sla_clock.handlers.fire import fire_claimed
from sla_clock.handlers.follow import follow
from sla_clock.handlers.mend import reconcile, remind
from sla_clock.handlers.policies import apply_policy
from sla_clock.handlers.publish import note_sent
from sla_clock.handlers.works import Works
from sla_clock.loop import fire_timers
from sla_clock.redisnodes import ask
from sla_clock.store.tables import batch_table, ledger_table
from sla_clock.timers import SHARDS
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.tickets.v1 import timeline_pb2

from .desk import POLICY, Case, Desk, ago, followed, some_works

CRITICAL = common.PRIORITY_CRITICAL


@pytest.fixture
async def works(database: Callable[[str], str], nats_url: str, valkey_url: str) -> AsyncIterator[Works]:
    async with some_works(database, nats_url, valkey_url, batch=8) as works:
        yield works


@asynccontextmanager
async def firing(works: Works, lanes: int = 2) -> AsyncIterator[list[asyncio.Task[None]]]:
    loops = [fire_timers(works, works.timers.lane(number, lanes), 0.1) for number in range(lanes)]
    tasks = [asyncio.create_task(loop) for loop in (*loops, note_sent(works))]  # noqa: TID251 - a process
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def entered(works: Works) -> int:
    """How many tickets have a mark in the ledger."""
    async with works.db.tx() as tx:
        return await tx.conn.scalar(sa.select(sa.func.count(ledger_table.c.ticket_id.distinct()))) or 0


async def test_policies_of_one_batch_are_all_at_hand_however_few_are_remembered(works: Works) -> None:
    """After an outage tickets of any versions may be due together."""
    for number in range(40):
        async with works.db.tx() as tx:
            await apply_policy(works, tx, f"{POLICY}# {number}\n")
    assert (await works.book.versions(works.db, {41})).keys() == {41}
    found = await works.book.versions(works.db, set(range(42)))
    assert [found[number].version for number in range(42)] == list(range(42))


async def test_within_a_shard_marks_leave_in_the_order_of_their_instants(works: Works) -> None:
    """Also when a claim takes only a part of what is due, and its tickets have later marks due as well."""
    shard = [str(UUID(int=64 * number + 5)) for number in range(24)]
    # Of an hour 70 % are due for all of them, 80 % for the older ones: after some of the younger ones' 70 %.
    cases = [Case(ago(3060 - 20 * number), id=one) for number, one in enumerate(shard)]
    await followed(works, *cases[::-1])
    lane = works.timers.lane()
    told: list[tuple[int, str]] = []
    while claims := await lane.claim(5):
        batch, wakes = await fire_claimed(works, claims)
        told += [(mark.at, mark.mark) for mark in batch.marks]
        await lane.settle(claims, wakes)
    assert {mark for _, mark in told} == {"70%", "80%"}
    assert len(told) == 24 + 10
    assert told == sorted(told)


async def test_a_stream_that_does_not_answer_holds_the_lanes_back(works: Works, nats_server: Server) -> None:
    """What waits stays in the database: a lane enters one batch and sends it before the next."""
    cases = [Case(ago(7.2), CRITICAL) for _ in range(150)]
    await works.bus.ensure_stream("SLA")
    await followed(works, *cases)
    os.kill(nats_server.pid, signal.SIGSTOP)
    try:
        async with firing(works), events_of(nats_server) as watch:
            await eventually(lambda: _some(works))
            # Longer than many turns of a lane that does not wait.
            await asyncio.sleep(1)
            # One ticket of each shard.
            assert await entered(works) <= 64
            os.kill(nats_server.pid, signal.SIGCONT)
            marks = await eventually(lambda: _all_told(watch, cases), 30)
            assert len(marks) == len(set(marks))
            await eventually(lambda: _none_unsent(works), 20)
    finally:
        os.kill(nats_server.pid, signal.SIGCONT)


async def test_a_lane_that_is_told_to_stop_finishes_what_it_has_claimed(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the shards that it holds would wait for the end of its lease."""
    await followed(works, Case(ago(7.5), CRITICAL))
    publish, reached, go_on = works.bus.publish, asyncio.Event(), asyncio.Event()

    async def slowly(sent: Sequence[Outgoing], timeout: float = 5.0) -> list[Ack | Exception]:
        reached.set()
        await go_on.wait()
        return await publish(sent, timeout)

    monkeypatch.setattr(works.bus, "publish", slowly)
    lane = works.timers.lane()
    task = asyncio.create_task(fire_timers(works, lane, 0.1))  # noqa: TID251 - a process' loop
    await reached.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert len(works.sent) == 1
    held = [("HEXISTS", f"{{sla:{n:02}}}:rev", "held") for n in range(SHARDS)]
    assert not any(await ask(works.timers._redis, held))


async def test_a_lane_that_is_stopped_while_it_claims_gives_its_shards_back(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    await followed(works, Case(ago(9.5), CRITICAL))
    lane, claimed = works.timers.lane(), asyncio.Event()
    run = works.timers.run

    async def run_slowly(*asked: Any) -> list[Any]:
        answers = await run(*asked)
        claimed.set()
        await asyncio.sleep(0.05)
        return answers

    monkeypatch.setattr(works.timers, "run", run_slowly)
    task = asyncio.create_task(fire_timers(works, lane, 0.1))  # noqa: TID251 - a process' loop
    await claimed.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(await works.timers.lane().claim(10)) == 1


async def test_any_lane_whose_index_is_away_asks_the_database(works: Works, valkey_server: Server) -> None:
    """faults 8: in a cluster the first lane's shards may be on the nodes that live."""
    await followed(works, *[Case(ago(9.5), CRITICAL) for _ in range(3)])
    valkey_server.kill()
    last = asyncio.create_task(fire_timers(works, works.timers.lane(15, 16), 0.1))  # noqa: TID251 - a process
    try:
        await eventually(lambda: _all_entered(works, 3))
    finally:
        last.cancel()
        await asyncio.gather(last, return_exceptions=True)


async def _all_entered(works: Works, tickets: int) -> bool:
    return await entered(works) == tickets


async def test_a_mark_says_what_let_it_fire(desk: Desk) -> None:
    waited, late, moved = Case(ago(6.5), CRITICAL), Case(ago(13), CRITICAL), Case(ago(60))
    for case in (waited, late, moved):
        await desk.tell(case)
    moved.priority = CRITICAL
    changed = timeline_pb2.PriorityChanged(to=CRITICAL)
    await desk.tell(moved.add(priority_changed=changed))

    def told() -> set[tuple[str, str]]:
        marks = desk.watch.of(sla.MarkReached)
        return {(one.ticket.id, one.cause) for one in marks if one.clock == "first_response"}

    expected = {(waited.id, "due"), (late.id, "overdue"), (moved.id, "priority_changed")}
    await eventually(lambda: expected <= told())


async def test_overdue_tickets_whose_timers_are_missing_are_found(works: Works) -> None:
    """A timer lost without the index being flushed: the sweep sets it, and it is fired in its turn."""
    cases = [Case(ago(9), CRITICAL) for _ in range(3)]
    for case in cases:
        async with works.db.tx() as tx:
            await follow(works, tx, case.ticket())
    works.wakes.clear()
    assert await remind(works, 0.0) == 3
    assert await remind(works, 0.0) == 0
    lane = works.timers.lane()
    claims = await lane.claim(10)
    batch, wakes = await fire_claimed(works, claims)
    assert {str(mark.ticket_id) for mark in batch.marks} == {case.id for case in cases}
    assert await lane.settle(claims, wakes) == 3
    assert await reconcile(works) == (0, 0, 0)


@asynccontextmanager
async def events_of(server: Server) -> AsyncIterator[Callable[[], list[sla.MarkReached]]]:
    """A watch that connects once the server answers again."""
    async with asyncio.TaskGroup() as group:
        seen: list[sla.MarkReached] = []
        done = asyncio.Event()

        async def watch() -> None:
            async with Bus(server.url, "test") as bus, events(bus, sla.MarkReached) as told:
                while not done.is_set():
                    seen[:] = told.of(sla.MarkReached)
                    await asyncio.sleep(0.05)

        group.create_task(watch())
        yield lambda: seen
        done.set()


async def _some(works: Works) -> bool:
    return await entered(works) > 0


def _all_told(watch: Callable[[], list[sla.MarkReached]], cases: Sequence[Case]) -> list[tuple[str, str]]:
    told = [(one.ticket.id, one.mark.name) for one in watch()]
    return told if {ticket for ticket, _ in told} == {case.id for case in cases} else []


async def _none_unsent(works: Works) -> bool:
    async with works.db.tx() as tx:
        unsent = sa.select(sa.func.count()).where(batch_table.c.published_at.is_(None))
        return not await tx.conn.scalar(unsent)
