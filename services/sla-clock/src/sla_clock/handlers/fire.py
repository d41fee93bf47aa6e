"""Fires marks: into the ledger and past the ticket's wake-up in one statement, then into the stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from sla_clock.policy import Policy
from sla_clock.store import firing
from sla_clock.store.firing import Sleeper, Woken
from sla_clock.store.ledger import Mark
from sla_clock.timers import Claim, Wake


@dataclass
class _Draft:
    """What firing wants to do, before it is known what takes effect."""

    at: datetime
    policies: Mapping[int, Policy]
    woken: list[Woken] = field(default_factory=list)
    marks: list[tuple[Mark, Header]] = field(default_factory=list)
    wakes: dict[UUID, Wake] = field(default_factory=dict)

    def add(self, one: Sleeper, ahead: Ahead, now: int, horizon: int) -> None:
        """What a ticket has due by now, short of the horizon."""
        after = None if one.fired_until is None else micros(one.fired_until)
        reached, fired_until = ahead.due(after, now, horizon)
        if not reached:
            self.wakes[one.ticket_id] = Wake(one.ticket_id, one.revision, ahead.next(after))
            return
        upcoming = ahead.next(fired_until)
        self.woken.append(Woken(one.ticket_id, one.revision, upcoming, fired_until))
        self.wakes[one.ticket_id] = Wake(one.ticket_id, one.revision + 1, upcoming)
        for mark in reached:
            worked = self._worked(mark, ahead.header, now)
            payload = convert.mark_payload(mark, ahead.header, one.ref, now, worked)
            self.marks.append((_mark(one, mark, payload), ahead.header))

    def _worked(self, mark: Reached, header: Header, now: int) -> int:
        """Working time since the mark's instant; only a late one needs its calendar."""
        if now - mark.at < convert.LATE or not mark.course.running:
            return 0
        calendar = self.policies[header.version].calendars.get(mark.course.calendar)
        return calendar.between(mark.at, now) if calendar else 0


async def fire_claimed(works: Works, claims: Sequence[Claim]) -> tuple[Batch, list[Wake]]:
    """Enter what is due for claimed timers; what is to be sent, and when each ticket is next looked at."""
    claimed = {ticket: claim for claim in claims for ticket in claim.tickets}
    with telemetry.tracer.start_as_current_span("fire") as span:
        async with works.db.driver() as conn:
            sleepers = await firing.read_claimed(conn, list(claimed))
            until = {one.ticket_id: claimed.pop(one.ticket_id) for one in sleepers}
            instants = {ticket: (claim.now, claim.horizon) for ticket, claim in until.items()}
            draft = await _draft(works, sleepers, instants)
            batch = await _enter(conn, draft)
        span.set_attribute("marks", len(batch.marks))
    await _after(works, batch, sleepers)
    unknown = [Wake(one, 0, None) for one in claimed]
    return batch, [*draft.wakes.values(), *unknown]


async def fire_overdue(works: Works, grace_seconds: float) -> tuple[Batch, int]:
    """Enter what the database knows to be overdue, without the timers; how many tickets were looked at."""
    async with works.db.driver() as conn, conn.transaction():
        now, sleepers = await firing.lock_overdue(conn, grace_seconds, works.batch)
        draft = await _draft(works, sleepers, dict.fromkeys((one.ticket_id for one in sleepers), (now, now)))
        batch = await _enter(conn, draft)
    await _after(works, batch, sleepers)
    works.arm(draft.wakes.values())
    SWEPT.inc(len(sleepers))
    return batch, len(sleepers)


async def _draft(
    works: Works, sleepers: Sequence[Sleeper], instants: Mapping[UUID, tuple[int, int]]
) -> _Draft:
    """What is due for these tickets by their instants, short of their horizons."""
    policies = await works.book.versions(works.db, {one.policy_version for one in sleepers})
    draft = _Draft(moment(max((now for now, _ in instants.values()), default=0)), policies)
    for one in sleepers:
        if one.ahead is not None:
            draft.add(one, Ahead(one.ahead), *instants[one.ticket_id])
    draft.marks.sort(key=lambda pair: pair[0].at)
    return draft


def _mark(one: Sleeper, mark: Reached, payload: bytes) -> Mark:
    course = mark.course
    return Mark(
        *(one.ticket_id, course.clock, course.cycle, mark.mark, course.generation, mark.action),
        *(mark.at, mark.folded, payload, one.trace),
    )


async def _enter(conn: Driver, draft: _Draft) -> Batch:
    """Enter the draft; what is to be sent is returned, and whose wake-up is known stays in the draft."""
    if not draft.woken:
        return Batch(0, draft.at, ())
    entered = await firing.enter(conn, draft.woken, [mark for mark, _ in draft.marks], draft.at)
    ours = draft.marks
    if entered.tickets is not None:
        # Somebody changed the others meanwhile, and sets their timers too.
        lost = [one.ticket_id for one in draft.woken if one.ticket_id not in entered.tickets]
        for ticket_id in lost:
            del draft.wakes[ticket_id]
        ours = [pair for pair in ours if pair[0].ticket_id in entered.tickets]
        LOST_RACES.inc(len(lost))
    if entered.places is not None:
        known = len(ours)
        ours = [pair for place, pair in enumerate(draft.marks, 1) if place in entered.places]
        CONFLICTS.inc(known - len(ours))
    _count(ours)
    return Batch(entered.batch, draft.at, tuple(mark for mark, _ in ours if not mark.folded))


async def _after(works: Works, batch: Batch, sleepers: Iterable[Sleeper]) -> None:
    """Once the batch is entered: wake who watches, and make ready for the next look what was not."""
    if batch.number:
        works.fired.ring()
    unready = [one.ticket_id for one in sleepers if one.ahead is None]
    if unready:
        await refresh(works, unready)


def _count(entered: Sequence[tuple[Mark, Header]]) -> None:
    BATCH_MARKS.observe(len(entered))
    kinds = Counter((mark.clock, mark.action, mark.folded, header) for mark, header in entered)
    for (clock, action, folded, header), count in kinds.items():
        MARKS.labels(clock, action).inc(count)
        if folded:
            FOLDED.labels(clock).inc(count)
        if action == Action.BREACH:
            BREACHES.labels(clock, header.queue, header.priority).inc(count)
