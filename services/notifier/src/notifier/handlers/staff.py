"""What the people of the desk are told: marks of clocks, and escalations."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from chassis.db import Tx
from notifier import convert
from notifier.domain import (
    Agent,
    Audience,
    Channel,
    Delivery,
    Rules,
    State,
    identity,
    is_address,
    one_line,
    window_end,
)
from notifier.handlers.known import tell_systems, ticket_changed
from notifier.store import desk, ledger
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import events_pb2 as sla_events
from tickdesk.tickets.v1 import events_pb2 as ticket_events
from tickdesk.tickets.v1 import ticket_pb2, timeline_pb2

_MINUTE = timedelta(minutes=1)
Person = tuple[Audience, Agent]
_FORM = ("done", "checked", "missing", "ask", "urgency", "promises")
_BY_CLOCK = (
    timeline_pb2.ESCALATION_REASON_SLA_MARK,
    timeline_pb2.ESCALATION_REASON_SLA_BREACH,
    timeline_pb2.ESCALATION_REASON_SLA_OVERRUN,
)
_MARK_TEMPLATES = {
    clock_pb2.MARK_ACTION_REMIND: "reminder",
    clock_pb2.MARK_ACTION_BREACH: "breach",
    clock_pb2.MARK_ACTION_ESCALATE_MANAGEMENT: "overrun",
    clock_pb2.MARK_ACTION_OVERRUN: "overdue",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told: its template, what caused it, and the facts."""

    template: str
    cause: str
    ticket: ticket_pb2.Ticket | clock_pb2.TicketRef
    context: dict[str, Any]


async def ticket_escalated(tx: Tx, event: ticket_events.TicketEscalated, rules: Rules) -> None:
    """Page the heads of the line once per escalation, and management when it is told for the first time."""
    await ticket_changed(tx, event, rules)
    ticket, escalation = event.ticket, event.ticket.escalation
    people: list[Person] = []
    line = escalation.to_line or ticket.line
    if event.started:
        people += [(Audience.LEAD, one) for one in await desk.leads(tx, line, ticket.queue)]
    # An overrun has told management by its own mark.
    if escalation.management and event.reason != timeline_pb2.ESCALATION_REASON_SLA_OVERRUN:
        people += [(Audience.MANAGEMENT, one) for one in await desk.management(tx)]
    context = {
        "from_line": convert.line_word(escalation.from_line),
        "to_line": convert.line_word(escalation.to_line),
        "reasons": [convert.reason_word(reason) for reason in escalation.reasons],
        **_words_of(event),
        "form": {name: getattr(escalation.form, name) for name in _FORM},
        **facts(ticket),
    }
    cause = f"{ticket.id}/{escalation.started_time.ToJsonString()}"
    if people or event.started:
        await tell_staff(tx, people, Notice("escalation", cause, ticket, context), rules)


async def people_mentioned(tx: Tx, event: ticket_events.PeopleMentioned, rules: Rules) -> None:
    """Tell those whom a note calls, once a note: a team on its list, or else each of its members."""
    await ticket_changed(tx, event, rules)
    ids = [*event.agent_ids, *(each for team in event.teams if not team.email for each in team.members)]
    found = [await desk.get_agent(tx, one) for one in dict.fromkeys(ids) if one != event.actor.id]
    people: list[Person] = [(Audience.AGENT, one) for one in found if one]
    lists = (Agent(f"team:{team.key}", team.name, team.email, "") for team in event.teams if team.email)
    people += [(Audience.AGENT, one) for one in lists]
    context = {"author": event.actor.name or event.actor.id, **facts(event.ticket)}
    if people:
        await tell_staff(tx, people, Notice("mention", event.message_id, event.ticket, context), rules)


def _words_of(event: ticket_events.TicketEscalated) -> dict[str, str]:
    """What a person noted; a clock's note is its name and mark, which have words in each language."""
    if event.reason not in _BY_CLOCK:
        return {"note": event.note, "clock": "", "mark": ""}
    clock, _, mark = event.note.partition(" ")
    return {"note": "", "clock": clock, "mark": mark}


async def mark_reached(tx: Tx, event: sla_events.MarkReached, rules: Rules) -> None:
    """Tell those whom the mark names, or else those whom its action concerns.

    Handing over to the next line is the ticket's own affair.
    """
    await tell_systems(tx, event, rules)
    found = _mark_template(event)
    if not found:
        return
    seen = await desk.get_ticket(tx, event.ticket.id)
    # The ticket may have changed hands since the clock was computed.
    ticket = seen if seen is not None and seen.version > event.ticket.version else event.ticket
    assignee = await desk.get_agent(tx, ticket.assignee) if ticket.assignee else None
    context = {
        "clock": event.clock,
        "mark": event.mark.name,
        "remaining": event.remaining.ToTimedelta().total_seconds(),
        "due": event.clock_due_time.ToDatetime().isoformat() + "+00:00"
        if event.HasField("clock_due_time")
        else "",
        "assignee": assignee.name if assignee else "",
        **facts(ticket),
    }
    people = await _named_people(tx, event, ticket, assignee)
    people = people or await _mark_people(tx, event.mark.action, ticket, assignee)
    await tell_staff(tx, people, Notice(found, tx.event_id, ticket, context), rules)


def _mark_template(event: sla_events.MarkReached) -> str:
    """Empty when nobody is told: an action that speaks for itself or is not known here, and names nobody."""
    found = _MARK_TEMPLATES.get(event.mark.action, "reminder" if event.mark.tell else "")
    # Found late, or placed there by the policy: no time is left.
    return "overdue" if found == "reminder" and event.remaining.ToNanoseconds() < 0 else found


async def _named_people(
    tx: Tx,
    event: sla_events.MarkReached,
    ticket: ticket_pb2.Ticket | clock_pb2.TicketRef,
    assignee: Agent | None,
) -> list[Person]:
    """Those on the rungs that the policy names for the mark, highest first."""
    people: list[Person] = []
    named = set(event.mark.tell)
    if "management" in named:
        people += [(Audience.MANAGEMENT, one) for one in await desk.management(tx)]
    if "line_lead" in named:
        people += [(Audience.LEAD, one) for one in await desk.leads(tx, ticket.line, ticket.queue)]
    if "line" in named:
        people += [(Audience.AGENT, one) for one in await desk.workers(tx, ticket.line, ticket.queue)]
    if "assignee" in named and assignee:
        people.append((Audience.AGENT, assignee))
    if "duty" in named:
        on_duty = [await desk.get_agent(tx, one) for one in event.duty]
        people += [(Audience.AGENT, one) for one in on_duty if one]
    return people


async def _mark_people(
    tx: Tx,
    action: clock_pb2.MarkAction.ValueType,
    ticket: ticket_pb2.Ticket | clock_pb2.TicketRef,
    assignee: Agent | None,
) -> list[Person]:
    responsible = [(Audience.AGENT, assignee)] if assignee else []
    if action == clock_pb2.MARK_ACTION_REMIND and responsible:
        return responsible
    if action == clock_pb2.MARK_ACTION_ESCALATE_MANAGEMENT:
        return [(Audience.MANAGEMENT, one) for one in await desk.management(tx)]
    heads = [(Audience.LEAD, one) for one in await desk.leads(tx, ticket.line, ticket.queue)]
    return heads + responsible


async def tell_staff(tx: Tx, people: Iterable[Person], notice: Notice, rules: Rules) -> None:
    """One notice a person; who is in it twice is told once, as the first."""
    told = {agent.email.lower(): (audience, agent) for audience, agent in reversed(list(people))}
    if not told:
        nobody = Agent("", "", "", rules.language)
        told = {"": (Audience.LEAD, nobody)}
    letters = [await _notice_to(tx, person, notice, rules) for person in told.values()]
    await ledger.add_deliveries(tx, letters)


async def _notice_to(tx: Tx, person: Person, notice: Notice, rules: Rules) -> Delivery:
    audience, agent = person
    recipient = agent.email.lower()
    reachable = is_address(recipient)
    held = reachable and await _is_flooded(tx, recipient, rules)
    detail = (
        "" if reachable else (f"{agent.id} has no usable address" if agent.id else "there is nobody to tell")
    )
    due = window_end(tx.now, rules.digest_window) if held else tx.now
    return Delivery(
        id=identity(notice.template, notice.cause, recipient or agent.id),
        channel=Channel.EMAIL,
        audience=audience,
        recipient=recipient,
        template=notice.template,
        language=convert.pick_language(agent.language, rules.language),
        ticket_id=notice.ticket.id,
        ticket_key=notice.ticket.key,
        created_at=tx.now,
        next_at=due if reachable else None,
        give_up_at=tx.now + rules.keep_trying,
        state=State.PENDING if reachable else State.SUPPRESSED,
        detail=detail,
        digest=held,
        context=notice.context,
    )


async def _is_flooded(tx: Tx, recipient: str, rules: Rules) -> bool:
    limit = rules.notices_per_minute
    return await ledger.count_notices(tx, recipient, tx.now - _MINUTE, limit) >= limit


def facts(ticket: ticket_pb2.Ticket | clock_pb2.TicketRef) -> dict[str, str]:
    """What notices say of a ticket."""
    return {
        "subject": one_line(ticket.subject),
        "queue": ticket.queue,
        "line": convert.line_word(ticket.line),
        "priority": convert.priority_word(ticket.priority),
    }
