"""Public holidays of a country: which days, under which names, and how far that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import MappingProxyType

import holidays
from holidays.version import __version__

from sla_clock.hours import Day, Shift

VERSION = __version__
"""Version of the library that knows them."""

_HABIT = 3
"""A country that decreed moved days for so many years in a row will do it for the next one too."""


@dataclass(frozen=True, slots=True)
class National:
    """Holidays of a country; weekend days that it moved work to have these hours, if there are any."""

    country: str
    subdivision: str | None = None
    language: str | None = None
    moved: tuple[Shift, ...] | None = None

    def __call__(self, year: int) -> Mapping[date, Day]:
        """The holidays of that year, closed under their names."""
        return _days(self, year)

    def __str__(self) -> str:
        told = (self.country, self.subdivision, self.language, self.moved)
        return f"holidays {VERSION} {told}"

    def doubts(self, year: int) -> list[str]:
        """Why the holidays of that year may still change."""
        found = holidays.country_holidays(self.country, subdiv=self.subdivision, years=year, language="en_US")
        if not found:
            return [f"none are known for {year}"]
        guessed = [f"{name} on {on}" for on, name in sorted(found.items()) if "estimated" in name]
        told = [f"some of {year} are estimates: {', '.join(guessed)}"] if guessed else []
        decreed = set(getattr(found, "special_public_holidays", ()))
        newest = max(decreed, default=year)
        if newest < year <= newest + _HABIT and decreed.issuperset(range(newest - _HABIT + 1, newest)):
            told.append(f"no moved days of {year} are known yet")
        return told


@lru_cache(maxsize=2048)
def _days(national: National, year: int) -> Mapping[date, Day]:
    found = holidays.country_holidays(
        national.country, subdiv=national.subdivision, years=year, language=national.language
    )
    closed = {on: Day(name) for on, name in found.items() if on.year == year}
    moved = getattr(found, "weekend_workdays", ()) if national.moved is not None else ()
    worked = {on: Day("moved working day", national.moved or ()) for on in moved if on.year == year}
    return MappingProxyType(closed | worked)
