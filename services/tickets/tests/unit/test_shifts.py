"""Shifts: who is on duty when, by the clock of a zone."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.domain.shifts import Shift, on_duty, shift_faults

DAY = Shift(("anna",), "Europe/Moscow", "mon-fri", "09:00-18:00")
NIGHT = Shift(("boris",), "Europe/Moscow", "mon-fri", "22:00-06:00")
HOLIDAY = Shift(("vera",), "Europe/Moscow", "2027-01-04..2027-01-06", "10:00-14:00")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# 2026-11-20 is a Friday; Moscow is three hours ahead of UTC.
MOMENTS = [
    ("2026-11-20 05:59", set()),
    ("2026-11-20 06:00", {"anna"}),
    ("2026-11-20 14:59", {"anna"}),
    ("2026-11-20 15:00", set()),
    ("2026-11-20 19:00", {"boris"}),
    ("2026-11-21 02:59", {"boris"}),
    ("2026-11-21 03:00", set()),
    ("2026-11-21 10:00", set()),
    ("2026-11-23 02:00", set()),
    ("2027-01-04 07:00", {"vera"}),
    ("2027-01-04 11:00", set()),
    ("2027-01-07 07:00", {"anna"}),
]


@pytest.mark.parametrize(("moment", "who"), MOMENTS)
def test_those_whose_hours_they_are_are_on_duty(moment: str, who: set[str]) -> None:
    """MP-09: a duty on a holiday stands in for the usual shifts of that day."""
    assert on_duty([DAY, NIGHT, HOLIDAY], utc(moment)) == frozenset(who)


def test_without_shifts_everybody_is_on_duty() -> None:
    assert on_duty([], utc("2026-11-20 06:00")) is None


def test_a_shift_without_hours_lasts_the_whole_day() -> None:
    shift = Shift(("anna",), "Asia/Vladivostok", "sat, sun", "")
    assert on_duty([shift], utc("2026-11-20 14:00")) == frozenset({"anna"})
    assert on_duty([shift], utc("2026-11-20 13:59")) == frozenset()


def test_a_week_may_go_round_its_end() -> None:
    shift = Shift(("anna",), "UTC", "sat-mon")
    days = [on_duty([shift], utc(f"2026-11-{day} 12:00")) == frozenset({"anna"}) for day in range(16, 23)]
    assert days == [True, False, False, False, False, True, True]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 500_000))
def test_a_shift_of_every_day_is_as_long_as_its_hours(opens: int, closes: int, begin: int) -> None:
    clock = "{:02}:{:02}-{:02}:{:02}".format(*divmod(opens, 60), *divmod(closes, 60))
    shift = Shift(("anna",), "UTC", "mon-sun", clock)
    moments = [utc("2026-01-01 00:00") + timedelta(minutes=begin + 7 * step) for step in range(1440)]
    on = sum(bool(on_duty([shift], each)) for each in moments)
    # Seven and 1440 have no common divisor, so every minute of the day is looked at once.
    assert on == (closes - opens) % 1440 or (opens == closes and on == 1440)


WRONG = [
    ({"timezone": "Mars/Olympus"}, "timezone"),
    ({"timezone": "../etc"}, "timezone"),
    ({"days": "someday"}, "days"),
    ({"days": "mon-"}, "days"),
    ({"days": "2027-02-30"}, "days"),
    ({"days": "2027-01-06..2027-01-04"}, "days"),
    ({"days": "2027-01-01..2029-01-01"}, "days"),
    ({"days": ""}, "days"),
    ({"hours": "9-18"}, "hours"),
    ({"hours": "24:00-06:00"}, "hours"),
    ({"hours": "09:00-25:00"}, "hours"),
]


@pytest.mark.parametrize(("change", "field"), WRONG)
def test_a_shift_that_cannot_be_read_says_where(change: dict[str, str], field: str) -> None:
    shift = Shift(**{"agents": ("anna",), "timezone": "UTC", "days": "mon", **change})  # type: ignore[arg-type]
    assert [name for name, _ in shift_faults(shift)] == [field]


def test_a_whole_day_may_be_written_out() -> None:
    shift = Shift(("anna",), "UTC", "mon", "00:00-24:00")
    assert list(shift_faults(shift)) == []
    assert on_duty([shift], utc("2026-11-16 23:59")) == frozenset({"anna"})
