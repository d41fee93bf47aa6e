"""What dies, and that every mark is told once all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis.asyncio as redis

from chassis.clock import utcnow
from chassis.servers import Server
from chassis.testing import events, eventually
from sla_clock.calendar import MICROS, micros
from sla_clock.domain import State
from sla_clock.handlers.fire import fire_claimed
from sla_clock.handlers.follow import follow
from sla_clock.handlers.mend import Pace, reconcile
from sla_clock.handlers.publish import deliver
from sla_clock.handlers.works import Works
from sla_clock.store import firing, ledger, tickets, wakes
from sla_clock.store.firing import Sleeper, read_claimed
from sla_clock.store.ledger import MarkFilter
from sla_clock.timers import Claim, Wake, shard_of
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import events_pb2 as sla

from .desk import Case, Desk, a_desk, ago, followed, some_works

CRITICAL = common.PRIORITY_CRITICAL
TAIL = 4
"""Marks of first_response from 70 to 100 %."""


async def test_two_replicas_fire_each_mark_once(desk: Desk) -> None:
    """faults 12: many tickets due at one instant, as every morning at opening."""
    await desk.start()
    created = ago(9.5)
    cases = [Case(created, CRITICAL) for _ in range(60)]
    for case in cases:
        await desk.tell(case)
    await eventually(lambda: all(_breached(desk, case) for case in cases), 20)
    told = [(one.ticket.id, one.clock, one.mark.name) for one in desk.watch.of(sla.MarkReached)]
    assert len(told) == len(set(told))


def _breached(desk: Desk, case: Case) -> bool:
    marks = desk.watch.of(sla.MarkReached)
    return any(one.ticket.id == case.id and one.mark.name == "100%" for one in marks)


async def test_a_flushed_index_is_rebuilt_from_the_database(desk: Desk, valkey_url: str) -> None:
    """faults 7."""
    soon, later = Case(ago(8.2), CRITICAL), Case(ago(1))
    await desk.tell(soon)
    await desk.tell(later)
    await eventually(lambda: len(desk.watch.of(sla.ClockStarted)) == 4)
    async with redis.Redis.from_url(valkey_url) as client:
        await client.flushall()
        await eventually(lambda: _breached(desk, soon), 10)

        async def armed() -> bool:
            return sum([await client.zcard(f"{{sla:{shard:02}}}:due") for shard in range(64)]) == 2

        await eventually(armed)
    names = [one.mark.name for one in desk.watch.of(sla.MarkReached)]
    assert len(names) == len(set(names))


async def test_an_index_that_is_being_filled_is_told_and_takes_nobody_out_of_service(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """faults 7: readiness tells."""
    assert not await works.timers.filled()
    await reconcile(works)
    assert await works.timers.filled()
    await works.timers._redis.flushall()
    page = wakes.armed_tickets
    seen: list[bool] = []

    async def looking(*args: Any) -> list[tuple[UUID, int, int]]:
        seen.append(await works.timers.filled())
        return await page(*args)

    monkeypatch.setattr(wakes, "armed_tickets", looking)
    await reconcile(works)
    assert seen == [False]
    assert await works.timers.filled()


async def test_marks_come_out_of_the_database_while_the_index_is_away(
    desk: Desk, valkey_server: Server
) -> None:
    """faults 8."""
    await desk.tell(Case(ago(1)))
    await desk.watch.next(sla.ClockStarted)
    valkey_server.kill()
    case = Case(ago(9), CRITICAL)
    await desk.tell(case)
    await eventually(lambda: _breached(desk, case))
    valkey_server.start()
    after = Case(ago(9), CRITICAL)
    await desk.tell(after)
    await eventually(lambda: _breached(desk, after), 10)
    told = [(one.ticket.id, one.mark.name) for one in desk.watch.of(sla.MarkReached)]
    assert len(told) == len(set(told))


@pytest.fixture
async def works(database: Callable[[str], str], nats_url: str, valkey_url: str) -> AsyncIterator[Works]:
    async with some_works(database, nats_url, valkey_url, lease_seconds=0.05) as works:
        yield works


async def _claimed_twice(works: Works) -> tuple[list[Claim], list[Claim]]:
    """The same timers, first for a worker that then sleeps beyond its lease, then for another."""
    zombie, other = await works.timers.lane().claim(10), works.timers.lane()
    again = await other.claim(10)
    while not again:
        await other.rest()
        again = await other.claim(10)
    assert [one.tickets for one in zombie] == [one.tickets for one in again]
    return zombie, again


async def _ledger(works: Works, case: Case) -> list[str]:
    async with works.db.tx() as tx:
        marks, _ = await ledger.list_marks(tx, MarkFilter(ticket_id=UUID(case.id)), 50)
    return sorted(one.mark for one in marks if not one.folded)


async def test_a_worker_paused_beyond_its_lease_does_not_tell_a_mark_again(works: Works) -> None:
    """faults 13."""
    case = Case(ago(11), CRITICAL)
    await followed(works, case)
    async with events(works.bus, sla.MarkReached) as watch:
        zombie, other = await _claimed_twice(works)
        lane = works.timers.lane()
        batch, wakes = await fire_claimed(works, other)
        await deliver(works, batch)
        late_batch, late = await fire_claimed(works, zombie)
        assert late_batch.marks == ()
        # Both say what the row says by now; only a lower revision would be refused.
        assert await lane.settle(zombie, late) == 1
        assert await lane.settle(other, wakes) == 1
        assert await reconcile(works) == (0, 0, 0)
        await eventually(lambda: len(watch.seen) == 2)
        assert sorted(one.mark.name for one in watch.of(sla.MarkReached)) == ["100%", "80%"]


@pytest.mark.parametrize(
    ("forgotten", "times"),
    [((), 1), (("revision",), 1), (("key",), 1), (("revision", "key"), 2)],
    ids=["both", "key alone", "revision alone", "neither"],
)
async def test_revision_and_ledger_each_keep_a_mark_from_taking_effect_twice(
    works: Works, forgotten: tuple[str, ...], times: int
) -> None:
    """faults 13, with its control: once neither is there, the mark doubles."""
    case = Case(ago(11), CRITICAL)
    await followed(works, case)
    zombie, other = await _claimed_twice(works)
    async with works.db.driver() as conn:
        if "key" in forgotten:
            await conn.execute("alter table mark_ledger drop constraint mark_ledger_pkey")
        read = await read_claimed(conn, zombie[0].tickets)
        await fire_claimed(works, other)
        if "revision" in forgotten:
            await conn.execute("update wake set revision = $1, fired_until = null", read[0].revision)
    await fire_claimed(works, zombie)
    assert await _ledger(works, case) == sorted(["100%", "80%"] * times)


async def test_two_workers_at_the_same_mark_at_once_tell_it_once(works: Works) -> None:
    case = Case(ago(11), CRITICAL)
    await followed(works, case)
    zombie, other = await _claimed_twice(works)
    fired = await asyncio.gather(fire_claimed(works, zombie), fire_claimed(works, other))
    assert sorted(len(batch.marks) for batch, _ in fired) == [0, 2]
    assert await _ledger(works, case) == ["100%", "80%"]


async def test_of_tickets_read_together_one_that_changed_meanwhile_is_left_out(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is not lost with one of its tickets."""
    cases = [Case(ago(11), CRITICAL) for _ in range(6)]
    for case in cases:
        await followed(works, case)
    claims = await works.timers.lane().claim(10)
    read = firing.read_claimed

    async def read_then_paused(conn: Any, tickets: Any) -> list[Sleeper]:
        found = await read(conn, tickets)
        async with works.db.tx() as tx:
            await follow(works, tx, cases[0].replied(ago(5)).ticket())
        return found

    monkeypatch.setattr(firing, "read_claimed", read_then_paused)
    batch, wakes = await fire_claimed(works, claims)
    assert {str(mark.ticket_id) for mark in batch.marks} == {case.id for case in cases[1:]}
    assert {str(wake.ticket_id) for wake in wakes} == {case.id for case in cases[1:]}
    assert await _ledger(works, cases[0]) == []


async def test_a_pause_and_a_breach_at_once_never_both_win(works: Works) -> None:
    """faults 33: whoever gets the row first decides."""
    cases = [Case(ago(101), CRITICAL).replied(ago(100)) for _ in range(20)]
    for case in cases:
        await followed(works, case)

    async def pause(case: Case) -> None:
        # Before the target ran out, but heard of only now.
        async with works.db.tx() as tx:
            await follow(works, tx, case.status("waiting", ago(50)).ticket())

    claims = await works.timers.lane().claim(100)
    await asyncio.gather(fire_claimed(works, claims), *(pause(case) for case in cases))
    async with works.db.tx() as tx:
        for case in cases:
            row = await tickets.find_ticket(tx, UUID(case.id))
            marks, _ = await ledger.list_marks(tx, MarkFilter(ticket_id=row.ticket_id), 10)
            resolution = next(one for one in row.standings if one.name == "resolution")
            assert resolution.state is State.PAUSED
            assert all(point.fired == bool(marks) for point in resolution.points if point.name == "100%")
    _, wakes = await fire_claimed(works, claims)
    assert all(wake.at is None for wake in wakes)


async def test_the_index_is_mended_both_ways(works: Works) -> None:
    """faults 7: missing, moved and orphan timers are counted and repaired."""
    cases = [Case(ago(1)) for _ in range(5)]
    for case in cases:
        await followed(works, case)
    orphan = UUID(int=77)
    await works.timers.apply([Wake(orphan, 1, micros(utcnow()) + 60 * MICROS)])
    gone = UUID(cases[0].id)
    await works.timers.remove(shard_of(gone), [gone])
    await works.timers.apply([Wake(UUID(cases[1].id), 1, None)])
    assert await reconcile(works) == (1, 0, 1)
    assert await reconcile(works) == (0, 0, 0)
    assert await works.timers.armed() == 5


async def test_a_restart_fires_what_fell_due_meanwhile(
    database: Callable[[str], str], nats_url: str, valkey_url: str, tmp_path: Path
) -> None:
    """An outage makes marks late, never lost, and tells each once with its true instant."""
    url = database("sla_clock.migrations")
    async with a_desk(url, nats_url, valkey_url, tmp_path) as desk:
        case = Case(ago(2), CRITICAL)
        await desk.tell(case)
        await desk.watch.next(sla.ClockStarted)
    due = case.created + timedelta(seconds=10)
    await eventually(lambda: utcnow() > due + timedelta(seconds=0.3))
    async with a_desk(url, nats_url, valkey_url, tmp_path) as desk:
        await eventually(lambda: _breached(desk, case), 10)
        told = desk.watch.of(sla.MarkReached)
        names = [one.mark.name for one in told]
        assert len(names) == len(set(names))
        breach = told[names.index("100%")]
        assert breach.lateness.ToMicroseconds() >= 300_000
        assert abs(breach.mark.due_time.ToMicroseconds() - micros(due)) < 1000


async def test_the_patrol_rests_for_most_of_its_time() -> None:
    """A million timers are compared without end, on a small share of a core."""
    pace = Pace(0.1)
    began = time.monotonic()
    while time.monotonic() < began + 0.02:
        pass
    worked = time.monotonic()
    await pace.rest()
    assert time.monotonic() - worked >= 9 * 0.02
    assert Pace(1.0).page > pace.page
