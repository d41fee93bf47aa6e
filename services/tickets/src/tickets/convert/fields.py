"""Values of custom fields between domain and contract."""

from collections.abc import Mapping
from datetime import datetime

from tickdesk.tickets.v1 import ticket_pb2
from tickets.convert.values import instant, timestamp
from tickets.domain.fields import User, Value


def to_value(value: Value) -> ticket_pb2.FieldValue:
    """A value for the wire."""
    match value:
        case str():
            return ticket_pb2.FieldValue(text=value)
        case datetime():
            return ticket_pb2.FieldValue(time=timestamp(value))
        case tuple():
            return ticket_pb2.FieldValue(choices=ticket_pb2.Choices(values=value))
        case User():
            return ticket_pb2.FieldValue(user=value.id)
    return ticket_pb2.FieldValue(number=value)


def from_value(value: ticket_pb2.FieldValue) -> Value:
    """A value out of a request; one that says nothing is an empty text, which no field takes."""
    match value.WhichOneof("kind"):
        case "number":
            return value.number
        case "time":
            return instant(value.time)
        case "choices":
            return tuple(value.choices.values)
        case "user":
            return User(value.user)
    return value.text


def from_values(values: Mapping[str, ticket_pb2.FieldValue]) -> dict[str, Value]:
    """Values by key, in the order of the keys."""
    return {key: from_value(values[key]) for key in sorted(values)}
