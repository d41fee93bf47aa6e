"""How a ticket comes to be."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from chassis.clock import uuid7
from chassis.db import Tx
from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import events_pb2 as events
from tickets import metrics
from tickets.convert import tickets as convert
from tickets.convert import values
from tickets.domain import rules, workflow
from tickets.domain.fields import Value
from tickets.domain.model import (
    Actor,
    ActorKind,
    Attachment,
    Contact,
    Conversation,
    Customer,
    Message,
    Priority,
    Queue,
    Ticket,
    TicketType,
    Visibility,
)
from tickets.handlers.change import publish
from tickets.store import desk, setup
from tickets.store import tickets as store

_CONVERSATION_BYTES = 10


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known of a ticket before it exists. What is empty takes the queue's default."""

    queue: str
    sender: Contact
    subject: str
    text: str
    at: datetime
    sender_name: str = ""
    ticket_id: str = ""
    message_id: str = ""
    conversation_id: str = ""
    account: str = ""
    type: TicketType = TicketType.QUESTION
    priority: Priority | None = None
    category: str = ""
    language: str = ""
    customer_number: str = ""
    tags: list[str] = field(default_factory=list)
    fields: Mapping[str, Value] = field(default_factory=dict)
    full_text: str = ""
    html: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    parent_ticket_id: str = ""
    origin: str = ""
    by_robot: bool = False
    answered: bool = True


async def open_ticket(tx: Tx, opening: Opening, actor: Actor | None = None) -> Ticket:
    """Open a ticket with its first message: find or make the customer, number it, tell the others.

    The actor is the writer unless somebody else opens it. Raises NotFound (QUEUE_NOT_FOUND).
    """
    queue, number, customer = await desk.admit(tx, opening.queue, opening.sender, _newcomer(opening))
    if opening.customer_number and opening.customer_number not in customer.numbers:
        customer.numbers.append(opening.customer_number)
        await desk.add_number(tx, customer.id, opening.customer_number)
    ticket = _ticket(opening, queue, number, customer)
    ticket.workflow = await setup.workflow_of(tx, queue.setup_id)
    message = _first_message(opening, ticket)
    workflow.opened(ticket)
    if opening.by_robot:
        workflow.noted(ticket)
    else:
        workflow.customer_wrote(ticket, opening.at)
    event = events.TicketOpened(
        actor=convert.to_actor(actor or message.author),
        message=convert.event_message(message),
        from_robot=opening.by_robot or not opening.answered,
    )
    publish(tx, ticket, event)
    await store.create_ticket(tx, ticket, message)
    channel = common_pb2.Channel.Name(values.number(ticket.channel)).removeprefix("CHANNEL_").lower()
    labels = ticket.line.name, ticket.priority.name, channel
    tx.after_commit(lambda: metrics.CREATED.labels(*labels).inc())
    return ticket


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
    conversation_id = opening.conversation_id or _conversation_id()
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
        type=opening.type,
        category=opening.category,
        language=language,
        customer_number=opening.customer_number,
        account=account,
        conversations=[conversation],
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


def _conversation_id() -> str:
    """A conversation that begins here, in the shape that intake gives them."""
    return base64.b32encode(secrets.token_bytes(_CONVERSATION_BYTES)).decode().lower()
