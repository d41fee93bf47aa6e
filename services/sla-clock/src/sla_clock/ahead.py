"""The marks that wait, in a compact form that firing reads without the policy or the timeline: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from sla_clock.calendar import nobody
from sla_clock.domain import Clock, State
from sla_clock.standing import Point, Standing, Standings, carrier_of, folds


class Header(NamedTuple):
    """What all marks of a ticket share: the policy, and the words that are counted by."""

    policy: str
    version: int
    queue: str
    priority: str


class Course(NamedTuple):
    """A cycle of a clock on its way: what its marks have in common."""

    clock: str
    cycle: int
    generation: int
    target: int
    due: int | None
    running: bool
    calendar: str
    calendar_version: str
    newest: bool = False


class Reached(NamedTuple):
    """A mark whose instant has come. A folded one is only recorded; `folds` names those it speaks for.

    `moved_by` is the fact or edit that put the mark where it was past already; mostly empty.
    """

    course: Course
    mark: str
    action: str
    offset: int
    at: int
    tell: tuple[str, ...] = ()
    duty: tuple[str, ...] = ()
    moved_by: str = ""
    folded: bool = False
    folds: tuple[str, ...] = ()


class Ahead:
    """Waiting marks in the order of their instants."""

    __slots__ = ("_courses", "_marks", "header")

    def __init__(self, value: bytes) -> None:
        header, courses, self._marks = orjson.loads(value)
        self.header = Header(*header)
        self._courses: list[Any] = courses

    def next(self, after: int | None) -> int | None:
        """The first instant after that one (None: of all) at which something fires."""
        return next((mark[0] for mark in self._marks if after is None or mark[0] > after), None)

    def due(self, after: int | None, now: int, horizon: int) -> tuple[list[Reached], int]:
        """The marks after `after` that are due by `now`, and up to which instant all have fired then.

        Of marks of one clock that are due together, as after an outage, a reminder is folded into the
        breach, or else into the last reminder: people get one message. Marks beyond `horizon` are left
        for later, unless one before it is folded into one beyond.
        """
        ready = [mark for mark in self._marks if mark[0] <= now and (after is None or mark[0] > after)]
        reached = [self._reached(mark) for mark in ready]
        if len(reached) > 1:
            reached = _folded(reached)
        if not reached or reached[-1].at <= horizon:
            return reached, now
        early = [one for one in reached if one.at <= horizon]
        spoken_for = sum(len(one.folds) for one in early)
        return (reached, now) if spoken_for < sum(one.folded for one in early) else (early, horizon)

    def _reached(self, mark: Sequence[Any]) -> Reached:
        at, course, name, action, offset, *more = mark
        clock = Course(*self._courses[course])
        if not more:
            return Reached(clock, name, action, offset, at)
        tell, duty, moved_by = more
        return Reached(clock, name, action, offset, at, tuple(tell), tuple(duty), moved_by)


def _folded(reached: Sequence[Reached]) -> list[Reached]:
    """The same with reminders folded, clock by clock."""
    clocks: dict[tuple[str, int], list[Reached]] = {}
    for one in reached:
        clocks.setdefault((one.course.clock, one.course.cycle), []).append(one)
    carriers = {key: carrier_of(due) for key, due in clocks.items()}
    told = []
    for one in reached:
        key = (one.course.clock, one.course.cycle)
        carrier = carriers[key]
        if carrier is None:
            told.append(one)
        elif one is carrier:
            told.append(one._replace(folds=tuple(p.mark for p in clocks[key] if folds(carrier, p))))
        else:
            told.append(one._replace(folded=folds(carrier, one)))
    return told


def pack(
    header: Header, clocks: Iterable[Clock], standings: Standings, moved: Mapping[tuple[str, int, str], str]
) -> tuple[bytes, int | None]:
    """The waiting marks of these standings, and the first one's instant.

    `moved` names the fact or edit that put a mark (clock, cycle, mark) into the past.
    """
    newest = {clock.name: clock for clock in clocks}
    told = {(one.name, one.cycle): one for clock in newest.values() for one in (*clock.past, clock)}
    courses: list[Course] = []
    marks: list[list[Any]] = []
    for standing in standings:
        waiting = [point for point in standing.points if point.waits()]
        if waiting:
            clock = told[standing.name, standing.cycle]
            marks += [_mark(len(courses), standing, clock, point, moved) for point in waiting]
            courses.append(_course(standing, clock, newest=clock is newest[clock.name]))
    marks.sort(key=lambda mark: mark[0])
    return orjson.dumps([tuple(header), [tuple(one) for one in courses], marks]), marks[0][
        0
    ] if marks else None


def _course(one: Standing, clock: Clock, *, newest: bool) -> Course:
    running, calendar = one.state is State.RUNNING, clock.terms.calendar
    return Course(
        *(one.name, one.cycle, one.generation, one.target, one.due, running),
        *(calendar.name, calendar.fingerprint, newest),
    )


def _mark(
    course: int, one: Standing, clock: Clock, point: Point, moved: Mapping[tuple[str, int, str], str]
) -> list[Any]:
    calendar = clock.terms.calendar
    tell = next((mark.tell for mark in clock.marks if mark.name == point.name), ())
    # A calendar without a roster is not asked: it would look its zone up for every mark.
    duty = calendar.duty_at(point.at) if calendar.roster is not nobody and point.at is not None else ()
    cause = moved.get((one.name, one.cycle, point.name), "")
    more = [tell, duty, cause] if tell or duty or cause else []
    return [point.at, course, point.name, point.action, point.offset, *more]


def moved_into_past(standings: Standings, before: Standings, as_of: int) -> frozenset[tuple[str, int, str]]:
    """Marks (clock, cycle, mark) that lie behind `as_of` and did not wait there before."""
    waited = {
        (one.name, one.cycle, point.name, point.at) for one in before for point in one.points if point.waits()
    }
    return frozenset(
        (one.name, one.cycle, point.name)
        for one in standings
        for point in one.points
        if point.waits()
        and point.at is not None
        and point.at <= as_of
        and (one.name, one.cycle, point.name, point.at) not in waited
    )
