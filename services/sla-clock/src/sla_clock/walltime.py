"""Instants as people write them beside a policy: `Fri 18:50`, `2026-11-20 18:50`, `09:05`, `+2h`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from chassis.errors import InvalidInput, Violation
from sla_clock.calendar import MICROS, micros, moment, wall_instant
from sla_clock.durations import duration

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WALL = re.compile(
    r"(?:(?P<weekday>[a-z]{3,9})\s+)?(?:(?P<date>\d{4}-\d\d-\d\d)[ tT]+)?"
    r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<part>\d{1,6}))?)?",
    re.ASCII | re.IGNORECASE,
)
_HINT = "write Fri 18:50, 2026-11-20 18:50, 09:05 or +2h 30m"


@dataclass(frozen=True, slots=True)
class When:
    """A wall time, as much of it as was written; what is left out follows from the instant before it."""

    text: str
    seconds: int = 0
    part: int = 0
    weekday: int | None = None
    on: date | None = None
    instant: int | None = None
    ahead: int | None = None

    def after(self, before: int, tz: ZoneInfo) -> int:
        """The first such instant that is not earlier than the one before it; a whole date is what it is."""
        if self.instant is not None:
            return self.instant
        if self.ahead is not None:
            return before + self.ahead
        if self.on is not None:
            return self._at(self.on, tz)
        day = moment(before).astimezone(tz).date()
        for step in range(15):
            on = day + timedelta(days=step)
            if self.weekday in (None, on.weekday()) and self._at(on, tz) >= before:
                return self._at(on, tz)
        raise AssertionError("every time of day comes within a fortnight")

    def _at(self, on: date, tz: ZoneInfo) -> int:
        wall = datetime(on.year, on.month, on.day) + timedelta(seconds=self.seconds)  # noqa: DTZ001
        return wall_instant(tz, wall) + self.part


def read_when(text: str) -> When:
    """Parse; raises InvalidInput."""
    text = text.strip()
    if text.startswith("+"):
        return When(text, ahead=duration(text[1:]))
    found = _WALL.fullmatch(text)
    if found is None:
        return When(text, instant=_whole(text))
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    seconds = hour * 3600 + minute * 60 + second
    if minute > 59 or second > 59 or seconds > 86_400:
        raise _unreadable(f"{text!r} has no time of day between 00:00 and 24:00")
    weekday = _weekday(found["weekday"], text)
    on = _date(found["date"], text)
    if on is not None and weekday not in (None, on.weekday()):
        raise _unreadable(f"{on} is a {WEEKDAYS[on.weekday()].title()}, not a {found['weekday']}")
    part = int((found["part"] or "0").ljust(6, "0"))
    return When(text, seconds, part, weekday, on)


def shown(instant: int, tz: ZoneInfo) -> str:
    """The instant as `Fri 2026-11-20 18:50`, with seconds and their parts where there are any."""
    local = moment(instant).astimezone(tz)
    text = f"{WEEKDAYS[local.weekday()].title()} {local:%Y-%m-%d %H:%M}"
    if instant % (60 * MICROS):
        text += f":{local:%S}" + (f".{local:%f}".rstrip("0") if local.microsecond else "")
    return text


def _whole(text: str) -> int:
    """An instant with its offset."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None or not 1900 < read.year < 2200:
        raise _unreadable(f"{text!r} is not a time; {_HINT}")
    return micros(read)


def _weekday(word: str | None, text: str) -> int | None:
    if word is None:
        return None
    if word.casefold()[:3] not in WEEKDAYS:
        raise _unreadable(f"{text!r} is not a time; {_HINT}")
    return WEEKDAYS.index(word.casefold()[:3])


def _date(text: str | None, whole: str) -> date | None:
    if text is None:
        return None
    try:
        on = date.fromisoformat(text)
    except ValueError:
        raise _unreadable(f"{text} in {whole!r} is not a date") from None
    if not 1900 < on.year < 2200:
        raise _unreadable(f"{text} in {whole!r} is not between 1901 and 2199")
    return on


def _unreadable(message: str) -> InvalidInput:
    return InvalidInput(message, reason="TIME_INVALID", violations=(Violation("time", message),))
