"""Who is on duty: shifts of named people on weekdays and on dates, by the wall clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sla_clock.hours import DAY, Shift

WHOLE = (Shift(0, DAY),)
"""A duty that lasts the whole day."""


@dataclass(frozen=True, slots=True)
class Duty:
    """People who are on duty on these weekdays (Monday is 0) or on these dates."""

    who: tuple[str, ...]
    weekdays: frozenset[int] = frozenset()
    dates: frozenset[date] = frozenset()
    shifts: tuple[Shift, ...] = WHOLE


@dataclass(frozen=True)
class Roster:
    """A list of duties; those of a date replace those of its weekday. A night belongs to the day it opens."""

    duties: tuple[Duty, ...]

    def __call__(self, local: datetime) -> tuple[str, ...]:
        """Who is on duty at that local time, everybody once."""
        seconds = local.hour * 3600 + local.minute * 60 + local.second
        today = local.date()
        found = (
            *self._on(today - timedelta(days=1), seconds + DAY),
            *self._on(today, seconds),
        )
        return tuple(dict.fromkeys(found))

    def of(self, on: date) -> list[Duty]:
        """The duties that open on a date."""
        dated = [duty for duty in self.duties if on in duty.dates]
        return dated or [duty for duty in self.duties if on.weekday() in duty.weekdays]

    def _on(self, on: date, seconds: int) -> Iterable[str]:
        for duty in self.of(on):
            if any(hours.opens <= seconds < hours.closes for hours in duty.shifts):
                yield from duty.who
