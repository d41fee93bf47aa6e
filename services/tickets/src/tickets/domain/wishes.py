"""Wishes and how many want them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Wish:
    """A wish; its author is one of those who want it."""

    ticket_id: str
    ticket_key: str
    subject: str
    status_kind: int
    votes: int
    created_time: datetime
