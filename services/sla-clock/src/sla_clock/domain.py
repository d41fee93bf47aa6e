"""The words of the clock: facts and timelines, rules, terms, marks, and a clock as it was reckoned.

Instants and durations are microseconds, see `sla_clock.calendar`. What depends on the present (time spent
so far, whether a running clock is late) is asked of a clock with an instant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sla_clock.calendar import Calendar

FACTS: Mapping[str, frozenset[str]] = {
    "created": frozenset({"priority", "line", "status", "status_kind"}),
    "taken": frozenset({"agent"}),
    "returned": frozenset(),
    "status_changed": frozenset({"from", "to", "from_kind", "to_kind"}),
    "line_changed": frozenset({"from", "to"}),
    "priority_changed": frozenset({"from", "to"}),
    "customer_messages": frozenset(),
    "staff_replies": frozenset({"agent"}),
    "robot_replies": frozenset(),
    "escalated": frozenset({"reason", "to_line"}),
    "escalation_ended": frozenset({"line"}),
    "resolved": frozenset({"agent"}),
    "reopened": frozenset(),
    "closed": frozenset({"confirmed"}),
    "attributes_changed": frozenset(),
    "merged": frozenset(),
}
"""Every kind of fact with the values that a trigger may ask for."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened. A run of messages is one fact at the instant of the first."""

    kind: str
    at: int
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a policy may look at, as of now."""

    priority: str = ""
    tier: str = ""
    channel: str = ""
    queue: str = ""
    category: str = ""
    line: str = ""
    type: str = ""
    component: str = ""
    edition: str = ""
    customer: str = ""
    organisation: str = ""
    language: str = ""
    from_robot: bool = False
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timeline:
    """The facts of a ticket, oldest first, and its attributes."""

    facts: tuple[Fact, ...]
    attributes: Attributes = Attributes()


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a ticket stands after a fact; pauses and finished cycles look at it."""

    status: str = ""
    status_kind: str = ""
    line: str = ""
    priority: str = ""
    assignee: str = ""

    def after(self, fact: Fact) -> Situation:
        """The situation once the fact has happened."""
        told = fact.values
        match fact.kind:
            case "created":
                return replace(self, **{name: told.get(name, "") for name in FACTS["created"]})
            case "taken":
                return replace(self, assignee=told.get("agent", ""))
            case "returned":
                return replace(self, assignee="")
            case "status_changed":
                return replace(self, status=told.get("to", ""), status_kind=told.get("to_kind", ""))
            case "line_changed":
                return replace(self, line=told.get("to", ""))
            case "priority_changed":
                return replace(self, priority=told.get("to", ""))
        return self


@dataclass(frozen=True, slots=True)
class Trigger:
    """A kind of fact, narrowed by the values it must carry."""

    fact: str
    where: tuple[tuple[str, frozenset[str]], ...] = ()

    def fits(self, fact: Fact) -> bool:
        """Whether this fact pulls the trigger."""
        return fact.kind == self.fact and all(fact.values.get(k, "") in wanted for k, wanted in self.where)


@dataclass(frozen=True, slots=True)
class While:
    """A situation that lasts, such as `status_kind` being `waiting`."""

    name: str
    values: frozenset[str]

    def holds(self, situation: Situation) -> bool:
        """Whether the ticket is in it."""
        return getattr(situation, self.name) in self.values


@dataclass(frozen=True, slots=True)
class Rule:
    """When a clock starts, pauses and stops. The six named clocks are rows of this, not code.

    `after` arms it: starts count only once one of these has happened. `restart` begins a new cycle when
    the last one is over, `revive` only when it was cancelled. Nothing restarts a cycle that still counts.
    """

    name: str
    start: tuple[Trigger, ...]
    stop: tuple[Trigger, ...]
    pause: tuple[While, ...] = ()
    restart: tuple[Trigger, ...] = ()
    revive: tuple[Trigger, ...] = ()
    cancel: tuple[Trigger, ...] = ()
    after: tuple[Trigger, ...] = ()


class Action(StrEnum):
    """What a mark asks for."""

    REMIND = "remind"
    ESCALATE_LINE = "escalate_line"
    BREACH = "breach"
    ESCALATE_MANAGEMENT = "escalate_management"
    OVERRUN = "overrun"


@dataclass(frozen=True, slots=True)
class MarkRule:
    """A point on the way: `share` of the target (millionths) plus `extra` working microseconds.

    `tell` names whom the mark is for; empty means whom its action tells by itself.
    """

    name: str
    action: Action
    share: int = 0
    extra: int = 0
    tell: tuple[str, ...] = ()

    def offset(self, target: int) -> int:
        """Working time after which it is reached; not positive when the target is too short for it."""
        return target * self.share // 1_000_000 + self.extra


@dataclass(frozen=True, slots=True)
class Terms:
    """What a clock is held to: the target with the row it comes from, the calendar, the marks."""

    target: int
    calendar: Calendar
    marks: tuple[MarkRule, ...]
    row: str
    lost: tuple[str, ...] = ()


TermsOf = Callable[[Situation], Terms | None]
"""The terms for a ticket in that situation; None when no row sets a target."""


class State(StrEnum):
    """Where a clock stands. Late is not a state: a late clock still runs, pauses and is met."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    MET = "met"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of real time in which the clock counts; still open when `end` is None."""

    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch in which it does not count, with the fact that held it; it lasts when `end` is None."""

    start: int
    end: int | None
    fact: Fact


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of a cycle. `at` is None where the timeline does not determine it: paused, or over before."""

    name: str
    action: Action
    offset: int
    at: int | None
    tell: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock of a ticket in its newest cycle; earlier cycles are in `past`.

    `elapsed` is the working time of the closed segments. `due` is the first instant at which the target
    has been worked: ahead while running, behind once late, None while it cannot be told.
    """

    name: str
    state: State
    terms: Terms
    cycle: int = 0
    started: int | None = None
    ended: int | None = None
    segments: tuple[Segment, ...] = ()
    pauses: tuple[Pause, ...] = ()
    elapsed: int = 0
    due: int | None = None
    marks: tuple[Mark, ...] = ()
    past: tuple[Clock, ...] = ()

    @property
    def target(self) -> int:
        """Working time allowed."""
        return self.terms.target

    @property
    def since(self) -> int | None:
        """Start of the segment that counts now."""
        return self.segments[-1].start if self.segments and self.segments[-1].end is None else None

    @property
    def met_at(self) -> int | None:
        """When it was met."""
        return self.ended if self.state is State.MET else None

    def elapsed_at(self, now: int) -> int:
        """Working time spent by then."""
        return self.elapsed + (self.terms.calendar.between(self.since, now) if self.since is not None else 0)

    def remaining_at(self, now: int) -> int:
        """Working time left by then; negative beyond the target."""
        return self.target - self.elapsed_at(now)

    def breached_at(self, now: int) -> bool:
        """Whether the target was missed by then; an end exactly at due has met it."""
        return self.due is not None and (self.due < self.ended if self.ended is not None else self.due <= now)
