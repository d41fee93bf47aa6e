"""What was emitted of tickets, in an order in which nothing appears behind a reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from chassis.db import Tx
from tickets.store import access_tables
from tickets.store.tables import outbox

_e = access_tables.audit


class TransactionId(sa.types.UserDefinedType[int]):
    """A number of a transaction, xid8."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """As PostgreSQL calls it."""
        return "xid8"


# Watches follow the order of transactions that are over.
outbox.append_column(
    sa.Column("xact", TransactionId, nullable=False, server_default=sa.text("pg_current_xact_id()"))
)
sa.Index("outbox_order", outbox.c.xact, outbox.c.seq)


class Place(NamedTuple):
    """After which event reading goes on: its transaction, and its number within it."""

    xact: int
    seq: int


class Emitted(NamedTuple):
    """An event as it was written."""

    place: Place
    type: str
    payload: bytes
    time: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Events, the place after them, and whether some are held back.

    They are while an older transaction runs: what that one commits stands before them.
    """

    events: list[Emitted]
    after: Place
    held: bool


async def read_events(tx: Tx, start: Place, types: Sequence[str], limit: int) -> Page:
    """Events of these types behind a place whose transactions, and all before them, are over."""
    given = {"xact": str(start.xact), "seq": start.seq, "types": list(types), "limit": limit}
    rows = (await tx.execute(_READ, given)).all()
    events = [
        Emitted(Place(int(row.xact), row.seq), row.type, row.payload, row.created_at)
        for row in rows
        if row.seq is not None
    ]
    edge = Place(int(rows[0].over), 0)
    return Page(events, events[-1].place if len(events) == limit else edge, rows[0].held)


async def present(tx: Tx) -> tuple[Place, int]:
    """The place from now on, and the first transaction number that was not given out yet."""
    now = (await tx.execute(_NOW)).one()
    return Place(int(now.over), 0), int(now.next)


async def moved(tx: Tx, ticket_ids: Sequence[str]) -> dict[tuple[str, int], dict[str, str]]:
    """Queue and component before the changes of them, by ticket and version after the change."""
    somewhere = sa.or_(*(_e.c.changes.contains(sa.literal([[name]], JSONB)) for name in _SPOT))
    query = sa.select(_e.c.ticket_id, _e.c.version, _e.c.changes)
    rows = await tx.execute(query.where(_e.c.ticket_id.in_(ticket_ids), somewhere))
    return {
        (row.ticket_id, row.version): {name: old for name, old, _ in row.changes if name in _SPOT}
        for row in rows
    }


_SPOT = ("queue", "component")
# Transactions get their numbers when they begin to write, and their rows are seen when they commit: only
# below the oldest that still runs does nothing appear any more. Numbers of rows alone would skip what
# commits late. The comparisons are of xid8, which their index knows.
_READ = sa.text("""
    with seen as materialized (select pg_snapshot_xmin(pg_current_snapshot()) as xmin)
    select seen.xmin::text as over, exists (select from outbox where xact >= seen.xmin) as held,
      found.xact::text as xact, found.seq, found.type, found.payload, found.created_at
    from seen left join lateral (
      select xact, seq, type, payload, created_at from outbox
      where xact < seen.xmin and (xact, seq) > (cast(cast(:xact as text) as xid8), cast(:seq as bigint))
        and type = any(cast(:types as text[]))
      order by xact, seq limit :limit
    ) as found on true
    order by found.xact, found.seq
""")
_NOW = sa.text(
    "select pg_snapshot_xmin(pg_current_snapshot())::text as over,"
    " pg_snapshot_xmax(pg_current_snapshot())::text as next"
)
