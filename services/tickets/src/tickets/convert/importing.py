"""Imported tickets out of requests, and what became of them."""

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from chassis.clock import uuid7
from chassis.errors import InvalidInput, Violation
from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import importing_pb2 as pb
from tickdesk.tickets.v1 import ticket_pb2
from tickets.convert.fields import from_values
from tickets.convert.values import instant, known
from tickets.domain import rules
from tickets.domain.importing import Imported
from tickets.domain.model import (
    Actor,
    ActorKind,
    Contact,
    Line,
    Message,
    Priority,
    TicketType,
    Visibility,
)
from tickets.domain.statuses import StatusKind

_PLAIN = (
    *("external_id", "queue", "subject", "customer_name", "status", "assignee", "category", "component"),
    *("edition", "customer_number", "language"),
)


def from_ticket(told: pb.ImportTicket) -> Imported:
    """A ticket of another desk. Raises InvalidInput for an address, a channel or an author that is none."""
    plain = {name: getattr(told, name) for name in _PLAIN}
    return Imported(
        **plain,
        updated_time=_time(told.updated_time),
        resolved_time=_time(told.resolved_time),
        closed_time=_time(told.closed_time),
        sender=_sender(told.contact),
        status_kind=StatusKind(told.status_kind or StatusKind.NEW),
        type=TicketType(told.type) if told.type else None,
        priority=Priority(told.priority) if told.priority else None,
        line=Line(told.line) if told.line else None,
        tags=list(told.tags),
        fields=from_values(told.fields),
        created_time=instant(told.created_time),
        messages=[_message(each, f"messages[{at}]") for at, each in enumerate(told.messages)],
    )


def to_result(external_id: str, outcome: pb.ImportResult.Outcome.ValueType, key: str = "") -> pb.ImportResult:
    """A ticket that is here."""
    return pb.ImportResult(external_id=external_id, outcome=outcome, ticket_key=key)


def to_refusal(external_id: str, reason: str, faults: Sequence[Violation]) -> pb.ImportResult:
    """A ticket that is not."""
    return pb.ImportResult(
        external_id=external_id,
        outcome=pb.ImportResult.OUTCOME_REFUSED,
        reason=reason,
        faults=[pb.ImportFault(field=each.field, message=each.description) for each in faults],
    )


def _sender(told: ticket_pb2.Contact) -> Contact:
    if told.channel not in common_pb2.Channel.values()[1:]:
        text = "contact.channel must be a channel of the contract"
        raise InvalidInput(text, violations=[Violation("contact.channel", text)])
    return rules.contact(told.channel, told.address)


def _message(told: pb.ImportMessage, path: str) -> Message:
    kind = known(ActorKind, told.author.kind or ActorKind.CUSTOMER, f"{path}.author.kind")
    author = Actor(kind, told.author.id, told.author.name)
    return Message(
        id=str(uuid7()),
        ticket_id="",
        author=author,
        visibility=Visibility(told.visibility),
        text=told.text,
        created_time=instant(told.created_time),
    )


def _time(stamp: Timestamp) -> datetime | None:
    return instant(stamp) if stamp.ByteSize() else None
