"""Parts of a policy that nothing uses, and calendars that are not to be trusted for the coming years."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from sla_clock.calendar import Calendar, micros
from sla_clock.calendarfile import Dates
from sla_clock.doubts import Doubt, doubt, entries, keys
from sla_clock.policy import Policy
from sla_clock.roster import Roster
from sla_clock.yamltree import Spot


def part_doubts(policy: Policy, root: Spot, today: date | None) -> Iterator[Doubt]:
    """Everything doubtful about calendars, ladders and clocks."""
    yield from _unused(policy, root)
    for name, spot in entries(entries(root)["calendars"]).items():
        calendar = policy.calendars[name]
        yield from _duty(calendar, spot)
        if today is not None:
            yield from _coming(calendar, spot, today)


def _unused(policy: Policy, root: Spot) -> Iterator[Doubt]:
    top = entries(root)
    used = {row.calendar.name for row in policy.rows if row.targets}
    for name, key in keys(top["calendars"]).items():
        if name not in used:
            yield doubt("CALENDAR_UNUSED", key, f"no row counts by calendar {name}")
    climbed = set(_climbed(root))
    for name, key in keys(top.get("ladders")).items():
        if name not in climbed:
            yield doubt("LADDER_UNUSED", key, f"no clock and no row has ladder {name}")
    given = {name for row in policy.rows for name in row.targets}
    for name, key in keys(top.get("clocks")).items():
        if name not in given:
            yield doubt("CLOCK_WITHOUT_TARGET", key, f"no row gives {name} a target, so it never runs")


def _climbed(root: Spot) -> Iterator[str]:
    """Names of ladders, wherever one may stand."""
    top = entries(root)
    places = [top, *map(entries, entries(top.get("clocks")).values()), *map(entries, top["targets"].items())]
    for place in places:
        ladder = place.get("ladder")
        for spot in (*entries(ladder).values(), *([ladder] if ladder else ())):
            yield str(spot.node.value)


def _duty(calendar: Calendar, spot: Spot) -> Iterator[Doubt]:
    if not isinstance(calendar.roster, Roster):
        return
    for duty, place in zip(calendar.roster.duties, entries(spot)["duty"].items(), strict=True):
        closed = [on for on in sorted(duty.dates) if not calendar.day(on).shifts]
        if closed:
            text = (
                f"{' and '.join(duty.who)} on duty on {closed[0]}, when nothing is worked and nothing falls"
            )
            yield doubt("DUTY_WHEN_CLOSED", place, f"{text} due; give the day hours under days")


def _coming(calendar: Calendar, spot: Spot, today: date) -> Iterator[Doubt]:
    start = datetime(today.year, today.month, today.day, tzinfo=UTC)
    if not calendar.between(micros(start), micros(start + timedelta(days=365))):
        yield doubt("CALENDAR_EMPTY", spot, f"nothing is worked in the year from {today} on")
    dates = calendar.days
    if not isinstance(dates, Dates) or dates.national is None:
        return
    place, country = entries(spot)["holidays"], dates.national.country
    for year in (today.year, today.year + 1):
        # Who wrote days of that year by hand has looked at them.
        if not any(on.year == year for on in dates.own):
            for text in dates.national.doubts(year):
                yield doubt("HOLIDAYS_UNSURE", place, f"of the public holidays of {country}, {text}")
