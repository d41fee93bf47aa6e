"""Custom fields: which values they take, how they are kept, what may be defined."""

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tickets.tests.unit.stories import START
from tickdesk.tickets.v1 import ticket_pb2
from tickets.convert.fields import from_value, from_values, to_value
from tickets.domain import fields
from tickets.domain.fields import Choice, Field, FieldType, User, Value
from tickets.domain.label import Label
from tickets.store import body

NAME = Label("Поле", "Field")
CHOICES = (
    Choice("a", Label("Да", "Yes")),
    Choice("b", Label("Нет", "No")),
    Choice("old", NAME, archived=True),
)
DAY = datetime(2026, 11, 20, tzinfo=UTC)

VALUES: st.SearchStrategy[Value] = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.timedeltas(timedelta(-20_000), timedelta(2_000_000)).map(lambda after: START + after),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True).map(tuple),
    st.builds(User, st.sampled_from(["anna", "boris"])),
)


def a_field(type_: FieldType, **more: Any) -> Field:
    choices = CHOICES if type_ in (FieldType.ONE_OF, FieldType.MANY_OF) else ()
    return Field(**{"key": "f", "name": NAME, "type": type_, "choices": choices, **more})


@given(VALUES)
def test_a_value_is_the_same_on_the_wire_and_in_the_database(value: Value) -> None:
    """YT-15: typed end to end."""
    assert from_value(to_value(value)) == value
    kept = body.to_fields(body.from_fields({"f": value}))
    assert kept == {"f": value}
    assert type(kept["f"]) is type(value)


def test_a_value_that_says_nothing_is_one_that_no_field_takes() -> None:
    empty = from_values({"f": ticket_pb2.FieldValue()})
    for type_ in FieldType:
        assert [each.field for each in fields.value_faults([a_field(type_)], empty)] == ["fields.f"]


GOOD: list[tuple[Field, Value]] = [
    (a_field(FieldType.TEXT), "x"),
    (a_field(FieldType.TEXT, min=2, max=3), "xyz"),
    (a_field(FieldType.NUMBER, min=-1, max=1.5), 1.5),
    (a_field(FieldType.DATE), DAY),
    (a_field(FieldType.TIME), START),
    (a_field(FieldType.ONE_OF), "b"),
    (a_field(FieldType.MANY_OF, max=2), ("b", "a")),
    (a_field(FieldType.USER), User("anna")),
]
BAD: list[tuple[Field, Value, str]] = [
    (a_field(FieldType.TEXT), "", "1 to 10000 characters"),
    (a_field(FieldType.TEXT), "x" * 10_001, "1 to 10000 characters"),
    (a_field(FieldType.TEXT, max=3), "four", "at most 3 characters"),
    (a_field(FieldType.TEXT), 1.0, "a text"),
    (a_field(FieldType.NUMBER, min=-1), -1.5, "at least -1"),
    (a_field(FieldType.NUMBER, max=1234567.25), 1234568.0, "at most 1234567.25"),
    (a_field(FieldType.NUMBER), math.inf, "finite"),
    (a_field(FieldType.NUMBER), math.nan, "finite"),
    (a_field(FieldType.NUMBER), "5", "a number"),
    (a_field(FieldType.DATE), DAY + timedelta(hours=1), "midnight in UTC"),
    (a_field(FieldType.DATE), datetime(2026, 11, 20, tzinfo=timezone(timedelta(hours=3))), "midnight in UTC"),
    (a_field(FieldType.TIME), "yesterday", "a time"),
    (a_field(FieldType.ONE_OF), "c", "of a, b"),
    (a_field(FieldType.ONE_OF), "old", "of a, b"),
    (a_field(FieldType.ONE_OF), ("a",), "a choice"),
    (a_field(FieldType.MANY_OF), (), "of a, b"),
    (a_field(FieldType.MANY_OF), ("a", "a"), "of a, b"),
    (a_field(FieldType.MANY_OF, min=2), ("a",), "at least 2 choices"),
    (a_field(FieldType.MANY_OF, max=1), ("a", "b"), "at most 1 choices"),
    (a_field(FieldType.USER), "anna", "a user"),
    (a_field(FieldType.TEXT, archived=True), "x", "archived"),
]


@pytest.mark.parametrize(("field", "value"), GOOD)
def test_a_value_that_keeps_the_rules_of_its_field_is_taken(field: Field, value: Value) -> None:
    assert fields.value_faults([field], {"f": value}) == []


@pytest.mark.parametrize(("field", "value", "wanted"), BAD)
def test_a_value_that_breaks_them_is_refused_in_words(field: Field, value: Value, wanted: str) -> None:
    (fault,) = fields.value_faults([field], {"f": value})
    assert fault.field == "fields.f"
    assert wanted in fault.description


def test_a_value_without_a_field_is_refused() -> None:
    (fault,) = fields.value_faults([a_field(FieldType.TEXT)], {"g": "x"})
    assert (fault.field, fault.description) == ("fields.g", "is no field of the queue")


def test_required_fields_are_missed_unless_archived() -> None:
    known = [
        a_field(FieldType.TEXT, key="always", required=True),
        a_field(FieldType.TEXT, key="sometimes"),
        a_field(FieldType.TEXT, key="gone", required=True, archived=True),
    ]
    assert fields.missing(known, {}) == ["always"]
    assert fields.missing(known, {"always": "x"}) == []


WRONG_DEFINITIONS: list[tuple[Field, str]] = [
    (a_field(FieldType.ONE_OF, choices=()), "fields[0].choices"),
    (a_field(FieldType.TEXT, choices=CHOICES), "fields[0].choices"),
    (a_field(FieldType.MANY_OF, choices=CHOICES + CHOICES), "fields[0].choices"),
    (a_field(FieldType.TIME, max=1), "fields[0].min"),
    (a_field(FieldType.NUMBER, min=2, max=1), "fields[0].max"),
]


@pytest.mark.parametrize(("field", "path"), WRONG_DEFINITIONS)
def test_a_field_that_cannot_work_is_not_defined(field: Field, path: str) -> None:
    assert [where for where, _ in fields.definition_faults([field])] == [path]


def test_two_fields_have_two_keys() -> None:
    both = [a_field(FieldType.TEXT), a_field(FieldType.NUMBER)]
    assert [where for where, _ in fields.definition_faults(both)] == ["fields[0].key", "fields[1].key"]


def test_a_field_keeps_its_type() -> None:
    field = a_field(FieldType.NUMBER)
    before, after = (
        {field.key: FieldType.TEXT, "gone": FieldType.TEXT},
        [a_field(FieldType.TEXT, key="new"), field],
    )
    assert [where for where, _ in fields.type_faults(before, after)] == ["fields[1].type"]
    assert fields.retyped(before, after) == [field.key]
    assert list(fields.type_faults({field.key: FieldType.NUMBER}, after)) == []
