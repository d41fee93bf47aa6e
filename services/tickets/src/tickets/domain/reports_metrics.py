"""What a metric is, and where it is counted."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from tickets.domain.label import Label

TIMES = ("day", "week", "month")
"""Fields that make rows of days; periods without anything have a row, too."""
EVERYWHERE = (
    *TIMES,
    "queue",
    "line",
    "category",
    "component",
    "edition",
    "priority",
    "tier",
    "channel",
    "type",
    "operator",
)
"""Fields that every metric can be grouped by."""


class Unit(IntEnum):
    """What values are; numbers of the contract."""

    COUNT = 1
    SHARE = 2
    SECONDS = 3


class Source(StrEnum):
    """Where figures are counted: each is one kind of thing that belongs to the period of one moment."""

    OPENED = "opened"
    TAKEN = "taken"
    ANSWERED = "answered"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    RATED = "rated"
    CLOCK = "clock"
    BACKLOG = "backlog"
    SPENT = "spent"

    @property
    def fields(self) -> tuple[str, ...]:
        """What it can be grouped by."""
        return (*EVERYWHERE, *self.more)

    @property
    def more(self) -> tuple[str, ...]:
        """Fields that no other source has."""
        return _MORE.get(self, ())

    @property
    def moment(self) -> str:
        """What puts a thing into a period, and whose and on which line it is then."""
        return _MOMENTS[self]


_MORE: dict[Source, tuple[str, ...]] = {
    Source.RESOLVED: ("level",),
    Source.CLOCK: ("clock",),
    Source.SPENT: ("status",),
}
_MOMENTS = {
    Source.OPENED: "The ticket was created; line and operator are those it has now.",
    Source.TAKEN: (
        "A person first had the ticket, by taking it or by being given it; line and operator of then."
    ),
    Source.ANSWERED: "The first reply of a person in the first cycle; its author and line.",
    Source.RESOLVED: (
        "The first resolution of a cycle; who resolved it (a rule: who had it) and line of then."
    ),
    Source.REOPENED: ("The ticket was opened again; line and operator of the resolution that did not last."),
    Source.RATED: (
        "The customer scored a cycle, the last score counts; line and operator of its resolution."
    ),
    Source.CLOCK: "A clock of a cycle was met; line and operator whom sla-clock told of then.",
    Source.BACKLOG: "The end of the period, or now where it is not over; line and operator of then.",
    Source.SPENT: "The first resolution of the cycle; line, status and operator of the time spent.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """A figure, and its goal where the desk has one."""

    name: str
    source: Source
    unit: Unit
    title: Label
    meaning: Label
    at_least: float | None = None
    at_most: float | None = None

    def misses(self, value: float) -> bool:
        """Whether a value is off the goal."""
        too_little = self.at_least is not None and value < self.at_least
        return too_little or (self.at_most is not None and value > self.at_most)


@dataclass(frozen=True, slots=True)
class View:
    """Metrics that are read together."""

    name: str
    title: Label
    metrics: tuple[str, ...]
