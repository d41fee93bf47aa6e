"""Why a clock stands where it stands: its life cut into stretches, and the rows of the matrix on trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from chassis.errors import NotFound
from sla_clock.calendar import Calendar
from sla_clock.domain import Attributes, Clock, Fact, Rule, Situation, Timeline
from sla_clock.policy import Policy, Verdict, clocks


class Kind(StrEnum):
    """What a stretch of real time meant to a clock."""

    COUNTED = "counted"
    CLOSED = "closed"
    HOLIDAY = "holiday"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Real time from start to end. `name` tells the dated day, or the fact behind a pause."""

    start: int
    end: int
    kind: Kind
    name: str = ""

    @property
    def counted(self) -> int:
        """Working time that it added."""
        return self.end - self.start if self.kind is Kind.COUNTED else 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """One cycle of a clock. `due` is where the target is reached, also when the clock was stopped before."""

    clock: Clock
    stretches: tuple[Stretch, ...]
    verdicts: tuple[Verdict, ...]
    due: int | None


def explain(timeline: Timeline, policy: Policy, name: str, cycle: int, now: int) -> Explanation:
    """Explain a clock in a cycle (0: the newest) as of an instant. Raises NotFound (CLOCK_UNKNOWN)."""
    clock = _find(timeline, policy, name, cycle)
    due = _due(clock)
    verdicts = tuple(policy.verdicts(name, _seen(timeline, policy, clock)))
    return Explanation(clock, tuple(_stretches(clock, due, now)), verdicts, due)


def _find(timeline: Timeline, policy: Policy, name: str, cycle: int) -> Clock:
    told = clocks(timeline, policy)
    found = next((clock for clock in told if clock.name == name), None)
    if found is None:
        known = ", ".join(clock.name for clock in told) or "none"
        raise NotFound(f"the ticket has no clock {name!r} (it has: {known})", reason="CLOCK_UNKNOWN")
    for one in (*found.past, found):
        if cycle in (0, one.cycle) and (cycle or one is found):
            return one
    raise NotFound(
        f"clock {name!r} has no cycle {cycle}, its newest is {found.cycle}", reason="CLOCK_UNKNOWN"
    )


def _due(clock: Clock) -> int | None:
    """Where the target is reached; for a clock that was met before it, where it was heading for."""
    if clock.due is None and clock.met_at is not None:
        return clock.terms.calendar.add(clock.met_at, clock.target - clock.elapsed)
    return clock.due


def _stretches(clock: Clock, due: int | None, now: int) -> Iterator[Stretch]:
    """The clock's life without a gap: to the due instant, or to the end or to now if that comes later."""
    if clock.started is None:
        return
    lived = clock.ended if clock.ended is not None else max(now, clock.started)
    edge = max(lived, due or 0)
    for start, end, fact in _spells(clock, edge):
        if fact is not None:
            yield from _cut(Stretch(start, end, Kind.PAUSED, described(fact)), due)
            continue
        for one in _counted(clock.terms.calendar, start, end):
            yield from _cut(one, due)


def _spells(clock: Clock, edge: int) -> Iterator[tuple[int, int, Fact | None]]:
    """Running and paused stretches in order, up to the edge; a pause comes with its fact."""
    told: list[tuple[int, int | None, Fact | None]] = [
        *((one.start, one.end, None) for one in clock.segments),
        *((one.start, one.end, one.fact) for one in clock.pauses),
    ]
    if clock.ended is not None:
        # What a clock that was met early was heading for is told as if it had gone on.
        told.append((clock.ended, edge, None))
    spells = [(start, edge if end is None else end, fact) for start, end, fact in told]
    yield from sorted((spell for spell in spells if spell[0] < spell[1]), key=lambda spell: spell[0])


def _counted(calendar: Calendar, start: int, end: int) -> Iterator[Stretch]:
    for piece in calendar.pieces(start, end):
        kind = Kind.COUNTED if piece.open else Kind.HOLIDAY if piece.name else Kind.CLOSED
        yield Stretch(piece.start, piece.end, kind, piece.name)


def _cut(one: Stretch, due: int | None) -> Iterator[Stretch]:
    """The stretch, in two where the due instant lies within it."""
    if due is None or not one.start < due < one.end:
        yield one
        return
    yield replace(one, end=due)
    yield replace(one, start=due)


def described(fact: Fact) -> str:
    """A fact in words, such as `status_changed to waiting`."""
    to = fact.values.get("to") or fact.values.get("status") or ""
    return f"{fact.kind} to {to}" if fact.kind.endswith("_changed") and to else fact.kind


def _seen(timeline: Timeline, policy: Policy, clock: Clock) -> Attributes:
    """The attributes that the rows were held against: a finished cycle keeps those of its end."""
    rule = next(rule for rule in policy.rules if rule.name == clock.name)
    situation, at = Situation(), 0
    for fact in timeline.facts:
        at = max(at, fact.at)
        situation = situation.after(fact)
        if at == clock.ended and _ends(rule, fact):
            break
    told = timeline.attributes
    return replace(told, priority=situation.priority or told.priority, line=situation.line or told.line)


def _ends(rule: Rule, fact: Fact) -> bool:
    return any(trigger.fits(fact) for trigger in (*rule.stop, *rule.cancel))
