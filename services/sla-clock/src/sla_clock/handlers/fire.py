"""Fires marks: into the ledger in one transaction, then into the stream, then the timer moves on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import NAMESPACE_URL, UUID, uuid5

import nats.errors

from chassis import telemetry
from chassis.bus import Ack, Outgoing
from chassis.clock import utcnow
from chassis.db import Tx
from chassis.errors import Unavailable
from sla_clock import convert
from sla_clock.calendar import moment
from sla_clock.domain import Action
from sla_clock.handlers.works import Works
from sla_clock.metrics import BREACHES, CONFLICTS, FOLDED, LATENESS, MARKS, REPUBLISHED, SWEPT
from sla_clock.policy import Policy
from sla_clock.standing import Firing, fire, next_wake
from sla_clock.store import ledger, tickets
from sla_clock.store.ledger import LedgerRow
from sla_clock.store.tickets import TicketRow
from sla_clock.timers import Claim, Wake
from tickdesk.sla.v1.clock_pb2 import TicketRef
from tickdesk.sla.v1.events_pb2 import MarkReached

log = telemetry.logger(__name__)

STREAM = "SLA"
_SUBJECT = MarkReached.DESCRIPTOR.full_name
_KEPT_BY_STREAM = timedelta(days=7)


async def fire_claimed(works: Works, claims: Sequence[Claim]) -> list[Wake]:
    """Fire what is due for claimed timers; when each ticket is to be looked at next."""
    claimed = {one for claim in claims for one in claim.tickets}
    # The earliest of the claims' instants: nothing fires before its time, whatever was claimed later.
    now = min(claim.now for claim in claims)
    async with works.db.tx() as tx:
        rows = await tickets.lock_tickets(tx, claimed)
        marks, wakes = await _fire(works, tx, rows, now)
    await publish(works, marks)
    unknown = claimed - {row.ticket_id for row in rows}
    return wakes + [Wake(one, 0, None) for one in unknown]


async def fire_overdue(works: Works, grace_seconds: float) -> int:
    """Fire what the database knows to be overdue, without the timers; how many tickets were looked at."""
    async with works.db.tx() as tx:
        now, rows = await tickets.lock_overdue(tx, grace_seconds, works.batch)
        marks, wakes = await _fire(works, tx, rows, now)
    await publish(works, marks)
    works.arm(wakes)
    SWEPT.inc(len(rows))
    return len(rows)


async def _fire(
    works: Works, tx: Tx, rows: Sequence[TicketRow], now: int
) -> tuple[list[LedgerRow], list[Wake]]:
    """Enter due marks of locked rows into the ledger; those that take effect, and the next wake-ups."""
    entries: list[LedgerRow] = []
    refs: dict[UUID, TicketRef] = {}
    fired: list[TicketRow] = []
    wakes: list[Wake] = []
    for row in rows:
        firings, standings = fire(row.standings, now)
        if firings:
            policy = await works.book.version(tx, row.policy_version)
            ref = TicketRef.FromString(row.ref)
            entries += [_entry(row, ref, firing, policy, now) for firing in firings]
            refs[row.ticket_id] = ref
            row = replace(row, standings=standings, next_wake=next_wake(standings), revision=row.revision + 1)
            fired.append(row)
        wakes.append(Wake(row.ticket_id, row.revision, row.next_wake))
    entered = await ledger.add_marks(tx, entries)
    await tickets.save_fired(tx, fired)
    effective = [entry for entry in entries if entry.key in entered]
    CONFLICTS.inc(len(entries) - len(effective))
    for entry in effective:
        tx.after_commit(partial(_count, entry, refs[entry.ticket_id]))
    return [entry for entry in effective if not entry.folded], wakes


def _count(entry: LedgerRow, ref: TicketRef) -> None:
    MARKS.labels(entry.clock, entry.action).inc()
    if entry.folded:
        FOLDED.labels(entry.clock).inc()
    if entry.action == Action.BREACH:
        BREACHES.labels(entry.clock, ref.queue, convert.PRIORITY.get(ref.priority, "")).inc()


def _entry(row: TicketRow, ref: TicketRef, firing: Firing, policy: Policy, now: int) -> LedgerRow:
    one, point = firing.standing, firing.point
    event = convert.mark_event(firing, ref, policy, now)
    return LedgerRow(
        ticket_id=row.ticket_id,
        clock=one.name,
        cycle=one.cycle,
        mark=point.name,
        generation=one.generation,
        action=point.action.value,
        due_at=moment(point.at if point.at is not None else now),
        fired_at=moment(now),
        folded=firing.folded,
        event_id=event_id(row.ticket_id, one.name, one.cycle, point.name, one.generation),
        payload=event.SerializeToString(),
        headers=row.trace,
    )


def event_id(ticket_id: UUID, clock: str, cycle: int, mark: str, generation: int) -> UUID:
    """The id of a mark's event: of the ledger's key, so that it is the same whoever sends it."""
    return uuid5(NAMESPACE_URL, f"tickdesk/sla/{ticket_id}/{clock}/{cycle}/{mark}/{generation}")


async def publish(works: Works, rows: Sequence[LedgerRow]) -> int:
    """Send marks into the stream and note which it has stored; the sweep sends the rest later."""
    if not rows:
        return 0
    outgoing = [
        Outgoing(_SUBJECT, row.payload, str(row.event_id), str(row.ticket_id), row.fired_at, row.headers)
        for row in rows
    ]
    try:
        await works.bus.ensure_stream(STREAM)
        acks = await works.bus.publish(outgoing)
    except (Unavailable, nats.errors.Error, TimeoutError) as error:
        log.warning("marks wait for the stream", marks=len(rows), error=type(error).__name__)
        return 0
    stored = utcnow()
    sent = [(row, ack.sequence) for row, ack in zip(rows, acks, strict=True) if isinstance(ack, Ack)]
    for row, _ in sent:
        LATENESS.labels(row.clock).observe(max(0.0, (stored - row.due_at).total_seconds()))
    async with works.db.tx() as tx:
        await ledger.marks_sent(tx, sent, stored)
    return len(sent)


async def resend(works: Works, older: timedelta) -> int:
    """Send marks that have waited for the stream at least that long; how many were stored."""
    async with works.db.tx() as tx:
        unsent = await ledger.unsent_marks(tx, tx.now - older, works.batch)
    count = await publish(works, unsent)
    REPUBLISHED.inc(count)
    return count


async def check_stream(works: Works) -> int:
    """Find marks that the stream acknowledged and has lost; they will be sent again. How many."""
    async with works.db.tx() as tx:
        newest = await ledger.newest_number(tx, tx.now - _KEPT_BY_STREAM)
        if newest is None or await _holds(works, *newest):
            return 0
        numbers = await ledger.sent_numbers(tx, tx.now - _KEPT_BY_STREAM)
        low, high = 0, len(numbers) - 1
        # What a stream loses is its tail, so a first lost mark can be searched for by halving.
        while low < high:
            middle = (low + high) // 2
            if await _holds(works, *numbers[middle]):
                low = middle + 1
            else:
                high = middle
        lost = await ledger.forget_sent(tx, numbers[low][0])
    log.error("stream has lost marks, sending again", marks=lost, from_sequence=numbers[low][0])
    return lost


async def _holds(works: Works, number: int, event: UUID) -> bool:
    """Whether the stream has that event under that number."""
    try:
        message = await works.bus.js.get_msg(STREAM, number)
    except nats.js.errors.NotFoundError:
        return False
    return (message.headers or {}).get("Tickdesk-Event-Id") == str(event)
