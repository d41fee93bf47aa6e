"""Business time: golden cases of the conventions, and properties against a slow reference."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import InvalidInput
from sla_clock.calendar import MICROS, Calendar, NoWorkingTime, micros, moment
from sla_clock.hours import ALWAYS, Day, Shift, Week, shift, zone

from .times import HOUR, MINUTE, MOSCOW, a_calendar, at, daily, shifts, shown, weekdays

OFFICE = a_calendar(weekdays("09:00-18:00"), MOSCOW)


def due(calendar: Calendar, start: str, duration: int, tz: str = MOSCOW) -> str:
    return shown(calendar.add(at(start, tz), duration), tz)


def test_time_counts_only_within_working_hours() -> None:
    """YT-22, MP-05."""
    assert due(OFFICE, "2026-11-20 17:00", 2 * HOUR) == "2026-11-23 10:00"
    assert OFFICE.between(at("2026-11-20 17:00", MOSCOW), at("2026-11-23 10:00", MOSCOW)) == 2 * HOUR


def test_a_target_that_runs_out_at_closing_is_due_at_closing() -> None:
    assert due(OFFICE, "2026-11-20 09:00", 9 * HOUR) == "2026-11-20 18:00"
    assert due(OFFICE, "2026-11-20 09:00", 9 * HOUR + 1 * MICROS) == "2026-11-23 09:00:01"


def test_a_start_outside_hours_counts_from_the_next_opening() -> None:
    assert due(OFFICE, "2026-11-20 19:30", 15 * MINUTE) == "2026-11-23 09:15"
    assert due(OFFICE, "2026-11-21 03:00", 15 * MINUTE) == "2026-11-23 09:15"
    assert due(OFFICE, "2026-11-23 08:59", 15 * MINUTE) == "2026-11-23 09:15"


def test_a_start_at_closing_counts_from_the_next_opening() -> None:
    assert due(OFFICE, "2026-11-20 18:00", MINUTE) == "2026-11-23 09:01"


def test_nothing_to_work_is_done_at_once_even_outside_hours() -> None:
    assert due(OFFICE, "2026-11-21 03:00", 0) == "2026-11-21 03:00"


def test_lunch_does_not_count() -> None:
    calendar = a_calendar(weekdays("09:00-13:00", "14:00-18:00"), MOSCOW)
    assert due(calendar, "2026-11-20 12:30", HOUR) == "2026-11-20 14:30"
    assert due(calendar, "2026-11-20 12:30", HOUR // 2) == "2026-11-20 13:00"


def test_an_overnight_shift_belongs_to_the_day_it_opens() -> None:
    friday_night = a_calendar(((), (), (), (), shifts("22:00-06:00"), (), ()), MOSCOW)
    assert due(friday_night, "2026-11-20 12:00", 3 * HOUR) == "2026-11-21 01:00"
    assert due(friday_night, "2026-11-21 05:00", 2 * HOUR) == "2026-11-27 23:00"


def test_a_holiday_stops_the_shifts_that_open_on_it_not_the_one_that_runs_into_it() -> None:
    nights = a_calendar(daily("22:00-06:00"), MOSCOW, {date(2027, 1, 1): Day("New Year")})
    assert due(nights, "2026-12-31 23:00", 7 * HOUR) == "2027-01-01 06:00"
    assert due(nights, "2026-12-31 23:00", 8 * HOUR) == "2027-01-02 23:00"
    assert nights.day(date(2027, 1, 1)).name == "New Year"


def test_a_day_may_end_at_24_00() -> None:
    calendar = a_calendar(daily("18:00-24:00"))
    assert due(calendar, "2026-11-20 23:00", 2 * HOUR, "UTC") == "2026-11-21 19:00"


def test_round_the_clock_is_plain_time_across_both_clock_changes() -> None:
    calendar = a_calendar(ALWAYS, "Europe/Berlin")
    for start in ("2026-03-28 12:00", "2026-10-24 12:00", "2026-12-31 23:30"):
        assert calendar.add(at(start, "Europe/Berlin"), 24 * HOUR) == at(start, "Europe/Berlin") + 24 * HOUR


def test_dated_days_close_shorten_and_open() -> None:
    """MP-09: duty on a holiday is a dated day with hours."""
    calendar = a_calendar(
        weekdays("09:00-18:00"),
        MOSCOW,
        {
            date(2026, 11, 20): Day("short", shifts("09:00-12:00")),
            date(2026, 11, 21): Day("duty", shifts("10:00-11:00")),
            date(2026, 11, 23): Day("closed"),
        },
    )
    assert due(calendar, "2026-11-20 11:00", 90 * MINUTE) == "2026-11-21 10:30"
    assert due(calendar, "2026-11-20 11:00", 3 * HOUR) == "2026-11-24 10:00"


def test_an_opening_that_the_gap_skips_is_the_first_instant_after_it() -> None:
    calendar = a_calendar(daily("02:30-05:00"), "Europe/Berlin")
    assert due(calendar, "2026-03-29 00:00", MINUTE, "Europe/Berlin") == "2026-03-29 03:01"
    night = at("2026-03-29 00:00", "Europe/Berlin")
    assert calendar.between(night, night + 12 * HOUR) == 2 * HOUR


def test_a_shift_within_the_gap_does_not_happen() -> None:
    calendar = a_calendar(daily("02:10-02:50"), "Europe/Berlin")
    night = at("2026-03-29 00:00", "Europe/Berlin")
    assert calendar.between(night, night + 20 * HOUR) == 0


def test_a_wall_time_that_occurs_twice_means_its_first() -> None:
    tz = "Europe/Berlin"
    opens = a_calendar(daily("02:30-05:00"), tz)
    night = at("2026-10-25 00:00", tz)
    assert opens.add(night, 1) == at("2026-10-25 02:30", tz, fold=0) + 1
    assert opens.between(night, night + 12 * HOUR) == 3 * HOUR + 30 * MINUTE
    closes = a_calendar(daily("01:00-02:30"), tz)
    assert closes.between(night, night + 12 * HOUR) == 90 * MINUTE


def test_days_of_23_and_25_hours_count_their_real_seconds() -> None:
    calendar = a_calendar(ALWAYS, "Europe/Berlin")
    spring, autumn = "2026-03-29", "2026-10-25"
    for day, hours in ((spring, 23), (autumn, 25)):
        after = date.fromisoformat(day) + timedelta(days=1)
        start, end = at(f"{day} 00:00", "Europe/Berlin"), at(f"{after} 00:00", "Europe/Berlin")
        assert calendar.between(start, end) == hours * HOUR


def test_a_day_that_a_zone_skipped_has_no_hours() -> None:
    calendar = a_calendar(daily("09:00-17:00"), "Pacific/Apia")
    start, end = at("2011-12-29 00:00", "Pacific/Apia"), at("2012-01-01 00:00", "Pacific/Apia")
    assert calendar.between(start, end) == 16 * HOUR


def test_a_half_hour_clock_change_is_found_exactly() -> None:
    calendar = a_calendar(daily("02:10-04:00"), "Australia/Lord_Howe")
    night = at("2026-10-04 00:00", "Australia/Lord_Howe")
    assert shown(calendar.add(night, MINUTE), "Australia/Lord_Howe") == "2026-10-04 02:31"


def test_an_end_before_the_start_counts_nothing() -> None:
    assert OFFICE.between(at("2026-11-20 12:00"), at("2026-11-20 10:00")) == 0
    assert OFFICE.between(at("2026-11-20 12:00"), at("2026-11-20 12:00")) == 0


def test_microseconds_are_kept() -> None:
    start = at("2026-11-20 12:00", MOSCOW) + 1
    assert OFFICE.add(start, HOUR + 1) == start + HOUR + 1
    assert OFFICE.between(start, start + 7) == 7


def test_new_year_is_crossed_by_a_shift_and_by_the_compiled_years() -> None:
    calendar = a_calendar(daily("20:00-04:00"), "Pacific/Kiritimati")
    tz = "Pacific/Kiritimati"
    assert due(calendar, "2026-12-31 21:00", 6 * HOUR, tz) == "2027-01-01 03:00"
    assert due(calendar, "2026-12-31 21:00", 8 * 366 * HOUR, tz)[:4] == "2028"


def test_a_calendar_without_working_time_says_so() -> None:
    empty = a_calendar(((),) * 7)
    with pytest.raises(NoWorkingTime, match="has no working time in the 10 years"):
        empty.add(at("2026-01-01"), 1)
    assert empty.between(at("2026-01-01"), at("2027-01-01")) == 0


def test_a_calendar_that_runs_dry_says_so() -> None:
    once = a_calendar(((),) * 7, days={date(2026, 5, 5): Day("open", shifts("09:00-10:00"))})
    assert due(once, "2026-01-01", HOUR, "UTC") == "2026-05-05 10:00"
    with pytest.raises(NoWorkingTime):
        once.add(at("2026-01-01"), HOUR + 1)


def test_a_target_beyond_a_century_is_refused_instead_of_walked() -> None:
    with pytest.raises(NoWorkingTime, match="more than 100 years"):
        a_calendar(((),) * 6 + (shifts("09:00-09:30"),)).add(at("2026-01-01"), 10_000 * HOUR)


def test_centuries_between_two_questions_are_not_compiled() -> None:
    asked: list[int] = []

    def days(year: int) -> dict[date, Day]:
        asked.append(year)
        return {}

    calendar = Calendar("test", zone(MOSCOW), ALWAYS, days)
    near, far = at("2026-11-20 10:00"), at("2826-11-20 10:00")
    assert [calendar.add(start, HOUR) - start for start in (near, far, near, far)] == [HOUR] * 4
    assert sorted(asked) == [2026, 2826]


def test_spans_are_the_working_intervals_cut_to_the_asked_ones() -> None:
    start, end = at("2026-11-20 17:00", MOSCOW), at("2026-11-23 10:00", MOSCOW)
    spans = [(shown(a, MOSCOW), shown(b, MOSCOW)) for a, b in OFFICE.spans(start, end)]
    assert spans == [("2026-11-20 17:00", "2026-11-20 18:00"), ("2026-11-23 09:00", "2026-11-23 10:00")]
    assert list(OFFICE.spans(end, start)) == []


@pytest.mark.parametrize(
    "text", ["9:00-18:00", "09:00", "25:00-26:00", "09:60-10:00", "09:00-24:01", "a-b", ""]
)
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        shift(text)


def test_equal_opening_and_closing_is_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidInput, match="round the clock is 00:00-24:00"):
        shift("09:00-09:00")


@pytest.mark.parametrize("name", ["Europe/Moskow", "", "../etc/passwd", "Europe", "/etc/localtime", "a\0b"])
def test_an_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(InvalidInput, match="there is no time zone"):
        zone(name)


ZONES = st.sampled_from(
    [
        "UTC",
        MOSCOW,
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
    ]
)


@st.composite
def weeks(draw: st.DrawFn) -> Week:
    def day() -> tuple[Shift, ...]:
        cuts = sorted(draw(st.sets(st.integers(0, 47), max_size=4)))
        spans = [Shift(a * 1800, b * 1800) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
        if draw(st.booleans()) and cuts:
            late = draw(st.integers(40, 47)) * 1800
            spans.append(Shift(late, late + draw(st.integers(1, 16)) * 1800))
        return tuple(spans)

    week = tuple(day() for _ in range(7))
    return week if any(week) else weekdays("09:00-18:00")


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    days = draw(
        st.dictionaries(
            st.dates(date(2026, 3, 20), date(2026, 4, 10)) | st.dates(date(2026, 10, 20), date(2026, 11, 5)),
            st.sampled_from(
                [Day("closed"), Day("short", shifts("10:00-12:30")), Day("night", shifts("21:00-03:00"))]
            ),
            max_size=4,
        )
    )
    return a_calendar(draw(weeks()), draw(ZONES), days)


INSTANTS = st.integers(at("2026-03-20"), at("2026-11-05"))
DURATIONS = st.integers(1, 400 * HOUR)


@settings(max_examples=60, deadline=None)
@given(calendars(), INSTANTS, DURATIONS)
def test_between_start_and_due_lies_exactly_the_target(calendar: Calendar, start: int, duration: int) -> None:
    end = calendar.add(start, duration)
    assert calendar.between(start, end) == duration
    # It is the first such instant: a microsecond earlier something is missing.
    assert calendar.between(start, end - 1) == duration - 1


@settings(max_examples=40, deadline=None)
@given(calendars(), INSTANTS, DURATIONS, st.integers(0, 48 * HOUR), st.integers(0, 10 * HOUR))
def test_add_is_monotone(calendar: Calendar, start: int, duration: int, later: int, more: int) -> None:
    assert calendar.add(start, duration) <= calendar.add(start + later, duration)
    assert calendar.add(start, duration) <= calendar.add(start, duration + more)


@settings(max_examples=40, deadline=None)
@given(calendars(), INSTANTS, st.integers(0, 900 * HOUR), st.integers(0, 900 * HOUR))
def test_splitting_a_stretch_changes_nothing(calendar: Calendar, start: int, one: int, two: int) -> None:
    middle, end = start + one, start + one + two
    assert calendar.between(start, middle) + calendar.between(middle, end) == calendar.between(start, end)


def first_reading(tz: ZoneInfo, wall: datetime) -> int:
    """The first minute at which the wall clock shows that time or a later one: walks, needs no rule."""
    instant = micros(wall.replace(tzinfo=UTC)) - 26 * HOUR
    while moment(instant).astimezone(tz).replace(tzinfo=None) < wall:
        instant += 30 * MINUTE
    instant -= 30 * MINUTE
    while moment(instant).astimezone(tz).replace(tzinfo=None) < wall:
        instant += MINUTE
    return instant


def walked(calendar: Calendar, start: int, end: int) -> int:
    """Working minutes, by reading the wall clock and crossing off minute after minute."""
    first, last = moment(start).date() - timedelta(days=2), moment(end).date() + timedelta(days=2)
    worked: set[int] = set()
    on = first
    while on <= last:
        midnight = datetime.fromisoformat(on.isoformat())
        for hours in calendar.day(on).shifts:
            opens = first_reading(calendar.zone, midnight + timedelta(seconds=hours.opens))
            closes = first_reading(calendar.zone, midnight + timedelta(seconds=hours.closes))
            worked.update(range(opens, closes, MINUTE))
        on += timedelta(days=1)
    return sum(start <= minute < end for minute in worked) * MINUTE


@settings(max_examples=15, deadline=None)
@given(
    calendars(),
    st.sampled_from(["2026-03-28", "2026-10-03", "2026-10-24", "2026-10-31", "2026-04-04", "2026-06-15"]),
    st.integers(0, 24 * 60),
    st.integers(0, 72 * 60),
)
def test_a_minute_walker_agrees(calendar: Calendar, day: str, offset: int, minutes: int) -> None:
    start = at(day) + offset * MINUTE
    end = start + minutes * MINUTE
    assert calendar.between(start, end) == walked(calendar, start, end)
