"""Another policy counts a cycle anew that its ticket had forgotten: what was told stays told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest
import sqlalchemy as sa

from chassis.clock import utcnow
from sla_clock.calendar import MICROS, micros
from sla_clock.handlers.fire import fire_claimed
from sla_clock.handlers.policies import apply_policy
from sla_clock.handlers.recalculate import recalculate
from sla_clock.handlers.tools import Planned, plan
from sla_clock.handlers.works import Works
from sla_clock.store import tickets
from sla_clock.store.tables import ledger_table
from sla_clock.timers import Claim
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.sla.v1.clock_pb2 import CLOCK_STATE_MET
from tickdesk.tickets.v1 import ticket_pb2, timeline_pb2

from .desk import POLICY, Case, ago, followed, some_works
from .test_recalculations import emitted

ONE_CYCLE = f"{POLICY}clocks:\n  resolution: {{stop: [closed]}}\n"
"""Resolved is not the end any more: the first cycle goes on, and a reopening begins none."""
LONGER = ONE_CYCLE.replace("resolution: 100s", "resolution: 200s")
SHORTER = ONE_CYCLE.replace("resolution: 100s", "resolution: 95s")


@pytest.fixture
async def works(database: Callable[[str], str], nats_url: str, valkey_url: str) -> AsyncIterator[Works]:
    async with some_works(database, nats_url, valkey_url) as works:
        yield works


async def fired(works: Works, case: Case, seconds: float = 0) -> list[tuple[str, int]]:
    """Marks of resolution, with their cycles, that are told when so many seconds from now have passed."""
    now = micros(utcnow()) + int(seconds * MICROS)
    batch, _ = await fire_claimed(works, [Claim(0, b"", now, now, (UUID(case.id),))])
    return [(one.mark, one.cycle) for one in batch.marks if one.clock == "resolution"]


async def put_in_force(works: Works, policy: str) -> None:
    async with works.db.tx() as tx:
        await apply_policy(works, tx, policy)
    while await recalculate(works, 100):
        pass


async def reopened(works: Works) -> Case:
    """A ticket whose first cycle was warned of at 70 s and met at 80 s; its second has begun at 81 s."""
    case = Case(ago(80), common.PRIORITY_CRITICAL)
    await followed(works, case)
    assert await fired(works, case) == [("70%", 1)]
    case.add(resolved=timeline_pb2.Resolved()).add(reopened=timeline_pb2.Reopened())
    await followed(works, case)
    return case


async def test_a_mark_ahead_of_a_cycle_that_is_counted_anew_is_told_at_its_new_instant_once(
    works: Works,
) -> None:
    """Its rows in the ledger are of another generation, so they do not swallow it."""
    case = await reopened(works)
    await put_in_force(works, LONGER)
    assert await fired(works, case, 50) == []
    assert await fired(works, case, 70) == [("70%", 1)]
    assert await fired(works, case, 71) == []
    assert await fired(works, case, 125) == [("100%", 1)]


async def test_a_warning_that_was_given_is_not_given_again_when_its_new_instant_is_past(works: Works) -> None:
    case = await reopened(works)
    await put_in_force(works, SHORTER)
    assert await fired(works, case) == []
    assert await fired(works, case, 10) == [("90%", 1)]


async def test_an_event_that_comes_before_the_recalculation_knows_it_too(works: Works) -> None:
    case = await reopened(works)
    async with works.db.tx() as tx:
        await apply_policy(works, tx, SHORTER)
    await followed(works, case.replied())
    assert await fired(works, case) == []
    assert await fired(works, case, 10) == [("90%", 1)]


async def test_cycles_that_are_counted_by_turns_tell_each_mark_once_an_instant(works: Works) -> None:
    """Back and forth: the second cycle is forgotten and counted anew as well."""
    case = await reopened(works)
    assert await fired(works, case, 75) == [("70%", 2)]
    await put_in_force(works, LONGER)
    await put_in_force(works, POLICY)
    assert await fired(works, case, 75) == []
    assert await fired(works, case, 105) == [("90%", 2), ("100%", 2)][1:]


async def test_who_follows_the_events_hears_of_the_cycle_that_is_counted_anew(works: Works) -> None:
    case = await reopened(works)
    await put_in_force(works, LONGER)
    told = [one.clock for one in await emitted(works, sla.ClockRecalculated) if one.ticket.id == case.id]
    assert [(one.name, one.cycle) for one in told] == [("resolution", 1)]
    async with works.db.tx() as tx:
        row = await tickets.find_ticket(tx, UUID(case.id))
    standing = next(one for one in row.standings if one.name == "resolution")
    assert told[0].generation == standing.generation > 1


async def test_a_plan_does_not_announce_what_was_told_in_a_forgotten_cycle(works: Works) -> None:
    await reopened(works)
    planned = [one.change async for one in plan(works, SHORTER) if isinstance(one, Planned)]
    assert [one.fires for one in planned] == [()]


VIP = ticket_pb2.Customer(tier=common.CUSTOMER_TIER_VIP)
FOR_VIPS = POLICY.replace(
    "targets:\n", "targets:\n  - {name: vip, tier: vip, targets: {resolution: 50s}}\n", 1
)


async def test_a_cycle_that_is_over_is_not_missed_by_a_later_change_of_its_ticket(works: Works) -> None:
    """CP-11: resolved after 80 s of 100; that VIPs have 50 s comes after it, now and when it is reopened."""
    await put_in_force(works, FOR_VIPS)
    case = Case(ago(80), common.PRIORITY_CRITICAL)
    await followed(works, case)
    assert await fired(works, case) == [("70%", 1)]
    await followed(works, case.add(resolved=timeline_pb2.Resolved()))
    case.customer = VIP
    await followed(works, case.add(attributes_changed=timeline_pb2.AttributesChanged()))
    assert await fired(works, case) == []
    await followed(works, case.add(reopened=timeline_pb2.Reopened()))
    assert await fired(works, case) == []
    assert await fired(works, case, 51) == [("100%", 2)]


async def test_a_breach_that_was_owed_at_the_end_is_told_whatever_changes_then(works: Works) -> None:
    """The ticket was resolved late and its marks had not fired when its customer became a VIP."""
    await put_in_force(works, FOR_VIPS)
    case = Case(ago(120), common.PRIORITY_CRITICAL)
    await followed(works, case.add(resolved=timeline_pb2.Resolved()))
    case.customer = VIP
    await followed(works, case.add(attributes_changed=timeline_pb2.AttributesChanged()))
    assert await fired(works, case) == [("100%", 1)]
    assert await fired(works, case, 1000) == []


async def test_a_shorter_target_of_another_policy_misses_no_cycle_that_is_over(works: Works) -> None:
    case = Case(ago(80), common.PRIORITY_CRITICAL)
    await followed(works, case.add(resolved=timeline_pb2.Resolved()))
    assert await fired(works, case) == [("70%", 1)]
    shorter = POLICY.replace("resolution: 100s", "resolution: 50s")
    announced = [one.change async for one in plan(works, shorter) if isinstance(one, Planned)]
    await put_in_force(works, shorter)
    assert await fired(works, case, 1000) == []
    assert [one.fires for one in announced if one.after and one.after.name == "resolution"] == [()]


async def test_a_clock_that_is_over_in_either_count_is_told_as_it_now_stands(works: Works) -> None:
    """Met in its second cycle, it was met in its first and only one by the other policy."""
    case = await reopened(works)
    await followed(works, case.add(resolved=timeline_pb2.Resolved()))
    await put_in_force(works, f"{POLICY}clocks:\n  resolution: {{restart: []}}\n")
    told = [one for one in await emitted(works, sla.ClockRecalculated) if one.ticket.id == case.id]
    met = [(one.clock.name, one.clock.cycle, one.clock.state, one.policy.version) for one in told]
    assert met == [("resolution", 1, CLOCK_STATE_MET, 2)]


async def test_a_mark_tells_whether_its_cycle_is_the_last(works: Works) -> None:
    """Who orders news by cycles knows by it a mark of a cycle counted anew from one that comes late."""
    case = Case(ago(80), common.PRIORITY_CRITICAL)
    await followed(works, case)
    case.add(resolved=timeline_pb2.Resolved()).add(reopened=timeline_pb2.Reopened())
    await followed(works, case)
    assert await fired(works, case, 75) == [("70%", 1), ("70%", 2)]
    await put_in_force(works, LONGER)
    assert await fired(works, case, 125) == [("100%", 1)]
    async with works.db.tx() as tx:
        rows = await tx.execute(sa.select(ledger_table.c.payload).where(~ledger_table.c.folded))
    told = [sla.MarkReached.FromString(one.payload) for one in rows]
    marks = {(one.cycle, one.mark.name, one.newest_cycle) for one in told if one.clock == "resolution"}
    assert marks == {(1, "70%", False), (2, "70%", True), (1, "100%", True)}
