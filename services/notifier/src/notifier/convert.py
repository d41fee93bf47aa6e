"""Between notifier's own things and the messages of the contracts; pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from notifier.domain import Audience, Delivery, Endpoint, State, is_address
from tickdesk.common.v1 import common_pb2
from tickdesk.notifier.v1 import delivery_pb2
from tickdesk.tickets.v1 import ticket_pb2, timeline_pb2

LANGUAGES = ("ru", "en")


def delivery_message(delivery: Delivery) -> delivery_pb2.Delivery:
    """A delivery as the contract shows it."""
    message = delivery_pb2.Delivery(
        id=str(delivery.id),
        channel=delivery_pb2.DeliveryChannel.Value(f"DELIVERY_CHANNEL_{delivery.channel.name}"),
        audience=delivery_pb2.Audience.Value(f"AUDIENCE_{delivery.audience.name}"),
        recipient=delivery.recipient,
        template=delivery.template,
        language=delivery.language,
        ticket_id=delivery.ticket_id,
        ticket_key=delivery.ticket_key,
        subject=delivery.subject,
        state=delivery_pb2.DeliveryState.Value(f"DELIVERY_STATE_{delivery.state.name}"),
        attempts=delivery.attempts,
        detail=delivery.detail,
        message_id=delivery.message_id,
    )
    message.created_time.FromDatetime(delivery.created_at)
    if delivery.next_at and delivery.state is State.PENDING:
        message.next_attempt_time.FromDatetime(delivery.next_at)
    if delivery.sent_at:
        message.sent_time.FromDatetime(delivery.sent_at)
    return message


def state_name(value: delivery_pb2.DeliveryState.ValueType) -> str:
    """The stored word of a state."""
    return State[delivery_pb2.DeliveryState.Name(value).removeprefix("DELIVERY_STATE_")].value


def audience_name(value: delivery_pb2.Audience.ValueType) -> str:
    """The stored word of an audience."""
    return Audience[delivery_pb2.Audience.Name(value).removeprefix("AUDIENCE_")].value


def pick_language(*wishes: str) -> str:
    """The first of the wishes that there are texts in."""
    return next((wish for wish in wishes if wish in LANGUAGES), "en")


def customer_email(ticket: ticket_pb2.Ticket, message: ticket_pb2.TicketMessage | None = None) -> str:
    """The address to write to: the one the message names, else the customer's first; may be empty."""
    if message is not None and message.channel == common_pb2.CHANNEL_EMAIL and is_address(message.address):
        return message.address.lower()
    contacts: Iterable[ticket_pb2.Contact] = ticket.customer.contacts
    mail = (one.address.lower() for one in contacts if one.channel == common_pb2.CHANNEL_EMAIL)
    return next(filter(is_address, mail), "")


def files(message: ticket_pb2.TicketMessage) -> list[dict[str, Any]]:
    """What a letter has to know of its files."""
    return [
        {"id": each.id, "name": each.filename, "media_type": each.media_type, "size": each.size_bytes}
        for each in message.attachments
    ]


def line_word(line: common_pb2.Line.ValueType) -> str:
    """`L2`; empty when not said."""
    return "" if line == common_pb2.LINE_UNSPECIFIED else common_pb2.Line.Name(line).removeprefix("LINE_")


def priority_word(priority: common_pb2.Priority.ValueType) -> str:
    """`high`."""
    return common_pb2.Priority.Name(priority).removeprefix("PRIORITY_").lower()


def reason_word(reason: timeline_pb2.EscalationReason.ValueType) -> str:
    """`sla_mark`."""
    return timeline_pb2.EscalationReason.Name(reason).removeprefix("ESCALATION_REASON_").lower()


def event_body(event: Message, event_id: str, at: datetime) -> str:
    """The JSON that other systems get; what only the desk may read is left out."""
    public = type(event)()
    public.CopyFrom(event)
    _strip(public)
    body = {
        "type": event.DESCRIPTOR.full_name,
        "id": event_id,
        "time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": MessageToDict(public),
    }
    return orjson.dumps(body).decode()


def chat_body(endpoint: Endpoint, text: str) -> str:
    """What a chat gets: words, in which nothing is markup or calls anybody."""
    if endpoint.format == "telegram":
        return orjson.dumps({"chat_id": endpoint.chat_id, "text": text}).decode()
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return orjson.dumps({"text": plain}).decode()


def _strip(event: Any) -> None:
    fields = event.DESCRIPTOR.fields_by_name
    ticket = getattr(event, "ticket", None)
    if isinstance(ticket, ticket_pb2.Ticket) and ticket.HasField("escalation"):
        event.ticket.escalation.ClearField("form")
    for name in ("note", "texts"):
        if name in fields:
            event.ClearField(name)
    if "message" in fields and event.message.visibility != ticket_pb2.VISIBILITY_PUBLIC:
        event.ClearField("message")
