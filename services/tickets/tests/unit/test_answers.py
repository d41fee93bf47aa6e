"""Answers of web forms: what people write becomes a value, and nothing is lost."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tickets.tests.unit.test_fields import a_field
from tickets.domain.answers import read_answers
from tickets.domain.fields import MAX_BYTES, Field, FieldType, User, Value, size_of, value_faults

MOSCOW = ZoneInfo("Europe/Moscow")
ERROR_TIME = datetime(2026, 11, 20, 8, 55, tzinfo=UTC)

UNDERSTOOD: list[tuple[FieldType, str, Value]] = [
    (FieldType.TEXT, "  LP-1 ", "LP-1"),
    (FieldType.NUMBER, "1 990,50", 1990.5),
    (FieldType.NUMBER, "1\u00a0990.5", 1990.5),
    (FieldType.NUMBER, "-3", -3.0),
    (FieldType.DATE, "2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
    (FieldType.DATE, "20.11.2026", datetime(2026, 11, 20, tzinfo=UTC)),
    (FieldType.TIME, "2026-11-20T08:55:00Z", ERROR_TIME),
    (FieldType.TIME, "2026-11-20 11:55", ERROR_TIME),
    (FieldType.TIME, "20.11.2026 11:55", ERROR_TIME),
    (FieldType.ONE_OF, "a", "a"),
    (FieldType.ONE_OF, "нет", "b"),
    (FieldType.ONE_OF, "YES", "a"),
    (FieldType.MANY_OF, "Да; no, a", ("a", "b")),
    (FieldType.USER, "anna", User("anna")),
]
NOT_UNDERSTOOD = [
    (FieldType.NUMBER, "many"),
    (FieldType.NUMBER, "nan"),
    (FieldType.NUMBER, "1e9"),
    (FieldType.NUMBER, "1_000"),
    (FieldType.DATE, "31.02.2026"),
    (FieldType.DATE, "tomorrow"),
    (FieldType.DATE, "2026-W47-5"),
    (FieldType.TIME, "2026-11-20"),
    (FieldType.TIME, "at 8:55"),
    (FieldType.TIME, "0001-01-01 00:00"),
    (FieldType.ONE_OF, "maybe"),
    (FieldType.ONE_OF, "old"),
    (FieldType.MANY_OF, "yes, maybe"),
    (FieldType.MANY_OF, ", ;"),
]


@pytest.mark.parametrize(("type_", "text", "value"), UNDERSTOOD)
def test_words_become_a_value_of_the_field(type_: FieldType, text: str, value: Value) -> None:
    """YT-11: any answer, any field."""
    assert read_answers([a_field(type_)], {"f": text}, MOSCOW) == ({"f": value}, {})


@pytest.mark.parametrize(("type_", "text"), NOT_UNDERSTOOD)
def test_words_that_mean_no_value_are_given_back(type_: FieldType, text: str) -> None:
    """YT-11: nothing is lost."""
    assert read_answers([a_field(type_)], {"f": text}, MOSCOW) == ({}, {"f": text})


def test_a_time_without_an_offset_means_nothing_without_a_zone() -> None:
    field = a_field(FieldType.TIME)
    assert read_answers([field], {"f": "2026-11-20 11:55"}, None) == ({}, {"f": "2026-11-20 11:55"})
    assert read_answers([field], {"f": "2026-11-20T08:55Z"}, None) == ({"f": ERROR_TIME}, {})


def test_an_answer_that_no_field_asked_for_stays_a_text_and_an_empty_one_says_nothing() -> None:
    assert read_answers([], {"device": " LP-1", "blank": " "}, None) == ({"device": " LP-1"}, {})


def test_an_answer_to_an_archived_field_or_beyond_its_bounds_is_given_back() -> None:
    known = [a_field(FieldType.TEXT, archived=True), a_field(FieldType.NUMBER, key="n", max=5)]
    assert read_answers(known, {"f": "x", "n": "6"}, None) == ({}, {"f": "x", "n": "6"})


@given(st.sampled_from(FieldType), st.text(max_size=40), st.sampled_from([None, MOSCOW]))
def test_every_answer_is_a_right_value_or_given_back(
    type_: FieldType, text: str, zone: ZoneInfo | None
) -> None:
    """YT-11: whatever people write."""
    field: Field = a_field(type_)
    values, left = read_answers([field], {"f": text}, zone)
    assert value_faults([field], values) == []
    assert not text.strip() or (("f" in values) != ("f" in left))
    assert left in ({}, {"f": text})


def test_answers_that_would_fill_every_event_are_left_for_a_note() -> None:
    """YT-11: a form cannot make a ticket that is too large to be told of."""
    answers = {str(number): "я" * 10_000 for number in range(50)}
    values, left = read_answers((), answers, None)
    assert {**values, **left} == answers
    assert size_of(values) <= MAX_BYTES
    assert len(values) == 9
