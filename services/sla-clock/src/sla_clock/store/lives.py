"""Whole lives of tickets, open and closed, for those who replay them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from sla_clock.store.tables import ticket_table


@dataclass(frozen=True, slots=True)
class Life:
    """A ticket's timeline and attributes, as its last event told them."""

    ticket_id: UUID
    timeline: bytes
    attributes: Mapping[str, Any]


_LIVES = sa.select(*(ticket_table.c[name] for name in Life.__dataclass_fields__))


async def read_lives(tx: Tx, after: UUID | None, limit: int, queue: str = "") -> list[Life]:
    """A page of tickets in the order of their ids, of one queue or of all."""
    query = _LIVES.where(ticket_table.c.queue == queue) if queue else _LIVES
    if after is not None:
        query = query.where(ticket_table.c.ticket_id > after)
    found = await tx.execute(query.order_by(ticket_table.c.ticket_id).limit(limit))
    return [Life(**one) for one in found.mappings()]


async def count_tickets(tx: Tx, queue: str = "", *, open_only: bool = False) -> int:
    """How many tickets there are, of one queue or of all."""
    query = sa.select(sa.func.count()).select_from(ticket_table)
    if queue:
        query = query.where(ticket_table.c.queue == queue)
    if open_only:
        query = query.where(ticket_table.c.open)
    return await tx.conn.scalar(query) or 0
