"""A policy: which clocks there are, which targets a ticket gets, and what happens on the way to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from cel_expr_python import cel

from chassis.errors import InvalidInput, Violation
from sla_clock.calendar import Calendar
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
    clock,
)

TEXTS = (
    "priority",
    "tier",
    "channel",
    "queue",
    "category",
    "line",
    "type",
    "component",
    "edition",
    "customer",
    "organisation",
    "language",
)
"""Attributes that a row may compare and a condition may name; besides them `tags` and `fields`."""

_CALLED = {name: name for name in TEXTS} | {"type": "ticket_type"}
"""Names within a condition: `type` means something else in CEL."""

_ENV = cel.NewEnv(
    variables={
        **dict.fromkeys(_CALLED.values(), cel.Type.STRING),
        "tags": cel.Type.List(cel.Type.STRING),
        "fields": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    }
)


class Condition:
    """A CEL expression over a ticket's attributes; a value that is not there makes it false."""

    def __init__(self, text: str) -> None:
        """Check and compile; raises InvalidInput that says where the expression is wrong."""
        self.text = text
        try:
            self._expression = _ENV.compile(text)
        except RuntimeError as error:
            raise _bad_condition(_cel_fault(str(error))) from None
        kind = self._expression.return_type()
        if kind != cel.Type.BOOL:
            raise _bad_condition(f"a condition is true or false, this one is {kind.name().lower()}")

    def holds(self, attributes: Attributes) -> bool:
        """Whether it is true for a ticket with these attributes."""
        data = {called: getattr(attributes, name) for name, called in _CALLED.items()}
        data |= {"tags": list(attributes.tags), "fields": dict(attributes.fields)}
        try:
            return self._expression.eval(data=data).value() is True
        except RuntimeError:
            # The iteration budget of the expression ran out: a row that cannot be decided does not win.
            return False


def _cel_fault(report: str) -> str:
    """The first line of CEL's report, without its code and its made-up file name."""
    first = report.splitlines()[0]
    _, _, fault = first.partition("<input>:")
    return f"at {fault.strip()}" if fault else first


def _bad_condition(message: str) -> InvalidInput:
    return InvalidInput(message, reason="CONDITION_INVALID", violations=(Violation("when", message),))


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the matrix: whom it is for, and the targets it gives (microseconds of working time)."""

    name: str
    targets: Mapping[str, int]
    calendar: Calendar
    equals: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    when: Condition | None = None

    def fits(self, attributes: Attributes) -> bool:
        """Whether the row is for a ticket with these attributes. Any one of the named tags will do."""
        if self.tags and self.tags.isdisjoint(attributes.tags):
            return False
        for name, wanted in self.equals.items():
            value: str = getattr(attributes, name)
            # A row for "payment" is for "payment/refund" too.
            if value not in wanted and not (name == "category" and value.partition("/")[0] in wanted):
                return False
        return self.when is None or self.when.holds(attributes)


@dataclass(frozen=True)
class Policy:
    """A checked policy. `first` takes the first row that fits, `strictest` the shortest target of all."""

    name: str
    rows: tuple[Row, ...]
    rules: tuple[Rule, ...]
    marks: Mapping[str, tuple[MarkRule, ...]]
    calendars: Mapping[str, Calendar]
    mode: Literal["first", "strictest"] = "first"
    version: int = 0

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

    def _fitting(self, attributes: Attributes) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.fits(attributes))

    def _terms(self, name: str, fitting: tuple[Row, ...]) -> Terms | None:
        rows = [row for row in fitting if name in row.targets]
        if not rows:
            return None
        won = rows[0] if self.mode == "first" else min(rows, key=lambda row: row.targets[name])
        lost = tuple(row.name for row in rows if row is not won)
        return Terms(won.targets[name], won.calendar, self.marks.get(name, ()), won.name, lost)


def clocks(timeline: Timeline, policy: Policy) -> tuple[Clock, ...]:
    """Every clock of a ticket for which the policy has a target, in the policy's order."""
    find = policy.terms_of(timeline.attributes)
    told = (clock(timeline, rule, partial(find, rule.name)) for rule in policy.rules)
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
