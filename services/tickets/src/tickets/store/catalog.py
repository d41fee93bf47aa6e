"""What queries may name now."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from chassis.db import Tx
from tickets.domain.fields import Field, read_fields
from tickets.domain.query.catalog import Catalog, catalog
from tickets.domain.query.tree import Query, conditions
from tickets.domain.setup import read_workflow
from tickets.domain.statuses import LINES, Workflow
from tickets.store import tables
from tickets.store.setup import Memory

_q, _s = tables.queue, tables.queue_setup
Parts: TypeAlias = tuple[Workflow, tuple[Field, ...]]
PARTS = Memory[Parts]()
"""What queries may name of the setups that were read."""


async def catalog_for(tx: Tx, query: Query) -> Catalog:
    """What a query may name; no statement where it names nothing that queues have of their own."""
    desk = catalog()
    names = [each.name for each in conditions(query.where)] + [each.name for each in query.order]
    fields = [desk.find(name) for name in names]
    if all(field and field.key != "status" for field in fields):
        return desk
    return await catalog_in_force(tx)


async def catalog_in_force(tx: Tx) -> Catalog:
    """The desk's fields, with the statuses and custom fields of its queues. One statement."""
    # As of now: while the statement runs, another one may make the memory forget.
    known = PARTS.all()
    # One parameter however many there are: each of hundreds would have to be bound and planned.
    remembered = _s.c.id == sa.any_(sa.literal(list(known), ARRAY(_s.c.id.type)))
    news = sa.case((~remembered, _s.c.document)).label("news")
    query = sa.select(_s.c.id, news).select_from(_q).outerjoin(_s, _q.c.setup_id == _s.c.id)
    parts = [_read(row, known) for row in await tx.execute(query.order_by(_q.c.key))]
    return catalog([workflow for workflow, _ in parts], [each for _, fields in parts for each in fields])


def _read(row: sa.Row[Any], known: Mapping[str, Parts]) -> Parts:
    if not row.id:
        return LINES, ()
    if row.id in known:
        return known[row.id]
    return PARTS.keep(row.id, (read_workflow(row.news["workflow"]), read_fields(row.news.get("fields", ()))))
