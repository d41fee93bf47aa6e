"""Mass incidents: noticing that many tickets are about one thing (KT-16, MP-16)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from itertools import combinations

from tickets.domain.keywords import stem, words
from tickets.domain.model import Actor

_SHORTEST_WORD = 4
_WORDS = 8
_SAID_BY_ALL = frozenset(
    stem(word)
    for word in words(
        "здравствуйте добрый день привет срочно помогите пожалуйста вопрос проблема ошибка почему когда "
        "сегодня можно нужно hello good morning urgent help please question problem error issue today why"
    )
)
"""Words that say nothing about what a ticket is about."""


class State(IntEnum):
    """How far an incident is."""

    PROPOSED = 1
    OPEN = 2
    DISMISSED = 3


class Kind(IntEnum):
    """What is done to every child."""

    JOIN = 1
    REPLY = 2
    PRIORITY = 3
    RESOLVE = 4


@dataclass(frozen=True, slots=True)
class Failure:
    """A child that could not follow, and why."""

    ticket_key: str
    reason: str


@dataclass(slots=True)
class Task:
    """Something that is done to the children from one place of the list up to another, in batches."""

    incident_id: str
    kind: Kind
    actor: Actor
    created_time: datetime
    message_id: str = ""
    position: int = 0
    last_position: int = 0
    total: int = 0
    id: int = 0
    done: int = 0
    failures: list[Failure] = field(default_factory=list)
    finished_time: datetime | None = None


@dataclass(slots=True)
class Incident:
    """A parent, and how many tickets follow it or seem to belong to it."""

    ticket_id: str
    queue: str
    number: int
    subject: str
    state: State
    topic: str
    created_time: datetime
    child_count: int = 0
    suggested_count: int = 0
    tasks: list[Task] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Recent:
    """As much of a new ticket as tells what it is about."""

    id: str
    category: str
    component: str
    subject: str
    created_time: datetime


@dataclass(frozen=True, slots=True)
class Burst:
    """Tickets about one thing, in the order they came."""

    topic: str
    ticket_ids: tuple[str, ...]


def topics(ticket: Recent) -> Iterator[str]:
    """What a ticket may have in common with others, the most telling first."""
    if ticket.component:
        yield f"component:{ticket.component}"
    if ticket.category:
        yield f"category:{ticket.category}"
    telling = [each for each in words(ticket.subject) if len(each) >= _SHORTEST_WORD]
    stems = sorted({stem(each) for each in telling[:_WORDS]} - _SAID_BY_ALL)
    if len(stems) == 1:
        yield f"words:{stems[0]}"
    yield from (f"words:{one} {other}" for one, other in combinations(stems, 2))


def bursts(recent: Sequence[Recent], count: int) -> list[Burst]:
    """Groups of at least `count` tickets that have something in common; no ticket is in two.

    `recent` are the tickets of one queue in the order they came. What most have in common goes first.
    """
    by_ticket = {each.id: list(topics(each)) for each in recent}
    found = []
    while by_ticket:
        tally = Counter(topic for told in by_ticket.values() for topic in told)
        topic, size = max(tally.items(), key=_weight, default=("", 0))
        if size < count:
            break
        ids = tuple(identity for identity, told in by_ticket.items() if topic in told)
        found.append(Burst(topic, ids))
        for identity in ids:
            del by_ticket[identity]
    return found


def known_topic(ticket: Recent, active: Iterable[str]) -> str:
    """Which of the active incidents' topics the ticket is about; empty when none."""
    own = set(topics(ticket))
    return next((topic for topic in active if topic and topic in own), "")


def _weight(item: tuple[str, int]) -> tuple[int, bool, str]:
    """More tickets first; of as many, what people said of them before words; then any fixed order."""
    topic, size = item
    return size, not topic.startswith("words:"), topic
