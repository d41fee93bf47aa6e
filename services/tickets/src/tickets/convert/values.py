"""Numbers, instants and enums between domain and contract."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from chassis.errors import InvalidInput, Violation
from tickets.domain.model import Line

E = TypeVar("E", bound=IntEnum)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number(value: int) -> Any:
    """An enum for the wire: the numbers are the contract's (a test compares them), the stubs' type is not."""
    return int(value)


def numbers(values: Sequence[int]) -> Any:
    """Several of them."""
    return [int(each) for each in values]


def timestamp(value: datetime | None) -> Timestamp | None:
    """An instant for the wire; None stays unset."""
    if value is None:
        return None
    # Half of what Timestamp.FromDatetime takes, and a ticket has a dozen.
    since = value - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def instant(stamp: Timestamp) -> datetime:
    """An aware UTC instant."""
    return stamp.ToDatetime(tzinfo=UTC)


def instant_or(stamp: Timestamp, default: datetime) -> datetime:
    """The instant, or the default when it is not set."""
    return instant(stamp) if stamp.seconds else default


def lines(numbers: Sequence[int], path: str) -> list[Line]:
    """Lines of support, each once. Raises InvalidInput."""
    return [known(Line, each, path) for each in dict.fromkeys(numbers)]


def known(kind: type[E], number: int, path: str) -> E:
    """The member of an enum with this number. Raises InvalidInput naming the path."""
    try:
        return kind(number)
    except ValueError:
        text = f"{path} must be one of {', '.join(each.name for each in kind)}"
        raise InvalidInput(text, violations=[Violation(path, text)]) from None
