"""How a ticket comes to be."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import replace

from chassis.clock import uuid7
from chassis.db import Tx
from chassis.errors import Violation
from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import events_pb2 as events
from tickets import metrics
from tickets.convert import tickets as convert
from tickets.convert import values
from tickets.domain import merging, rules, workflow
from tickets.domain.attributes import refuse
from tickets.domain.model import (
    Actor,
    ActorKind,
    Conversation,
    Customer,
    Message,
    Queue,
    Ticket,
    TicketType,
    Visibility,
)
from tickets.domain.opening import Opening, check_filled, complete, understand
from tickets.domain.routing import first_line
from tickets.domain.setup import Setup
from tickets.handlers import escalation_rules
from tickets.handlers.change import publish, unknown_users, write_note
from tickets.handlers.routing import assign_new
from tickets.handlers.setup import setup_of
from tickets.handlers.triggers import finish
from tickets.store import desk

_CONVERSATION_BYTES = 10
_DESK = Actor(ActorKind.SERVICE, "tickets")
_LEFT = {
    "ru": "Ответы формы, которым не нашлось поля:",
    "en": "Answers of the form that fit no field:",
}


async def open_ticket(tx: Tx, opening: Opening, actor: Actor | None = None) -> Ticket:
    """Open a ticket with its first message: find or make the customer, number it, tell the others.

    The actor is the writer unless somebody else opens it. Raises NotFound (QUEUE_NOT_FOUND), InvalidInput
    where somebody asks for a ticket that the setup of the queue does not allow.
    """
    admission = await desk.admit(tx, opening.queue, opening.sender, _newcomer(opening))
    queue, customer = admission.queue, admission.customer
    tx.read[f"queue/{queue.key}"] = queue
    setup = await setup_of(tx, queue.setup_id)
    opening, left = await _understood(tx, opening, setup, customer)
    opening = complete(opening, setup)
    if opening.customer_number and opening.customer_number not in customer.numbers:
        customer.numbers.append(opening.customer_number)
        await desk.add_number(tx, customer.id, opening.customer_number)
    ticket = _ticket(opening, queue, admission.number, customer)
    ticket.setup_id, ticket.workflow = queue.setup_id, setup.workflow
    ticket.line = first_line(ticket, setup.routing, setup.topics, queue)
    if opening.asked:
        check_filled(opening, ticket, setup)
    message = _first_message(opening, ticket)
    merging.join(ticket, *opening.people)
    workflow.opened(ticket)
    if opening.by_robot:
        workflow.noted(ticket)
    else:
        workflow.customer_wrote(ticket, opening.at)
    event = events.TicketOpened(
        actor=convert.to_actor(actor or message.author),
        message=convert.to_message(message),
        from_robot=opening.by_robot or not opening.answered,
    )
    publish(tx, ticket, event)
    if not opening.by_robot:
        await assign_new(tx, ticket, setup)
    await _escalate(tx, ticket, opening, admission)
    ticket.first_message = message
    if left:
        await write_note(tx, ticket, _DESK, _words(left, setup, ticket.language))
    await finish(tx, ticket)
    channel = common_pb2.Channel.Name(values.number(ticket.channel)).removeprefix("CHANNEL_").lower()
    labels = ticket.line.name, ticket.priority.name, channel
    tx.after_commit(lambda: metrics.CREATED.labels(*labels).inc())
    return ticket


async def _escalate(tx: Tx, ticket: Ticket, opening: Opening, admission: desk.Admission) -> None:
    """What the first message is a reason for, before the ticket is stored: no statement more."""
    queue = admission.queue
    if not opening.by_robot and opening.answered:
        await escalation_rules.after_message(tx, ticket, queue, f"{opening.subject}\n{opening.text}")
        await escalation_rules.after_contact(tx, ticket, queue, admission.earlier)
    await escalation_rules.after_change(
        tx, ticket, queue, ["priority", *(f"fields.{key}" for key in ticket.fields)]
    )


async def _understood(
    tx: Tx, opening: Opening, setup: Setup, customer: Customer
) -> tuple[Opening, dict[str, str]]:
    """With answers of a form as values, and the words that found no place."""
    opening, left = understand(opening, setup, customer.timezone)
    strangers = await unknown_users(tx, opening.fields)
    if opening.asked:
        refuse([Violation(f"fields.{key}", "must be an active agent") for key in strangers])
    if strangers:
        left |= {key: str(value) for key, value in opening.answers.items() if key in strangers}
        kept = {key: value for key, value in opening.fields.items() if key not in strangers}
        opening = replace(opening, fields=kept)
    return opening, left


def _words(left: Mapping[str, str], setup: Setup, language: str) -> str:
    """Answers that no field takes, for people."""
    names = {each.key: each.name[language] for each in setup.fields}
    lines = (f"{names.get(key) or key}: {text}" for key, text in left.items())
    return "\n".join([_LEFT.get(language, _LEFT["en"]), *lines])


def _newcomer(opening: Opening) -> Customer:
    return Customer(
        id=str(uuid7()),
        name=opening.sender_name or opening.sender.address,
        created_time=opening.at,
        contacts=[opening.sender],
        language=opening.language if opening.language in rules.LANGUAGES else "",
        numbers=[opening.customer_number] if opening.customer_number else [],
    )


def _ticket(opening: Opening, queue: Queue, number: int, customer: Customer) -> Ticket:
    language = rules.language_of(opening.language, customer, queue)
    # Channels without accounts of their own still need an address that letters come from.
    account = opening.account or next(iter(queue.addresses), "")
    conversation_id = opening.conversation_id or new_conversation_id()
    conversation = Conversation(conversation_id, opening.sender.channel, opening.sender.address, account)
    return Ticket(
        id=opening.ticket_id or str(uuid7()),
        queue=queue.key,
        number=number,
        subject=rules.subject_line(opening.subject, opening.text, language),
        customer=customer,
        priority=opening.priority or queue.default_priority,
        line=queue.first_line,
        channel=opening.sender.channel,
        created_time=opening.at,
        updated_time=opening.at,
        type=opening.type or TicketType.QUESTION,
        category=opening.category,
        component=opening.component,
        edition=opening.edition,
        language=language,
        customer_number=opening.customer_number,
        account=account,
        conversations=[conversation],
        observers=[customer.account_manager] if customer.account_manager else [],
        tags=opening.tags,
        fields=dict(opening.fields),
        parent_ticket_id=opening.parent_ticket_id,
        origin=opening.origin,
        from_robot=opening.by_robot,
    )


def _first_message(opening: Opening, ticket: Ticket) -> Message:
    if opening.by_robot:
        author = Actor(ActorKind.ROBOT, opening.sender.address, opening.sender_name)
    else:
        author = Actor(ActorKind.CUSTOMER, ticket.customer.id, ticket.customer.name)
    return Message(
        id=opening.message_id or str(uuid7()),
        ticket_id=ticket.id,
        author=author,
        visibility=Visibility.PUBLIC,
        text=opening.text,
        created_time=opening.at,
        full_text=opening.full_text,
        html=opening.html,
        attachments=opening.attachments,
        channel=opening.sender.channel,
        conversation_id=ticket.conversations[0].id,
        address=opening.sender.address,
    )


def new_conversation_id() -> str:
    """A conversation that begins here, in the shape that intake gives them."""
    return base64.b32encode(secrets.token_bytes(_CONVERSATION_BYTES)).decode().lower()
