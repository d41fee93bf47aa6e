"""Hours as people write them: shifts of a day, dated days, weeks, zones. Wall time only, no instants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from chassis.errors import InvalidInput, Violation

DAY = 86_400
"""Seconds of a wall-clock day."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Opening hours of one day: seconds of wall time after its midnight; `closes` may pass 24:00."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < DAY or not self.opens < self.closes <= self.opens + DAY:
            raise _invalid("shift", f"a shift opens within its day and lasts at most 24 hours: {self}")


@dataclass(frozen=True, slots=True)
class Day:
    """What one date does instead of its weekday: closed when `shifts` is empty; the name says why."""

    name: str
    shifts: tuple[Shift, ...] = ()


Week = tuple[tuple[Shift, ...], ...]
"""Seven tuples of shifts, Monday first."""

DatedDays = Callable[[int], Mapping[date, Day]]
"""The dates of one year that differ from their weekday: holidays, moved working days, overrides."""

ALWAYS: Week = ((Shift(0, DAY),),) * 7
"""Round the clock."""


def no_days(_year: int) -> Mapping[date, Day]:
    """A calendar without holidays."""
    return {}


def shift(text: str) -> Shift:
    """Parse `09:00-18:00`; a closing at or before the opening is on the next day (`22:00-06:00`)."""
    opening, dash, closing = text.partition("-")
    if not dash:
        raise _invalid("shift", f"{text!r} is not hours; write them as 09:00-18:00")
    opens, closes = _wall(opening), _wall(closing)
    if opens == DAY:
        raise _invalid("shift", f"{text!r} opens at 24:00, when its day is over; write 00:00 of the next day")
    if opens == closes:
        raise _invalid("shift", f"{text!r} opens and closes at once; round the clock is 00:00-24:00")
    return Shift(opens, closes if closes > opens else closes + DAY)


def _wall(text: str) -> int:
    parts = text.strip().split(":")
    if not 2 <= len(parts) <= 3 or not all(len(p) == 2 and p.isascii() and p.isdigit() for p in parts):
        raise _invalid("shift", f"{text.strip()!r} is not a time of day; write it as 09:00")
    hours, minutes, seconds = (*map(int, parts), 0)[:3]
    total = hours * 3600 + minutes * 60 + seconds
    if minutes > 59 or seconds > 59 or total > DAY:
        raise _invalid("shift", f"{text.strip()!r} is not a time of day between 00:00 and 24:00")
    return total


def zone(name: str) -> ZoneInfo:
    """The IANA zone of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise _invalid("zone", f"there is no time zone {name!r}; write one like Europe/Moscow") from None


def _invalid(name: str, message: str) -> InvalidInput:
    return InvalidInput(message, reason="CALENDAR_INVALID", violations=(Violation(name, message),))
