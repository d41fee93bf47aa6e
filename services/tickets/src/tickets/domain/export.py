"""What can be exported, and records that have no class of their own."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

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
