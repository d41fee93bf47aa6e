"""What people answer in web forms, as values of custom fields."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from tickets.domain.fields import Field, FieldType, User, Value, all_fault, value_fault

# Thousands are written with plain, no-break and narrow spaces.
_SPACES = str.maketrans("", "", " \u00a0\u202f")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:[.,][0-9]{1,15})?")
_RUSSIAN_DAY = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})")
_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def read_answers(
    fields: Sequence[Field], answers: Mapping[str, str], zone: tzinfo | None
) -> tuple[dict[str, Value], dict[str, str]]:
    """Values of the answers (YT-11), and the answers that do not fit their field.

    An answer without a field of the queue stays a text. `zone` is the writer's, for times without an offset.
    """
    known = {each.key: each for each in fields}
    values: dict[str, Value] = {}
    left: dict[str, str] = {}
    for key, text in answers.items():
        if not text.strip():
            continue
        value = _fitting(known[key], text.strip(), zone) if key in known else text
        if value is None or all_fault({**values, key: value}):
            left[key] = text
        else:
            values[key] = value
    return values, left


def _fitting(field: Field, text: str, zone: tzinfo | None) -> Value | None:
    value = read_answer(field, text, zone)
    return None if value is None or value_fault(field, value) else value


def read_answer(field: Field, text: str, zone: tzinfo | None) -> Value | None:
    """What a person's words mean in a field; None when they mean nothing there."""
    match field.type:
        case FieldType.NUMBER:
            return _number(text)
        case FieldType.DATE:
            return _day(text)
        case FieldType.TIME:
            return _time(text, zone)
        case FieldType.ONE_OF:
            return _choice(field, text)
        case FieldType.MANY_OF:
            return _choices(field, text)
        case FieldType.USER:
            return User(text)
    return text


def _number(text: str) -> float | None:
    """With a point or a comma; no other spelling of a number is one that people write."""
    plain = text.translate(_SPACES)
    return float(plain.replace(",", ".")) if _NUMBER.fullmatch(plain) else None


def _day(text: str) -> datetime | None:
    iso = _iso(text)
    try:
        return datetime.fromisoformat(iso).replace(tzinfo=UTC) if _ISO_DAY.fullmatch(iso) else None
    except ValueError:
        return None


def _time(text: str, zone: tzinfo | None) -> datetime | None:
    """An instant; without an offset it is by the clock of the zone, and without a zone nobody knows when."""
    if ":" not in text:
        return None
    try:
        found = datetime.fromisoformat(_iso(text))
        if found.tzinfo is None and zone is None:
            return None
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _iso(text: str) -> str:
    return _RUSSIAN_DAY.sub(r"\3-\2-\1", text, count=1)


def _choice(field: Field, text: str) -> str | None:
    """The key of the choice that is meant by its key or by its name in either language."""
    said = text.strip().casefold()
    meant = (
        choice.key
        for choice in field.choices
        if said in (choice.key, choice.name.ru.casefold(), choice.name.en.casefold())
    )
    return next(meant, None) if said else None


def _choices(field: Field, text: str) -> tuple[str, ...] | None:
    if one := _choice(field, text):
        return (one,)
    found = [_choice(field, part) for part in text.replace(";", ",").split(",") if part.strip()]
    known = [each for each in found if each is not None]
    return tuple(dict.fromkeys(known)) if len(known) == len(found) else None
