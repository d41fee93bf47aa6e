"""What can be exported, and records that have no class of their own."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from tickets.domain.bulk import ItemState
from tickets.domain.knowledge import Content, Version
from tickets.domain.links import Edge, ExternalLink
from tickets.domain.setup import Kept


class Kind(IntEnum):
    """What can be exported."""

    TICKETS = 1
    CUSTOMERS = 2
    ORGANISATIONS = 3
    QUEUES = 4
    SETUPS = 5
    AGENTS = 6
    TEAMS = 7
    ARTICLES = 8
    ARTICLE_VERSIONS = 9
    AUDIT = 10
    LINKS = 11
    EXTERNAL_LINKS = 12
    FILTERS = 13
    DRAFTS = 14
    VOTES = 15
    INCIDENTS = 16
    INCIDENT_TICKETS = 17
    INCIDENT_TASKS = 18
    BULKS = 19
    BULK_ITEMS = 20
    CUSTOMER_MERGES = 21
    ARTICLE_USES = 22
    MISSING_ARTICLES = 23
    CLOCK_RESULTS = 24
    FORMER_KEYS = 25
    IMPORTED_TICKETS = 26


@dataclass(frozen=True, slots=True)
class KeptOf:
    """A version of the setup of a queue."""

    queue: str
    kept: Kept


@dataclass(frozen=True, slots=True)
class Edition:
    """An article as it was."""

    article_id: str
    version: Version
    content: Content


@dataclass(frozen=True, slots=True)
class LinkOf:
    """A link and when it was made."""

    edge: Edge
    created_time: datetime


@dataclass(frozen=True, slots=True)
class ExternalOf:
    """A page or task of a ticket."""

    ticket_id: str
    link: ExternalLink


@dataclass(frozen=True, slots=True)
class VoteOf:
    """A customer who wants a wish beside its author."""

    ticket_id: str
    customer_id: str
    created_time: datetime


@dataclass(frozen=True, slots=True)
class Follower:
    """A ticket that follows a mass incident, or seems to belong to it."""

    incident_id: str
    ticket_id: str
    follows: bool


@dataclass(frozen=True, slots=True)
class BulkRow:
    """A ticket of a bulk and what became of it."""

    bulk_id: str
    position: int
    ticket_id: str
    state: ItemState
    code: str
    reason: str
    field: str
    message: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class ClockResult:
    """A clock that was met; `elapsed_seconds` of business time are not known of old ones."""

    ticket_id: str
    clock: str
    cycle: int
    met_time: datetime
    breached: bool
    elapsed_seconds: float | None
    line: int
    assignee: str


@dataclass(frozen=True, slots=True)
class FormerKey:
    """A key that a ticket had in another queue."""

    key: str
    ticket_id: str


@dataclass(frozen=True, slots=True)
class ImportedName:
    """A name that a ticket had at the desk it was imported from."""

    external_id: str
    ticket_id: str
