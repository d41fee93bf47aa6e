"""Statuses as data: what a workflow holds, and where it lets a ticket go."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from tickets.domain.label import Label

if TYPE_CHECKING:
    from tickets.domain.conditions import Condition


class StatusKind(IntEnum):
    """What a status means to clocks, reports and verbs, whatever a desk calls it."""

    NEW = 1
    OPEN = 2
    WAITING = 3
    ESCALATED = 4
    RESOLVED = 5
    CLOSED = 6


OPEN_KINDS = (StatusKind.NEW, StatusKind.OPEN, StatusKind.WAITING, StatusKind.ESCALATED)

REACHABLE = {
    StatusKind.NEW: OPEN_KINDS + (StatusKind.RESOLVED,),
    StatusKind.OPEN: OPEN_KINDS + (StatusKind.RESOLVED,),
    StatusKind.WAITING: OPEN_KINDS + (StatusKind.RESOLVED,),
    StatusKind.ESCALATED: (StatusKind.NEW, StatusKind.OPEN, StatusKind.ESCALATED, StatusKind.RESOLVED),
    StatusKind.RESOLVED: (StatusKind.NEW, StatusKind.OPEN, StatusKind.RESOLVED, StatusKind.CLOSED),
    StatusKind.CLOSED: (StatusKind.NEW, StatusKind.OPEN, StatusKind.CLOSED),
}
"""Kinds that the verbs lead to from each kind; a transition between others could never be made."""

_BY_HAND = {
    StatusKind.NEW: (StatusKind.OPEN, StatusKind.WAITING),
    StatusKind.OPEN: (StatusKind.WAITING,),
    StatusKind.WAITING: (StatusKind.OPEN,),
}


@dataclass(frozen=True, slots=True)
class Status:
    """A status that tickets can have; with a line, only tickets on that line."""

    key: str
    kind: StatusKind
    line: int = 0
    name: Label = field(default=Label(), compare=False)


@dataclass(frozen=True, slots=True)
class Transition:
    """A move that is allowed: from nowhere in particular means from everywhere that a verb leads from."""

    to: str
    from_: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()
    guard: "Condition | None" = None


NEEDED = (StatusKind.NEW, StatusKind.OPEN, StatusKind.RESOLVED, StatusKind.CLOSED)
"""What every workflow has."""


@dataclass(frozen=True, slots=True)
class Mover:
    """A person or program that moves a ticket: its role and the lines it works on, none meaning all."""

    role: str
    lines: tuple[int, ...] = ()

    def may(self, transition: Transition) -> bool:
        """Whether the transition is theirs to make."""
        on_line = not transition.lines or not self.lines or set(self.lines) & set(transition.lines)
        return bool(on_line) and (not transition.roles or self.role in transition.roles)


@dataclass(frozen=True, slots=True)
class Workflow:
    """The life of a queue's tickets. With a term of 0 the service's setting closes the resolved."""

    statuses: tuple[Status, ...]
    transitions: tuple[Transition, ...]
    confirmation_seconds: int = 0

    def status(self, key: str, kind: StatusKind) -> Status:
        """The status of a key; one that was removed meanwhile counts as the first of its kind."""
        found = next((each for each in self.statuses if each.key == key), None)
        return found or self.first(kind, 0)

    def first(self, kind: StatusKind, line: int) -> Status:
        """The first status of a kind that a line can have, else the first of the kind.

        Escalated tickets are new to their line where nothing is of the kind escalated.
        """
        of_kind = [each for each in self.statuses if each.kind == kind]
        if not of_kind:
            return self.first(StatusKind.NEW, line)
        return next((each for each in of_kind if each.line in (0, line)), of_kind[0])

    def missing(self, line: int) -> list[StatusKind]:
        """Kinds that it has, and that a ticket on this line could not become; L1 gets nothing escalated."""
        wanted = NEEDED if line <= 1 else (*NEEDED, StatusKind.ESCALATED)
        here = {each.kind for each in self.statuses if each.line in (0, line)}
        kinds = {each.kind for each in self.statuses}
        return [kind for kind in wanted if kind in kinds - here]

    def last_line(self, last: int) -> int:
        """The last line, up to that one, on which a ticket would not be stuck."""
        return next((line for line in range(last, 1, -1) if not self.missing(line)), 1)

    @property
    def handed_over(self) -> StatusKind:
        """What a ticket becomes that another line gets: escalated, or new where there is no such status."""
        return self.first(StatusKind.ESCALATED, 0).kind

    def allowed(self, status: Status, line: int) -> list[Status]:
        """Where a ticket may go from a status by whatever verb, in the order that people see."""
        return [each for each in self.statuses if each.line in (0, line) and self.between(status, each)]

    def by_hand(self, status: Status, line: int, *, assigned: bool) -> list[Status]:
        """Where ChangeTicketStatus may lead: within a kind, to waiting and back. The rest have verbs."""
        kinds = (status.kind, *_BY_HAND.get(status.kind, ()))
        return [
            each
            for each in self.allowed(status, line)
            if each.kind in kinds and (assigned or each.kind != StatusKind.OPEN)
        ]

    def between(self, before: Status, after: Status) -> list[Transition]:
        """The transitions that lead from one status to another."""
        if before.key == after.key or after.kind not in REACHABLE[before.kind]:
            return []
        return [
            each
            for each in self.transitions
            if each.to == after.key and (not each.from_ or before.key in each.from_)
        ]


LINES = Workflow(
    statuses=(
        Status("new", StatusKind.NEW),
        Status("in_progress", StatusKind.OPEN),
        Status("waiting", StatusKind.WAITING),
        Status("escalated", StatusKind.ESCALATED),
        Status("resolved", StatusKind.RESOLVED),
        Status("closed", StatusKind.CLOSED),
    ),
    transitions=(
        Transition("new"),
        Transition("in_progress"),
        Transition("waiting", ("new", "in_progress")),
        Transition("escalated", ("new", "in_progress", "waiting")),
        Transition("resolved", ("new", "in_progress", "waiting", "escalated")),
        Transition("closed", ("resolved",)),
    ),
)
"""The workflow of a queue that nobody gave another (CA-08); the template "lines" is the same."""
