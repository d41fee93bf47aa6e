"""Tickets, queues and agents to the contract and back, without decisions."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache

from google.protobuf.message import Message

from chassis.errors import InvalidInput, Violation
from tickdesk.common.v1 import common_pb2
from tickdesk.intake.v1 import message_pb2
from tickdesk.tickets.v1 import events_pb2, ticket_pb2, timeline_pb2
from tickets.convert.fields import to_value
from tickets.convert.values import instant, instant_or, known, lines, number, numbers, timestamp
from tickets.domain import model, rules, timeline
from tickets.domain.model import Line, Priority

_EVENT_BYTES = 850_000
"""What an event may have; beyond it its message is shortened in the event, never in the ticket.

The ticket itself takes less by far: its values, facts, people and tags are bounded where they are written."""
_CUT = " […]"
_MAX_FIELDS, _MAX_VALUE, _MAX_NAME, _MAX_COPIES = 100, 10_000, 300, 20


def to_actor(actor: model.Actor) -> common_pb2.Actor:
    """Who did something."""
    return common_pb2.Actor(kind=number(actor.kind), id=actor.id, name=actor.name)


def to_customer(customer: model.Customer) -> ticket_pb2.Customer:
    """A customer with all contacts."""
    return ticket_pb2.Customer(
        id=customer.id,
        name=customer.name,
        contacts=[
            ticket_pb2.Contact(channel=number(each.channel), address=each.address)
            for each in customer.contacts
        ],
        tier=number(customer.tier),
        timezone=customer.timezone,
        language=customer.language,
        numbers=customer.numbers,
        organisation=customer.organisation,
        account_manager=customer.account_manager,
        created_time=timestamp(customer.created_time),
        organisation_key=customer.organisation_key,
        merged_into=customer.merged_into or "",
    )


def to_ticket(ticket: model.Ticket) -> ticket_pb2.Ticket:
    """The whole ticket, as RPCs answer it and events carry it."""
    return ticket_pb2.Ticket(
        id=ticket.id,
        key=ticket.key,
        version=ticket.version,
        queue=ticket.queue,
        subject=ticket.subject,
        type=number(ticket.type),
        category=ticket.category,
        component=ticket.component,
        priority=number(ticket.priority),
        status=ticket.status,
        status_kind=number(ticket.status_kind),
        line=number(ticket.line),
        assignee=ticket.assignee,
        observers=ticket.observers,
        customer=to_customer(ticket.customer),
        customer_number=ticket.customer_number,
        channel=number(ticket.channel),
        account=ticket.account,
        conversation_ids=[each.id for each in ticket.conversations],
        edition=ticket.edition,
        tags=ticket.tags,
        fields={key: to_value(value) for key, value in ticket.fields.items()},
        created_time=timestamp(ticket.created_time),
        updated_time=timestamp(ticket.updated_time),
        resolved_time=timestamp(ticket.resolved_time),
        closed_time=timestamp(ticket.closed_time),
        cycle=ticket.cycle,
        escalation=to_escalation(ticket.escalation) if ticket.escalation else None,
        sla=to_sla(ticket.clocks),
        csat=_csat(ticket.csat) if ticket.csat else None,
        message_count=ticket.message_count,
        timeline=timeline_pb2.Timeline(facts=[to_fact(each) for each in ticket.timeline]),
        language=ticket.language,
        parent_ticket_id=ticket.parent_ticket_id,
        origin=ticket.origin,
        from_robot=ticket.from_robot,
        incident=ticket.incident,
        merged_into_ticket_id=ticket.merged_into_id,
        merged_into_key=ticket.merged_into_key,
        participants=[_participant(each) for each in ticket.participants],
    )


def to_fact(fact: timeline.Fact) -> timeline_pb2.Fact:
    """A fact; class and field names are the contract's."""
    result = timeline_pb2.Fact(time=timestamp(fact.time))
    kind = getattr(result, timeline.NAMES[type(fact)])
    kind.SetInParent()
    for name in timeline.FIELDS[type(fact)][1:]:
        value, target = getattr(fact, name), name.rstrip("_")
        if isinstance(value, datetime):
            getattr(kind, target).FromDatetime(value)
        elif isinstance(value, tuple):
            getattr(kind, target).extend(value)
        else:
            setattr(kind, target, value)
    return result


def to_message(message: model.Message) -> ticket_pb2.TicketMessage:
    """A message or note with all it has."""
    return ticket_pb2.TicketMessage(
        id=message.id,
        ticket_id=message.ticket_id,
        author=to_actor(message.author),
        visibility=number(message.visibility),
        text=message.text,
        full_text=message.full_text,
        attachments=[
            common_pb2.Attachment(**{name: getattr(each, name) for name in _own_names(model.Attachment)})
            for each in message.attachments
        ],
        created_time=timestamp(message.created_time),
        channel=number(message.channel),
        conversation_id=message.conversation_id,
        address=message.address,
        delivery_state=message.delivery_state,
        html=message.html,
        subject=message.subject,
        cc=message.cc,
    )


def fit(event: Message) -> None:
    """Make an event with its ticket fit: without HTML and quotes of its message, then with less of its text.

    Raises InvalidInput (EVENT_TOO_LARGE) for a letter of the desk: the customer would get a part of it.
    """
    message = getattr(event, "message", None)
    if message is None or event.ByteSize() <= _EVENT_BYTES:
        return
    message.ClearField("html")
    message.ClearField("full_text")
    message.shortened = True
    over = event.ByteSize() - _EVENT_BYTES
    if over <= 0:
        return
    if isinstance(event, events_pb2.TicketReplied):
        text = f"text is {over} bytes too long to be sent with what this ticket holds"
        raise InvalidInput(text, reason="EVENT_TOO_LARGE", violations=[Violation("text", text)])
    text = message.text.encode()
    kept = text[: max(0, len(text) - over - len(_CUT.encode()))]
    message.text = kept.decode(errors="ignore") + _CUT


def to_queue(queue: model.Queue) -> ticket_pb2.Queue:
    """A queue."""
    return ticket_pb2.Queue(
        key=queue.key,
        name=queue.name,
        addresses=queue.addresses,
        default_priority=number(queue.default_priority),
        default_language=queue.default_language,
        first_line=number(queue.first_line),
        last_line=number(queue.last_line),
        public_lines=numbers(queue.public_lines),
        version=queue.version,
        setup_version=queue.setup_version,
    )


def to_agent(agent: model.Agent) -> ticket_pb2.Agent:
    """A person of the desk."""
    return ticket_pb2.Agent(
        id=agent.id,
        name=agent.name,
        email=agent.email,
        language=agent.language,
        lines=numbers(agent.lines),
        queues=agent.queues,
        leads=numbers(agent.leads),
        management=agent.management,
        active=agent.active,
        version=agent.version,
    )


def from_queue(queue: ticket_pb2.Queue) -> model.Queue:
    """A queue as asked for; what is not said takes the usual value. Raises InvalidInput."""
    return model.Queue(
        key=queue.key,
        name=queue.name,
        addresses=list(queue.addresses),
        default_priority=known(Priority, queue.default_priority or Priority.NORMAL, "queue.default_priority"),
        default_language=queue.default_language or "en",
        first_line=known(Line, queue.first_line or Line.L1, "queue.first_line"),
        last_line=known(Line, queue.last_line or Line.L3, "queue.last_line"),
        public_lines=lines(queue.public_lines, "queue.public_lines") or [Line.L1, Line.L2],
    )


def from_agent(agent: ticket_pb2.Agent) -> model.Agent:
    """An agent as asked for. Raises InvalidInput."""
    return model.Agent(
        id=agent.id,
        name=agent.name,
        email=agent.email,
        language=agent.language or "en",
        lines=lines(agent.lines, "agent.lines"),
        queues=list(agent.queues),
        leads=lines(agent.leads, "agent.leads"),
        management=agent.management,
        active=agent.active,
    )


def from_form(form: ticket_pb2.EscalationForm) -> model.Form | None:
    """The escalation form; None when nothing was filled in."""
    texts = {name: getattr(form, name) for name in _own_names(model.Form) if name != "deadline"}
    deadline = instant(form.deadline) if form.HasField("deadline") else None
    return model.Form(**texts, deadline=deadline) if deadline or any(texts.values()) else None


def from_attachment(file: common_pb2.Attachment) -> model.Attachment:
    """A file that intake keeps."""
    return model.Attachment(**{name: getattr(file, name) for name in _own_names(model.Attachment)})


def from_inbound(message: message_pb2.InboundMessage, now: datetime) -> rules.Inbound:
    """A message of intake. NUL is dropped: no text column holds it."""
    text = _clean(message.reply_text or message.text)
    full_text, account = _clean(message.text), message.account.strip()
    answers = sorted(message.fields)[:_MAX_FIELDS]
    return rules.Inbound(
        id=message.id,
        channel=message.channel,
        account=account.lower() if int(message.channel) == model.Channel.EMAIL else account,
        conversation_id=message.conversation_id,
        sender=model.Contact(message.channel, message.sender.address or message.failed_address or "unknown"),
        sender_name=_clean(message.sender.name)[:_MAX_NAME],
        subject=_clean(message.subject),
        text=text,
        full_text=full_text if full_text != text else "",
        received_time=instant_or(message.received_time, now),
        author_kind=rules.AuthorKind(message.author_kind or rules.AuthorKind.PERSON),
        html=_clean(message.html),
        nudge=message.nudge,
        language=message.language,
        attachments=[from_attachment(each) for each in message.attachments],
        related=list(message.related_conversation_ids),
        customer_number=_clean(message.customer_number)[:_MAX_NAME],
        fields={_clean(key): _clean(message.fields[key])[:_MAX_VALUE] for key in answers},
        topic=_clean(message.topic)[:_MAX_NAME],
        preceding=list(message.preceding_message_ids),
        in_copy=[
            model.Participant(message.channel, each.address, _clean(each.name)[:_MAX_NAME])
            for each in message.recipients[:_MAX_COPIES]
            if each.address
        ],
    )


def _participant(one: model.Participant) -> ticket_pb2.Participant:
    return ticket_pb2.Participant(
        channel=number(one.channel), address=one.address, name=one.name, wrote=one.wrote
    )


def to_escalation(escalation: model.Escalation) -> ticket_pb2.Escalation:
    """An escalation with its form."""
    return ticket_pb2.Escalation(
        started_time=timestamp(escalation.started_time),
        from_line=number(escalation.from_line),
        to_line=number(escalation.to_line),
        reasons=numbers(escalation.reasons),
        management=escalation.management,
        form=_form(escalation.form) if escalation.form else None,
        criterion=escalation.criterion,
    )


def _form(form: model.Form) -> ticket_pb2.EscalationForm:
    texts = {name: getattr(form, name) for name in _own_names(model.Form) if name != "deadline"}
    return ticket_pb2.EscalationForm(**texts, deadline=timestamp(form.deadline))


def to_sla(clocks: Sequence[model.SlaClock]) -> ticket_pb2.SlaSummary | None:
    """What the clocks say; unset without any."""
    if not clocks:
        return None
    return ticket_pb2.SlaSummary(
        clocks=[
            ticket_pb2.SlaClock(
                clock=each.clock,
                state=each.state,
                due_time=timestamp(each.due_time),
                met_time=timestamp(each.met_time),
                breached=each.breached,
                last_mark=each.last_mark,
                cycle=each.cycle,
            )
            for each in clocks
        ],
        ticket_version=max(each.version for each in clocks),
    )


def _csat(csat: model.Csat) -> ticket_pb2.CsatSummary:
    return ticket_pb2.CsatSummary(
        score=csat.score,
        raw=csat.raw,
        scale=csat.scale,
        comment=csat.comment,
        answered_time=timestamp(csat.answered_time),
        cycle=csat.cycle,
    )


@cache
def _own_names(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _clean(text: str) -> str:
    return text.replace("\0", "")
