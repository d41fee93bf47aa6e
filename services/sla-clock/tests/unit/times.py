"""Short ways to write instants and calendars in tests."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from sla_clock.calendar import MICROS, Calendar, micros
from sla_clock.hours import Day, Shift, Week, shift

MINUTE = 60 * MICROS
HOUR = 60 * MINUTE
MOSCOW = "Europe/Moscow"


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    """The instant of a wall time such as `2026-11-20 18:50`."""
    return micros(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold))


def shown(instant: int, zone: str = "UTC") -> str:
    """The wall time of an instant."""
    moment = datetime.fromtimestamp(instant // MICROS, UTC).astimezone(ZoneInfo(zone))
    return moment.strftime("%Y-%m-%d %H:%M:%S").removesuffix(":00")


def shifts(*texts: str) -> tuple[Shift, ...]:
    return tuple(shift(text) for text in texts)


def weekdays(*texts: str) -> Week:
    """The same hours from Monday to Friday."""
    return (shifts(*texts),) * 5 + ((), ())


def daily(*texts: str) -> Week:
    return (shifts(*texts),) * 7


def a_calendar(week: Week, zone: str = "UTC", days: dict[date, Day] | None = None) -> Calendar:
    dated = days or {}
    return Calendar(
        "test", ZoneInfo(zone), week, lambda year: {d: x for d, x in dated.items() if d.year == year}
    )
