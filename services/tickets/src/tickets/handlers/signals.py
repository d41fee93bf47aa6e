"""What clocks and surveys say of tickets, and the escalations that follow from it."""

from dataclasses import replace
from datetime import datetime
from typing import Protocol
from uuid import NAMESPACE_URL, uuid5

from google.protobuf.timestamp_pb2 import Timestamp

from chassis.db import Tx
from tickdesk.common.v1 import common_pb2
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.survey.v1 import events_pb2 as survey
from tickdesk.survey.v1 import survey_pb2
from tickdesk.tickets.v1 import events_pb2 as events
from tickets import metrics
from tickets.convert import values
from tickets.convert.tickets import to_actor
from tickets.domain import rules
from tickets.domain.conditions import Happened
from tickets.domain.escalation import Step
from tickets.domain.model import (
    Actor,
    ActorKind,
    Contact,
    Csat,
    Priority,
    Reason,
    SlaClock,
    Ticket,
    TicketType,
)
from tickets.domain.opening import Opening
from tickets.handlers import escalation_rules
from tickets.handlers.change import publish, queue_of, write_note
from tickets.handlers.opening import open_ticket
from tickets.handlers.triggers import finish, wakes_rules
from tickets.store import clocks
from tickets.store import tickets as store
from tickets.store.clocks import Result

_CLOCK = Actor(ActorKind.SERVICE, "sla-clock")
_SURVEY = Actor(ActorKind.SERVICE, "survey")
_OVER = ("met", "cancelled")
_STEPS = {
    clock_pb2.MARK_ACTION_ESCALATE_LINE: Step(Reason.SLA_MARK, by_rule=True),
    clock_pb2.MARK_ACTION_BREACH: Step(Reason.SLA_BREACH, stay=True, by_rule=True),
    clock_pb2.MARK_ACTION_ESCALATE_MANAGEMENT: Step(
        Reason.SLA_OVERRUN, management=True, stay=True, by_rule=True
    ),
}
_LOW_SCORE = {
    "ru": ("Низкая оценка {key}: {raw} из {scale}", "Оценка: {raw} из {scale}."),
    "en": ("Low score for {key}: {raw} of {scale}", "Score: {raw} of {scale}."),
}


class ClockEvent(Protocol):
    """Any event that tells the state of one clock."""

    @property
    def ticket(self) -> clock_pb2.TicketRef:
        """The ticket."""
        ...

    @property
    def clock(self) -> clock_pb2.Clock:
        """The clock after it."""
        ...

    @property
    def policy(self) -> clock_pb2.PolicyRef:
        """Rules applied."""
        ...


async def clock_changed(tx: Tx, event: ClockEvent) -> None:
    """The ticket's summary follows the clock; no version, no event: else both would answer for ever."""
    await _note(tx, event)


async def clock_met(tx: Tx, event: sla.ClockMet) -> None:
    """A clock's goal was reached: its business time is a figure of the desk."""
    is_news = await _note(tx, event)
    histogram = metrics.BY_CLOCK.get(event.clock.name)
    if not is_news or histogram is None:
        return
    seconds = _elapsed(event)
    line = common_pb2.Line.Name(event.ticket.line).removeprefix("LINE_")
    priority = common_pb2.Priority.Name(event.ticket.priority).removeprefix("PRIORITY_")
    tx.after_commit(lambda: histogram.labels(line, priority).observe(seconds))


async def mark_reached(tx: Tx, event: sla.MarkReached) -> None:
    """A mark is noted, and carried out unless what it warned of was done meanwhile."""
    breached = event.mark.action in (clock_pb2.MARK_ACTION_BREACH, clock_pb2.MARK_ACTION_OVERRUN)
    mark = SlaClock(
        clock=event.clock,
        state="running",
        cycle=event.cycle,
        version=event.ticket.version,
        due_time=_instant(event.clock_due_time),
        breached=breached,
        last_mark=event.mark.name,
        policy_version=event.policy.version,
    )
    at = values.instant(event.reached_time)
    counts = await clocks.put_mark(tx, event.ticket.id, mark, at, newest=event.newest_cycle)
    ticket = await store.lock_or_none(tx, event.ticket.id)
    if not counts or ticket is None or _is_outdated(ticket, event):
        return
    reached = Happened("MarkReached", _CLOCK, ticket.version, clock=event.clock, mark=event.mark.name)
    ticket.happened.append(reached)
    await _escalate(tx, ticket, event)
    if ticket.told or await wakes_rules(tx, ticket):
        await finish(tx, ticket)


async def _escalate(tx: Tx, ticket: Ticket, event: sla.MarkReached) -> None:
    step = _STEPS.get(event.mark.action)
    # A breach alone tells the lead; it joins an escalation but does not begin one.
    if step is None or (step.reason == Reason.SLA_BREACH and ticket.escalation is None):
        return
    step = replace(step, note=f"{event.clock} {event.mark.name}")
    escalation_rules.raise_escalation(tx, ticket, await queue_of(tx, ticket), _CLOCK, step)


async def survey_answered(tx: Tx, event: survey.SurveyAnswered) -> None:
    """The customer's score goes onto the ticket; a low one opens a follow-up (CA-25, MP-18)."""
    answer = event.survey
    if answer.kind != survey_pb2.SURVEY_KIND_CUSTOMER:
        return
    ticket = await store.lock_or_none(tx, answer.ticket_id)
    if ticket is None or not _is_newer(ticket, answer):
        return
    ticket.csat = Csat(
        score=answer.score,
        raw=answer.raw,
        scale=answer.scale,
        comment=answer.comment,
        answered_time=values.instant(answer.answered_time),
        cycle=answer.cycle,
    )
    customer = Actor(ActorKind.CUSTOMER, ticket.customer.id, ticket.customer.name)
    publish(tx, ticket, events.TicketRated(actor=to_actor(customer)))
    await finish(tx, ticket)
    if answer.low:
        await _follow_up(tx, ticket, answer)


async def _note(tx: Tx, event: ClockEvent) -> bool:
    result = Result(_elapsed(event), event.ticket.line, event.ticket.assignee)
    as_of = values.instant(event.clock.as_of_time)
    return await clocks.put_clock(tx, event.ticket.id, _clock(event), as_of, result)


def _elapsed(event: ClockEvent) -> float:
    """Business time that a clock counted, in seconds."""
    return event.clock.elapsed.ToNanoseconds() / 1e9


def _clock(event: ClockEvent) -> SlaClock:
    clock = event.clock
    marks = [mark.name for mark in clock.marks if mark.reached]
    return SlaClock(
        clock=clock.name,
        state=clock_pb2.ClockState.Name(clock.state).removeprefix("CLOCK_STATE_").lower(),
        cycle=clock.cycle,
        version=event.ticket.version,
        due_time=_instant(clock.due_time),
        met_time=_instant(clock.met_time),
        breached=clock.breached,
        last_mark=marks[-1] if marks else "",
        policy_version=event.policy.version,
    )


def _instant(stamp: Timestamp) -> datetime | None:
    return values.instant(stamp) if stamp.seconds else None


def _is_outdated(ticket: Ticket, event: sla.MarkReached) -> bool:
    known = next((each for each in ticket.clocks if each.clock == event.clock), None)
    return (known is not None and known.state in _OVER) or rules.is_outdated(ticket, event.clock)


def _is_newer(ticket: Ticket, answer: survey_pb2.Survey) -> bool:
    known = ticket.csat
    return known is None or (answer.cycle, values.instant(answer.answered_time), answer.comment) > (
        known.cycle,
        known.answered_time,
        known.comment,
    )


async def _follow_up(tx: Tx, rated: Ticket, answer: survey_pb2.Survey) -> None:
    """One ticket per survey; words that the customer adds later become a note of it."""
    ticket_id = str(uuid5(NAMESPACE_URL, f"tickdesk/survey/{answer.id}/follow-up"))
    known = await store.lock_or_none(tx, ticket_id)
    if known:
        if answer.comment:
            await write_note(tx, known, _SURVEY, answer.comment)
            await finish(tx, known)
        return
    subject, text = _LOW_SCORE.get(rated.language, _LOW_SCORE["en"])
    words = {"key": rated.key, "raw": answer.raw, "scale": answer.scale}
    conversation = rated.conversations[-1]
    opening = Opening(
        queue=rated.queue,
        sender=_asked(rated),
        sender_name=rated.customer.name,
        subject=subject.format(**words),
        text=" ".join([text.format(**words), answer.comment]).strip(),
        at=tx.now,
        ticket_id=ticket_id,
        account=conversation.account,
        type=TicketType.COMPLAINT,
        priority=Priority.HIGH,
        category=rated.category,
        language=rated.language,
        customer_number=rated.customer_number,
        parent_ticket_id=rated.id,
        origin="survey",
        answered=False,
    )
    follow_up = await open_ticket(tx, opening, _SURVEY)
    if await escalation_rules.after_score(tx, follow_up, answer.score):
        await finish(tx, follow_up)


def _asked(rated: Ticket) -> Contact:
    """The contact to answer on: that of the rated ticket, so that the follow-up is the same customer's."""
    conversation = rated.conversations[-1]
    contact = Contact(conversation.channel, conversation.address)
    if contact in rated.customer.contacts or not rated.customer.contacts:
        return contact
    return rated.customer.contacts[0]
