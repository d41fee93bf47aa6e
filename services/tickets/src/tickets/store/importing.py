"""Names that imported tickets had elsewhere."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from tickets.store import tables

imported_ticket = sa.Table(
    "imported_ticket",
    tables.metadata,
    sa.Column("external_id", sa.Text, primary_key=True),
    # Claimed before the ticket is there: whoever comes second waits, and finds it.
    sa.Column("ticket_id", sa.Uuid(as_uuid=False), nullable=False),
)

_i, _t = imported_ticket, tables.ticket


async def known(tx: Tx, external_ids: Sequence[str]) -> dict[str, str]:
    """Keys of the tickets that were imported under these names."""
    query = sa.select(_i.c.external_id, _t.c.queue, _t.c.number).join_from(_i, _t, _t.c.id == _i.c.ticket_id)
    rows = await tx.execute(query.where(_i.c.external_id.in_(list(external_ids))))
    return {row.external_id: f"{row.queue}-{row.number}" for row in rows}


async def claim(tx: Tx, external_id: str, ticket_id: str) -> bool:
    """Take a name for a ticket; False when it is taken, once whoever took it is done."""
    row = {"external_id": external_id, "ticket_id": ticket_id}
    return bool((await tx.execute(insert(_i).values(row).on_conflict_do_nothing())).rowcount)
