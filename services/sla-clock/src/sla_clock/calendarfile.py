"""Reads one calendar of a policy file: hours, public holidays of a country, dated days."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import holidays

from sla_clock.calendar import ALWAYS, Calendar, DatedDays, Day, Shift, Week, no_days, shift, zone
from sla_clock.yamltree import Spot

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_RANGE = 366
"""Days that one range of dates may span."""


def read_calendar(name: str, spot: Spot) -> Calendar:
    """The calendar that stands there; raises Wrong with the place of what is not right."""
    keys = spot.keys(known=("zone", "hours", "holidays", "days"), required=("zone", "hours"))
    week = _week(keys["hours"])
    public = _holidays(keys["holidays"], week) if "holidays" in keys else no_days
    dated = _days(keys["days"]) if "days" in keys else {}
    return Calendar(name, keys["zone"].via(zone), week, _joined(public, dated))


def _joined(public: DatedDays, dated: Mapping[date, Day]) -> DatedDays:
    def days(year: int) -> Mapping[date, Day]:
        return {**public(year), **{on: day for on, day in dated.items() if on.year == year}}

    return days


def _week(spot: Spot) -> Week:
    if not spot.is_map():
        spot.one_of(("always",))
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
    found = sorted((item.via(shift) for item in spot.items()), key=lambda one: one.opens)
    for one, following in zip(found, found[1:], strict=False):
        if following.opens < one.closes:
            spot.wrong(f"the hours overlap at {following.opens // 3600:02}:{following.opens // 60 % 60:02}")
    return tuple(found)


def _holidays(spot: Spot, week: Week) -> DatedDays:
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
        keys["language"].wrong(f"holidays of {country} have no names in {language!r}; there are {languages}")
    like: tuple[Shift, ...] | None = None
    if "workdays_like" in keys:
        like = week[WEEKDAYS.index(keys["workdays_like"].one_of(WEEKDAYS))]
    return _public(country, subdivision, language, like)


def _public(
    country: str, subdivision: str | None, language: str | None, like: tuple[Shift, ...] | None
) -> Callable[[int], Mapping[date, Day]]:
    """Public holidays closed under their names; weekend days that became working ones, if they are wanted."""

    def days(year: int) -> Mapping[date, Day]:
        found = holidays.country_holidays(country, subdiv=subdivision, years=year, language=language)
        closed = {on: Day(name) for on, name in found.items() if on.year == year}
        moved = getattr(found, "weekend_workdays", ()) if like is not None else ()
        return closed | {on: Day("moved working day", like or ()) for on in moved if on.year == year}

    return days


def _days(spot: Spot) -> dict[date, Day]:
    days: dict[date, Day] = {}
    for key, name, value in spot.entries():
        for on in _dates(key, name):
            if on in days:
                key.wrong(f"{on} stands here twice")
            days[on] = _day(value)
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
