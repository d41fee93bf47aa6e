"""What notifier learns from others, and what other systems are told of it."""

from collections.abc import Iterable
from dataclasses import replace

from chassis.db import Tx
from notifier import convert
from notifier.domain import Audience, Channel, Delivery, Endpoint, Rules, State, identity
from notifier.store import desk, ledger
from tickdesk.common.v1 import common_pb2
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.sla.v1 import events_pb2 as sla_events
from tickdesk.tickets.v1 import events_pb2 as ticket_events

TicketEvent = (
    ticket_events.TicketOpened
    | ticket_events.CustomerReplied
    | ticket_events.TicketReplied
    | ticket_events.NoteAdded
    | ticket_events.TicketTaken
    | ticket_events.TicketAssigned
    | ticket_events.TicketStatusChanged
    | ticket_events.TicketUpdated
    | ticket_events.TicketEscalated
    | ticket_events.TicketReturned
    | ticket_events.IncidentProposed
    | ticket_events.TicketResolved
    | ticket_events.TicketClosed
    | ticket_events.TicketReopened
    | ticket_events.TicketRated
    | ticket_events.TicketMerged
    | ticket_events.PeopleMentioned
    | ticket_events.WebhookRequested
    | ticket_events.NoticeRequested
)


async def ticket_changed(tx: Tx, event: TicketEvent, rules: Rules) -> None:
    """Remember the ticket, tell other systems."""
    await desk.put_ticket(tx, event.ticket)
    await tell_systems(tx, event, rules)


async def agent_changed(tx: Tx, event: ticket_events.AgentChanged, _: Rules) -> None:
    """Learn who is told what."""
    await desk.put_agent(tx, event.agent)


async def queue_changed(tx: Tx, event: ticket_events.QueueChanged, _: Rules) -> None:
    """Learn whose name letters carry."""
    await desk.put_queue(tx, event.queue)


async def message_received(tx: Tx, event: intake_events.MessageReceived, _: Rules) -> None:
    """Learn what the customer's last mail called itself."""
    message = event.message
    if message.channel == common_pb2.CHANNEL_EMAIL and message.external_id:
        at = message.received_time.ToDatetime(tzinfo=tx.now.tzinfo)
        await desk.put_conversation(tx, message.conversation_id, message.external_id, at)


async def tell_systems(tx: Tx, event: TicketEvent | sla_events.MarkReached, rules: Rules) -> None:
    """Queue the event for every endpoint that wants it."""
    name = event.DESCRIPTOR.full_name
    endpoints = [endpoint for endpoint in rules.endpoints if endpoint.wants(name)]
    if endpoints:
        await _post(tx, event, endpoints, rules)


async def webhook_requested(tx: Tx, event: ticket_events.WebhookRequested, rules: Rules) -> None:
    """Post what a rule says to the endpoint that it names, and to no other."""
    await desk.put_ticket(tx, event.ticket)
    named = [each for each in rules.endpoints if each.name == event.endpoint and each.format == "event"]
    if named:
        await _post(tx, event, named, rules)
    else:
        await ledger.add_deliveries(tx, [unknown_endpoint(tx, event, event.endpoint, rules)])


def post_of(tx: Tx, event: TicketEvent | sla_events.MarkReached, rules: Rules) -> Delivery:
    """A call of another system about a ticket; who gets it and its body are to be filled in."""
    return Delivery(
        id=identity("event", tx.event_id),
        channel=Channel.WEBHOOK,
        audience=Audience.SYSTEM,
        recipient="",
        template="event",
        language="en",
        ticket_id=event.ticket.id,
        ticket_key=event.ticket.key,
        created_at=tx.now,
        next_at=tx.now,
        give_up_at=tx.now + rules.keep_trying,
    )


def unknown_endpoint(tx: Tx, event: TicketEvent, name: str, rules: Rules) -> Delivery:
    """What a rule wanted to tell an endpoint that nobody set up, for people to see."""
    return replace(
        post_of(tx, event, rules),
        id=identity("event", tx.event_id, f"name:{name}"),
        recipient=name,
        next_at=None,
        state=State.SUPPRESSED,
        detail=f"the settings have no such endpoint named {name}",
    )


async def _post(
    tx: Tx, event: TicketEvent | sla_events.MarkReached, endpoints: Iterable[Endpoint], rules: Rules
) -> None:
    body = convert.event_body(event, tx.event_id, tx.event_time)
    post = replace(post_of(tx, event, rules), context={"id": tx.event_id, "body": body})
    posts = [
        replace(post, id=identity("event", tx.event_id, endpoint.url), recipient=endpoint.url)
        for endpoint in endpoints
    ]
    await ledger.add_deliveries(tx, posts)
