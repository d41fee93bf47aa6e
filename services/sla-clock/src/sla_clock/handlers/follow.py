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
from sla_clock.ahead import Header, moved_into_past, pack
from sla_clock.calendar import micros
from sla_clock.domain import Clock, Fact, State, Timeline
from sla_clock.handlers.works import Works
from sla_clock.metrics import CLOCKS, STALE
from sla_clock.policy import Policy, clocks
from sla_clock.standing import Change, Turn, changes, restand
from sla_clock.store import tickets
from sla_clock.store.tickets import Facets, Running, TicketRow
from sla_clock.timers import Wake
from tickdesk.sla.v1.clock_pb2 import TicketRef
from tickdesk.tickets.v1.ticket_pb2 import Ticket
from tickdesk.tickets.v1.timeline_pb2 import STATUS_KIND_CLOSED
from tickdesk.tickets.v1.timeline_pb2 import Timeline as TimelineMessage


async def follow(works: Works, tx: Tx, ticket: Ticket) -> None:
    """Take over a ticket's state; one that is older than what is known changes nothing."""
    ticket_id = _id(ticket)
    version, known = await tickets.lock_ticket(tx, ticket_id)
    policy = await works.book.version(tx, version)
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
        ahead=known.ahead if known else None,
        trace=trace.get("traceparent", ""),
        facets=known.facets if known else Facets(),
    )
    await recompute(works, tx, row, policy)


async def recompute(works: Works, tx: Tx, row: TicketRow, policy: Policy, edit: str = "") -> None:
    """Compute a locked ticket's clocks anew, write them and tell what changed; `edit` names a policy edit."""
    timeline = timeline_of(row)
    told = clocks(timeline, policy)
    ref = TicketRef.FromString(row.ref)
    as_of = micros(tx.now) if edit else max((fact.at for fact in timeline.facts), default=micros(tx.now))
    standings = restand(told, row.standings, micros(tx.now))
    cause = edit or (timeline.facts[-1].kind if timeline.facts else "")
    # The first news of a ticket finds its marks overdue; it did not make them so.
    moved = moved_into_past(standings, row.standings, as_of) if edit or row.standings else ()
    header = Header(policy.name, policy.version, ref.queue, convert.PRIORITY.get(ref.priority, ""))
    ahead, next_wake = pack(header, told, standings, dict.fromkeys(moved, cause))
    saved = replace(row, standings=standings, ahead=ahead, next_wake=next_wake, facets=_facets(ref))
    await tickets.save_ticket(tx, saved, _running(told) if _counts_differently(row, saved) else None)
    for change in changes(told, row.standings, standings):
        why = edit or _cause(change, timeline.facts)
        tx.emit(convert.change_event(change, ref, policy, as_of, why), key=ref.id)
        tx.after_commit(CLOCKS.labels(change.name, change.turn.value).inc)
    tx.after_commit(partial(works.arm, [Wake(saved.ticket_id, saved.revision, saved.next_wake)]))


def timeline_of(row: TicketRow) -> Timeline:
    """The facts of a known ticket."""
    facts = TimelineMessage.FromString(row.timeline)
    return convert.timeline(facts, convert.load_attributes(row.attributes))


async def refresh(works: Works, ticket_ids: Sequence[UUID]) -> None:
    """Compute tickets anew, each under its own policy, that were written before waiting marks were kept."""
    async with works.db.tx() as tx:
        for row in await tickets.lock_unready(tx, ticket_ids):
            policy = await works.book.version(tx, row.policy_version)
            await recompute(works, tx, replace(row, revision=row.revision + 1), policy)


def _counts_differently(before: TicketRow, after: TicketRow) -> bool:
    """Whether the rows of running clocks must be written."""
    if before.ahead is None or before.facets.queue != after.facets.queue:
        return True
    return _counting(before) != _counting(after)


def _counting(row: TicketRow) -> list[tuple[str, int | None, int, str]]:
    running = (one for one in row.standings if one.state is State.RUNNING)
    return [(one.name, one.due, one.target, one.calendar) for one in running]


def _running(told: Sequence[Clock]) -> list[Running]:
    return [
        Running(one.name, one.due, one.target, one.elapsed, one.since, one.terms.calendar.name)
        for one in told
        if one.due is not None and one.since is not None
    ]


def _facets(ref: TicketRef) -> Facets:
    line, tier = convert.LINE.get(ref.line, ""), convert.TIER.get(ref.tier, "")
    return Facets(ref.queue, line, ref.assignee, tier, ref.customer_timezone)


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
