"""Policy edits and new data reach the open tickets in the background, and say what moved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import grpc.aio
import pytest
import sqlalchemy as sa

from chassis.bus import Bus
from chassis.db import Database
from chassis.testing import eventually
from sla_clock.handlers.follow import follow
from sla_clock.handlers.policies import apply_policy
from sla_clock.handlers.recalculate import note_data, recalculate
from sla_clock.handlers.works import DATA, Works
from sla_clock.store import recalculations
from sla_clock.store.tables import due_table, ticket_table, wake_table
from sla_clock.timers import Timers
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.sla.v1 import policy_service_pb2 as pb

from .desk import POLICY, Case, Desk, ago

EARLIER = POLICY.replace("first_response: 1h", "first_response: 30m")
OLD_DATA = "tzdata 2020a, holidays 0.1"


@pytest.fixture
async def works(database: Callable[[str], str], nats_url: str, valkey_url: str) -> AsyncIterator[Works]:
    """The handlers without their loops: a test takes each step itself."""
    async with (
        Database(database("sla_clock.migrations"), "test") as db,
        Bus(nats_url, "test") as bus,
        Timers(valkey_url, lease_seconds=0.3) as timers,
    ):
        opened = Works(db, bus, timers)
        async with db.tx() as tx:
            await apply_policy(opened, tx, POLICY)
        await finish(opened)
        yield opened


async def followed(works: Works, *cases: Case) -> None:
    for case in cases:
        async with works.db.tx() as tx:
            await follow(works, tx, case.ticket())


async def finish(works: Works, limit: int = 100) -> None:
    while await recalculate(works, limit):
        pass


async def outbox(works: Works) -> list[tuple[str, bytes]]:
    """Types and payloads of what was emitted, in order."""
    async with works.db.tx() as tx:
        found = await tx.execute(sa.text("select type, payload from outbox order by seq"))
        return [(one.type, one.payload) for one in found]


async def emitted(works: Works, kind: Any) -> list[Any]:
    name = kind.DESCRIPTOR.full_name
    return [kind.FromString(payload) for told, payload in await outbox(works) if told == name]


async def newest(works: Works) -> recalculations.Recalculation:
    async with works.db.tx() as tx:
        return await recalculations.get_recalculation(tx, 0)


async def test_an_edit_says_what_it_moved_and_when_it_is_through(desk: Desk) -> None:
    """faults 26: earlier, later, added and dropped, per clock and in sum."""
    stub = await desk.policies()
    await desk.tell(Case(ago(60)))
    await desk.tell(Case(ago(60), common.PRIORITY_CRITICAL))
    await eventually(lambda: len(desk.watch.of(sla.ClockStarted)) == 4)
    edited = POLICY.replace(
        "targets: {first_response: 1h, resolution: 10h, next_response: 1h}",
        "targets: {first_response: 30m, pickup: 1h, next_response: 1h}",
    ).replace("resolution: 100s", "resolution: 200s")
    await stub.ApplyPolicy(pb.ApplyPolicyRequest(request_id="request-1", yaml=edited), timeout=20)

    async def through() -> Any:
        answer = await stub.GetRecalculation(pb.GetRecalculationRequest(), timeout=5)
        found = answer.recalculation
        return found if found.HasField("finished_time") and found.version == 2 else None

    found = await eventually(through)
    assert found is not None
    assert (found.policy, found.cause, found.total, found.done) == ("test", "policy", 2, 2)
    # The critical ticket gets a pickup clock of the second row, too.
    assert (found.earlier, found.later, found.added, found.dropped) == (1, 1, 2, 1)
    assert found.took.ToMicroseconds() > 0
    told = await desk.watch.next(sla.RecalculationFinished)
    while told.recalculation.version != 2:
        told = await desk.watch.next(sla.RecalculationFinished)
    assert told.recalculation == found
    first = await stub.GetRecalculation(pb.GetRecalculationRequest(version=1), timeout=5)
    assert (first.recalculation.total, first.recalculation.HasField("finished_time")) == (0, True)


@pytest.mark.parametrize(
    ("version", "message"),
    [(7, "no recalculation of version 7 is known"), (-1, "version: must be greater than or equal to 0")],
)
async def test_a_recalculation_that_is_not_known(desk: Desk, version: int, message: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await (await desk.policies()).GetRecalculation(pb.GetRecalculationRequest(version=version), timeout=5)
    assert missing.value.details() == message


async def test_a_clock_that_comes_out_equal_is_not_told(works: Works) -> None:
    """Only what an edit touches says so; its tickets are under the new version all the same."""
    case = Case(ago(60))
    await followed(works, case)
    before = len(await outbox(works))
    async with works.db.tx() as tx:
        await apply_policy(works, tx, POLICY + "# a remark\n")
    await finish(works)
    told = [name for name, _ in (await outbox(works))[before:]]
    assert told == [f"tickdesk.sla.v1.{name}" for name in ("PolicyApplied", "RecalculationFinished")]
    found = await newest(works)
    assert (found.done, found.earlier, found.later, found.added, found.dropped) == (1, 0, 0, 0, 0)
    async with works.db.tx() as tx:
        assert (await tx.execute(sa.select(ticket_table.c.policy_version))).scalar_one() == 2


async def test_new_time_zone_data_is_noticed_at_start(works: Works) -> None:
    """A ticket is counted anew, and the cause names the versions."""
    case, closed = Case(ago(60)), Case(ago(60)).replied(ago(50)).status("resolved").status("closed")
    await followed(works, case, closed)
    before = len(await emitted(works, sla.ClockRecalculated))
    async with works.db.tx() as tx:
        # As yesterday's data would have had it: due a minute later, under an older version.
        found = (await tx.execute(sa.select(ticket_table.c.standings))).scalars().all()
        shifted = next(one for one in found if any(each[2] == "running" for each in one))
        for standing in shifted:
            standing[4] = standing[4] + 60_000_000 if standing[4] else None
        mine = ticket_table.c.ticket_id == case.id
        await tx.execute(sa.update(ticket_table).values(data=OLD_DATA))
        await tx.execute(sa.update(ticket_table).where(mine).values(standings=shifted))
        await tx.execute(sa.text("update recalculation set data = :old"), {"old": OLD_DATA})
    await note_data(works)
    await note_data(works)
    await finish(works)
    found_now = await newest(works)
    assert found_now.cause == f"{_data('tzdata', '2020a')}, {_data('holidays', '0.1')}"
    assert (found_now.version, found_now.total, found_now.done, found_now.earlier) == (1, 1, 1, 2)
    moved = (await emitted(works, sla.ClockRecalculated))[before:]
    assert {one.cause for one in moved} == {found_now.cause}
    assert [one.clock.name for one in moved] == ["first_response", "resolution"]
    (told,) = [
        one for one in await emitted(works, sla.RecalculationFinished) if one.recalculation.cause != "policy"
    ]
    assert told.recalculation.done == 1


def _data(name: str, old: str) -> str:
    new = dict(part.split(" ") for part in DATA.split(", "))[name]
    return f"{name} {old} -> {new}"


async def test_a_replica_with_older_data_leaves_it_to_those_with_newer(works: Works) -> None:
    """In a rolling update both follow tickets; the newer data has the last word."""
    await followed(works, Case(ago(60)))
    old = Works(works.db, works.bus, works.timers, data=OLD_DATA)
    await followed(old, Case(ago(60)))
    assert await recalculate(old, 10) == 0
    assert await recalculate(works, 10) == 1
    async with works.db.tx() as tx:
        assert set((await tx.execute(sa.select(ticket_table.c.data))).scalars()) == {DATA}


async def test_several_replicas_share_the_work_and_one_tells_the_end(works: Works) -> None:
    """faults 26: each ticket once, one RecalculationFinished."""
    await followed(works, *(Case(ago(60)) for _ in range(60)))
    async with works.db.tx() as tx:
        await apply_policy(works, tx, EARLIER)
    others = [Works(works.db, works.bus, works.timers) for _ in range(3)]
    for _ in range(12):
        await asyncio.gather(*(recalculate(one, 5) for one in others))
    await finish(works)
    found = await newest(works)
    assert (found.total, found.done, found.earlier) == (60, 60, 60)
    moved = [one.ticket.id for one in await emitted(works, sla.ClockRecalculated)]
    assert len(moved) == len(set(moved)) == 60
    finished = await emitted(works, sla.RecalculationFinished)
    assert [one.recalculation.version for one in finished] == [1, 2]


async def test_a_crash_in_the_middle_loses_and_doubles_nothing(works: Works) -> None:
    """kill -9 between any two statements: a batch and its figures are one transaction."""
    await followed(works, *(Case(ago(60)) for _ in range(12)))
    async with works.db.tx() as tx:
        await apply_policy(works, tx, EARLIER)
    assert await recalculate(works, 5) == 5

    with suppress(ConnectionError):
        async with works.db.tx() as tx:
            under = await newest(works)
            assert len(await recalculations.lock_outdated(tx, 2, DATA, 5)) == 5
            await recalculations.add_progress(tx, under, {"done": 5})
            # As far as the database can tell, the process is gone.
            raise ConnectionError
    await finish(works, 5)
    found = await newest(works)
    assert (found.total, found.done, found.earlier) == (12, 12, 12)
    moved = [one.ticket.id for one in await emitted(works, sla.ClockRecalculated)]
    assert len(moved) == len(set(moved)) == 12


async def test_a_ticket_that_fires_meanwhile_is_taken_in_the_next_round(works: Works) -> None:
    """Its wake-up is never waited for: marks go first."""
    await followed(works, Case(ago(60)), Case(ago(60)))
    async with works.db.tx() as tx:
        await apply_policy(works, tx, EARLIER)
    async with works.db.tx() as firing:
        one = (await firing.execute(sa.select(wake_table.c.ticket_id).limit(1))).scalar_one()
        mine = wake_table.c.ticket_id == one
        await firing.execute(sa.update(wake_table).where(mine).values(revision=wake_table.c.revision + 1))
        assert await recalculate(works, 10) == 2
        assert (await newest(works)).done == 1
    await finish(works)
    found = await newest(works)
    assert (found.done, found.total, found.finished_at is not None) == (2, 2, True)


async def test_the_lists_follow_an_edit(works: Works) -> None:
    """Running clocks are written with the tickets: those dropped go, the others move."""
    await followed(works, Case(ago(60)))
    async with works.db.tx() as tx:
        await apply_policy(works, tx, EARLIER.replace(", resolution: 10h", ""))
    await finish(works)
    async with works.db.tx() as tx:
        found = (await tx.execute(sa.select(due_table.c.clock, due_table.c.target))).all()
    assert [tuple(one) for one in found] == [("first_response", 1800 * 10**6)]


async def test_marks_fire_while_a_thousand_tickets_are_computed(desk: Desk) -> None:
    """Other tickets' marks do not wait for the end of it; how late they come is measured in the bench."""
    async with Database(desk.settings.database_url, "test") as db:
        opened = Works(db, desk.bus, None)  # type: ignore[arg-type]
        await followed(opened, *(Case(ago(60)) for _ in range(1000)))
    for number in range(100):
        await desk.tell(Case(ago(number / 10), common.PRIORITY_CRITICAL))
    request = pb.ApplyPolicyRequest(request_id="request-1", yaml=EARLIER)
    await (await desk.policies()).ApplyPolicy(request, timeout=20)
    told = await desk.watch.next(sla.RecalculationFinished, 60)
    while told.recalculation.version != 2:
        told = await desk.watch.next(sla.RecalculationFinished, 60)
    done = told.recalculation
    assert done.earlier == 1000
    reached = [one.reached_time.ToMicroseconds() for one in desk.watch.of(sla.MarkReached)]
    assert [
        at for at in reached if done.started_time.ToMicroseconds() < at < done.finished_time.ToMicroseconds()
    ]
