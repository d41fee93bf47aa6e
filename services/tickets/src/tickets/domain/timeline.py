"""The facts of a ticket's life, in order and bounded.

Each class is one kind of the contract's `Fact`: the class name in snake case is the name there, fields
have the same names (`from_` is `from`).
"""

import re
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TypeVar

CAPACITY = 2_000
"""More facts than this are folded: the older half keeps only what still tells something."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened."""

    time: datetime

    @property
    def end(self) -> datetime:
        """When it was over; only runs last."""
        return self.time


@dataclass(frozen=True, slots=True)
class Created(Fact):
    """The ticket came to be."""

    priority: int
    line: int
    status: str
    status_kind: int


@dataclass(frozen=True, slots=True)
class Taken(Fact):
    """A person took it or was given it; nobody when it went back to the queue."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class StatusChanged(Fact):
    """Its status changed."""

    from_: str
    to: str
    from_kind: int
    to_kind: int


@dataclass(frozen=True, slots=True)
class LineChanged(Fact):
    """It moved to another line."""

    from_: int
    to: int


@dataclass(frozen=True, slots=True)
class PriorityChanged(Fact):
    """Its priority changed."""

    from_: int
    to: int


@dataclass(frozen=True, slots=True)
class MessageRun(Fact):
    """Consecutive public messages of one side; `time` is the first one's."""

    last_time: datetime
    count: int
    agent_id: str

    @property
    def end(self) -> datetime:
        """When the last of them was written."""
        return self.last_time


@dataclass(frozen=True, slots=True)
class CustomerMessages(MessageRun):
    """The customer wrote."""


@dataclass(frozen=True, slots=True)
class StaffReplies(MessageRun):
    """A person of the desk wrote to the customer."""


@dataclass(frozen=True, slots=True)
class RobotReplies(MessageRun):
    """A robot wrote to the customer; no response clock stops for it."""


@dataclass(frozen=True, slots=True)
class Escalated(Fact):
    """An escalation was raised or got another reason; `to_line` is 0 when no line got the ticket."""

    reason: int
    to_line: int


@dataclass(frozen=True, slots=True)
class EscalationEnded(Fact):
    """The escalation ended; `line` has the ticket."""

    line: int


@dataclass(frozen=True, slots=True)
class Resolved(Fact):
    """Solved, by the agent or by a rule."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class Reopened(Fact):
    """Opened again; a new cycle began."""

    cycle: int


@dataclass(frozen=True, slots=True)
class Closed(Fact):
    """Closed, confirmed by the customer or because the term ran out."""

    confirmed: bool


@dataclass(frozen=True, slots=True)
class AttributesChanged(Fact):
    """Something a policy looks at changed."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Merged(Fact):
    """Merged into another ticket."""

    into_ticket_id: str


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


KINDS: dict[str, type[Fact]] = {
    _snake(kind.__name__): kind
    for kind in (
        Created, Taken, StatusChanged, LineChanged, PriorityChanged, CustomerMessages, StaffReplies,
        RobotReplies, Escalated, EscalationEnded, Resolved, Reopened, Closed, AttributesChanged, Merged,
    )
}  # fmt: skip
"""Every kind of fact by its name in the contract."""
NAMES: dict[type[Fact], str] = {kind: name for name, kind in KINDS.items()}
FIELDS: dict[type[Fact], tuple[str, ...]] = {
    kind: tuple(each.name for each in fields(kind)) for kind in NAMES
}

F = TypeVar("F", bound=Fact)


def record(facts: list[Fact], fact: Fact) -> None:
    """Append a fact. One that comes late is moved to the end of the last: order is what clocks rely on."""
    if facts and fact.time < facts[-1].end:
        fact = replace(fact, time=facts[-1].end)
    facts.append(fact)
    if len(facts) > CAPACITY:
        facts[:] = _folded(facts)


def record_message(facts: list[Fact], side: type[MessageRun], at: datetime, agent_id: str = "") -> None:
    """Count a public message; it joins the last fact when that is a run of the same side."""
    last = facts[-1] if facts else None
    if type(last) is side and isinstance(last, MessageRun):
        facts[-1] = replace(last, last_time=max(at, last.last_time), count=last.count + 1)
        return
    at = max(at, last.end) if last else at
    record(facts, side(time=at, last_time=at, count=1, agent_id=agent_id))


def latest(facts: list[Fact], kind: type[F]) -> F | None:
    """The newest fact of a kind."""
    return next((fact for fact in reversed(facts) if isinstance(fact, kind)), None)


def cycle_start(facts: list[Fact]) -> int:
    """Index of the fact that began the present cycle."""
    return next((i for i in range(len(facts) - 1, 0, -1) if isinstance(facts[i], Reopened)), 0)


def _folded(facts: list[Fact]) -> list[Fact]:
    """The newer half as it is; of the older one the birth, what met a clock first, and each kind's last."""
    half = len(facts) // 2
    old, recent = facts[:half], facts[half:]
    first = {
        type(fact): i for i, fact in reversed(list(enumerate(old))) if isinstance(fact, Taken | StaffReplies)
    }
    last = {type(fact): i for i, fact in enumerate(old)}
    kept = sorted({0, *first.values(), *last.values()})
    return [old[i] for i in kept] + recent
