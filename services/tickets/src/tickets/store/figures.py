"""Counts over all tickets, for the gauges."""

from dataclasses import dataclass

import sqlalchemy as sa

from chassis.db import Tx
from tickets.domain.statuses import OPEN_KINDS
from tickets.store import tables

_t = tables.ticket


@dataclass(frozen=True, slots=True)
class Open:
    """Open tickets of one queue and status; the age is set where some of them are nobody's."""

    queue: str
    status: str
    count: int
    oldest_unassigned_seconds: float | None


async def open_tickets(tx: Tx) -> list[Open]:
    """Open tickets by queue and status."""
    unassigned = sa.func.min(_t.c.created_time).filter(_t.c.assignee == "")
    query = (
        sa.select(_t.c.queue, _t.c.status, sa.func.count().label("tickets"), unassigned.label("oldest"))
        .where(_t.c.status_kind.in_(OPEN_KINDS))
        .group_by(_t.c.queue, _t.c.status)
    )
    return [
        Open(
            row.queue, row.status, row.tickets, (tx.now - row.oldest).total_seconds() if row.oldest else None
        )
        for row in await tx.execute(query)
    ]
