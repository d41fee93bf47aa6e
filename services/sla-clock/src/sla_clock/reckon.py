"""The pure heart: facts of a ticket in, the state of a clock and the instants of its marks out.

No I/O and no now: `clock` gives the same answer live, in a rebuild and in a simulation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from sla_clock.calendar import Calendar
from sla_clock.domain import (
    Clock,
    Fact,
    Mark,
    Pause,
    Rule,
    Segment,
    Situation,
    State,
    Terms,
    TermsOf,
    Timeline,
    Trigger,
)


@dataclass(slots=True)
class _Cycle:
    """A cycle while the facts are walked."""

    number: int
    started: int
    segments: list[Segment] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    ended: int | None = None
    state: State = State.PENDING
    situation: Situation = Situation()

    def count(self, at: int, fact: Fact, *, running: bool) -> None:
        """Begin to count or to pause; nothing when it does so already."""
        state = State.RUNNING if running else State.PAUSED
        if state is self.state:
            return
        self._stop(at)
        if running:
            self.segments.append(Segment(at, None))
        else:
            self.pauses.append(Pause(at, None, fact))
        self.state = state

    def finish(self, at: int, state: State, situation: Situation) -> None:
        """The end of the cycle; its terms are those of this situation for good."""
        self._stop(at)
        self.ended, self.state, self.situation = at, state, situation

    def _stop(self, at: int) -> None:
        if self.state is State.RUNNING:
            self.segments[-1] = replace(self.segments[-1], end=at)
        elif self.state is State.PAUSED:
            self.pauses[-1] = replace(self.pauses[-1], end=at)


Walk = Sequence[tuple[int, Fact, Situation]]
"""Facts at the instants at which they count, with where the ticket stands after each."""


def walk(timeline: Timeline) -> Walk:
    """The facts of a ticket, walked once for all its clocks."""
    told: list[tuple[int, Fact, Situation]] = []
    situation, at = Situation(), 0
    for fact in timeline.facts:
        # Facts come in the order they were recorded; a recorder's clock that steps back must not
        # make time run backwards.
        at = max(at, fact.at)
        situation = situation.after(fact)
        told.append((at, fact, situation))
    return told


def clock(walked: Walk, rule: Rule, terms_of: TermsOf) -> Clock | None:
    """The clock of that rule; None when the policy sets it no target."""
    cycles = _cycles(walked, rule)
    situation = walked[-1][2] if walked else Situation()
    told: list[Clock] = []
    for cycle in cycles:
        terms = terms_of(cycle.situation if cycle.ended is not None else situation)
        if terms is not None:
            told.append(_told(rule.name, cycle, terms))
    if cycles and (not told or told[-1].cycle != cycles[-1].number):
        return None
    if told:
        return replace(told[-1], past=tuple(told[:-1]))
    terms = terms_of(situation)
    return None if terms is None else Clock(rule.name, State.PENDING, terms, marks=_marks(terms, (), None))


def _cycles(walked: Walk, rule: Rule) -> list[_Cycle]:
    cycles: list[_Cycle] = []
    armed = not rule.after
    for at, fact, situation in walked:
        if _open(cycles):
            _go_on(cycles[-1], rule, fact, at, situation)
        elif armed and _begins(cycles, rule, fact):
            cycles.append(_Cycle(len(cycles) + 1, at))
            cycles[-1].count(at, fact, running=not _paused(rule, situation))
        armed = armed or _any(rule.after, fact)
    return cycles


def _open(cycles: list[_Cycle]) -> bool:
    return bool(cycles) and cycles[-1].ended is None


def _begins(cycles: list[_Cycle], rule: Rule, fact: Fact) -> bool:
    if not cycles:
        return _any(rule.start, fact)
    cancelled = cycles[-1].state is State.CANCELLED
    return _any(rule.restart, fact) or (cancelled and _any(rule.revive, fact))


def _go_on(cycle: _Cycle, rule: Rule, fact: Fact, at: int, situation: Situation) -> None:
    if _any(rule.stop, fact):
        cycle.finish(at, State.MET, situation)
    elif _any(rule.cancel, fact):
        cycle.finish(at, State.CANCELLED, situation)
    else:
        cycle.count(at, fact, running=not _paused(rule, situation))


def _any(triggers: tuple[Trigger, ...], fact: Fact) -> bool:
    return any(trigger.fits(fact) for trigger in triggers)


def _paused(rule: Rule, situation: Situation) -> bool:
    return any(condition.holds(situation) for condition in rule.pause)


def _told(name: str, cycle: _Cycle, terms: Terms) -> Clock:
    calendar = terms.calendar
    counted = [
        (one.start, None if one.end is None else calendar.between(one.start, one.end))
        for one in cycle.segments
    ]
    return Clock(
        name=name,
        state=cycle.state,
        terms=terms,
        cycle=cycle.number,
        started=cycle.started,
        ended=cycle.ended,
        segments=tuple(cycle.segments),
        pauses=tuple(cycle.pauses),
        elapsed=sum(worked for _, worked in counted if worked is not None),
        due=_before(_reach(calendar, counted, terms.target), cycle.ended),
        marks=_marks(terms, counted, cycle.ended),
    )


_Counted = Sequence[tuple[int, int | None]]
"""Starts of segments with the working time in them; None where one is still open."""


def _marks(terms: Terms, counted: _Counted, ended: int | None) -> tuple[Mark, ...]:
    """The marks in the order in which they are reached."""
    offsets = [(rule, rule.offset(terms.target)) for rule in terms.marks]
    return tuple(
        Mark(
            rule.name,
            rule.action,
            offset,
            _before(_reach(terms.calendar, counted, offset), ended),
            rule.tell,
        )
        for rule, offset in sorted(offsets, key=lambda pair: pair[1])
        if offset > 0
    )


def _before(at: int | None, ended: int | None) -> int | None:
    """The instant, unless the cycle was over by then."""
    return None if at is None or (ended is not None and at >= ended) else at


def _reach(calendar: Calendar, counted: _Counted, offset: int) -> int | None:
    """The first instant at which that much has been worked; None when the segments do not get there."""
    for start, worked in counted:
        if worked is None or worked >= offset:
            return calendar.add(start, offset)
        offset -= worked
    return None


@dataclass(frozen=True, slots=True)
class Length:
    """How long something lasted: by the wall, and in working time."""

    real: int = 0
    business: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """Time that a ticket has spent in each status and on each line, in the order in which they came."""

    statuses: Mapping[str, Length]
    lines: Mapping[str, Length]


def spent(timeline: Timeline, calendar: Calendar, until: int) -> Spent:
    """Where the time of a ticket went up to an instant."""
    statuses: dict[str, Length] = {}
    lines: dict[str, Length] = {}
    for start, end, situation in _stays(timeline, until):
        business = calendar.between(start, end)
        for lengths, name in ((statuses, situation.status), (lines, situation.line)):
            before = lengths.get(name, Length())
            lengths[name] = Length(before.real + end - start, before.business + business)
    return Spent(statuses, lines)


def _stays(timeline: Timeline, until: int) -> Iterator[tuple[int, int, Situation]]:
    """Stretches between facts with the situation in them."""
    situation, at = Situation(), 0
    moments: list[tuple[int, Situation]] = []
    for fact in timeline.facts:
        at, situation = max(at, fact.at), situation.after(fact)
        moments.append((at, situation))
    for (start, held), (end, _) in pairwise([*moments, (until, situation)]):
        if start < min(end, until):
            yield start, min(end, until), held
