"""Reads one calendar of a policy file: hours, public holidays of a country, dated days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import holidays

from sla_clock.calendar import Calendar, nobody
from sla_clock.hours import ALWAYS, DatedDays, Day, Shift, Week, shift, zone
from sla_clock.national import National
from sla_clock.roster import WHOLE, Duty, Roster
from sla_clock.yamltree import Faults, Spot, parse

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_RANGE = 366
"""Days that one range of dates may span."""


MAX_DUTIES = 1000
"""Entries of one roster."""

MAX_SHIFTS = 48
"""Stretches of work in one day."""

MAX_DATES = 4000
"""Dated days of one calendar."""


@dataclass(frozen=True)
class Dates:
    """Dated days of a calendar before those of its country."""

    national: National | None
    own: Mapping[date, Day]

    def __call__(self, year: int) -> Mapping[date, Day]:
        """The dates of that year that differ from their weekday."""
        public = self.national(year) if self.national else {}
        return {**public, **{on: day for on, day in self.own.items() if on.year == year}}

    def __str__(self) -> str:
        own = ((on.isoformat(), day.name, day.shifts) for on, day in sorted(self.own.items()))
        return f"{self.national or ''} {list(own)}"


def read_calendar(name: str, spot: Spot) -> Calendar:
    """The calendar that stands there; raises Wrong with the place of what is not right."""
    keys = spot.keys(known=("zone", "hours", "holidays", "days", "duty"), required=("zone", "hours"))
    week = _week(keys["hours"])
    national = _holidays(keys["holidays"], week) if "holidays" in keys else None
    dates = Dates(national, _days(keys["days"]) if "days" in keys else {})
    roster = Roster(tuple(_duties(keys["duty"]))) if "duty" in keys else nobody
    return Calendar(name, keys["zone"].via(zone), week, dates, str(dates), roster)


def holidays_of(text: str, week: Week) -> DatedDays:
    """The public holidays that a `holidays:` section names; raises InvalidInput."""
    faults = Faults("holidays", "CALENDAR_INVALID")
    found = faults.attempt(lambda spot: _holidays(spot, week), parse(text, faults))
    faults.settle()
    return found or (lambda _year: {})


def _week(spot: Spot) -> Week:
    if not spot.is_map():
        if spot.text().casefold() != "always":
            spot.wrong("hours stand by weekday, such as mon-fri: 09:00-18:00, or are always")
        return ALWAYS
    week: dict[str, tuple[Shift, ...]] = {}
    for key, name, value in spot.entries():
        for weekday in _weekdays(key, name):
            if weekday in week:
                key.wrong(f"{weekday} has its hours already")
            week[weekday] = shifts(value)
    if not any(week.values()):
        spot.wrong("no weekday has hours, so nothing would ever fall due")
    return tuple(week.get(weekday, ()) for weekday in WEEKDAYS)


def _weekdays(key: Spot, name: str) -> list[str]:
    found: list[str] = []
    for part in name.casefold().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            key.wrong(f"{part!r} is not a weekday; write mon, mon-fri or sat,sun")
        start = WEEKDAYS.index(first)
        length = (WEEKDAYS.index(last) - start) % 7 + 1 if dash else 1
        found += [WEEKDAYS[(start + step) % 7] for step in range(length)]
    return found


def shifts(spot: Spot) -> tuple[Shift, ...]:
    """Hours of one day: `09:00-18:00`, a list of such, or `closed`; they may not overlap."""
    if spot.items() == [spot] and spot.text().casefold() == "closed":
        return ()
    if len(spot.items()) > MAX_SHIFTS:
        spot.wrong(f"a day has at most {MAX_SHIFTS} stretches of work")
    found = sorted((item.via(shift) for item in spot.items()), key=lambda one: one.opens)
    for one, following in zip(found, found[1:], strict=False):
        if following.opens < one.closes:
            spot.wrong(f"the hours overlap at {following.opens // 3600:02}:{following.opens // 60 % 60:02}")
    return tuple(found)


def _holidays(spot: Spot, week: Week) -> National:
    known = ("country", "subdivision", "language", "workdays_like")
    keys = spot.keys(known=known, required=("country",)) if spot.is_map() else {"country": spot}
    told = {name: value.text() for name, value in keys.items()}
    country, subdivision = told["country"].upper(), told.get("subdivision")
    language = told.get("language")
    known_countries = holidays.list_supported_countries()
    if country not in known_countries:
        keys["country"].wrong(f"there are no holidays for {country!r}; use a two-letter code such as RU")
    if subdivision is not None and subdivision not in known_countries[country]:
        keys["subdivision"].wrong(f"{country} has no subdivision {subdivision!r}")
    languages = holidays.list_localized_countries().get(country, [])
    if language is not None and language not in languages:
        there = f"there are {', '.join(languages)}" if languages else "there is no choice of languages"
        keys["language"].wrong(f"holidays of {country} have no names in {language!r}; {there}")
    moved: tuple[Shift, ...] | None = None
    if "workdays_like" in keys:
        moved = week[WEEKDAYS.index(keys["workdays_like"].one_of(WEEKDAYS))]
    return National(country, subdivision, language, moved)


def _days(spot: Spot) -> dict[date, Day]:
    days: dict[date, Day] = {}
    for key, name, value in spot.entries():
        day = _day(value)
        for on in _dates(key, name):
            if on in days:
                key.wrong(f"{on} stands here twice")
            days[on] = day
        if len(days) > MAX_DATES:
            key.wrong(f"a calendar has at most {MAX_DATES} dated days; give each year what it needs")
    return days


def _dates(key: Spot, name: str) -> list[date]:
    first_text, dots, last_text = name.partition("..")
    try:
        first = date.fromisoformat(first_text.strip())
        last = date.fromisoformat(last_text.strip()) if dots else first
    except ValueError:
        key.wrong(f"{name!r} is not a date; write 2026-12-31 or 2026-12-31..2027-01-08")
    if not 0 <= (last - first).days < MAX_RANGE:
        key.wrong(f"{name!r} does not run forward over at most {MAX_RANGE} days")
    return [first + timedelta(days=step) for step in range((last - first).days + 1)]


def _day(spot: Spot) -> Day:
    if not spot.is_map():
        return Day("exception", shifts(spot))
    keys = spot.keys(known=("hours", "name"), required=("hours",))
    return Day(keys["name"].text() if "name" in keys else "exception", shifts(keys["hours"]))


def _duties(spot: Spot) -> list[Duty]:
    items = spot.items()
    if len(items) > MAX_DUTIES:
        spot.wrong(f"a roster has at most {MAX_DUTIES} entries")
    return [_duty(item) for item in items]


def _duty(spot: Spot) -> Duty:
    keys = spot.keys(known=("who", "days", "hours"), required=("who", "days"))
    weekdays: set[int] = set()
    dates: set[date] = set()
    for item in keys["days"].items():
        name = item.text()
        if name[0].isdigit():
            dates.update(_dates(item, name))
        else:
            weekdays.update(WEEKDAYS.index(weekday) for weekday in _weekdays(item, name))
    who = tuple(item.text() for item in keys["who"].items())
    hours = shifts(keys["hours"]) if "hours" in keys else WHOLE
    if not who:
        keys["who"].wrong("say who is on duty, such as [anna, boris]")
    if not hours:
        keys["hours"].wrong("nobody is on duty in closed hours; leave the entry out")
    return Duty(who, frozenset(weekdays), frozenset(dates), hours)
