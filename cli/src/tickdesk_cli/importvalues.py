"""Values in the cells of files of other desks: what they say, or that they say nothing."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from tickdesk.tickets.v1 import fields_pb2, ticket_pb2

_POINTS = ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y")
_MONTH_FIRST = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y")
_DAY_FIRST = ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y")
_YES = ("1", "true", "yes", "y", "t", "да", "истина", "internal", "private")
_NO = ("", "0", "false", "no", "n", "f", "нет", "ложь", "public")
# One comma with other than three digits behind it is that of a fraction, and none between thousands.
_COMMA = re.compile(r"[-+]?\d+,(?:\d{1,2}|\d{4,})")


class Unreadable(ValueError):
    """A value that means nothing."""


@dataclass(frozen=True, slots=True)
class Days:
    """How times are read: the zone of those without one, and whether 03/04/2024 is in April."""

    zone: tzinfo
    day_first: bool = False


def moment(text: str, days: Days) -> datetime:
    """An instant, UTC. Raises Unreadable."""
    plain = text.removesuffix(" UTC")
    for found in _readings(plain, days):
        zone = UTC if plain != text else days.zone
        try:
            return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
        except OverflowError:
            break
    raise Unreadable(f'"{text}" is no time: write it like 2026-11-22 09:30')


def _readings(text: str, days: Days) -> Iterator[datetime]:
    patterns = (*_POINTS, *(_DAY_FIRST if days.day_first else _MONTH_FIRST))
    for read in (datetime.fromisoformat, *(_by(each) for each in patterns)):
        try:
            yield read(text)
        except ValueError:
            continue


def _by(pattern: str) -> Any:
    return lambda text: datetime.strptime(text, pattern)  # noqa: DTZ007 - the zone comes after


def word(text: str, words: Mapping[str, int]) -> Any:
    """What a word stands for. Raises Unreadable."""
    # "2 normal" is how some number them.
    plain = re.sub(r"^\d+\s+", "", text.strip().lower())
    if plain not in words:
        raise Unreadable(f'"{text}" is none of {", ".join(words)}')
    return words[plain]


def is_yes(text: str) -> bool:
    """Whether a cell says yes. Raises Unreadable: a note that is taken for a letter is read by customers."""
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise Unreadable(f'"{text}" is neither yes nor no')


def field_value(text: str, kind: int, days: Days) -> ticket_pb2.FieldValue:
    """The value of a custom field of a type; several choices stand between commas. Raises Unreadable."""
    value = ticket_pb2.FieldValue()
    match kind:
        case fields_pb2.FIELD_TYPE_NUMBER:
            value.number = _number(text)
        case fields_pb2.FIELD_TYPE_DATE:
            value.time.FromDatetime(moment(text, Days(UTC, day_first=days.day_first)))
        case fields_pb2.FIELD_TYPE_TIME:
            value.time.FromDatetime(moment(text, days))
        case fields_pb2.FIELD_TYPE_MANY_OF:
            value.choices.values.extend(filter(None, (each.strip() for each in re.split("[,;]", text))))
        case fields_pb2.FIELD_TYPE_USER:
            value.user = text
        case _:
            value.text = text
    return value


def _number(text: str) -> float:
    plain = text.replace(",", ".") if _COMMA.fullmatch(text) else text
    try:
        return float(plain)
    except ValueError:
        raise Unreadable(f'"{text}" is no number: write it like 1234.5') from None
