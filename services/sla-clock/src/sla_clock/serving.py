"""Whom to serve next: one clock a ticket, in an order that is the same for everybody. Pure.

The database orders by the same numbers (store.reads); a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from sla_clock.calendar import Calendar, micros, moment
from sla_clock.hours import DAY

DAY_ENDS = 18 * 3600
"""Customers' own hours are not known: their working day is taken to be 09:00 to 18:00 on their clock."""

NO_ZONE = 2 * DAY
"""Stands behind every customer whose zone is known."""

COUNT_FROM = micros(datetime(2020, 1, 1, tzinfo=UTC))
"""Where a calendar's own count is 0."""

SHARES = 10
"""Remaining time is told apart in tenths of the target: within a tenth, other things weigh more."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A running clock with what its ticket weighs; `remaining` and `target` are working microseconds."""

    ticket_id: UUID
    clock: str
    due: int
    remaining: int
    target: int
    vip: bool = False
    zone: str = ""

    def place(self, now: int, day_left: Mapping[str, int]) -> tuple[int, int, int, int, int]:
        """What it is ordered by: missed first, remaining tenths, VIP, the end of the customer's day, due."""
        tenths = self.remaining * SHARES // self.target
        return int(self.due > now), tenths, int(not self.vip), day_left.get(self.zone, NO_ZONE), self.due


def serve_next(candidates: Iterable[Candidate], now: int) -> list[Candidate]:
    """The most urgent clock of each ticket, the one to serve first in front."""
    day_left = days_left(now)
    chosen: dict[UUID, Candidate] = {}
    for one in sorted(candidates, key=lambda each: (*each.place(now, day_left), each.ticket_id, each.clock)):
        chosen.setdefault(one.ticket_id, one)
    return list(chosen.values())


def counted(calendar: Calendar, instant: int) -> int:
    """What a calendar's own count shows: the difference of two is the working time between."""
    return calendar.between(COUNT_FROM, instant) - calendar.between(instant, COUNT_FROM)


def days_left(now: int) -> dict[str, int]:
    """Seconds until the working day ends, for every zone there is; a day that is over ends tomorrow."""
    return {name: _left(zone, now) for name, zone in _zones().items()}


def _left(zone: ZoneInfo, now: int) -> int:
    local = moment(now).astimezone(zone)
    passed = local.hour * 3600 + local.minute * 60 + local.second
    return (DAY_ENDS - passed - 1) % DAY + 1


@cache
def _zones() -> Mapping[str, ZoneInfo]:
    return {name: ZoneInfo(name) for name in sorted(available_timezones())}
