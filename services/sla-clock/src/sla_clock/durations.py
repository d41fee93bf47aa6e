"""Durations as people write them: `2h 30m`, `90s`, `3bd`."""

from __future__ import annotations

import re

from chassis.errors import InvalidInput, Violation
from sla_clock.calendar import MICROS

HOUR = 3600 * MICROS
MAX_TARGET = 10 * 366 * 86_400 * MICROS
"""The longest duration."""

_DURATION = re.compile(r"(?:\d{1,9}(?:bd|h|m|s)\s*)+", re.ASCII)
_PART = re.compile(r"(\d+)(bd|h|m|s)", re.ASCII)


def duration(text: str, business_day: int = 8 * HOUR) -> int:
    """Microseconds of `2h 30m`, `90s` or `3bd`, where a business day is that long."""
    if not _DURATION.fullmatch(text.strip()):
        hint = " (a day is 24h, or 1bd for a business day)" if re.search(r"\d\s*d\b", text) else ""
        raise _invalid(f"{text!r} is not a duration; write 2h 30m, 90s or 3bd{hint}")
    units = {"bd": business_day, "h": HOUR, "m": 60 * MICROS, "s": MICROS}
    total = sum(int(count) * units[unit] for count, unit in _PART.findall(text))
    if not 0 < total <= MAX_TARGET:
        raise _invalid(f"{text!r} is not between 1s and ten years")
    return total


def said(length: int) -> str:
    """The duration in words: `2h 30m`, `0s`, `-1m 0.5s`; it reads back unless it has parts of a second."""
    seconds, rest = divmod(abs(length), MICROS)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{rest:06}".rstrip("0") if rest else ""
    told = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    told.append(f"{seconds}{fraction}s" if seconds or rest else "")
    words = " ".join(part for part in told if part) or "0s"
    return f"-{words}" if length < 0 else words


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, reason="DURATION_INVALID", violations=(Violation("duration", message),))
