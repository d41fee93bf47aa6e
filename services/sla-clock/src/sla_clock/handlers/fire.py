"""Fires marks: into the ledger and past the ticket's wake-up in one statement, then into the stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from chassis import telemetry
from chassis.db import Driver
from sla_clock import convert
from sla_clock.ahead import Ahead, Header, Reached
from sla_clock.calendar import micros, moment
from sla_clock.domain import Action
from sla_clock.handlers.follow import refresh
from sla_clock.handlers.publish import Batch
from sla_clock.handlers.works import Works
from sla_clock.metrics import BATCH_MARKS, BREACHES, CONFLICTS, FOLDED, LOST_RACES, MARKS, SWEPT
from sla_clock.store import firing
from sla_clock.store.firing import Sleeper, Woken
from sla_clock.store.ledger import LedgerRow
from sla_clock.timers import Claim, Wake


@dataclass
class _Draft:
    """What firing wants to do, before it is known what takes effect."""

    at: datetime
    woken: list[Woken] = field(default_factory=list)
    marks: list[tuple[LedgerRow, Header]] = field(default_factory=list)
    wakes: dict[UUID, Wake] = field(default_factory=dict)
    unready: list[UUID] = field(default_factory=list)


async def fire_claimed(works: Works, claims: Sequence[Claim]) -> tuple[Batch, list[Wake]]:
    """Enter what is due for claimed timers; what is to be sent, and when each ticket is next looked at."""
    claimed = {ticket: claim for claim in claims for ticket in claim.tickets}
    with telemetry.tracer.start_as_current_span("fire") as span:
        async with works.db.driver() as conn:
            sleepers = await firing.read_claimed(conn, list(claimed))
            draft = _Draft(moment(max(claim.now for claim in claims)))
            for one in sleepers:
                claim = claimed.pop(one.ticket_id)
                await _wake(works, draft, one, (claim.now, claim.horizon))
            batch = await _enter(conn, draft)
        span.set_attribute("marks", len(batch.marks))
    if batch.number:
        works.fired.ring()
    if draft.unready:
        await refresh(works, draft.unready)
    unknown = [Wake(one, 0, None) for one in claimed]
    return batch, [*draft.wakes.values(), *unknown]


async def fire_overdue(works: Works, grace_seconds: float) -> tuple[Batch, int]:
    """Enter what the database knows to be overdue, without the timers; how many tickets were looked at."""
    async with works.db.driver() as conn, conn.transaction():
        now, sleepers = await firing.lock_overdue(conn, grace_seconds, works.batch)
        draft = _Draft(now or moment(0))
        for one in sleepers:
            await _wake(works, draft, one, (micros(draft.at), micros(draft.at)))
        batch = await _enter(conn, draft)
    if batch.number:
        works.fired.ring()
    if draft.unready:
        await refresh(works, draft.unready)
    works.arm(draft.wakes.values())
    SWEPT.inc(len(sleepers))
    return batch, len(sleepers)


async def _wake(works: Works, draft: _Draft, one: Sleeper, until: tuple[int, int]) -> None:
    """Add what a ticket has due by an instant, short of a horizon, to the draft."""
    if one.ahead is None:
        draft.unready.append(one.ticket_id)
        return
    ahead, after = Ahead(one.ahead), None if one.fired_until is None else micros(one.fired_until)
    reached, fired_until = ahead.due(after, *until)
    if not reached:
        draft.wakes[one.ticket_id] = Wake(one.ticket_id, one.revision, ahead.next(after))
        return
    upcoming = ahead.next(fired_until)
    at = None if upcoming is None else moment(upcoming)
    draft.woken.append(Woken(one.ticket_id, one.revision, at, moment(fired_until)))
    draft.wakes[one.ticket_id] = Wake(one.ticket_id, one.revision + 1, upcoming)
    now = until[0]
    for mark in reached:
        worked = await _worked(works, mark, ahead.header, now)
        payload = convert.mark_payload(mark, ahead.header, one.ref, now, worked)
        draft.marks.append((_row(one, mark, draft.at, payload), ahead.header))


async def _worked(works: Works, mark: Reached, header: Header, now: int) -> int:
    """Working time since the mark's instant; only a late one needs its calendar."""
    if now - mark.at < convert.LATE or not mark.course.running:
        return 0
    policy = (await works.book.versions(works.db, {header.version}))[header.version]
    calendar = policy.calendars.get(mark.course.calendar)
    return calendar.between(mark.at, now) if calendar else 0


def _row(one: Sleeper, mark: Reached, fired_at: datetime, payload: bytes) -> LedgerRow:
    course = mark.course
    return LedgerRow(
        *(one.ticket_id, course.clock, course.cycle, mark.mark, course.generation, mark.action),
        *(moment(mark.at), fired_at, mark.folded, payload, one.trace),
    )


async def _enter(conn: Driver, draft: _Draft) -> Batch:
    """Enter the draft; what takes effect is left in it, and what is to be sent is returned."""
    if not draft.woken:
        return Batch(0, ())
    draft.marks.sort(key=lambda pair: pair[0].due_at)
    # In one order, so that two workers never wait for each other crosswise.
    draft.woken.sort(key=lambda one: one.ticket_id)
    rows = [row for row, _ in draft.marks]
    entered = await firing.enter(conn, draft.woken, rows, draft.at)
    effective = [pair for place, pair in enumerate(draft.marks, 1) if place in entered.places]
    for one in draft.woken:
        if one.ticket_id not in entered.tickets:
            # Somebody changed the ticket meanwhile, and sets its timer too.
            del draft.wakes[one.ticket_id]
    LOST_RACES.inc(len(draft.woken) - len(entered.tickets))
    CONFLICTS.inc(sum(row.ticket_id in entered.tickets for row in rows) - len(effective))
    _count(effective)
    return Batch(entered.batch, tuple(row for row, _ in effective if not row.folded))


def _count(entered: Iterable[tuple[LedgerRow, Header]]) -> None:
    marks = Counter((row.clock, row.action) for row, _ in entered)
    for (clock, action), count in marks.items():
        MARKS.labels(clock, action).inc(count)
    BATCH_MARKS.observe(marks.total())
    for clock, count in Counter(row.clock for row, _ in entered if row.folded).items():
        FOLDED.labels(clock).inc(count)
    missed = ((row.clock, header) for row, header in entered if row.action == Action.BREACH)
    for (clock, header), count in Counter(missed).items():
        BREACHES.labels(clock, header.queue, header.priority).inc(count)
