"""Who is on duty: shifts of named people on weekdays and on dates, by the clock of a zone."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_HOURS = re.compile(r"([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)")
_MAX_DATES = 366


@dataclass(frozen=True, slots=True)
class Shift:
    """People on duty, in the words of the setup: "mon-fri" or dates, "09:00-18:00" or the whole day."""

    agents: tuple[str, ...]
    timezone: str
    days: str
    hours: str = ""


@dataclass(frozen=True, slots=True)
class _Read:
    """A shift that was read; minutes of the day, those beyond 1440 are on the next."""

    zone: ZoneInfo
    weekdays: frozenset[int]
    dates: frozenset[date]
    opens: int
    closes: int


def on_duty(shifts: Sequence[Shift], now: datetime) -> frozenset[str] | None:
    """Ids of those on duty; None without any shifts, which means everybody."""
    if not shifts:
        return None
    dated = frozenset[date]().union(*(_read(shift).dates for shift in shifts))
    open_ones = (shift.agents for shift in shifts if _is_open(_read(shift), dated, now))
    return frozenset[str]().union(*open_ones)


def shift_faults(shift: Shift) -> Iterator[tuple[str, str]]:
    """What cannot be read in a shift: `timezone`, `days` or `hours`, and what is wanted."""
    parts: tuple[tuple[str, Callable[[str], object]], ...] = (
        ("timezone", _zone),
        ("days", _days),
        ("hours", _hours),
    )
    for name, read in parts:
        try:
            read(getattr(shift, name))
        except ValueError as error:
            yield name, str(error)


@lru_cache(maxsize=4096)
def _read(shift: Shift) -> _Read:
    return _Read(_zone(shift.timezone), *_days(shift.days), *_hours(shift.hours))


def _is_open(shift: _Read, dated: frozenset[date], now: datetime) -> bool:
    local = now.astimezone(shift.zone)
    minutes = local.hour * 60 + local.minute
    today, yesterday = local.date(), local.date() - timedelta(days=1)
    return (_works(shift, today, dated) and shift.opens <= minutes < shift.closes) or (
        # A night belongs to the day it begins.
        _works(shift, yesterday, dated) and minutes + _DAY < shift.closes
    )


def _works(shift: _Read, day: date, dated: frozenset[date]) -> bool:
    return day in shift.dates if day in dated else day.weekday() in shift.weekdays


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError('must be an IANA zone such as "Europe/Moscow"') from None


def _days(text: str) -> tuple[frozenset[int], frozenset[date]]:
    weekdays: set[int] = set()
    dates: set[date] = set()
    for part in text.casefold().replace(" ", "").split(","):
        if part[:1].isdigit():
            dates.update(_dates(part))
        else:
            weekdays.update(_weekdays(part))
    return frozenset(weekdays), frozenset(dates)


def _weekdays(part: str) -> Iterator[int]:
    first, dash, last = part.partition("-")
    if first not in _WEEKDAYS or (dash and last not in _WEEKDAYS):
        raise ValueError('must be weekdays such as "mon-fri" or dates such as "2027-01-04..2027-01-06"')
    start = _WEEKDAYS.index(first)
    length = (_WEEKDAYS.index(last) - start) % 7 + 1 if dash else 1
    return ((start + step) % 7 for step in range(length))


def _dates(part: str) -> Iterator[date]:
    first, _, last = part.partition("..")
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise ValueError(f'{part} must be a date such as "2027-01-04" or two with ".." between') from None
    if not 0 <= (end - start).days < _MAX_DATES:
        raise ValueError(f"{part} must go forward, over at most {_MAX_DATES} days")
    return (start + timedelta(days=step) for step in range((end - start).days + 1))


def _hours(text: str) -> tuple[int, int]:
    if not text:
        return 0, _DAY
    found = _HOURS.fullmatch(text.replace(" ", ""))
    hour, minute, to_hour, to_minute = map(int, found.groups()) if found else (24, 0, 0, 0)
    opens, closes = hour * 60 + minute, to_hour * 60 + to_minute
    if opens >= _DAY or closes > _DAY:
        raise ValueError('must be such as "09:00-18:00"; "22:00-06:00" ends on the next day')
    return opens, closes if closes > opens else closes + _DAY
