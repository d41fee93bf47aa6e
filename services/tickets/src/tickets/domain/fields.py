"""Custom fields: what they are and which values they take."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, TypeAlias

from chassis.errors import Violation
from tickets.domain.label import Label

MAX_TEXT = 10_000
"""Characters of a text when its field does not say less."""


MAX_BYTES = 200_000
"""Bytes of all values of a ticket: each of its events holds them, beside what is written."""


@dataclass(frozen=True, slots=True)
class User:
    """An agent as a value."""

    id: str


Value: TypeAlias = str | float | datetime | tuple[str, ...] | User
"""Value of a custom field: a text or a choice, a number, an aware instant, several choices, an agent."""


class FieldType(IntEnum):
    """What the values of a field are."""

    TEXT = 1
    NUMBER = 2
    DATE = 3
    TIME = 4
    ONE_OF = 5
    MANY_OF = 6
    USER = 7


_WANTED = {
    FieldType.TEXT: "a text",
    FieldType.NUMBER: "a number",
    FieldType.DATE: "a day: the time of its midnight in UTC",
    FieldType.TIME: "a time",
    FieldType.ONE_OF: "the key of a choice, as text",
    FieldType.MANY_OF: "choices",
    FieldType.USER: "a user",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a field."""

    key: str
    name: Label
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A custom field. The bounds are of the number, the length of the text, or the count of choices."""

    key: str
    name: Label
    type: FieldType
    choices: tuple[Choice, ...] = ()
    min: float | None = None
    max: float | None = None
    required: bool = False
    archived: bool = False


def read_fields(documents: Iterable[Mapping[str, Any]]) -> tuple[Field, ...]:
    """The fields of a setup document that follows the contract."""
    return tuple(_read_field(each) for each in documents)


def read_value(document: Mapping[str, Any]) -> Value:
    """A value as a setup document has it; one that says nothing is an empty text, which no field takes."""
    match next(iter(document.items()), ("text", "")):
        case "number", number:
            return float(number)
        case "time", str(text):
            return datetime.fromisoformat(text).astimezone(UTC)
        case "choices", choices:
            return tuple(choices.get("values", ()))
        case "user", str(name):
            return User(name)
        case _, text:
            return str(text)


def value_faults(fields: Sequence[Field], values: Mapping[str, Value]) -> list[Violation]:
    """What is wrong with values that shall be set, each as `fields.<key>`. Agents are not looked up."""
    known = {each.key: each for each in fields}
    told = {
        key: value_fault(known[key], value) if key in known else "is no field of the queue"
        for key, value in values.items()
    }
    return [Violation(f"fields.{key}", text) for key, text in told.items() if text]


def all_fault(values: Mapping[str, Value]) -> str:
    """What is wrong with all values of a ticket together; empty when nothing is."""
    size = size_of(values)
    return f"must have at most {MAX_BYTES} bytes in all, these have {size}" if size > MAX_BYTES else ""


def size_of(values: Mapping[str, Value]) -> int:
    """About the bytes that values take."""
    return sum(len(key) + len(str(value).encode()) for key, value in values.items())


def value_fault(field: Field, value: Value) -> str:
    """What would be accepted instead of a value; empty when it is right."""
    if field.archived:
        return "is archived and takes no new values"
    match field.type, value:
        case FieldType.TEXT, str():
            return _text_fault(field, value)
        case FieldType.NUMBER, float():
            return _size_fault(field, value, "") if math.isfinite(value) else "must be a finite number"
        case FieldType.DATE, datetime() if _is_midnight(value):
            return ""
        case FieldType.ONE_OF, str():
            return _choice_fault(field, (value,))
        case FieldType.MANY_OF, tuple():
            return _choice_fault(field, value) or _size_fault(field, len(value), "choices")
        case (FieldType.TIME, datetime()) | (FieldType.USER, User()):
            return ""
    return f"must be {_WANTED[field.type]}"


def missing(fields: Sequence[Field], values: Mapping[str, Value], also: Sequence[str] = ()) -> list[str]:
    """Keys of the fields that must be filled and are not: the required ones, and those named besides."""
    wanted = [each.key for each in fields if not each.archived and (each.required or each.key in also)]
    return [key for key in wanted if key not in values]


def definition_faults(fields: Sequence[Field]) -> Iterator[tuple[str, str]]:
    """What is wrong with the fields of a setup: a path such as `fields[2].choices`, and what is wanted."""
    counts = Counter(each.key for each in fields)
    for index, field in enumerate(fields):
        if counts[field.key] > 1:
            yield f"fields[{index}].key", f"{field.key} must stand there once"
        for path, text in _definition_faults(field):
            yield f"fields[{index}].{path}", text


def retyped(earlier: Mapping[str, FieldType], after: Sequence[Field]) -> list[str]:
    """Keys of the fields that had another type."""
    return [each.key for each in after if earlier.get(each.key, each.type) != each.type]


def type_faults(earlier: Mapping[str, FieldType], after: Sequence[Field]) -> Iterator[tuple[str, str]]:
    """Fields whose type would change: what tickets hold would no longer be a value of them."""
    for index, field in enumerate(after):
        was = earlier.get(field.key, field.type)
        if was != field.type:
            yield f"fields[{index}].type", f"must stay {was.name}: a field of another type has another key"


def _read_field(document: Mapping[str, Any]) -> Field:
    plain = {name: document[name] for name in ("min", "max", "required", "archived") if name in document}
    return Field(
        key=document["key"],
        name=Label(**document.get("name", {})),
        type=FieldType[document["type"].removeprefix("FIELD_TYPE_")],
        choices=tuple(
            Choice(each["key"], Label(**each.get("name", {})), each.get("archived", False))
            for each in document.get("choices", ())
        ),
        **plain,
    )


def _definition_faults(field: Field) -> Iterator[tuple[str, str]]:
    chooses = field.type in (FieldType.ONE_OF, FieldType.MANY_OF)
    if chooses and not field.choices:
        yield "choices", "must not be empty"
    if not chooses and field.choices:
        yield "choices", f"must be empty: the type is {field.type.name}"
    if len({each.key for each in field.choices}) < len(field.choices):
        yield "choices", "must have a key of its own each"
    bounded = field.type in (FieldType.TEXT, FieldType.NUMBER, FieldType.MANY_OF)
    if not bounded and (field.min is not None or field.max is not None):
        yield "min", f"must not be set, nor max: the type is {field.type.name}"
    if field.min is not None and field.max is not None and field.min > field.max:
        yield "max", "must not be below min"


def _text_fault(field: Field, text: str) -> str:
    if not 0 < len(text) <= MAX_TEXT:
        return f"must have 1 to {MAX_TEXT} characters"
    return _size_fault(field, len(text), "characters")


def _size_fault(field: Field, size: float, unit: str) -> str:
    if field.min is not None and size < field.min:
        return f"must be at least {field.min:.15g} {unit}".rstrip()
    if field.max is not None and size > field.max:
        return f"must be at most {field.max:.15g} {unit}".rstrip()
    return ""


def _choice_fault(field: Field, keys: tuple[str, ...]) -> str:
    choices = [each.key for each in field.choices if not each.archived]
    if keys and len(set(keys)) == len(keys) and set(keys) <= set(choices):
        return ""
    return f"must be of {', '.join(choices)}"


def _is_midnight(time: datetime) -> bool:
    clock = time.astimezone(UTC).time()
    return clock == clock.min
