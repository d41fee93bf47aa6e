"""Replays tickets' lives under a policy with a simulated clock: what would have been met, missed and told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from zoneinfo import ZoneInfo

from chassis.errors import DeskError
from sla_clock.calendar import moment
from sla_clock.domain import Action, Clock, Fact, State, Timeline
from sla_clock.policy import Policy, clocks
from sla_clock.standing import Standings, fire, next_wake, restand

ESCALATIONS = frozenset({Action.ESCALATE_LINE, Action.ESCALATE_MANAGEMENT})
MAX_SKIPPED = 100
_TERMS_CHANGE = frozenset({"priority_changed", "line_changed"})

Alert = tuple[str, int, Action]
"""What people are told: the clock, the instant, what is asked for."""


@dataclass(slots=True)
class Figures:
    """What came of some cycles: how many began, were met in time or missed, and what people were told."""

    started: int = 0
    met_in_time: int = 0
    breached: int = 0
    alerts: int = 0
    escalations: int = 0

    @property
    def compliance(self) -> int:
        """Share met in time of those that were met in time or missed, in millionths; -1 of none."""
        told = self.met_in_time + self.breached
        return self.met_in_time * 1_000_000 // told if told else -1

    def add(self, other: Figures) -> None:
        """Count these too."""
        self.started += other.started
        self.met_in_time += other.met_in_time
        self.breached += other.breached
        self.alerts += other.alerts
        self.escalations += other.escalations


def _rows() -> defaultdict[str, Figures]:
    return defaultdict(Figures)


Outcome = tuple[str, int, Figures]
"""What a cycle or a mark counts for: the clock, its instant, the figures."""


@dataclass(slots=True)
class Tally:
    """Figures of one policy: by day, by clock, in all. Its size does not grow with the tickets."""

    days: defaultdict[str, Figures] = field(default_factory=_rows)
    clocks: defaultdict[str, Figures] = field(default_factory=_rows)
    total: Figures = field(default_factory=Figures)

    def count(self, told: Iterable[Outcome], tz: ZoneInfo) -> None:
        """Count what came of a ticket; dates are those of the zone."""
        for name, at, one in told:
            day = moment(at).astimezone(tz).date().isoformat()
            for figures in (self.days[day], self.clocks[name], self.total):
                figures.add(one)


@dataclass(slots=True)
class Report:
    """Two policies over the same histories, up to an instant."""

    until: int
    base: Tally = field(default_factory=Tally)
    candidate: Tally = field(default_factory=Tally)
    tickets: int = 0
    skipped: list[str] = field(default_factory=list)
    unnamed: int = 0

    def skip(self, reason: str) -> None:
        """Note what cannot be counted; of many, the first are named."""
        if len(self.skipped) < MAX_SKIPPED - 1:
            self.skipped.append(reason)
            return
        self.unnamed += 1
        self.skipped[MAX_SKIPPED - 1 :] = [f"and {self.unnamed} more"]


@dataclass(frozen=True, slots=True)
class Replay:
    """Tickets created from an instant on, replayed under a base and a candidate into a report."""

    base: Policy
    candidate: Policy
    tz: ZoneInfo
    report: Report
    since: int = 0

    def take(self, name: str, timeline: Timeline) -> None:
        """Replay a ticket, or note under its name why that cannot be done."""
        until = self.report.until
        if not timeline.facts:
            self.report.skip(f"{name}: nothing is known to have happened")
            return
        if not self.since <= timeline.facts[0].at <= until:
            return
        try:
            # Both before either is counted: a ticket that cannot be computed counts under neither.
            told = [list(outcomes(timeline, policy, until)) for policy in (self.base, self.candidate)]
        except DeskError as error:
            self.report.skip(f"{name}: {error}")
            return
        for tally, each in zip((self.report.base, self.report.candidate), told, strict=True):
            tally.count(each, self.tz)
        self.report.tickets += 1


def outcomes(timeline: Timeline, policy: Policy, until: int) -> Iterator[Outcome]:
    """What came of each cycle and each mark of a ticket up to an instant."""
    facts = tuple(fact for fact in timeline.facts if fact.at <= until)
    lived = replace(timeline, facts=facts)
    told = clocks(lived, policy)
    for one in told:
        for cycle in (*one.past, one):
            if cycle.started is not None:
                yield cycle.name, cycle.started, _cycle(cycle, until)
    # Where the terms never changed, the marks of the last look stand where they fired.
    alerts = walked(lived, policy, until) if _terms_move(facts) else _fired(restand(told, (), 0), 0, until)
    for name, at, action in alerts:
        yield name, at, Figures(alerts=1, escalations=int(action in ESCALATIONS))


def _cycle(clock: Clock, until: int) -> Figures:
    breached = clock.breached_at(until)
    met = clock.state is State.MET and not breached
    return Figures(started=1, met_in_time=int(met), breached=int(breached))


def _terms_move(facts: Sequence[Fact]) -> bool:
    return any(fact.kind in _TERMS_CHANGE for fact in facts)


def walked(timeline: Timeline, policy: Policy, until: int) -> Iterator[Alert]:
    """Alerts as the live clock would have sent them: what is due before the next fact fires before it."""
    standings: Standings = ()
    known: tuple[Fact, ...] = ()
    seen = 0
    for at, group in groupby(_recorded(timeline.facts), lambda fact: fact.at):
        standings = yield from _fired(standings, seen, at - 1)
        known, seen = (*known, *group), at
        standings = restand(clocks(replace(timeline, facts=known), policy), standings, at)
    yield from _fired(standings, seen, until)


def _fired(standings: Standings, seen: int, until: int) -> Generator[Alert, None, Standings]:
    """Alerts up to then, each on its time but not before it was seen; returns the standings after them."""
    while (wake := next_wake(standings)) is not None and (now := max(wake, seen)) <= until:
        firings, standings = fire(standings, now)
        for one in firings:
            if not one.folded:
                yield one.standing.name, now, one.point.action
    return standings


def _recorded(facts: Sequence[Fact]) -> Iterator[Fact]:
    """The facts at the instants at which they count: a recorder's clock does not step back."""
    at = 0
    for fact in facts:
        at = max(at, fact.at)
        yield fact if fact.at == at else replace(fact, at=at)
