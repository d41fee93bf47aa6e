"""What is remembered of a clock between two facts, and what changed: pure, like the clock itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from sla_clock.domain import Action, Clock, Mark, State


@dataclass(frozen=True, slots=True)
class Point:
    """A mark of a remembered clock: its working-time offset, its instant if known, and whether it fired."""

    name: str
    action: Action
    offset: int
    at: int | None
    fired: bool = False

    def waits(self) -> bool:
        """Whether it has an instant and has not fired."""
        return self.at is not None and not self.fired


@dataclass(frozen=True, slots=True)
class Standing:
    """One cycle of one clock as last computed. `generation` grows whenever its instants move.

    `told` are the marks that have fired, each with the last instant that it fired for: an edit may move a
    mark away and back, or take the clock away and bring it back.
    """

    name: str
    cycle: int
    state: State
    target: int
    due: int | None
    calendar: str
    generation: int = 1
    points: tuple[Point, ...] = ()
    told: Mapping[str, int] = field(default_factory=dict)

    def fired_by(self, until: int) -> Standing:
        """The same once all marks that waited at `until` or before have fired."""
        fired = {p.name: p.at for p in self.points if p.waits() and p.at is not None and p.at <= until}
        if not fired:
            return self
        points = tuple(replace(p, fired=True) if p.name in fired else p for p in self.points)
        return replace(self, points=points, told={**self.told, **fired})

    def dropped(self) -> Standing:
        """The same once the policy has no such clock: nothing runs, but what was told stays known."""
        if self.state is State.PENDING:
            return self
        return Standing(self.name, self.cycle, State.PENDING, 0, None, "", self.generation + 1, (), self.told)

    def dump(self) -> list[Any]:
        """A compact value for JSON."""
        points = [[p.name, p.action.value, p.offset, p.at, p.fired] for p in self.points]
        return [
            *(self.name, self.cycle, self.state.value, self.target),
            *(self.due, self.calendar, self.generation, points, dict(self.told)),
        ]

    @classmethod
    def load(cls, value: Sequence[Any]) -> Standing:
        """What `dump` gave."""
        name, cycle, state, target, due, calendar, generation, points, *told = value
        read = tuple(Point(p[0], Action(p[1]), *p[2:]) for p in points)
        # Earlier versions knew of what was told only while the mark stood where it had fired.
        known = told[0] if told else {p.name: p.at for p in read if p.fired and p.at is not None}
        return cls(name, cycle, State(state), target, due, calendar, generation, read, known)


Standings = tuple[Standing, ...]

Told = Mapping[tuple[str, int], Mapping[str, int]]
"""Marks by clock and cycle that have fired, each with the last instant that it fired for."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is on record of a ticket beside its standings, which forget cycles.

    `generation` is one that no cycle of it has had. `told` is what the ledger knows, where another policy
    may count cycles anew. Marks at or before `pruned_until` were deleted from it.
    """

    generation: int = 1
    told: Told = field(default_factory=dict)
    pruned_until: int | None = None


NEW = Record()
"""Nothing is on record of a ticket that was never seen."""


def restand(clocks: Sequence[Clock], before: Standings, now: int, record: Record = NEW) -> Standings:
    """The newest cycle of every clock, and earlier cycles that still owe a mark.

    A mark that has fired fires again only when its instant was moved and lies ahead of `now`. One at or
    before `record.pruned_until` does not fire: whether it has is not known any more. A cycle that was over
    before owes what it owed then, and nothing that a later change of its terms would have asked for.
    """
    known = {(one.name, one.cycle): one for one in before}
    newest = {one.name: one.cycle for one in sorted(before, key=lambda one: one.cycle)}
    told: list[Standing] = []
    for clock in clocks:
        for past in clock.past:
            old = known.get((clock.name, past.cycle))
            # An earlier cycle that was not remembered owes nothing, unless it was never seen at all.
            if old is not None or past.cycle > newest.get(clock.name, 0):
                stood = _stand(past, old, now, record)
                told += [stood] if any(point.waits() for point in stood.points) else []
        told.append(_stand(clock, known.get((clock.name, clock.cycle)), now, record))
    kept = {clock.name for clock in clocks}
    last = [one for one in before if one.name not in kept and one.cycle == newest[one.name]]
    # What was told of earlier cycles is known only by this one's having come after them.
    return (*told, *(one.dropped() for one in last if one.told or one.cycle > 1))


def _stand(clock: Clock, old: Standing | None, now: int, record: Record) -> Standing:
    told = old.told if old else record.told.get((clock.name, clock.cycle), {})
    settled = _settled(clock, old)
    points = [
        Point(
            *(mark.name, mark.action, mark.offset, mark.at),
            fired=mark.name in settled or _done(mark, told, now, record.pruned_until),
        )
        for mark in clock.marks
    ]
    stood = Standing(
        clock.name,
        clock.cycle,
        clock.state,
        clock.target,
        clock.due,
        clock.terms.calendar.name,
        record.generation if old is None else old.generation,
        tuple(points),
        told,
    )
    return (
        stood if old is None or _plan(stood) == _plan(old) else replace(stood, generation=old.generation + 1)
    )


def _settled(clock: Clock, old: Standing | None) -> frozenset[str]:
    """Marks of a cycle that was over already and did not owe them."""
    if clock.ended is None or old is None or old.state not in (State.MET, State.CANCELLED):
        return frozenset()
    owed = {point.name for point in old.points if point.waits()}
    return frozenset(mark.name for mark in clock.marks) - owed


def _done(mark: Mark, told: Mapping[str, int], now: int, pruned_until: int | None) -> bool:
    if mark.at is None:
        return mark.name in told
    if pruned_until is not None and mark.at <= pruned_until:
        return True
    return mark.name in told and (mark.at == told[mark.name] or mark.at <= now)


def _plan(one: Standing) -> tuple[object, ...]:
    return (one.target, one.due, one.calendar, tuple((p.name, p.action, p.offset, p.at) for p in one.points))


def fired_by(standings: Standings, until: int) -> Standings:
    """The same once all marks that waited at `until` or before have fired."""
    return tuple(one.fired_by(until) for one in standings)


def next_wake(standings: Standings) -> int | None:
    """The first instant at which something fires."""
    return min(
        (p.at for one in standings for p in one.points if p.at is not None and not p.fired), default=None
    )


class Turn(StrEnum):
    """What happened to a clock."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    MET = "met"
    CANCELLED = "cancelled"
    RECALCULATED = "recalculated"


@dataclass(frozen=True, slots=True)
class Change:
    """A turn of a clock. `clock` is None when the policy has no such clock any more.

    `fired` names its marks that have fired already and stand behind.
    """

    turn: Turn
    name: str
    cycle: int
    clock: Clock | None
    before: Standing | None
    generation: int = 1
    fired: frozenset[str] = frozenset()


_TURNS: Mapping[tuple[State, State], tuple[Turn, ...]] = {
    (State.PENDING, State.RUNNING): (Turn.STARTED,),
    (State.PENDING, State.PAUSED): (Turn.STARTED, Turn.PAUSED),
    (State.PENDING, State.MET): (Turn.STARTED, Turn.MET),
    (State.PENDING, State.CANCELLED): (Turn.STARTED, Turn.CANCELLED),
    (State.RUNNING, State.PAUSED): (Turn.PAUSED,),
    (State.PAUSED, State.RUNNING): (Turn.RESUMED,),
    (State.RUNNING, State.MET): (Turn.MET,),
    (State.PAUSED, State.MET): (Turn.MET,),
    (State.RUNNING, State.CANCELLED): (Turn.CANCELLED,),
    (State.PAUSED, State.CANCELLED): (Turn.CANCELLED,),
    # Another policy may have other rules: what was over is not, or is over in another way.
    (State.MET, State.RUNNING): (Turn.RESUMED,),
    (State.MET, State.PAUSED): (Turn.PAUSED,),
    (State.MET, State.CANCELLED): (Turn.CANCELLED,),
    (State.CANCELLED, State.RUNNING): (Turn.RESUMED,),
    (State.CANCELLED, State.PAUSED): (Turn.PAUSED,),
    (State.CANCELLED, State.MET): (Turn.MET,),
}


def changes(clocks: Sequence[Clock], before: Standings, after: Standings = ()) -> list[Change]:
    """What happened to the clocks since they were last computed, cycle by cycle."""
    generations = {(one.name, one.cycle): one.generation for one in (*before, *after)}
    fired = {(one.name, one.cycle): _fired(one) for one in after}
    return [
        replace(one, generation=generations.get(key, 1), fired=fired.get(key, frozenset()))
        for one in _changes(clocks, before, generations)
        for key in ((one.name, one.cycle),)
    ]


def _fired(one: Standing) -> frozenset[str]:
    return frozenset(point.name for point in one.points if point.fired and point.at is not None)


def _changes(
    clocks: Sequence[Clock], before: Standings, generations: Mapping[tuple[str, int], int]
) -> list[Change]:
    newest = {one.name: one for one in sorted(before, key=lambda one: one.cycle)}
    found: list[Change] = []
    for clock in clocks:
        old = newest.pop(clock.name, None)
        recounted = old is not None and clock.cycle < old.cycle
        if old and recounted:
            # Another policy may count fewer cycles: who follows the last one has to hear where it stands.
            old = replace(old, cycle=clock.cycle)
        for one in (*clock.past, clock):
            if one.cycle >= (old.cycle if old else 0):
                same = old if old and old.cycle == one.cycle else None
                generation = generations.get((one.name, one.cycle), 1)
                found += _turned(one, same, generation, recounted=recounted)
    unfinished = (State.RUNNING, State.PAUSED)
    gone = (old for old in newest.values() if old.state in unfinished)
    return found + [Change(Turn.CANCELLED, old.name, old.cycle, None, old) for old in gone]


def _turned(clock: Clock, old: Standing | None, generation: int, *, recounted: bool) -> list[Change]:
    state = old.state if old else State.PENDING
    turns = _TURNS.get((state, clock.state), ())
    moved = old is not None and (old.target, old.due, old.generation) != (clock.target, clock.due, generation)
    # A generation grows with the marks, too: who reads only events has to hear of other marks.
    told = recounted or clock.ended is None
    if not turns and moved and told and clock.state is not State.PENDING:
        turns = (Turn.RECALCULATED,)
    return [Change(turn, clock.name, clock.cycle, clock, old) for turn in turns]


@dataclass(frozen=True, slots=True)
class Firing:
    """A mark whose instant has come. A folded one is only recorded; `folds` names those it speaks for."""

    standing: Standing
    point: Point
    folded: bool
    folds: tuple[str, ...] = ()


def fire(standings: Standings, now: int) -> tuple[list[Firing], Standings]:
    """The marks due by `now`, and the standings once they have fired.

    Of marks of one clock that are due together, as after an outage, a reminder is folded into the breach,
    or else into the last reminder: people get one message.
    """
    firings: list[Firing] = []
    after: list[Standing] = []
    for one in standings:
        due = [p for p in one.points if p.waits() and p.at is not None and p.at <= now]
        if not due:
            after.append(one)
            continue
        carrier = carrier_of(due)
        spoken_for = tuple(p.name for p in due if folds(carrier, p))
        for point in due:
            firings.append(Firing(one, point, folds(carrier, point), spoken_for if point is carrier else ()))
        after.append(one.fired_by(now))
    return firings, tuple(after)


class Asking(Protocol):
    """What folding looks at in a mark."""

    @property
    def action(self) -> str:
        """What it asks for."""

    @property
    def offset(self) -> int:
        """Its working time."""


A = TypeVar("A", bound=Asking)


def carrier_of(due: Sequence[A]) -> A | None:
    """Of marks of one clock that are due together: the one that speaks for reminders before it."""
    breach = [one for one in due if one.action == Action.BREACH]
    reminders = [one for one in due if one.action == Action.REMIND]
    return next(iter(breach or reminders[-1:]), None)


def folds(carrier: Asking | None, one: Asking) -> bool:
    """Whether the carrier speaks for that mark."""
    if carrier is None or one is carrier or one.action != Action.REMIND:
        return False
    return one.offset <= carrier.offset
