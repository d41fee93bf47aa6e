"""What happens to a ticket in a word or two (`taken`, `line l2`), as the facts that the desk records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from chassis.errors import InvalidInput, Violation
from sla_clock.domain import Attributes, Fact, Situation
from sla_clock.rulefile import LINES, PRIORITIES, STATUS_KINDS

STATUSES: Mapping[str, str] = {kind: kind for kind in STATUS_KINDS} | {"in_progress": "open"}
"""Kinds of the statuses that every desk has; another one is open unless the step says its kind."""

_CHOICES = {"line": LINES, "priority": PRIORITIES}


@dataclass(slots=True)
class Story:
    """The facts so far, and where the ticket stands after them."""

    facts: list[Fact] = field(default_factory=list)
    situation: Situation = Situation()

    def begin(self, at: int, attributes: Attributes) -> None:
        """The ticket comes to be."""
        values = {"priority": attributes.priority, "line": attributes.line}
        self.tell("created", at, **values, status="new", status_kind="new")

    def step(self, text: str, at: int) -> None:
        """What happens next; raises InvalidInput when the words are no step."""
        word, *values = text.split() or [""]
        if word not in STEPS:
            raise _wrong(f"{word!r} is not a step; there are {', '.join(STEPS)}")
        least, most, take = STEPS[word]
        if not least <= len(values) <= most:
            form = f"{word} VALUE" if least else f"{word} alone" if not most else f"{word} or {word} WHO"
            raise _wrong(f"{text!r} is not a step; write {form}")
        take(self, at, *values)

    def tell(self, kind: str, at: int, **values: str) -> None:
        """One more fact."""
        self.facts.append(Fact(kind, at, values))
        self.situation = self.situation.after(self.facts[-1])

    def move(self, at: int, status: str, kind: str = "") -> None:
        """Another status; nothing when the ticket has it."""
        kind = kind or STATUSES.get(status, "open")
        if kind not in STATUS_KINDS:
            raise _wrong(f"{kind!r} is not a kind of status; there are {', '.join(STATUS_KINDS)}")
        if status != self.situation.status:
            told = {"from": self.situation.status, "from_kind": self.situation.status_kind}
            self.tell("status_changed", at, **told, to=status, to_kind=kind)

    def change(self, at: int, name: str, to: str) -> None:
        """Another line or priority."""
        to = to.casefold()
        if to not in _CHOICES[name]:
            raise _wrong(f"{to!r} is not a {name}; there are {', '.join(_CHOICES[name])}")
        before = {"from": str(getattr(self.situation, name))}
        self.tell(f"{name}_changed", at, **before, to=to)


Take = Callable[..., None]


def _fact(kind: str) -> Take:
    def told(story: Story, at: int) -> None:
        story.tell(kind, at)

    return told


def _moves(status: str, kind: str = "") -> Take:
    def told(story: Story, at: int) -> None:
        story.move(at, status)
        if kind:
            story.tell(kind, at)

    return told


def _changes(name: str) -> Take:
    def told(story: Story, at: int, to: str) -> None:
        story.change(at, name, to)

    return told


def _taken(story: Story, at: int, agent: str = "agent") -> None:
    story.tell("taken", at, agent=agent)
    if story.situation.status_kind in ("new", "escalated", "waiting"):
        story.move(at, "in_progress")


def _replied(story: Story, at: int, agent: str = "agent") -> None:
    story.tell("staff_replies", at, agent=agent)


def _customer(story: Story, at: int) -> None:
    if story.situation.status_kind == "waiting":
        story.move(at, "in_progress" if story.situation.assignee else "new")
    story.tell("customer_messages", at)


def _reopened(story: Story, at: int) -> None:
    story.tell("reopened", at)
    story.move(at, "in_progress" if story.situation.assignee else "new")


STEPS: Mapping[str, tuple[int, int, Take]] = {
    "taken": (0, 1, _taken),
    "returned": (0, 0, _fact("returned")),
    "replied": (0, 1, _replied),
    "customer": (0, 0, _customer),
    "robot": (0, 0, _fact("robot_replies")),
    "waiting": (0, 0, _moves("waiting")),
    "resumed": (0, 0, _moves("in_progress")),
    "status": (1, 2, Story.move),
    "line": (1, 1, _changes("line")),
    "priority": (1, 1, _changes("priority")),
    "escalated": (0, 0, _fact("escalated")),
    "unescalated": (0, 0, _fact("escalation_ended")),
    "resolved": (0, 0, _moves("resolved", "resolved")),
    "closed": (0, 0, _moves("closed", "closed")),
    "reopened": (0, 0, _reopened),
    "merged": (0, 0, _fact("merged")),
}
"""Every step with the least and the most values that follow it. Some are two facts, as in the desk."""


def _wrong(message: str) -> InvalidInput:
    return InvalidInput(message, reason="STEP_INVALID", violations=(Violation("step", message),))
