"""Business time: weekly hours, dated days and a zone, compiled to sorted UTC intervals.

Instants are whole microseconds since the Unix epoch in UTC, durations are whole microseconds; wall times
exist only while a calendar is compiled, so no arithmetic ever crosses a DST change in local time.

Conventions: intervals are half-open; an overnight shift belongs to the day it opens; an opening or closing
that a clock change skips happens at the first instant after the gap; a wall time that occurs twice means
its first occurrence; time that runs out exactly at closing runs out at closing, not at the next opening.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from itertools import accumulate
from zoneinfo import ZoneInfo

from chassis.errors import Refused
from sla_clock.hours import DAY, DatedDays, Day, Week, no_days

MICROS = 1_000_000

EMPTY_YEARS = 10
"""A calendar without working time for this many years ahead has none."""

HORIZON_YEARS = 100
"""How far ahead a target may reach."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_YEARS = (1900, 9990)
_EDGE = 3 * DAY * MICROS


class NoWorkingTime(Refused):
    """The calendar never opens for long enough after the given instant."""


def micros(moment: datetime) -> int:
    """The instant of an aware datetime."""
    return (moment - EPOCH) // _TICK


def moment(instant: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return EPOCH + timedelta(microseconds=instant)


@dataclass(frozen=True, slots=True)
class _Table:
    """Working intervals of the years `first`..`last`, sorted, disjoint, with running totals.

    Good for instants from `since` to before `until`; `through` is the working time to the end of each.
    """

    first: int
    last: int
    since: int
    until: int
    starts: list[int]
    ends: list[int]
    through: list[int]
    total: int

    def worked(self, instant: int) -> int:
        """Working time before the instant."""
        at = bisect_right(self.starts, instant) - 1
        if at < 0:
            return 0
        ahead = self.ends[at] - instant
        return self.through[at] - ahead if ahead > 0 else self.through[at]

    def reached(self, total: int) -> int:
        """The first instant by which that much has been worked (0 < total <= self.total)."""
        at = bisect_left(self.through, total)
        return self.ends[at] - (self.through[at] - total)


_NOTHING = _Table(0, -1, 0, 0, [], [], [], 0)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of real time in which a calendar is open or closed; `name` tells the day that closes it."""

    start: int
    end: int
    open: bool
    name: str = ""


Roster = Callable[[datetime], tuple[str, ...]]
"""Who is on duty at a local time."""


def nobody(_local: datetime) -> tuple[str, ...]:
    """A calendar without a roster."""
    return ()


@dataclass(eq=False)
class Calendar:
    """Working hours of a team: `add` and `between` are a binary search over compiled intervals.

    `source` says in words what `days` was made from: dated days, and holidays with their version.
    """

    name: str
    zone: ZoneInfo
    week: Week
    days: DatedDays = no_days
    source: str = ""
    roster: Roster = nobody
    _years: dict[int, list[tuple[int, int]]] = field(default_factory=dict, init=False, repr=False)
    _table: _Table = field(default=_NOTHING, init=False, repr=False)

    def add(self, start: int, duration: int) -> int:
        """The first instant at which `duration` has been worked since `start`.

        Raises NoWorkingTime when the calendar has none left for it.
        """
        if duration < 0:
            raise ValueError("a duration to add is not negative")
        if duration == 0:
            return start
        table = self._covering(start, start)
        while (total := table.worked(start) + duration) > table.total:
            table = self._further(table, start, duration)
        return table.reached(total)

    def between(self, start: int, end: int) -> int:
        """Working time from start to end; 0 when the end is not after the start."""
        if end <= start:
            return 0
        table = self._covering(start, end)
        return table.worked(end) - table.worked(start)

    def spans(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The working intervals within [start, end), in order."""
        if end <= start:
            return
        table = self._covering(start, end)
        for at in range(bisect_right(table.ends, start), bisect_left(table.starts, end)):
            yield max(start, table.starts[at]), min(end, table.ends[at])

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """Open and closed stretches from start to end, one after the other without a gap."""
        at = start
        for opens, closes in self.spans(start, end):
            yield from self._closed(at, opens)
            yield Piece(opens, closes, open=True)
            at = closes
        yield from self._closed(at, end)

    def _closed(self, start: int, end: int) -> Iterator[Piece]:
        """A closed stretch, cut where a dated day takes away hours that its weekday would have."""
        at = start
        for begin, stop, name in _joined(self._named(start, end)):
            begin, stop = max(at, begin), min(stop, end)
            if begin < stop:
                if at < begin:
                    yield Piece(at, begin, open=False)
                yield Piece(begin, stop, open=False, name=name)
                at = stop
        if at < end:
            yield Piece(at, end, open=False)

    def _named(self, start: int, end: int) -> Iterator[tuple[int, int, str]]:
        on, last = self._local(start).date() - timedelta(days=1), self._local(end).date()
        while start < end and on <= last:
            day = self.days(on.year).get(on)
            if day is not None:
                whole = () if day.shifts else ((0, DAY),)
                usual = ((hours.opens, hours.closes) for hours in self.week[on.weekday()])
                for opens, closes in (*whole, *usual):
                    yield _utc(self.zone, on, opens), _utc(self.zone, on, closes), day.name
            on += timedelta(days=1)

    def duty_at(self, instant: int) -> tuple[str, ...]:
        """Who is on duty; at the end of a shift still those whose shift it was."""
        return self.roster(self._local(instant)) or self.roster(self._local(instant - 1))

    def _local(self, instant: int) -> datetime:
        return moment(instant).astimezone(self.zone)

    @cached_property
    def fingerprint(self) -> str:
        """Short hash of everything that decides which time counts, save the version of the zone data."""
        week = [[(hours.opens, hours.closes) for hours in day] for day in self.week]
        return sha256(f"{self.zone.key} {week} {self.source}".encode()).hexdigest()[:12]

    def day(self, on: date) -> Day:
        """What that local date does: a named dated day, or its weekday's hours under an empty name."""
        return self.days(on.year).get(on) or Day("", self.week[on.weekday()])

    def _further(self, table: _Table, start: int, duration: int) -> _Table:
        """The table with more years ahead, or the error that says that they would not help."""
        latest = min(moment(start).year + HORIZON_YEARS, _YEARS[1])
        # Twice as many years each time: a far target costs no more than its own years once over.
        for years in (1 + table.last - table.first, EMPTY_YEARS):
            further = self._compile(table.first, min(table.last + years, max(latest, table.last)))
            if further.total > table.total:
                return further
        # What was looked through in vain is not kept: the next refusal would tell of other years.
        self._table = table
        if table.last < latest:
            raise NoWorkingTime(
                f"calendar {self.name!r} has no working time in the {EMPTY_YEARS} years "
                f"up to {min(table.last + EMPTY_YEARS, latest)}, "
                "so the target is never reached; give it hours",
                reason="NO_WORKING_TIME",
            )
        raise NoWorkingTime(
            f"{duration // MICROS} s of working time reach more than {HORIZON_YEARS} years ahead "
            f"in calendar {self.name!r}",
            reason="NO_WORKING_TIME",
        )

    def _covering(self, start: int, end: int) -> _Table:
        table = self._table
        if table.since <= start and end < table.until:
            return table
        # Days more on both sides: the local year differs from the UTC one around New Year, and the shift
        # of 31 December may close in January.
        first, last = moment(start - _EDGE).year, moment(end + _EDGE).year
        # Years far from those that are compiled start anew: thousands may lie between.
        if table is not _NOTHING and first - table.last <= EMPTY_YEARS and table.first - last <= EMPTY_YEARS:
            first, last = min(first, table.first), max(last, table.last)
        return self._compile(first, last)

    def _compile(self, first: int, last: int) -> _Table:
        first, last = max(first, _YEARS[0]), min(last, _YEARS[1])
        for year in range(first, last + 1):
            if year not in self._years:
                self._years[year] = list(self._hours(year))
        starts, ends = _merged(span for year in range(first, last + 1) for span in self._years[year])
        through = list(accumulate(e - s for s, e in zip(starts, ends, strict=True)))
        since, until = micros(datetime(first, 1, 1, tzinfo=UTC)), micros(datetime(last + 1, 1, 1, tzinfo=UTC))
        total = through[-1] if through else 0
        self._table = _Table(first, last, since + _EDGE, until - _EDGE, starts, ends, through, total)
        return self._table

    def _hours(self, year: int) -> Iterator[tuple[int, int]]:
        dated = self.days(year)
        on = date(year, 1, 1)
        while on.year == year:
            found = dated.get(on)
            for hours in self.week[on.weekday()] if found is None else found.shifts:
                yield _utc(self.zone, on, hours.opens), _utc(self.zone, on, hours.closes)
            on += timedelta(days=1)


def _merged(spans: Iterable[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Sorted, disjoint intervals: touching and overlapping ones joined, empty ones dropped."""
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends


def _joined(stretches: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Touching and overlapping stretches of one name as one."""
    held: tuple[int, int, str] | None = None
    for start, end, name in stretches:
        if held is not None and name == held[2] and start <= held[1]:
            held = held[0], max(held[1], end), name
            continue
        if held is not None:
            yield held
        held = start, end, name
    if held is not None:
        yield held


def _utc(tz: ZoneInfo, on: date, seconds: int) -> int:
    return wall_instant(tz, datetime(on.year, on.month, on.day) + timedelta(seconds=seconds))  # noqa: DTZ001


def wall_instant(tz: ZoneInfo, wall: datetime) -> int:
    """The instant of a naive wall time: the first of two, or the end of the gap that skips it."""
    wall = wall.replace(tzinfo=UTC)
    local = wall.replace(tzinfo=tz, fold=0)
    instant = micros(wall) - (local.utcoffset() or timedelta()) // _TICK
    if _shown(tz, instant) == micros(wall):
        return instant
    earlier = micros(wall) - (local.replace(fold=1).utcoffset() or timedelta()) // _TICK
    return _gap_end(tz, earlier, instant)


def _gap_end(tz: ZoneInfo, before: int, after: int) -> int:
    """The clock change between two instants, found by halving; changes fall on whole seconds."""
    low, high = before // MICROS, after // MICROS
    old = _shown(tz, before) - before
    while high - low > 1:
        middle = (low + high) // 2
        if _shown(tz, middle * MICROS) - middle * MICROS == old:
            low = middle
        else:
            high = middle
    return high * MICROS


def _shown(tz: ZoneInfo, instant: int) -> int:
    """What the wall clock shows at an instant, as if it were UTC."""
    return micros(moment(instant).astimezone(tz).replace(tzinfo=UTC))
