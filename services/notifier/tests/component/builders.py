"""Builders of the events notifier hears."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from chassis.clock import utcnow
from tickdesk.common.v1 import common_pb2
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.intake.v1 import message_pb2
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import events_pb2 as sla_events
from tickdesk.survey.v1 import events_pb2 as survey_events
from tickdesk.survey.v1 import survey_pb2
from tickdesk.tickets.v1 import events_pb2, ticket_pb2, timeline_pb2

CONVERSATION = "abcdefghij234567"
CUSTOMER = "client@mail.test"
EMAIL = common_pb2.CHANNEL_EMAIL


def a_ticket(**changes: Any) -> ticket_pb2.Ticket:
    address = changes.pop("email", CUSTOMER)
    zone = changes.pop("timezone", "")
    contacts = [ticket_pb2.Contact(channel=EMAIL, address=address)] if address else []
    values: dict[str, Any] = {
        "id": str(uuid4()),
        "key": "SUP-12",
        "version": 1,
        "queue": "SUP",
        "subject": "Printer on fire",
        "status": "new",
        "priority": common_pb2.PRIORITY_HIGH,
        "line": common_pb2.LINE_L1,
        "customer": ticket_pb2.Customer(id=str(uuid4()), name="Ivan", contacts=contacts, timezone=zone),
        "channel": EMAIL,
        "account": "support@desk.test",
        "conversation_ids": [CONVERSATION],
        "language": "en",
        "cycle": 1,
        **changes,
    }
    return ticket_pb2.Ticket(**values)


def a_message(text: str = "Help!", address: str = CUSTOMER, **changes: Any) -> ticket_pb2.TicketMessage:
    values: dict[str, Any] = {
        "id": str(uuid4()),
        "text": text,
        "address": address,
        "channel": EMAIL,
        "conversation_id": CONVERSATION,
        "visibility": ticket_pb2.VISIBILITY_PUBLIC,
        **changes,
    }
    return ticket_pb2.TicketMessage(**values)


def opened(ticket: ticket_pb2.Ticket, **changes: Any) -> events_pb2.TicketOpened:
    contacts = ticket.customer.contacts
    values: dict[str, Any] = {
        "ticket": ticket,
        "actor": common_pb2.Actor(kind=common_pb2.Actor.KIND_CUSTOMER),
        "message": a_message(address=contacts[0].address if contacts else "", channel=ticket.channel),
        **changes,
    }
    return events_pb2.TicketOpened(**values)


def replied(ticket: ticket_pb2.Ticket, text: str, **changes: Any) -> events_pb2.TicketReplied:
    author = common_pb2.Actor(kind=common_pb2.Actor.KIND_AGENT, id="anna", name="Anna")
    message = a_message(text, author=author, channel=ticket.channel, **changes)
    return events_pb2.TicketReplied(ticket=ticket, actor=author, message=message)


def a_queue(**changes: Any) -> events_pb2.QueueChanged:
    values: dict[str, Any] = {
        "key": "SUP",
        "name": "Support of Acme",
        "addresses": ["support@desk.test", "help@desk.test"],
        "default_language": "en",
        "version": 1,
        **changes,
    }
    return events_pb2.QueueChanged(queue=ticket_pb2.Queue(**values))


def an_agent(name: str, **changes: Any) -> events_pb2.AgentChanged:
    values: dict[str, Any] = {
        "id": name,
        "name": name.title(),
        "email": f"{name}@desk.test",
        "language": "en",
        "active": True,
        "version": 1,
        **changes,
    }
    return events_pb2.AgentChanged(agent=ticket_pb2.Agent(**values))


def a_mark(
    ticket: ticket_pb2.Ticket, action: clock_pb2.MarkAction.ValueType, **changes: Any
) -> sla_events.MarkReached:
    ref = clock_pb2.TicketRef(
        id=ticket.id,
        key=ticket.key,
        version=ticket.version,
        queue=ticket.queue,
        subject=ticket.subject,
        priority=ticket.priority,
        line=ticket.line,
        assignee=ticket.assignee,
    )
    mark = clock_pb2.Mark(
        name=changes.pop("name", "90%"), action=action, reached=True, tell=changes.pop("tell", ())
    )
    event = sla_events.MarkReached(
        ticket=ref,
        clock=changes.pop("clock", "first_response"),
        cycle=1,
        mark=mark,
        duty=changes.pop("duty", ()),
    )
    event.remaining.FromSeconds(changes.pop("remaining", 600))
    event.clock_due_time.FromDatetime(utcnow() + timedelta(minutes=10))
    return event


def a_promise(ticket: ticket_pb2.Ticket, due: Any, **changes: Any) -> sla_events.ClockStarted:
    values: dict[str, Any] = {"name": "first_response", "cycle": 1, **changes}
    event = sla_events.ClockStarted(ticket=clock_pb2.TicketRef(id=ticket.id), clock=clock_pb2.Clock(**values))
    event.clock.due_time.FromDatetime(due)
    return event


def escalated(ticket: ticket_pb2.Ticket, **changes: Any) -> events_pb2.TicketEscalated:
    values: dict[str, Any] = {
        "ticket": ticket,
        "reason": timeline_pb2.ESCALATION_REASON_SLA_MARK,
        "started": True,
        **changes,
    }
    return events_pb2.TicketEscalated(**values)


def an_escalation(**changes: Any) -> ticket_pb2.Escalation:
    values: dict[str, Any] = {
        "from_line": common_pb2.LINE_L1,
        "to_line": common_pb2.LINE_L2,
        "reasons": [timeline_pb2.ESCALATION_REASON_SLA_MARK],
        **changes,
    }
    escalation = ticket_pb2.Escalation(**values)
    escalation.started_time.FromSeconds(1_790_000_000)
    return escalation


def asked(ticket: ticket_pb2.Ticket, url: str, **changes: Any) -> survey_events.SurveyAsked:
    survey = survey_pb2.Survey(
        id=str(uuid4()),
        ticket_id=ticket.id,
        ticket_key=ticket.key,
        recipient=CUSTOMER,
        language="en",
        scale=5,
    )
    for name, value in changes.items():
        setattr(survey, name, value)
    return survey_events.SurveyAsked(
        survey=survey, url=url, ticket_subject=ticket.subject, recipient_name="Ivan"
    )


def received(external_id: str) -> intake_events.MessageReceived:
    message = message_pb2.InboundMessage(channel=EMAIL, external_id=external_id, conversation_id=CONVERSATION)
    message.received_time.FromDatetime(utcnow())
    return intake_events.MessageReceived(message=message)
