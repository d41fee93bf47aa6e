"""What lists show of a ticket, and queries that are kept."""

from dataclasses import dataclass, field
from datetime import datetime

from tickets.domain.model import SlaClock


@dataclass(frozen=True, slots=True)
class TicketSummary:
    """A ticket without what only its page shows. Enums are numbers of the contract."""

    id: str
    queue: str
    number: int
    version: int
    subject: str
    type: int
    category: str
    component: str
    priority: int
    status: str
    status_kind: int
    line: int
    assignee: str
    customer_id: str
    customer_name: str
    customer_tier: int
    channel: int
    tags: list[str]
    message_count: int
    created_time: datetime
    updated_time: datetime
    resolved_time: datetime | None
    due_time: datetime | None
    clocks: list[SlaClock]

    @property
    def key(self) -> str:
        """What people say, "SUP-12"."""
        return f"{self.queue}-{self.number}"


@dataclass(slots=True)
class SavedFilter:
    """A query with a name; with a queue it is shared with those who work there."""

    id: str
    owner: str
    name: str
    query: str
    queue: str
    updated_time: datetime
    version: int = 1


@dataclass(frozen=True, slots=True)
class Cell:
    """How many tickets have a value of one field, of another, or of both; as queries write them."""

    group: str
    split: str
    count: int


@dataclass(slots=True)
class Counts:
    """Tickets by two fields, the sums by each, and all of them."""

    cells: list[Cell] = field(default_factory=list)
    groups: list[Cell] = field(default_factory=list)
    splits: list[Cell] = field(default_factory=list)
    total: int = 0
    truncated: bool = False
