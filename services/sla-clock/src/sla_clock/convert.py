"""Facts out of a ticket's events, and clocks, marks and changes into messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache, lru_cache
from typing import Any

import tzdata  # type: ignore[import-untyped]
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sla_clock.ahead import Header, Reached
from sla_clock.calendar import MICROS
from sla_clock.domain import FACTS, Action, Attributes, Clock, Fact, Mark, State, Timeline
from sla_clock.policy import Policy
from sla_clock.standing import Change, Standing, Turn
from tickdesk.common.v1.common_pb2 import Channel, CustomerTier, Line, Priority
from tickdesk.sla.v1 import clock_pb2 as pb
from tickdesk.sla.v1 import events_pb2 as events
from tickdesk.tickets.v1.ticket_pb2 import Ticket, TicketType
from tickdesk.tickets.v1.timeline_pb2 import EscalationReason, StatusKind
from tickdesk.tickets.v1.timeline_pb2 import Fact as FactMessage
from tickdesk.tickets.v1.timeline_pb2 import Timeline as TimelineMessage


def _names(enum: Any, prefix: str) -> dict[int, str]:
    """The words of an enum in a policy: lower case, without prefix, empty for unspecified."""
    return {value: name.removeprefix(prefix).lower() if value else "" for name, value in enum.items()}


PRIORITY = _names(Priority, "PRIORITY_")
LINE = _names(Line, "LINE_")
TIER = _names(CustomerTier, "CUSTOMER_TIER_") | {0: "standard"}
CHANNEL = _names(Channel, "CHANNEL_")
TYPE = _names(TicketType, "TICKET_TYPE_")

_WORDS: Mapping[str, Mapping[int, str]] = {
    "tickdesk.common.v1.Priority": PRIORITY,
    "tickdesk.common.v1.Line": LINE,
    "tickdesk.tickets.v1.StatusKind": _names(StatusKind, "STATUS_KIND_"),
    "tickdesk.tickets.v1.EscalationReason": _names(EscalationReason, "ESCALATION_REASON_"),
}
_FIELDS = {"agent": "agent_id"}

STATES = {state: pb.ClockState.Value(f"CLOCK_STATE_{state.name}") for state in State}
LATE = MICROS
"""From here on a mark is told as overdue, and what was worked since its instant is counted."""
_TICKET_TAG = events.MarkReached.TICKET_FIELD_NUMBER << 3 | 2

ACTIONS = {action: pb.MarkAction.Value(f"MARK_ACTION_{action.name}") for action in Action}


def timeline(message: TimelineMessage, attributes: Attributes) -> Timeline:
    """Facts in the order of the message; a kind that this version does not know changes nothing."""
    return Timeline(tuple(_fact(fact) for fact in message.facts), attributes)


def _fact(message: FactMessage) -> Fact:
    kind: str = message.WhichOneof("kind") or "attributes_changed"
    if kind == "taken" and not message.taken.agent_id:
        kind = "returned"
    return Fact(kind, message.time.ToMicroseconds(), _values(kind, message))


def _values(kind: str, message: FactMessage) -> dict[str, str]:
    """The values that a trigger may ask for, as the words of a policy."""
    if not FACTS[kind]:
        return {}
    body: Message = getattr(message, kind)
    return {name: _word(body, _FIELDS.get(name, name)) for name in FACTS[kind]}


def _word(body: Message, name: str) -> str:
    value, field = getattr(body, name), body.DESCRIPTOR.fields_by_name[name]
    if field.enum_type is not None:
        return _WORDS[field.enum_type.full_name].get(value, "")
    return str(value).lower() if isinstance(value, bool) else str(value)


def attributes(ticket: Ticket) -> Attributes:
    """What a policy may look at."""
    return Attributes(
        priority=PRIORITY.get(ticket.priority, ""),
        tier=TIER.get(ticket.customer.tier, "standard"),
        channel=CHANNEL.get(ticket.channel, ""),
        queue=ticket.queue,
        category=ticket.category,
        line=LINE.get(ticket.line, ""),
        type=TYPE.get(ticket.type, ""),
        component=ticket.component,
        edition=ticket.edition,
        customer=ticket.customer.id,
        organisation=ticket.customer.organisation,
        language=ticket.language,
        from_robot=ticket.from_robot,
        tags=tuple(ticket.tags),
        fields={
            key: value.text for key, value in ticket.fields.items() if value.WhichOneof("kind") == "text"
        },
    )


def dump_attributes(told: Attributes) -> dict[str, Any]:
    """For JSON."""
    return asdict(told)


def load_attributes(value: Mapping[str, Any]) -> Attributes:
    """What `dump_attributes` gave."""
    return Attributes(**{**value, "tags": tuple(value["tags"])})


def ticket_ref(ticket: Ticket) -> pb.TicketRef:
    """As much of a ticket as readers of the SLA stream need."""
    return pb.TicketRef(
        id=ticket.id,
        key=ticket.key,
        version=ticket.version,
        queue=ticket.queue,
        subject=ticket.subject,
        priority=ticket.priority,
        line=ticket.line,
        assignee=ticket.assignee,
        tier=ticket.customer.tier,
        channel=ticket.channel,
        category=ticket.category,
        customer_timezone=ticket.customer.timezone,
    )


def policy_ref(policy: Policy, calendar: str) -> pb.PolicyRef:
    """Which rules were applied."""
    counted = policy.calendars.get(calendar)
    return pb.PolicyRef(
        name=policy.name,
        version=policy.version,
        calendar=calendar,
        tzdata=tzdata.IANA_VERSION,
        calendar_version=counted.fingerprint if counted else "",
    )


def timestamp(instant: int | None) -> Timestamp | None:
    """An instant on the wire."""
    if instant is None:
        return None
    message = Timestamp()
    message.FromMicroseconds(instant)
    return message


def duration(micros: int) -> Duration:
    """A length of working time on the wire."""
    message = Duration()
    message.FromMicroseconds(micros)
    return message


def clock_message(clock: Clock, as_of: int) -> pb.Clock:
    """A clock as it stands at an instant."""
    # What happened after its end does not count any more.
    until = as_of if clock.ended is None else min(as_of, clock.ended)
    return pb.Clock(
        name=clock.name,
        cycle=clock.cycle,
        state=STATES[clock.state],
        breached=clock.breached_at(until),
        target=duration(clock.target),
        elapsed=duration(clock.elapsed_at(until)),
        started_time=timestamp(clock.started),
        due_time=timestamp(clock.due) if clock.state is State.RUNNING else None,
        met_time=timestamp(clock.met_at),
        as_of_time=timestamp(as_of),
        marks=[_mark_message(mark, until) for mark in clock.marks],
        policy_row=clock.terms.row,
    )


def full_clock(clock: Clock, generations: Mapping[tuple[str, int], int], as_of: int) -> pb.Clock:
    """The same with the generation of its marks, and what decides its terms."""
    message = clock_message(clock, as_of)
    message.generation = generations.get((clock.name, clock.cycle), 0)
    message.lost_rows.extend(clock.terms.lost)
    message.calendar = clock.terms.calendar.name
    return message


def only_calendar(told: Sequence[Clock]) -> str:
    """The calendar that all of them are counted by; empty when there are several."""
    names = {clock.terms.calendar.name for clock in told}
    return names.pop() if len(names) == 1 else ""


def share(remaining: int, target: int) -> int:
    """A part of the target in millionths, as far as the contract's number reaches."""
    return max(-(1 << 31), remaining * 1_000_000 // target)


def _mark_message(mark: Mark, as_of: int) -> pb.Mark:
    reached = mark.at is not None and mark.at <= as_of
    return pb.Mark(
        name=mark.name,
        action=ACTIONS[mark.action],
        due_time=timestamp(mark.at),
        reached=reached,
        tell=mark.tell,
    )


_EVENTS: Mapping[Turn, type[Message]] = {
    Turn.STARTED: events.ClockStarted,
    Turn.PAUSED: events.ClockPaused,
    Turn.RESUMED: events.ClockResumed,
    Turn.MET: events.ClockMet,
    Turn.CANCELLED: events.ClockCancelled,
    Turn.RECALCULATED: events.ClockRecalculated,
}


def change_event(change: Change, ticket: pb.TicketRef, policy: Policy, as_of: int, cause: str) -> Message:
    """The event that tells a change."""
    if change.clock is None:
        old = change.before or Standing(change.name, change.cycle, State.CANCELLED, 0, None, "")
        clock = pb.Clock(
            name=old.name,
            cycle=old.cycle,
            state=pb.CLOCK_STATE_CANCELLED,
            target=duration(old.target),
            as_of_time=timestamp(as_of),
            generation=change.generation,
        )
        calendar = old.calendar
    else:
        clock = clock_message(change.clock, as_of)
        clock.generation = change.generation
        for mark in clock.marks:
            # It is told as of the fact, which may have become known after the mark had fired.
            mark.reached = mark.reached or mark.name in change.fired
        calendar = change.clock.terms.calendar.name
    told: dict[str, Any] = {
        "ticket": ticket,
        "clock": clock,
        "policy": policy_ref(policy, calendar),
        "cause": cause,
    }
    if change.turn is Turn.RECALCULATED and change.before:
        told["previous_target"] = duration(change.before.target)
        told["previous_due_time"] = timestamp(change.before.due)
    return _EVENTS[change.turn](**told)


def mark_payload(one: Reached, header: Header, ref: bytes, now: int, worked: int) -> bytes:
    """The event that tells a mark, `worked` working microseconds after its own instant."""
    course, late = one.course, now - one.at
    cause = one.moved_by or ("overdue" if late >= LATE else "due")
    same = _same(
        *header[:2], *course[:3], *course[6:], one.mark, one.action, one.tell, one.folds, one.duty, cause
    )
    instants = _INSTANTS[course.due is not None]
    own = instants.write(one.at, course.due or 0, course.target - one.offset - worked, now, max(0, late))
    # Messages written one after the other are one message: the ticket need not be read to be told.
    return _ticket_field(len(ref)) + ref + same + own


class _Instants:
    """Writes the instants of a MarkReached; its messages are used again, which halves the time."""

    def __init__(self, *, has_due: bool) -> None:
        self._event = event = events.MarkReached()
        clock_due = event.clock_due_time if has_due else Timestamp()
        self._parts: tuple[Timestamp | Duration, ...] = (
            event.mark.due_time,
            clock_due,
            event.remaining,
            event.reached_time,
            event.lateness,
        )

    def write(self, *values: int) -> bytes:
        """For the mark's instant, its clock's, what remains, when it was noticed, how late; microseconds."""
        for part, value in zip(self._parts, values, strict=True):
            _put(part, value)
        return self._event.SerializeToString()


_INSTANTS = (_Instants(has_due=False), _Instants(has_due=True))


def _put(message: Timestamp | Duration, micros: int) -> None:
    """What FromMicroseconds does, several times as fast."""
    # A duration's two parts have one sign.
    seconds = micros // MICROS if micros >= 0 else -(-micros // MICROS)
    message.seconds, message.nanos = seconds, (micros - seconds * MICROS) * 1000


@lru_cache(maxsize=4096)
def _same(*key: Any) -> bytes:
    """The part of the event that is the same for many tickets."""
    policy, version, clock, cycle, generation, calendar, calendar_version, newest, mark, *more = key
    action, tell, folds, duty, cause = more
    event = events.MarkReached(
        clock=clock,
        cycle=cycle,
        mark=pb.Mark(name=mark, action=ACTIONS[Action(action)], reached=True, tell=tell),
        generation=generation,
        policy=pb.PolicyRef(
            name=policy,
            version=version,
            calendar=calendar,
            tzdata=tzdata.IANA_VERSION,
            calendar_version=calendar_version,
        ),
        folded_marks=folds,
        duty=duty,
        cause=cause,
        newest_cycle=newest,
    )
    return event.SerializeToString()


@cache
def _ticket_field(length: int) -> bytes:
    """The head of a MarkReached whose ticket takes so many bytes."""
    head, left = bytearray([_TICKET_TAG]), length
    while left > 0x7F:
        head.append(left & 0x7F | 0x80)
        left >>= 7
    head.append(left)
    return bytes(head)


def all_cycles(clocks: Sequence[Clock]) -> list[Clock]:
    """Every cycle of every clock, in the policy's order."""
    return [one for clock in clocks for one in (*clock.past, clock)]
