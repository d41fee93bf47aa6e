"""Versions of known tickets, to be compared with those of the tickets service."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from sla_clock.store.tables import ticket_table

_t = ticket_table.c


async def known_versions(tx: Tx, ticket_ids: Sequence[UUID]) -> dict[UUID, int]:
    """The versions of those tickets that are known."""
    given = _t.ticket_id == sa.any_(sa.literal(list(ticket_ids), sa.ARRAY(sa.Uuid)))
    return {
        one.ticket_id: one.version
        for one in await tx.execute(sa.select(_t.ticket_id, _t.version).where(given))
    }


async def open_between(tx: Tx, after: UUID, upto: UUID) -> list[UUID]:
    """Tickets open here, of a stretch of ids."""
    within = sa.and_(_t.open, _t.ticket_id > after, _t.ticket_id <= upto)
    return list((await tx.execute(sa.select(_t.ticket_id).where(within))).scalars())
