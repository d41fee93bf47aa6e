"""The ledger from a place on, in an order in which nothing appears behind a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from chassis.db import Tx
from sla_clock.store.ledger import LEDGER_COLUMNS, LedgerRow
from sla_clock.store.tables import batch_table, ledger_table


class Place(NamedTuple):
    """Where reading goes on: transaction, batch, place within it; that place itself is still to come."""

    xact: int
    batch: int
    place: int


OLDEST = Place(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Page:
    """Marks with the place after each, where to go on, and whether a batch is held back meanwhile.

    It is while an older transaction runs: what that one commits stands before it.
    """

    marks: list[tuple[LedgerRow, Place]]
    after: Place
    held: bool


async def read_marks(tx: Tx, start: Place, limit: int) -> Page:
    """Marks from a place on whose transactions, and all before them, are over."""
    found = (await tx.execute(_READ, {**start._asdict(), "limit": limit})).mappings().all()
    names = [column.name for column in LEDGER_COLUMNS]
    marks = [
        (LedgerRow(**{name: one[name] for name in names}), Place(one["xact"], one["batch"], one["place"] + 1))
        for one in found
        if one["batch"] is not None
    ]
    edge = Place(found[0]["over"], 0, 0)
    return Page(marks, marks[-1][1] if len(marks) == limit else edge, found[0]["held"])


async def present(tx: Tx) -> tuple[Place, int]:
    """The place from now on, and the first transaction number that was not given out yet."""
    now = (await tx.execute(_NOW)).one()
    return Place(now.over, 0, 0), now.next


def _number(xid: sa.ColumnElement[object]) -> sa.ColumnElement[int]:
    return sa.cast(sa.cast(xid, sa.Text), sa.BigInteger)


# Transactions get their numbers when they begin to write, and their rows are seen when they commit: only
# below the oldest that still runs does nothing appear any more. Batch ids alone would skip what commits late.
_SNAPSHOT: sa.Function[object] = sa.func.pg_current_snapshot()
_NOW = sa.select(
    _number(sa.func.pg_snapshot_xmin(_SNAPSHOT)).label("over"),
    _number(sa.func.pg_snapshot_xmax(_SNAPSHOT)).label("next"),
)
_FROM = sa.cast(sa.cast(sa.bindparam("xact", type_=sa.BigInteger), sa.Text), batch_table.c.xact.type)
_over = sa.select(sa.func.pg_snapshot_xmin(_SNAPSHOT).label("xmin")).cte("seen")
_marks = (
    sa.select(_number(batch_table.c.xact).label("xact"), *LEDGER_COLUMNS)
    .join(ledger_table, ledger_table.c.batch == batch_table.c.id)
    .where(
        batch_table.c.xact < sa.select(_over.c.xmin).scalar_subquery(),
        # The first says the same of batches in a form that their index knows.
        sa.tuple_(batch_table.c.xact, batch_table.c.id) >= sa.tuple_(_FROM, sa.bindparam("batch")),
        sa.tuple_(batch_table.c.xact, batch_table.c.id, ledger_table.c.place)
        >= sa.tuple_(_FROM, sa.bindparam("batch"), sa.bindparam("place")),
    )
    .order_by(batch_table.c.xact, batch_table.c.id, ledger_table.c.place)
    .limit(sa.bindparam("limit"))
    .subquery("marks")
)
_READ = (
    sa.select(
        _number(_over.c.xmin).label("over"),
        sa.exists().where(batch_table.c.xact >= _over.c.xmin).label("held"),
        _marks,
    )
    .select_from(_over.outerjoin(_marks, sa.true()))
    .order_by(_marks.c.xact, _marks.c.batch, _marks.c.place)
)
