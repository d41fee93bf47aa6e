"""Builders of the domain."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from tickets.domain import escalation, workflow
from tickets.domain.escalation import Step
from tickets.domain.model import Agent, Contact, Customer, Line, Priority, Queue, Reason, Ticket
from tickets.domain.rules import Inbound
from tickets.domain.timeline import Fact

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Minutes after the start of the story."""
    return START + timedelta(minutes=minutes)


def a_fact(kind: type[Fact]) -> Fact:
    """A fact of a kind with something in every field."""
    values = {datetime: at(1), int: 2, str: "x", bool: True, tuple[str, ...]: ("a", "b")}
    arguments: Any = {each.name: values[each.type] for each in fields(kind)}  # type: ignore[index]
    return kind(**arguments)


def a_customer(**fields: Any) -> Customer:
    contacts = [Contact(1, "client@client.example")]
    return Customer(**{"id": "c1", "name": "Kim", "created_time": START, "contacts": contacts, **fields})


def a_ticket(**fields: Any) -> Ticket:
    """A ticket that the customer just opened."""
    values: dict[str, Any] = {
        "id": "t1",
        "queue": "SUP",
        "number": 1,
        "subject": "Printer on fire",
        "customer": a_customer(),
        "priority": Priority.NORMAL,
        "line": Line.L1,
        "channel": 1,
        "created_time": START,
        "updated_time": START,
        **fields,
    }
    ticket = Ticket(**values)
    workflow.opened(ticket)
    workflow.customer_wrote(ticket, START)
    return ticket


def an_agent(name: str = "anna", *lines: Line) -> Agent:
    return Agent(id=name, name=name.title(), lines=list(lines) or [Line.L1])


def in_status(status: str) -> Ticket:
    """A ticket brought to a status by its own verbs."""
    ticket = a_ticket()
    if status == "new":
        return ticket
    workflow.take(ticket, an_agent(), [], at(1))
    if status == "waiting":
        workflow.change_status(ticket, "waiting", at(2))
    if status == "escalated":
        escalation.escalate(ticket, Step(Reason.BY_AGENT), Line.L3, at(2))
    if status in ("resolved", "closed"):
        workflow.resolve(ticket, "anna", at(2))
    if status == "closed":
        workflow.close(ticket, at(3), confirmed=True)
    assert ticket.status == status
    return ticket


def a_queue(**fields: Any) -> Queue:
    return Queue(**{"key": "SUP", "name": "Support", **fields})


def an_inbound(**fields: Any) -> Inbound:
    values: dict[str, Any] = {
        "id": "m1",
        "channel": 1,
        "account": "help@desk.example",
        "conversation_id": "conv",
        "sender": Contact(1, "client@client.example"),
        "sender_name": "Kim",
        "subject": "Printer on fire",
        "text": "It burns.",
        "full_text": "",
        "received_time": START,
        **fields,
    }
    return Inbound(**values)
