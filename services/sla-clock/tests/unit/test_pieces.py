"""What a calendar says of itself: open and closed pieces, who is on duty, its fingerprint."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import InvalidInput
from sla_clock.calendar import Calendar
from sla_clock.hours import Day
from sla_clock.policyfile import load

from .test_calendar import INSTANTS, calendars
from .times import HOUR, MOSCOW, a_calendar, at, shifts, shown, weekdays

POLICY = """\
name: small
calendars:
  office:
    zone: {zone}
    hours: {{mon-fri: {hours}}}
    {more}
targets: [{{name: all, targets: {{resolution: 1h}}}}]
"""


def office(more: str = "", hours: str = "09:00-18:00", zone: str = MOSCOW) -> Calendar:
    return load(POLICY.format(more=more, hours=hours, zone=zone)).calendars["office"]


def pieces(calendar: Calendar, start: str, end: str) -> list[tuple[str, bool, str]]:
    found = list(calendar.pieces(at(start, MOSCOW), at(end, MOSCOW)))
    assert [piece.end for piece in found[:-1]] == [piece.start for piece in found[1:]]
    return [(shown(piece.start, MOSCOW), piece.open, piece.name) for piece in found]


def test_pieces_name_the_holiday_that_closes_a_calendar() -> None:
    calendar = office("holidays: {country: RU, language: ru}")
    assert pieces(calendar, "2026-06-11 17:00", "2026-06-15 10:00") == [
        ("2026-06-11 17:00", True, ""),
        ("2026-06-11 18:00", False, ""),
        ("2026-06-12 00:00", False, "День России"),
        ("2026-06-13 00:00", False, ""),
        ("2026-06-15 09:00", True, ""),
    ]


def test_a_shortened_day_is_named_only_where_it_takes_hours_away() -> None:
    calendar = office("days: {2026-12-30: {hours: 10:00-13:00, name: Short}}")
    assert pieces(calendar, "2026-12-30 08:00", "2026-12-30 20:00") == [
        ("2026-12-30 08:00", False, ""),
        ("2026-12-30 09:00", False, "Short"),
        ("2026-12-30 10:00", True, ""),
        ("2026-12-30 13:00", False, "Short"),
        ("2026-12-30 18:00", False, ""),
    ]


def test_days_of_one_name_are_one_piece() -> None:
    calendar = a_calendar(
        weekdays("09:00-18:00"), MOSCOW, {date(2027, 1, n): Day("New Year") for n in (1, 2, 3)}
    )
    assert pieces(calendar, "2026-12-31 18:00", "2027-01-04 09:00") == [
        ("2026-12-31 18:00", False, ""),
        ("2027-01-01 00:00", False, "New Year"),
        ("2027-01-04 00:00", False, ""),
    ]


def test_no_time_has_no_pieces() -> None:
    assert list(office().pieces(at("2026-11-20"), at("2026-11-20"))) == []
    assert list(office().pieces(at("2026-11-21"), at("2026-11-20"))) == []


@settings(max_examples=40, deadline=None)
@given(calendars(), INSTANTS, st.integers(1, 400 * HOUR))
def test_pieces_follow_each_other_and_the_open_ones_are_the_working_time(
    calendar: Calendar, start: int, length: int
) -> None:
    found = list(calendar.pieces(start, start + length))
    assert [found[0].start, *(piece.end for piece in found)] == [
        *(piece.start for piece in found),
        start + length,
    ]
    assert all(piece.start < piece.end for piece in found)
    assert sum(p.end - p.start for p in found if p.open) == calendar.between(start, start + length)


ROSTER = """duty:
      - {who: anna, days: mon-fri, hours: 09:00-14:00}
      - {who: [boris, vera], days: mon-fri, hours: 14:00-18:00}
      - {who: galina, days: "sat,sun", hours: 22:00-06:00}
      - {who: dina, days: [2026-11-23, 2026-12-31..2027-01-02]}"""


@pytest.mark.parametrize(
    ("when", "who"),
    [
        ("2026-11-20 10:00", ("anna",)),
        ("2026-11-20 14:00", ("boris", "vera")),
        ("2026-11-20 18:00", ("boris", "vera")),
        ("2026-11-20 18:00:01", ()),
        ("2026-11-21 23:00", ("galina",)),
        ("2026-11-22 05:59", ("galina",)),
        ("2026-11-22 06:00:01", ()),
        ("2026-11-23 10:00", ("dina",)),
        ("2026-11-23 03:00", ("galina", "dina")),
        ("2027-01-02 12:00", ("dina",)),
    ],
)
def test_the_roster_tells_who_is_on_duty(when: str, who: tuple[str, ...]) -> None:
    """MP-09: a date replaces the weekday, a night belongs to its evening, closing belongs to the shift."""
    assert office(ROSTER).duty_at(at(when, MOSCOW)) == who


def test_a_calendar_without_a_roster_has_nobody_on_duty() -> None:
    assert office().duty_at(at("2026-11-20 10:00", MOSCOW)) == ()


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("duty: [{who: anna}]", "6:12: calendars.office.duty[0]: 'days' is missing"),
        (
            "duty: [{who: [], days: mon}]",
            "6:18: calendars.office.duty[0].who: say who is on duty, such as [anna, boris]",
        ),
        (
            "duty: [{who: anna, days: someday}]",
            "6:30: calendars.office.duty[0].days: 'someday' is not a weekday; write mon, mon-fri or sat,sun",
        ),
        (
            "duty: [{who: anna, days: 2026-13-01}]",
            "6:30: calendars.office.duty[0].days: '2026-13-01' is not a date;"
            " write 2026-12-31 or 2026-12-31..2027-01-08",
        ),
        (
            "duty: [{who: anna, days: mon, hours: closed}]",
            "6:42: calendars.office.duty[0].hours: nobody is on duty in closed hours; leave the entry out",
        ),
        (
            "duty: [" + "{who: a, days: mon}, " * 1001 + "]",
            "6:11: calendars.office.duty: a roster has at most 1000 entries",
        ),
    ],
)
def test_each_fault_of_a_roster_is_told(more: str, fault: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        office(more)
    assert str(raised.value) == f"policy:{fault}"


def test_a_fingerprint_follows_what_counts_and_nothing_else() -> None:
    holidays, days = "holidays: {country: RU}", "days: {2026-12-30: 09:00-12:00}"
    prints = [
        office(),
        office(hours="09:00-17:00"),
        office(zone="Europe/Samara"),
        office(holidays),
        office("holidays: {country: RU, workdays_like: fri}"),
        office(days),
        office("days: {2026-12-30: 09:00-13:00}"),
    ]
    assert len({calendar.fingerprint for calendar in prints}) == len(prints)
    assert office(holidays).fingerprint == office(holidays).fingerprint
    assert office(ROSTER).fingerprint == office().fingerprint
    assert len(office().fingerprint) == 12


def test_a_fingerprint_names_the_version_of_the_holidays() -> None:
    """A new version of the library is a new calendar: what it touches is counted anew."""
    calendar = office("holidays: {country: RU}")
    assert "RU" in calendar.source
    other = Calendar(calendar.name, calendar.zone, calendar.week, calendar.days, calendar.source + " next")
    assert other.fingerprint != calendar.fingerprint


def test_shifts_are_read_in_any_order() -> None:
    assert office(hours="[14:00-18:00, 09:00-13:00]").week[0] == shifts("09:00-13:00", "14:00-18:00")
