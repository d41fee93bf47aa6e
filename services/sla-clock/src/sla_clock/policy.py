"""A policy: which clocks there are, which targets a ticket gets, and what happens on the way to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from sla_clock.calendar import MICROS, Calendar
from sla_clock.conditions import Condition
from sla_clock.domain import (
    Action,
    Attributes,
    Clock,
    MarkRule,
    Rule,
    Situation,
    Terms,
    Timeline,
    Trigger,
    While,
)
from sla_clock.reckon import clock, walk


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the matrix: whom it is for, and the targets it gives (microseconds of working time).

    Tickets of the row do not have the clocks in `without`; `marks` are those of its own ladders.
    """

    name: str
    targets: Mapping[str, int]
    calendar: Calendar
    equals: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    when: Condition | None = None
    robot: bool | None = None
    without: frozenset[str] = frozenset()
    marks: Mapping[str, tuple[MarkRule, ...]] = field(default_factory=dict)

    def fits(self, attributes: Attributes) -> bool:
        """Whether the row is for a ticket with these attributes. Any one of the named tags will do."""
        return self._misses(attributes) is None

    def speaks(self, clock_name: str) -> bool:
        """Whether it gives that clock a target or takes it away."""
        return clock_name in self.targets or clock_name in self.without

    def misfit(self, attributes: Attributes) -> str:
        """Why the row is not for such a ticket; empty when it is."""
        name = self._misses(attributes)
        match name:
            case None:
                return ""
            case "tags":
                return f"the ticket has none of the tags {', '.join(sorted(self.tags))}"
            case "robot":
                return f"the ticket was {'not ' if self.robot else ''}opened by a robot"
            case "when":
                return "the condition is false"
        value = getattr(attributes, name) or "empty"
        return f"{name} is {value}, not {' or '.join(sorted(self.equals[name]))}"

    def _misses(self, attributes: Attributes) -> str | None:
        """The first condition that does not hold."""
        for name, wanted in self.equals.items():
            value: str = getattr(attributes, name)
            # A row for "payment" is for "payment/refund" too.
            if value not in wanted and not (name == "category" and value.partition("/")[0] in wanted):
                return name
        if self.tags and self.tags.isdisjoint(attributes.tags):
            return "tags"
        if self.robot is not None and self.robot is not attributes.from_robot:
            return "robot"
        return "when" if self.when is not None and not self.when.holds(attributes) else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a row of the matrix met a ticket for one clock."""

    row: str
    target: int | None
    won: bool
    reason: str


@dataclass(frozen=True)
class Policy:
    """A checked policy. `first` takes the first row that fits, `strictest` the shortest target of all.

    `calendar` names the one that rows use when they name none; `business_day` is what 1bd means.
    """

    name: str
    rows: tuple[Row, ...]
    rules: tuple[Rule, ...]
    marks: Mapping[str, tuple[MarkRule, ...]]
    calendars: Mapping[str, Calendar]
    mode: Literal["first", "strictest"] = "first"
    version: int = 0
    calendar: str = ""
    business_day: int = 8 * 3600 * MICROS

    def terms(self, name: str, attributes: Attributes) -> Terms | None:
        """What a clock is held to, with the row that won and the rows that fitted and lost."""
        return self._terms(name, self._fitting(attributes))

    def terms_of(self, attributes: Attributes) -> Callable[[str, Situation], Terms | None]:
        """`terms` for any clock of one ticket, with the priority and line of a situation of its past."""
        known: dict[tuple[str, str], tuple[Row, ...]] = {}

        def find(name: str, at: Situation) -> Terms | None:
            key = (at.priority or attributes.priority, at.line or attributes.line)
            if key not in known:
                known[key] = self._fitting(replace(attributes, priority=key[0], line=key[1]))
            return self._terms(name, known[key])

        return find

    def verdicts(self, name: str, attributes: Attributes) -> Iterator[Verdict]:
        """What every row said of that clock of such a ticket, and why."""
        won = self._chosen(name, self._fitting(attributes))
        for row in self.rows:
            reason = row.misfit(attributes) or self._reason(name, row, won)
            yield Verdict(row.name, row.targets.get(name), row is won, reason)

    def _fitting(self, attributes: Attributes) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.fits(attributes))

    def _chosen(self, name: str, fitting: tuple[Row, ...]) -> Row | None:
        """The row that decides; one without the clock is stricter than any target."""
        rows = (row for row in fitting if row.speaks(name))
        if self.mode == "first":
            return next(rows, None)
        return min(rows, key=lambda row: row.targets.get(name, 0), default=None)

    def _terms(self, name: str, fitting: tuple[Row, ...]) -> Terms | None:
        won = self._chosen(name, fitting)
        if won is None or name not in won.targets:
            return None
        lost = tuple(row.name for row in fitting if row is not won and row.speaks(name))
        marks = won.marks[name] if name in won.marks else self.marks.get(name, ())
        return Terms(won.targets[name], won.calendar, marks, won.name, lost)

    def _reason(self, name: str, row: Row, won: Row | None) -> str:
        """Why a row that fits won or lost."""
        if won is None or not row.speaks(name):
            return f"fits, but says nothing of {name}"
        if row is won and name in row.without:
            return f"fits, and such tickets have no {name}"
        if row is won:
            return "the first row that fits" if self.mode == "first" else "the shortest target that fits"
        if self.mode == "first" or row.targets.get(name, 0) == won.targets.get(name, 0):
            return f"fits, but {won.name} stands above it"
        return f"fits, but {won.name} is stricter"


def clocks(timeline: Timeline, policy: Policy) -> tuple[Clock, ...]:
    """Every clock of a ticket for which the policy has a target, in the policy's order."""
    find, walked = policy.terms_of(timeline.attributes), walk(timeline)
    told = (clock(walked, rule, partial(find, rule.name)) for rule in policy.rules)
    return tuple(one for one in told if one is not None)


def _on(*facts: str) -> tuple[Trigger, ...]:
    return tuple(Trigger(fact) for fact in facts)


_ANSWERED = (While("status_kind", frozenset({"resolved"})),)
"""A ticket that was solved without an answer does not go on asking for one, unless it is opened again."""

RULES: tuple[Rule, ...] = (
    Rule(
        "pickup",
        start=_on("created"),
        stop=_on("taken"),
        pause=_ANSWERED,
        revive=_on("reopened"),
        cancel=_on("closed", "merged"),
    ),
    Rule(
        "acknowledge",
        start=_on("created"),
        stop=_on("staff_replies"),
        pause=_ANSWERED,
        revive=_on("reopened"),
        cancel=_on("closed", "merged"),
    ),
    Rule(
        "first_response",
        start=_on("created"),
        stop=_on("staff_replies"),
        pause=_ANSWERED,
        revive=_on("reopened"),
        cancel=_on("closed", "merged"),
    ),
    Rule(
        "accepted_response",
        start=_on("taken"),
        stop=_on("staff_replies"),
        pause=_ANSWERED,
        revive=_on("taken"),
        cancel=_on("returned", "closed", "merged"),
    ),
    Rule(
        "next_response",
        start=_on("customer_messages"),
        stop=_on("staff_replies"),
        pause=_ANSWERED,
        restart=_on("customer_messages"),
        cancel=_on("closed", "merged"),
        after=_on("staff_replies"),
    ),
    Rule(
        "resolution",
        start=_on("created"),
        stop=_on("resolved", "closed"),
        pause=(While("status_kind", frozenset({"waiting"})),),
        restart=_on("reopened"),
        cancel=_on("merged"),
    ),
)
"""The six clocks. A policy may change them and add its own."""

RESPONSES = frozenset({"pickup", "acknowledge", "first_response", "accepted_response", "next_response"})
"""Clocks that an answer stops: 80 % of them unanswered asks for the next line."""

REMIND_70 = MarkRule("70%", Action.REMIND, share=700_000)
ESCALATE_80 = MarkRule("80%", Action.ESCALATE_LINE, share=800_000)
REMIND_90 = MarkRule("90%", Action.REMIND, share=900_000)
BREACH = MarkRule("100%", Action.BREACH, share=1_000_000)
OVERRUN_150 = MarkRule("150%", Action.ESCALATE_MANAGEMENT, share=1_500_000)


def default_marks(clock_name: str) -> tuple[MarkRule, ...]:
    """The marks of a clock in a policy that names none."""
    escalate = (ESCALATE_80,) if clock_name in RESPONSES else ()
    return (REMIND_70, *escalate, REMIND_90, BREACH, OVERRUN_150)
