"""Letters of the desk to customers."""

from chassis.clock import uuid7
from chassis.db import Tx
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import letters, workflow
from tickets.domain.letters import Envelope, Letter
from tickets.domain.model import Actor, ActorKind, Message, Ticket, Visibility
from tickets.handlers.change import keep_message, publish
from tickets.handlers.uploads import usable
from tickets.store import desk


async def send(tx: Tx, ticket: Ticket, author: Actor, letter: Letter) -> Message:
    """Write to the customer of a locked ticket, who hears of it by notifier; the caller saves the ticket.

    A robot may write from every line, and its letter stops no clock. Raises Refused, InvalidInput.
    """
    letter = letters.checked(letter)
    way = letters.addressed(letter, letters.envelope(ticket))
    if author.kind == ActorKind.ROBOT:
        workflow.robot_replied(ticket, tx.now)
    else:
        workflow.staff_replied(ticket, await desk.load_queue(tx, ticket.queue), author.id, tx.now)
    message = _message(tx, ticket, author, letter, way)
    message.attachments = await usable(tx, ticket, letter.attachment_ids)
    await keep_message(tx, ticket, message)
    event = events.TicketReplied(actor=convert.to_actor(author), message=convert.to_message(message))
    publish(tx, ticket, event)
    return message


def _message(tx: Tx, ticket: Ticket, author: Actor, letter: Letter, way: Envelope) -> Message:
    return Message(
        id=str(uuid7()),
        ticket_id=ticket.id,
        author=author,
        visibility=Visibility.PUBLIC,
        text=letter.text,
        created_time=tx.now,
        channel=way.conversation.channel,
        conversation_id=way.conversation.id,
        address=way.to or way.conversation.address,
        delivery_state="queued",
        subject=letter.subject,
        cc=list(way.cc),
    )
