"""What was read of a message to the contract's messages, and page tokens."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from chassis.clock import uuid7
from chassis.errors import InvalidInput, Violation
from intake.domain import Address, Attachment, Kind, Mailboxes, Parcel, others_of, sender_of
from tickdesk.common.v1 import common_pb2
from tickdesk.intake.v1 import events_pb2, message_pb2

# An event must fit NATS with room for its headers.
_EVENT_BYTES = 800_000
# A client takes 4 MiB unless it was told otherwise.
_PAGE_BYTES = 3_000_000
_KINDS = {
    Kind.PERSON: message_pb2.AUTHOR_KIND_PERSON,
    Kind.AUTO_REPLY: message_pb2.AUTHOR_KIND_AUTO_REPLY,
    Kind.BOUNCE: message_pb2.AUTHOR_KIND_BOUNCE,
    Kind.LIST: message_pb2.AUTHOR_KIND_LIST,
}


def party(address: Address) -> message_pb2.Party:
    """A person at an address."""
    return message_pb2.Party(address=address.address, name=address.name)


def inbound_mail(parcel: Parcel, mailboxes: Mailboxes) -> message_pb2.InboundMessage:
    """A mail as the contract shows it, with fresh ids; its conversation and time are filled in later."""
    mail = parcel.mail
    message = message_pb2.InboundMessage(
        id=str(uuid7()),
        channel=common_pb2.CHANNEL_EMAIL,
        account=parcel.account,
        external_id=mail.message_id,
        sender=party(sender_of(parcel)),
        recipients=map(party, others_of(parcel, mailboxes)),
        subject=mail.subject,
        text=mail.text,
        reply_text=mail.reply,
        html=mail.html,
        attachments=map(attachment, mail.attachments),
        author_kind=_KINDS[mail.kind],
        nudge=mail.nudge,
        language=mail.language,
        failed_address=next(iter(mail.failure.addresses), "") if mail.failure else "",
        warnings=mail.warnings,
        raw_id=str(uuid7()),
    )
    if mail.sent_at is not None:
        message.claimed_time.FromDatetime(mail.sent_at)
    return message


def attachment(file: Attachment) -> common_pb2.Attachment:
    """A file with a fresh id."""
    return common_pb2.Attachment(
        id=str(uuid7()),
        filename=file.label,
        media_type=file.media_type,
        size_bytes=file.size,
        sha256=file.sha256,
        inline=file.inline,
        content_id=file.content_id,
    )


def received(message: message_pb2.InboundMessage) -> events_pb2.MessageReceived:
    """The event. What does not fit into one is left out of it and said so; GetMessage has all of it."""
    event = events_pb2.MessageReceived(message=message)
    inner = event.message
    for name in ("html", "text", "reply_text"):
        excess = event.ByteSize() - _EVENT_BYTES
        value = getattr(inner, name)
        if excess <= 0:
            break
        kept = "" if name == "html" else _cut(value, excess)
        setattr(inner, name, kept)
        inner.warnings.append(f"{name} is cut in the event; GetMessage has all of it")
    return event


def _cut(text: str, excess: int) -> str:
    data = text.encode()
    return data[: max(0, len(data) - excess - 200)].decode("utf-8", "ignore")


def page_of(
    found: list[message_pb2.InboundMessage], size: int
) -> tuple[list[message_pb2.InboundMessage], bool]:
    """At most `size` messages that fit into one gRPC answer, and whether there are more."""
    page: list[message_pb2.InboundMessage] = []
    weight = 0
    for message in found[:size]:
        weight += message.ByteSize()
        if page and weight > _PAGE_BYTES:
            break
        page.append(message)
    return page, len(page) < len(found)


def moment(stamp: Timestamp, name: str) -> datetime:
    """A timestamp of a request as an aware datetime. Raises InvalidInput for one out of range."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        wrong = Violation(name, "must be a time between the years 1 and 9999")
        raise InvalidInput(f"{name} is out of range", violations=[wrong]) from error
