"""What the ledger says of tickets that are over goes in time, and none of it takes effect again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from chassis.db import Database
from chassis.testing import eventually
from sla_clock.handlers.fire import fire_claimed
from sla_clock.handlers.policies import apply_policy
from sla_clock.handlers.prune import prune
from sla_clock.handlers.publish import send
from sla_clock.handlers.recalculate import recalculate
from sla_clock.handlers.works import Works
from sla_clock.metrics import PRUNED
from sla_clock.store import ledger, tickets
from sla_clock.store.tables import batch_table, ledger_table, ticket_table
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import timeline_pb2

from .desk import POLICY, Case, Desk, ago, followed, some_works

CRITICAL = common.PRIORITY_CRITICAL
KEPT = timedelta(days=90)
ONE_CYCLE = f"{POLICY}clocks:\n  resolution: {{restart: [merged]}}\n"
"""A reopening begins no cycle any more: tickets that had two are counted as having the first only."""
TOLD = {"100%", "150%"}
"""Of a resolution clock found that late; the reminders are folded."""


@pytest.fixture
async def works(database: Callable[[str], str], nats_url: str, valkey_url: str) -> AsyncIterator[Works]:
    async with some_works(database, nats_url, valkey_url) as works:
        yield works


async def fired(works: Works) -> set[str]:
    """What is due, entered and sent: the marks of resolution that took effect, folded ones not."""
    lane = works.timers.lane()
    names: set[str] = set()
    while claims := await lane.claim(100):
        batch, wakes = await fire_claimed(works, claims)
        names |= {mark.mark for mark in batch.marks if mark.clock == "resolution"}
        sent = await send(works, batch)
        assert sent is not None
        async with works.db.tx() as tx:
            await ledger.batches_sent(tx, [sent], tx.now)
        await lane.settle(claims, wakes)
    return names


async def aged(db: Database) -> None:
    """A hundred days pass for all that was fired and sent."""
    age = timedelta(days=100)
    columns = {name: batch_table.c[name] - age for name in ("fired_at", "published_at")}
    async with db.tx() as tx:
        await tx.execute(sa.update(batch_table).values(columns))


async def kept(works: Works) -> tuple[set[str], int]:
    """Tickets with marks in the ledger, and how many batches there are."""
    async with works.db.tx() as tx:
        found = await tx.execute(sa.select(ledger_table.c.ticket_id).distinct())
        batches = await tx.conn.scalar(sa.select(sa.func.count()).select_from(batch_table))
        return {str(one) for one in found.scalars()}, batches or 0


def missed() -> Case:
    """A ticket whose resolution clock has had all its marks when it is resolved, just now."""
    return Case(ago(200), CRITICAL)


def over(case: Case) -> Case:
    case.add(resolved=timeline_pb2.Resolved()).add(reopened=timeline_pb2.Reopened())
    case.add(closed=timeline_pb2.Closed())
    case.status_kind = timeline_pb2.STATUS_KIND_CLOSED
    return case


async def put_in_force(works: Works, policy: str) -> None:
    async with works.db.tx() as tx:
        await apply_policy(works, tx, policy)
    while await recalculate(works, 100):
        pass
    await works.timers.apply(works.wakes)
    works.wakes.clear()


async def test_old_marks_of_tickets_that_are_over_go_and_those_of_open_ones_stay(works: Works) -> None:
    opened, closed, alone = missed(), missed(), missed()
    await followed(works, opened, closed)
    await fired(works)
    await followed(works, alone)
    await fired(works)
    before = PRUNED._value.get()
    await followed(works, over(closed), over(alone))
    assert await prune(works, KEPT) == 0
    assert await kept(works) == ({opened.id, closed.id, alone.id}, 2), "nothing is old"
    await aged(works.db)
    assert await prune(works, KEPT) == 0
    assert await kept(works) == ({opened.id}, 1)
    # Of each ticket 5 marks of first_response and 4 of resolution.
    assert PRUNED._value.get() - before == 18


async def test_a_batch_that_the_stream_does_not_have_stays(works: Works) -> None:
    case = missed()
    await followed(works, case)
    await fired(works)
    await followed(works, over(case))
    await aged(works.db)
    async with works.db.tx() as tx:
        await ledger.unsend(tx, [1])
    await prune(works, KEPT)
    assert await kept(works) == ({case.id}, 1)


async def test_pruning_goes_on_where_it_was_and_passes_over_what_stays(works: Works) -> None:
    cases = [missed() for _ in range(25)]
    for case in cases:
        await followed(works, case)
        await fired(works)
    await followed(works, *(over(case) for case in cases[1::2]))
    await aged(works.db)
    last = await prune(works, KEPT)
    assert last == 20
    assert await prune(works, KEPT, last) == 0
    assert await kept(works) == ({case.id for case in cases[::2]}, 13)


async def test_a_ticket_that_is_just_being_written_is_passed_over(works: Works) -> None:
    """It may be reopened there."""
    case = missed()
    await followed(works, case)
    await fired(works)
    await followed(works, over(case))
    await aged(works.db)
    async with works.db.tx() as tx:
        await tickets.lock_ticket(tx, UUID(case.id))
        await prune(works, KEPT)
        assert await kept(works) == ({case.id}, 1)
    await prune(works, KEPT)
    assert await kept(works) == (set(), 0)


@pytest.mark.parametrize("by_hand", [False, True])
async def test_marks_of_an_open_ticket_are_told_once_since_their_rows_stay(
    works: Works, *, by_hand: bool
) -> None:
    """A policy counts cycle 1 anew that its ticket has forgotten: without the rows all is told twice."""
    case = missed()
    await followed(works, case)
    assert await fired(works) == TOLD
    await followed(works, case.add(resolved=timeline_pb2.Resolved()).add(reopened=timeline_pb2.Reopened()))
    await aged(works.db)
    await prune(works, KEPT)
    assert (await kept(works))[0] == {case.id}
    if by_hand:
        async with works.db.tx() as tx:
            await tx.execute(sa.delete(ledger_table))
    await put_in_force(works, ONE_CYCLE)
    assert await fired(works) == (TOLD if by_hand else set())


@pytest.mark.parametrize("forgets", [False, True])
async def test_what_was_told_before_its_rows_went_is_not_told_to_a_reopened_ticket(
    works: Works, *, forgets: bool
) -> None:
    """The same for a ticket that was over; were `pruned_until` not kept, all would be told twice."""
    case = missed()
    await followed(works, case)
    assert await fired(works) == TOLD
    await followed(works, over(case))
    await aged(works.db)
    await prune(works, KEPT)
    assert await kept(works) == (set(), 0)
    if forgets:
        async with works.db.tx() as tx:
            await tx.execute(sa.update(ticket_table).values(pruned_until=None))
    await put_in_force(works, ONE_CYCLE)
    case.status_kind = timeline_pb2.STATUS_KIND_OPEN
    await followed(works, case.add(reopened=timeline_pb2.Reopened()))
    assert await fired(works) == (TOLD if forgets else set())


async def test_a_replica_prunes_by_itself(desk: Desk) -> None:
    """At its start, and every hour from then on."""
    case = missed()
    await desk.tell(case)
    await eventually(lambda: desk.ledger(case.id))
    await desk.tell(over(case))
    await eventually(lambda: _settled(desk, case))
    await aged(desk.db)
    await desk.start()
    await eventually(lambda: _forgotten(desk, case))


async def _settled(desk: Desk, case: Case) -> bool:
    """Whether it is known that the ticket is over, and that all its marks are in the stream."""
    async with desk.db.tx() as tx:
        row = await tickets.find_ticket(tx, UUID(case.id))
        unsent = sa.exists().where(batch_table.c.published_at.is_(None))
        return not row.open and not await tx.conn.scalar(sa.select(unsent))


async def _forgotten(desk: Desk, case: Case) -> bool:
    return not await desk.ledger(case.id)
