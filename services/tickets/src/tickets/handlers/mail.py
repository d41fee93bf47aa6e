"""Messages from outside become tickets, or join one; what became of our own letters."""

from dataclasses import replace
from datetime import timedelta

from chassis.db import Tx
from chassis.errors import Unavailable
from tickdesk.intake.v1 import events_pb2 as intake
from tickdesk.notifier.v1 import events_pb2 as notifier
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import merging, rules, workflow
from tickets.domain.model import Actor, ActorKind, Conversation, Message, Priority, Queue, Ticket, Visibility
from tickets.domain.opening import Opening
from tickets.domain.rules import AuthorKind, Inbound
from tickets.handlers import escalation_rules
from tickets.handlers.change import keep_note, publish, write_note
from tickets.handlers.desk import put_queue
from tickets.handlers.opening import open_ticket
from tickets.handlers.routing import queue_of_topic
from tickets.handlers.triggers import finish
from tickets.handlers.work import publish_reopened
from tickets.store import desk, messages
from tickets.store import tickets as store

_MAX_CONVERSATIONS = 100
_PATIENCE = timedelta(minutes=2)
_RELATED = {
    "ru": "Возможно, связано с {keys}: на переписку сослались без подтверждения.",
    "en": "Possibly related to {keys}: the message refers to it without proof.",
}
_UNDELIVERED = {
    "ru": "Письмо на {recipient} не доставлено: {detail}",
    "en": "The letter to {recipient} was not delivered: {detail}",
}


async def receive_message(tx: Tx, event: intake.MessageReceived, default_queue: str) -> None:
    """A message of intake: appended where it belongs, joined to the open ticket it means, or a new ticket."""
    inbound = convert.from_inbound(event.message, tx.now)
    if await messages.has_message(tx, inbound.id):
        return
    await _wait_for_turn(tx, inbound)
    ticket = await _known_ticket(tx, inbound)
    if ticket is None:
        queue = await desk.queue_of_account(tx, inbound.account, default_queue)
        if queue is None:
            # Mail may come before anybody set the desk up, and nothing accepted is lost.
            queue = (await put_queue(tx, Queue(default_queue, default_queue))).key
        if inbound.topic:
            queue = await queue_of_topic(tx, queue, inbound.topic)
        ticket = await _meant_ticket(tx, inbound, queue)
        if ticket is None:
            await _open(tx, inbound, queue)
            return
    if inbound.from_robot:
        await keep_note(tx, ticket, _note(ticket, inbound))
    else:
        await _append(tx, ticket, inbound)
    await finish(tx, ticket)


async def _wait_for_turn(tx: Tx, inbound: Inbound) -> None:
    """Raise Unavailable, so that the event comes again, while a message before this one is on its way.

    A reader that died holds its events back for a while and later ones overtake them: an answer would open
    the ticket that its question belongs to. What does not come is not waited for without an end."""
    if tx.now - inbound.received_time > _PATIENCE:
        return
    missing = await messages.missing(tx, inbound.preceding)
    if missing:
        raise Unavailable(f"message {missing[0]} comes before this one", reason="OUT_OF_ORDER")


async def delivery_sent(tx: Tx, event: notifier.DeliverySent) -> None:
    """A letter left: its message says so."""
    delivery = event.delivery
    if delivery.message_id:
        await messages.set_delivery(tx, delivery.message_id, "sent", delivery.recipient)


async def delivery_failed(tx: Tx, event: notifier.DeliveryFailed) -> None:
    """A letter was given up: its message says so and a note tells the agents; the status stays."""
    delivery = event.delivery
    letter, recipient = delivery.message_id, delivery.recipient
    if not letter or not (
        await messages.set_delivery(tx, letter, "failed", recipient)
        or await messages.is_copy(tx, letter, recipient)
    ):
        return
    ticket = await store.lock_or_none(tx, delivery.ticket_id)
    if ticket:
        detail = delivery.detail or delivery.template
        text = _in_language(_UNDELIVERED, ticket).format(recipient=delivery.recipient, detail=detail)
        await write_note(tx, ticket, Actor(ActorKind.SERVICE, "notifier"), text)
        await finish(tx, ticket)


async def _known_ticket(tx: Tx, inbound: Inbound) -> Ticket | None:
    """The ticket of the conversation. A bounce proves nothing but does no harm as a note where it points."""
    related = inbound.related if inbound.author_kind == AuthorKind.BOUNCE else []
    return await store.lock_by_conversation(tx, [inbound.conversation_id, *related])


async def _meant_ticket(tx: Tx, inbound: Inbound, queue: str) -> Ticket | None:
    if inbound.from_robot:
        return None
    meant = rules.ticket_to_join(inbound, await store.open_of_sender(tx, inbound.sender, queue))
    ticket = await store.lock_or_none(tx, meant.id) if meant else None
    # It may have been resolved in between; then this is a new request.
    return ticket if ticket and not workflow.is_over(ticket) else None


async def _open(tx: Tx, inbound: Inbound, queue: str) -> None:
    """A robot's mail that belongs nowhere is kept too, as a ticket of low priority nobody is answered on."""
    opening = Opening(
        queue=queue,
        sender=inbound.sender,
        sender_name=inbound.sender_name,
        subject=inbound.subject,
        text=inbound.text,
        at=inbound.received_time,
        message_id=inbound.id,
        conversation_id=inbound.conversation_id,
        account=inbound.account,
        priority=Priority.LOW if inbound.from_robot else None,
        topic=inbound.topic,
        language=inbound.language,
        customer_number=inbound.customer_number,
        answers=inbound.fields,
        full_text=inbound.full_text,
        html=inbound.html,
        attachments=inbound.attachments,
        by_robot=inbound.from_robot,
        people=rules.people_of(inbound),
    )
    ticket = await open_ticket(tx, opening)
    keys = await store.keys_of(tx, inbound.related) if inbound.related else []
    if keys:
        text = _in_language(_RELATED, ticket).format(keys=", ".join(keys))
        await write_note(tx, ticket, Actor(ActorKind.SERVICE, "tickets"), text)
        await finish(tx, ticket)


async def _append(tx: Tx, ticket: Ticket, inbound: Inbound) -> None:
    message = _message(ticket, inbound)
    actor = convert.to_actor(message.author)
    if workflow.is_over(ticket):
        workflow.reopen(ticket, inbound.received_time)
        publish_reopened(tx, ticket, message.author)
    came = workflow.customer_wrote(ticket, inbound.received_time)
    merging.join(ticket, *rules.people_of(inbound))
    await _note_conversation(tx, ticket, inbound)
    await messages.add_message(tx, message)
    publish(tx, ticket, events.CustomerReplied(actor=actor, message=convert.to_message(message)))
    queue = await desk.load_queue(tx, ticket.queue)
    await escalation_rules.after_message(tx, ticket, queue, inbound.text)
    if came:
        earlier = await store.earlier_contacts(tx, ticket, inbound.received_time)
        await escalation_rules.after_contact(tx, ticket, queue, earlier)


async def _note_conversation(tx: Tx, ticket: Ticket, inbound: Inbound) -> None:
    """The conversation that the customer used last is the one that replies leave by."""
    known = {each.id: each for each in ticket.conversations}
    conversation = known.pop(inbound.conversation_id, None)
    if conversation is None:
        sender = inbound.sender
        conversation = Conversation(inbound.conversation_id, sender.channel, sender.address, inbound.account)
        await store.add_conversation(tx, ticket, conversation)
    ticket.conversations = [*known.values(), conversation][-_MAX_CONVERSATIONS:]


def _message(ticket: Ticket, inbound: Inbound) -> Message:
    # Somebody else may write in the customer's thread: then the name is theirs and the id is nobody's.
    known = inbound.sender in ticket.customer.contacts
    name = ticket.customer.name if known else inbound.sender_name or inbound.sender.address
    return Message(
        id=inbound.id,
        ticket_id=ticket.id,
        author=Actor(ActorKind.CUSTOMER, ticket.customer.id if known else "", name),
        visibility=Visibility.PUBLIC,
        text=inbound.text,
        created_time=inbound.received_time,
        full_text=inbound.full_text,
        html=inbound.html,
        attachments=inbound.attachments,
        channel=inbound.channel,
        conversation_id=inbound.conversation_id,
        address=inbound.sender.address,
    )


def _note(ticket: Ticket, inbound: Inbound) -> Message:
    robot = Actor(ActorKind.ROBOT, inbound.sender.address, inbound.sender_name)
    return replace(
        _message(ticket, inbound),
        author=robot,
        visibility=Visibility.INTERNAL,
        channel=0,
        conversation_id="",
        address="",
    )


def _in_language(texts: dict[str, str], ticket: Ticket) -> str:
    return texts.get(ticket.language, texts["en"])
