"""How tickets hang together, and the tasks of other systems that they wait for."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from chassis.errors import InvalidInput, Violation

MAX_LINKS = 200
"""Links of one ticket, and as many pages and tasks."""
_URL = re.compile(r"https?://[!-~]{1,1990}", re.IGNORECASE)


class LinkKind(IntEnum):
    """What a ticket is to another; the numbers are the contract's."""

    RELATES = 1
    BLOCKS = 2
    BLOCKED_BY = 3
    DUPLICATES = 4
    DUPLICATED_BY = 5
    PARENT_OF = 6
    CHILD_OF = 7
    CAUSES = 8
    CAUSED_BY = 9


REVERSE = {
    LinkKind.RELATES: LinkKind.RELATES,
    LinkKind.BLOCKS: LinkKind.BLOCKED_BY,
    LinkKind.DUPLICATES: LinkKind.DUPLICATED_BY,
    LinkKind.PARENT_OF: LinkKind.CHILD_OF,
    LinkKind.CAUSES: LinkKind.CAUSED_BY,
}
"""Each kind that is stored, and how its other end sees it."""
_FORWARD = {reverse: kind for kind, reverse in REVERSE.items() if kind != reverse}


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """A link as it is stored: one row, whichever end it was made from."""

    kind: LinkKind
    from_id: str
    to_id: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link as one of its ends sees it, with what people want to know of the other."""

    kind: LinkKind
    ticket_id: str
    ticket_key: str
    subject: str
    status_kind: int
    created_time: datetime


class ExternalKind(IntEnum):
    """What stands behind an address outside the desk."""

    PAGE = 1
    DEVELOPMENT = 2
    TEST = 3


class TaskState(IntEnum):
    """How far a task is; a page has none."""

    NONE = 0
    OPEN = 1
    IN_PROGRESS = 2
    DONE = 3
    DROPPED = 4


@dataclass(frozen=True, slots=True)
class ExternalLink:
    """A page or a task of another system that belongs to a ticket."""

    url: str
    title: str
    kind: ExternalKind
    state: TaskState
    updated_time: datetime


def edge(kind: LinkKind, this: str, other: str) -> Edge:
    """The row of a link. Raises InvalidInput for a ticket with itself."""
    if this == other:
        text = "other must be another ticket"
        raise InvalidInput(text, violations=[Violation("other", text)])
    if kind in _FORWARD:
        return Edge(_FORWARD[kind], other, this)
    if kind == LinkKind.RELATES:
        return Edge(kind, min(this, other), max(this, other))
    return Edge(kind, this, other)


def instead(edge: Edge, ticket_id: str, into_id: str) -> Edge | None:
    """The same link with another ticket at the end of this one; None when it would lead back to itself."""
    ends = [into_id if each == ticket_id else each for each in (edge.from_id, edge.to_id)]
    if ends[0] == ends[1]:
        return None
    if edge.kind == LinkKind.RELATES:
        ends.sort()
    return Edge(edge.kind, *ends)


def seen_from(edge: Edge, ticket_id: str) -> LinkKind:
    """What the ticket is to the other end."""
    return edge.kind if edge.from_id == ticket_id else REVERSE[edge.kind]


def external(link: ExternalLink) -> ExternalLink:
    """The link as it shall be kept. Raises InvalidInput naming `url` or `state`."""
    if not _URL.fullmatch(link.url):
        text = "url must be an http or https address in ASCII, without spaces"
        raise InvalidInput(text, violations=[Violation("url", text)])
    is_page = link.kind == ExternalKind.PAGE
    if is_page and link.state != TaskState.NONE:
        text = "state must be unspecified: nothing waits for a page"
        raise InvalidInput(text, violations=[Violation("state", text)])
    state = link.state if is_page else link.state or TaskState.OPEN
    return ExternalLink(link.url, link.title, link.kind, state, link.updated_time)


def all_done(links: Iterable[ExternalLink]) -> bool:
    """Whether development and tests are through: what was not dropped is done, and something was done."""
    states = [each.state for each in links if each.kind != ExternalKind.PAGE]
    return TaskState.DONE in states and set(states) <= {TaskState.DONE, TaskState.DROPPED}
