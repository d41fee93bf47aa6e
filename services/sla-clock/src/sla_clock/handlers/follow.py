"""Follows tickets: their newest facts become clocks, changes of clocks become events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from chassis import telemetry
from chassis.bus import Poison
from chassis.db import Tx
from sla_clock import convert
from sla_clock.ahead import Header, moved_into_past, pack
from sla_clock.domain import Clock, Fact, State, Timeline
from sla_clock.handlers.works import Works
from sla_clock.metrics import CLOCKS, STALE
from sla_clock.policy import Policy, clocks
from sla_clock.serving import counted
from sla_clock.standing import Change, Turn, changes, restand
from sla_clock.store import ledger, tickets
from sla_clock.store.tickets import Facets, Running, TicketRow
from sla_clock.timers import Wake
from tickdesk.sla.v1.clock_pb2 import TicketRef
from tickdesk.tickets.v1.ticket_pb2 import Ticket
from tickdesk.tickets.v1.timeline_pb2 import STATUS_KIND_CLOSED
from tickdesk.tickets.v1.timeline_pb2 import Timeline as TimelineMessage


async def follow(works: Works, tx: Tx, ticket: Ticket) -> None:
    """Take over a ticket's state; one that is older than what is known changes nothing."""
    ticket_id = _id(ticket)
    version, now, known = await tickets.lock_ticket(tx, ticket_id)
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
        # None: its running clocks are to be written whatever they say.
        ahead=known.ahead if known and _alike(known, policy, works.data) else None,
        trace=trace.get("traceparent", ""),
        facets=known.facets if known else Facets(),
        data=works.data,
        pruned_until=known.pruned_until if known else None,
    )
    if known and known.policy_version != policy.version:
        [row] = await ledger.with_told(tx, [row])
    await recompute(works, tx, row, policy, now)


@dataclass(frozen=True, slots=True)
class Computed:
    """What a ticket's facts and a policy come to, as of an instant; `why` is an edit or empty."""

    row: TicketRow
    running: list[Running]
    changes: list[Change]
    facts: Sequence[Fact]
    as_of: int
    why: str


def compute(row: TicketRow, policy: Policy, now: int, edit: str = "") -> Computed:
    """Compute a ticket's clocks anew; `edit` names an edit of the policy or of what it is counted by."""
    timeline = timeline_of(row)
    facts = timeline.facts
    told = clocks(timeline, policy)
    ref = TicketRef.FromString(row.ref)
    as_of = now if edit else max((fact.at for fact in facts), default=now)
    standings = restand(told, row.standings, now, row.record)
    cause = edit or (facts[-1].kind if facts else "")
    # The first news of a ticket finds its marks overdue; it did not make them so.
    moved = moved_into_past(standings, row.standings, as_of) if edit or row.standings else ()
    header = Header(policy.name, policy.version, ref.queue, convert.PRIORITY.get(ref.priority, ""))
    ahead, next_wake = pack(header, told, standings, dict.fromkeys(moved, cause))
    saved = replace(row, standings=standings, ahead=ahead, next_wake=next_wake, facets=_facets(ref))
    return Computed(saved, _running(told), changes(told, row.standings, standings), facts, as_of, edit)


async def recompute(works: Works, tx: Tx, row: TicketRow, policy: Policy, now: int) -> None:
    """Compute a locked ticket's clocks anew, write them and tell what changed."""
    found = compute(row, policy, now)
    running = found.running if _counts_differently(row, found.row) else None
    await tickets.save_ticket(tx, found.row, running)
    tell(works, tx, found, policy)


def tell(works: Works, tx: Tx, found: Computed, policy: Policy) -> None:
    """Emit what changed and have the timer set, once a computed ticket is written."""
    row, ref = found.row, TicketRef.FromString(found.row.ref)
    for change in found.changes:
        why = found.why or _cause(change, found.facts)
        tx.emit(convert.change_event(change, ref, policy, found.as_of, why), key=ref.id)
        tx.after_commit(CLOCKS.labels(change.name, change.turn.value).inc)
    tx.after_commit(partial(works.arm, [Wake(row.ticket_id, row.revision, row.next_wake)]))


def timeline_of(row: TicketRow) -> Timeline:
    """The facts of a known ticket."""
    facts = TimelineMessage.FromString(row.timeline)
    return convert.timeline(facts, convert.load_attributes(row.attributes))


async def refresh(works: Works, ticket_ids: Sequence[UUID]) -> None:
    """Compute tickets anew, each under its own policy, that were written before waiting marks were kept."""
    async with works.db.tx() as tx:
        now = await tickets.instant(tx)
        for row in await tickets.lock_unready(tx, ticket_ids):
            policy = await works.book.version(tx, row.policy_version)
            anew = replace(row, revision=row.revision + 1, data=works.data)
            await recompute(works, tx, anew, policy, now)


def _alike(known: TicketRow, policy: Policy, data: str) -> bool:
    """Whether the calendars that it was computed with show the same counts."""
    return (known.policy_version, known.data) == (policy.version, data)


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
        Running(
            *(one.name, one.due, one.target, one.elapsed, one.since),
            *(one.terms.calendar.name, counted(one.terms.calendar, one.due)),
        )
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
