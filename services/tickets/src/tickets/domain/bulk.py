"""Bulks: one action on a list of tickets, and how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

MAX_TICKETS = 10_000
MAX_ATTEMPTS = 10
"""A ticket that could not be had so often (somebody holds it, its change takes too long) is refused."""


class State(IntEnum):
    """How far a bulk is."""

    RUNNING = 1
    FINISHED = 2
    CANCELLED = 3


class ItemState(IntEnum):
    """What became of one ticket of a bulk."""

    WAITING = 1
    DONE = 2
    REFUSED = 3
    CANCELLED = 4


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for, by whom and for whom; the action as the contract's JSON."""

    id: str
    principal: str
    agent_id: str
    action: Mapping[str, Any]
    dry_run: bool
    created_time: datetime
    query: str = ""


@dataclass(frozen=True, slots=True)
class Bulk:
    """A bulk, and how many of its tickets are how far."""

    order: Order
    total: int = 0
    waiting: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    updated_time: datetime | None = None

    @property
    def state(self) -> State:
        """It runs while a ticket waits."""
        if self.waiting:
            return State.RUNNING
        return State.CANCELLED if self.cancelled else State.FINISHED

    @property
    def percent(self) -> int:
        """Share of the list that is done or was refused, 0 to 100."""
        return 100 * (self.done + self.failed) // self.total if self.total else 100


@dataclass(frozen=True, slots=True)
class Item:
    """One ticket of a bulk."""

    order: Order
    position: int
    ticket_id: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a ticket refused."""

    ticket_id: str
    ticket_key: str
    position: int
    code: str
    reason: str
    field: str
    message: str
    time: datetime
