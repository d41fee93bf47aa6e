"""Wake-ups: which ticket is to be looked at when."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from sla_clock.calendar import micros
from sla_clock.store.tables import wake_table

_WAKES = sa.select(wake_table).where(wake_table.c.next_wake_at.is_not(None))


async def armed_tickets(tx: Tx, after: UUID | None, limit: int) -> list[tuple[UUID, int, int]]:
    """A page of tickets with a wake-up: id, revision, instant."""
    query = _WAKES if after is None else _WAKES.where(wake_table.c.ticket_id > after)
    return await _read(tx, query.order_by(wake_table.c.ticket_id).limit(limit))


async def overdue_tickets(tx: Tx, grace_seconds: float, limit: int) -> list[tuple[UUID, int, int]]:
    """The tickets that have waited longest, beyond a grace."""
    edge = sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 0, 0, 0, grace_seconds)
    query = _WAKES.where(wake_table.c.next_wake_at <= edge)
    return await _read(tx, query.order_by(wake_table.c.next_wake_at).limit(limit))


async def unarmed(tx: Tx, ticket_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the tickets that have no wake-up."""
    given = sa.func.unnest(sa.literal(list(ticket_ids), sa.ARRAY(sa.Uuid))).column_valued("given")
    armed = sa.and_(wake_table.c.ticket_id == given, wake_table.c.next_wake_at.is_not(None))
    query = sa.select(given).where(~sa.exists().where(armed))
    return [found[0] for found in await tx.execute(query)]


async def _read(tx: Tx, query: sa.Select[tuple[object, ...]]) -> list[tuple[UUID, int, int]]:
    found = await tx.execute(query)
    return [(one.ticket_id, one.revision, micros(one.next_wake_at)) for one in found]
