"""Follows tickets: their newest facts become clocks, changes of clocks become events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from chassis import telemetry
from chassis.bus import Poison
from chassis.db import Tx
from sla_clock import convert
from sla_clock.calendar import micros
from sla_clock.domain import Fact, State
from sla_clock.handlers.works import Works
from sla_clock.metrics import CLOCKS, STALE
from sla_clock.policy import Policy, clocks
from sla_clock.standing import Change, Turn, changes, next_wake, restand
from sla_clock.store import tickets
from sla_clock.store.tickets import TicketRow
from sla_clock.timers import Wake
from tickdesk.sla.v1.clock_pb2 import TicketRef
from tickdesk.tickets.v1.ticket_pb2 import Ticket
from tickdesk.tickets.v1.timeline_pb2 import STATUS_KIND_CLOSED
from tickdesk.tickets.v1.timeline_pb2 import Timeline as TimelineMessage


async def follow(works: Works, tx: Tx, ticket: Ticket) -> None:
    """Take over a ticket's state; one that is older than what is known changes nothing."""
    ticket_id = _id(ticket)
    policy = await works.book.in_force(tx)
    known = await tickets.lock_ticket(tx, ticket_id)
    if known is not None and known.version >= ticket.version:
        STALE.inc()
        return
    trace: dict[str, str] = {}
    telemetry.inject(trace)
    row = TicketRow(
        ticket_id=ticket_id,
        version=ticket.version,
        revision=known.revision + 1 if known else 1,
        policy_version=policy.version,
        open=_is_open(ticket),
        ref=convert.ticket_ref(ticket).SerializeToString(),
        timeline=ticket.timeline.SerializeToString(),
        attributes=convert.dump_attributes(convert.attributes(ticket)),
        standings=known.standings if known else (),
        trace=trace,
    )
    await recompute(works, tx, row, policy)
    if known is not None and TicketRef.FromString(known.ref).queue != ticket.queue:
        await tickets.move_due(tx, ticket_id, ticket.queue)


async def recompute(works: Works, tx: Tx, row: TicketRow, policy: Policy, edit: str = "") -> None:
    """Compute a locked ticket's clocks anew, write them and tell what changed; `edit` names a policy edit."""
    timeline = convert.timeline(
        TimelineMessage.FromString(row.timeline), convert.load_attributes(row.attributes)
    )
    told = clocks(timeline, policy)
    standings = restand(told, row.standings, micros(tx.now))
    saved = replace(row, standings=standings, next_wake=next_wake(standings))
    ref = TicketRef.FromString(row.ref)
    await tickets.save_ticket(tx, saved)
    running = {one.name: one.due for one in standings if one.state is State.RUNNING and one.due is not None}
    known = {one.name: one.due for one in row.standings if one.state is State.RUNNING}
    if running != known:
        await tickets.save_due(tx, saved.ticket_id, ref.queue, running)
    as_of = micros(tx.now) if edit else max((fact.at for fact in timeline.facts), default=micros(tx.now))
    for change in changes(told, row.standings):
        cause = edit or _cause(change, timeline.facts)
        tx.emit(convert.change_event(change, ref, policy, as_of, cause), key=ref.id)
        tx.after_commit(CLOCKS.labels(change.name, change.turn.value).inc)
    tx.after_commit(partial(works.arm, [Wake(saved.ticket_id, saved.revision, saved.next_wake)]))


async def recalculate(works: Works, limit: int) -> int:
    """Bring open tickets under the policy in force, at most so many; how many were."""
    async with works.db.tx() as tx:
        policy = await works.book.in_force(tx)
        outdated = await tickets.lock_outdated(tx, policy.version, limit)
        for row in outdated:
            anew = replace(row, policy_version=policy.version, revision=row.revision + 1)
            await recompute(works, tx, anew, policy, edit=f"policy {policy.name} {policy.version}")
    return len(outdated)


def _id(ticket: Ticket) -> UUID:
    try:
        return UUID(ticket.id)
    except ValueError:
        raise Poison(f"ticket.id {ticket.id!r} is not a UUID") from None


def _is_open(ticket: Ticket) -> bool:
    merged = any(fact.WhichOneof("kind") == "merged" for fact in ticket.timeline.facts)
    return ticket.status_kind != STATUS_KIND_CLOSED and not merged


def _cause(change: Change, facts: Sequence[Fact]) -> str:
    """The fact behind a change: the last one at the instant of the turn, else the newest."""
    at, clock = None, change.clock
    if clock is not None:
        ends = [segment.end for segment in clock.segments if segment.end is not None]
        at = {
            Turn.STARTED: clock.started,
            Turn.PAUSED: ends[-1] if ends else clock.started,
            Turn.RESUMED: clock.since,
            Turn.MET: clock.ended,
            Turn.CANCELLED: clock.ended,
        }.get(change.turn)
    kinds = [fact.kind for fact in facts if fact.at == at] or [fact.kind for fact in facts[-1:]]
    return kinds[-1] if kinds else ""
