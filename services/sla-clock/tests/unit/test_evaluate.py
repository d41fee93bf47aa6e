"""What foreign programs ask the calendar: exact answers, exact complaints, and a slow reference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sla_clock.calendar import MICROS, Calendar, moment
from sla_clock.evaluate import MAX_LINE, answer, due_with, worked_with

from .test_calendar import DURATIONS, INSTANTS, calendars, walked
from .times import HOUR, MINUTE, at

OFFICE = {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
FRIDAY = "2026-11-20T17:00:00+03:00"


def ask(**question: Any) -> dict[str, Any]:
    asked = {"id": 1, "timezone": "Europe/Moscow", "weekly": OFFICE, "start": FRIDAY} | question
    told = answer(json.dumps(asked).encode(), 7)
    assert told.endswith(b"\n")
    read: dict[str, Any] = json.loads(told)
    return read


def due(**question: Any) -> str:
    told = ask(**question)
    assert set(told) == {"id", "due"}, told
    return str(told["due"])


def elapsed(**question: Any) -> object:
    told = ask(**question)
    assert set(told) == {"id", "elapsed_s"}, told
    return told["elapsed_s"]


def test_due_is_told_with_the_offset_of_the_zone() -> None:
    assert ask(duration_s=7200) == {"id": 1, "due": "2026-11-23T10:00:00+03:00"}
    assert due(duration_s=3600, start="2026-11-20T14:00:00Z", timezone="America/New_York") == (
        "2026-11-20T10:00:00-05:00"
    )


def test_time_that_runs_out_at_closing_is_due_at_closing() -> None:
    assert due(duration_s=3600) == "2026-11-20T18:00:00+03:00"
    assert due(duration_s=3600.000001) == "2026-11-23T09:00:00.000001+03:00"


def test_nothing_to_work_is_due_at_the_start_itself() -> None:
    assert due(duration_s=0, start="2026-11-21T03:00:00+03:00") == "2026-11-21T03:00:00+03:00"


def test_elapsed_seconds_are_whole_where_they_are_and_keep_microseconds() -> None:
    assert ask(end="2026-11-23T10:00:00+03:00") == {"id": 1, "elapsed_s": 7200}
    assert elapsed(end="2026-11-20T17:00:00.500001+03:00") == 0.500001
    assert elapsed(end="2026-11-20T16:00:00+03:00") == 0


def test_both_may_be_asked_at_once() -> None:
    told = ask(duration_s=60, end="2026-11-20T17:30:00+03:00", id="both")
    assert told == {"id": "both", "due": "2026-11-20T17:01:00+03:00", "elapsed_s": 1800}


@pytest.mark.parametrize(
    "weekly",
    [
        {"Friday": ["09:00-18:00"], "MON": "09:00-18:00"},
        {"4": [["9:00", "18:00"]], "0": ["09:00", "18:00"]},
        {"mon,fri": [{"from": "09:00", "to": "18:00"}]},
        {"mon": [["09:00", "12:00"], ["12:00", "18:00"]], "fri": [["09:00", "15:00"], ["10:00", "18:00"]]},
        [["09:00-18:00"], None, [], "closed", [["09:00:00", "18:00"]], [], []],
    ],
)
def test_hours_may_be_written_in_many_ways(weekly: object) -> None:
    assert due(weekly=weekly, duration_s=7200) == "2026-11-23T10:00:00+03:00"


def test_nights_and_whole_days_are_hours_too() -> None:
    nights = {"fri": [["22:00", "06:00"]]}
    assert due(weekly=nights, duration_s=7 * 3600) == "2026-11-21T05:00:00+03:00"
    assert due(weekly={"fri": [["18:00", "24:00"]]}, duration_s=6 * 3600) == "2026-11-21T00:00:00+03:00"
    assert due(weekly="always", duration_s=86_400) == "2026-11-21T17:00:00+03:00"
    assert due(weekly={"mon-sun": [["00:00", "24:00"]]}, duration_s=86_400) == "2026-11-21T17:00:00+03:00"


def test_holidays_are_dates_named_dates_or_a_country() -> None:
    for holidays in (["2026-11-23"], {"2026-11-23": "Day off"}, [{"date": "2026-11-23", "name": "Day off"}]):
        assert due(holidays=holidays, duration_s=7200) == "2026-11-24T10:00:00+03:00"
    for country in ("RU", {"country": "RU"}):
        new_year = {"holidays": country, "start": "2026-12-30T17:00:00+03:00"}
        assert due(**new_year, duration_s=7200) == "2027-01-11T10:00:00+03:00"


def test_an_override_is_stronger_than_weekday_and_holiday() -> None:
    overrides = {"2026-11-21": [["10:00", "10:30"]], "2026-11-23": [["09:00", "09:15"]], "2026-11-24": []}
    asked = {"overrides": overrides, "holidays": ["2026-11-21", "2026-11-23", "2026-11-24"]}
    assert due(**asked, duration_s=3600 + 1800) == "2026-11-21T10:30:00+03:00"
    assert due(**asked, duration_s=3600 + 1800 + 900 + 1) == "2026-11-25T09:00:01+03:00"


def test_a_pause_takes_away_only_working_time() -> None:
    over_the_weekend = ["2026-11-20T17:30:00+03:00", "2026-11-23T09:15:00+03:00"]
    assert due(pauses=[over_the_weekend], duration_s=3600) == "2026-11-23T09:45:00+03:00"
    assert elapsed(pauses=[over_the_weekend], end="2026-11-23T10:00:00+03:00") == 1800 + 2700


def test_pauses_that_overlap_count_once_in_any_order() -> None:
    pauses = [
        ["2026-11-20T17:20:00+03:00", "2026-11-20T17:40:00+03:00"],
        ["2026-11-20T17:10:00+03:00", "2026-11-20T17:30:00+03:00"],
        ["2026-11-20T17:15:00+03:00", "2026-11-20T17:16:00+03:00"],
    ]
    assert due(pauses=pauses, duration_s=1200) == "2026-11-20T17:50:00+03:00"
    assert elapsed(pauses=pauses, end="2026-11-20T17:35:00+03:00") == 600


def test_time_that_runs_out_when_a_pause_begins_is_due_then() -> None:
    pause = ["2026-11-20T17:10:00+03:00", None]
    assert due(pauses=[pause], duration_s=600) == "2026-11-20T17:10:00+03:00"
    assert ask(pauses=[pause], duration_s=601) == {
        "id": 1,
        "error": "pauses: the pause from 2026-11-20T17:10:00+03:00 has no end and 1 s are left then, "
        "so it never falls due",
    }
    assert elapsed(pauses=[pause], end="2026-11-23T17:10:00+03:00") == 600


def test_a_time_without_offset_is_wall_time_of_the_zone() -> None:
    berlin = {"timezone": "Europe/Berlin", "weekly": "always"}
    assert due(**berlin, start="2026-10-25T02:30:00", duration_s=1) == "2026-10-25T02:30:01+02:00"
    assert due(**berlin, start="2026-03-29T02:30:00", duration_s=1) == "2026-03-29T03:00:01+02:00"


def test_days_of_a_clock_change_count_real_seconds() -> None:
    berlin = {"timezone": "Europe/Berlin", "weekly": "always"}
    assert elapsed(**berlin, start="2026-03-29", end="2026-03-30") == 23 * 3600
    assert elapsed(**berlin, start="2026-10-25", end="2026-10-26") == 25 * 3600


@pytest.mark.parametrize(
    ("question", "error"),
    [
        ({"start": None}, "start: is missing"),
        ({"start": 5}, "start: is not a time in quotes"),
        ({"start": "soon"}, "start: 'soon' is not a time; write 2026-11-20T18:50:00+03:00"),
        ({"start": "0001-01-01"}, "start: '0001-01-01' is not within the years 1901 to 9900"),
        ({}, "duration_s: is missing, and so is end; give one of them, or both"),
        ({"duration_s": -1}, "duration_s: is not a number of seconds, 0 or more"),
        ({"duration_s": True}, "duration_s: is not a number of seconds, 0 or more"),
        ({"duration_s": float("nan")}, "duration_s: is not a number of seconds, 0 or more"),
        ({"duration_s": "nan"}, "duration_s: is not a number of seconds, 0 or more"),
        ({"duration_s": 1e300}, "duration_s: is more than 100 years of working time"),
        (
            {"timezone": "Mars/Base"},
            "timezone: there is no time zone 'Mars/Base'; write one like Europe/Moscow",
        ),
        ({"timezone": 3}, "timezone: is not the name of a zone, such as Europe/Moscow"),
        ({"weekly": None}, 'weekly: is not hours by weekday, such as {"mon": [["09:00", "18:00"]]}'),
        ({"weekly": {"7": []}}, "weekly.7: is not a weekday; write mon, monday or 0 for Monday"),
        ({"weekly": {"mon": 9}}, 'weekly.mon: is not a list of hours, such as [["09:00", "18:00"]]'),
        (
            {"weekly": {"mon": [["09:00", "25:00"]]}},
            "weekly.mon: '25:00' is not a time of day between 00:00 and 24:00",
        ),
        (
            {"weekly": {"mon": [["09:00", "12:00"], [1]]}},
            'weekly.mon[1]: is not a stretch of hours; write ["09:00", "18:00"]',
        ),
        (
            {"weekly": {"mon": [["24:00", "06:00"]]}},
            "weekly.mon: '24:00-06:00' opens at 24:00, when its day is over; write 00:00 of the next day",
        ),
        (
            {"weekly": {"mon": [[9, 18]]}},
            'weekly.mon: is not two times in quotes; write ["09:00", "18:00"]',
        ),
        (
            {"weekly": {"mon": [["09:00", 18]]}},
            'weekly.mon: is not two times in quotes; write ["09:00", "18:00"]',
        ),
        (
            {"weekly": {"mon": [[None, "18:00"]]}},
            'weekly.mon: is not two times in quotes; write ["09:00", "18:00"]',
        ),
        (
            {"weekly": {"mon": [{"from": "09:00"}]}},
            'weekly.mon: has no closing time; write ["09:00", "18:00"]',
        ),
        (
            {"overrides": {"2026-11-23": [["09:00", None]]}},
            'overrides.2026-11-23: has no closing time; write ["09:00", "18:00"]',
        ),
        ({"weekly": {"mon": ["09:00-"]}}, "weekly.mon: '' is not a time of day; write it as 09:00"),
        ({"weekly": {"mon": ["9-18"]}}, "weekly.mon: '9' is not a time of day; write it as 09:00"),
        ({"holidays": "XX"}, "holidays: there are no holidays for 'XX'; use a two-letter code such as RU"),
        (
            {"holidays": {"country": "RU", "subdivision": "XX"}},
            "holidays.subdivision: RU has no subdivision 'XX'",
        ),
        ({"holidays": [5]}, "holidays[0]: is not a date in quotes; write 2026-12-31"),
        ({"holidays": [{"name": "x"}]}, "holidays[0]: is not a date in quotes; write 2026-12-31"),
        (
            {"end": "2127-12-31T00:00:00Z", "start": "2026-11-20T14:00:00Z"},
            "end: is more than 100 years after start; ask for a nearer end",
        ),
        (
            {"end": "9900-01-01T00:00:00Z", "start": "1901-01-01"},
            "end: is more than 100 years after start; ask for a nearer end",
        ),
        ({"holidays": ["x"]}, "holidays[0]: 'x' is not a date; write 2026-12-31"),
        ({"holidays": 5}, "holidays: is neither a list of dates nor a country"),
        ({"overrides": []}, "duration_s: is missing, and so is end; give one of them, or both"),
        (
            {"overrides": ["x"]},
            'overrides: is not hours by date, such as {"2026-12-31": [["09:00", "13:00"]]}',
        ),
        ({"overrides": {"x": []}}, "overrides: 'x' is not a date; write 2026-12-31"),
        ({"pauses": {}}, "pauses: is not a list of [from, to]"),
        ({"pauses": [["x"]]}, "pauses[0]: is not a pause; write [from, to]"),
        ({"pauses": [["2026-11-21", "2026-11-20"]]}, "pauses[0]: ends before it begins"),
        (
            {"weekly": {}, "duration_s": 1},
            "calendar 'of the question' has no working time in the 10 years up to 2036, so the target is "
            "never reached; give it hours",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_key(question: dict[str, object], error: str) -> None:
    assert ask(**question) == {"id": 1, "error": error}


def test_a_century_may_be_asked_for() -> None:
    asked = {"weekly": {"mon": ["09:00-09:01"]}, "start": "2001-01-01", "timezone": "UTC"}
    assert elapsed(**asked, end="2101-01-01") == 60 * 5218


def test_only_years_that_matter_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of the year 9000 does not change what falls due tomorrow."""
    compiled: list[int] = []
    hours = Calendar._hours

    def counted(calendar: Calendar, year: int) -> Iterator[tuple[int, int]]:
        compiled.append(year)
        return hours(calendar, year)

    monkeypatch.setattr(Calendar, "_hours", counted)
    pauses = [["2026-11-20T17:30:00+03:00", "2026-11-23T09:15:00+03:00"], ["9000-01-01", None]]
    asked = {"weekly": {**OFFICE, "sun": [["01:23", "01:24"]]}, "pauses": pauses}
    assert due(**asked, duration_s=3600) == "2026-11-23T09:45:00+03:00"
    assert set(compiled) == {2026}


def test_a_refusal_is_the_same_however_often_it_is_asked_for() -> None:
    weeks: list[dict[str, Any]] = [{"weekly": {}}, {"weekly": {"mon": [["09:00", "09:01"]]}}]
    for question in weeks:
        first = ask(**question, duration_s=99 * 366 * 86_400)
        assert all(ask(**question, duration_s=99 * 366 * 86_400) == first for _ in range(3))


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            b"{",
            "the line is not JSON: "
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (b"[]", "the line is not a JSON object"),
        (b"\xff", "the line is not UTF-8"),
        (b"[" * 100_000, "the line is nested too deeply"),
        (b" " * (MAX_LINE + 1), f"the line is longer than {MAX_LINE} bytes"),
    ],
)
def test_a_line_that_is_no_question_is_answered_with_its_number(line: bytes, error: str) -> None:
    assert json.loads(answer(line, 7)) == {"id": None, "error": error, "line": 7}


def test_a_byte_order_mark_before_the_first_line_is_no_part_of_it() -> None:
    question = json.dumps({"id": 1, "weekly": "24/7", "start": FRIDAY, "end": FRIDAY})
    assert json.loads(answer(b"\xef\xbb\xbf" + question.encode(), 1)) == {"id": 1, "elapsed_s": 0}


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400", "1e9999999999999999999"])
def test_numbers_beyond_counting_stop_nothing_and_are_no_numbers_of_an_answer(number: str) -> None:
    told = answer(f'{{"id": {number}, "weekly": "24/7", "duration_s": {number}}}'.encode(), 1)
    assert json.loads(told, parse_constant=pytest.fail)["id"] in (number, number.replace("e", "E+"))


def test_any_id_comes_back_as_it_was() -> None:
    for identity in ("Привет", 1.5, None, {"a": [1]}, "\ud800", True):
        assert ask(id=identity, duration_s=1)["id"] == identity


PAUSES = st.lists(st.tuples(INSTANTS, st.integers(0, 90 * HOUR)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(calendars(), INSTANTS, DURATIONS, PAUSES)
def test_up_to_due_exactly_the_duration_was_worked(
    calendar: Calendar, start: int, duration: int, drawn: list[tuple[int, int]]
) -> None:
    pauses = merged(drawn)
    end = due_with(calendar, start, duration, pauses)
    assert worked_with(calendar, start, end, pauses) == duration
    assert worked_with(calendar, start, end - 1, pauses) == duration - 1


def merged(drawn: list[tuple[int, int]]) -> list[tuple[int, int | None]]:
    pauses: list[tuple[int, int | None]] = []
    edge = 0
    for begins, length in sorted(drawn):
        if begins > edge:
            pauses.append((begins, begins + length))
            edge = begins + length
    return pauses


@settings(max_examples=12, deadline=None)
@given(
    calendars(),
    st.sampled_from(["2026-03-28", "2026-10-03", "2026-10-24", "2026-06-15"]),
    st.integers(0, 48 * 60),
    st.lists(st.tuples(st.integers(0, 48 * 60), st.integers(0, 600)), max_size=3),
)
def test_a_minute_walker_agrees_on_the_wire(
    calendar: Calendar, day: str, minutes: int, drawn: list[tuple[int, int]]
) -> None:
    """The slow reference counts the minutes of each stretch between the pauses, on its own."""
    start = at(day)
    end = start + minutes * MINUTE
    pauses = [(start + a * MINUTE, start + (a + length) * MINUTE) for a, length in drawn]
    told = json.loads(answer(json.dumps(question(calendar, start, end, pauses)).encode(), 1))
    free, edge = 0, start
    for begins, ends in sorted(pauses):
        free += walked(calendar, edge, min(begins, end)) if begins > edge else 0
        edge = max(edge, ends)
    free += walked(calendar, edge, end) if end > edge else 0
    assert told == {"id": None, "elapsed_s": free // MICROS}


def question(calendar: Calendar, start: int, end: int, pauses: list[tuple[int, int]]) -> dict[str, Any]:
    def hours(shifts: Any) -> list[list[str]]:
        return [[clock(one.opens), clock(one.closes)] for one in shifts]

    def clock(seconds: int) -> str:
        within = seconds if seconds <= 86_400 else seconds - 86_400
        return f"{within // 3600:02}:{within // 60 % 60:02}"

    return {
        "timezone": calendar.zone.key,
        "weekly": [hours(shifts) for shifts in calendar.week],
        "overrides": {on.isoformat(): hours(each.shifts) for on, each in calendar.days(2026).items()},
        "pauses": [[iso(begins), iso(ends)] for begins, ends in pauses],
        "start": iso(start),
        "end": iso(end),
    }


def iso(instant: int) -> str:
    return moment(instant).isoformat()
