"""Saved filters."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from chassis.db import Tx
from chassis.errors import AlreadyExists, NotFound, Violation
from chassis.pages import page_start
from tickets.domain.query.found import SavedFilter
from tickets.store.lists import Listed, Page, listed
from tickets.store.rights import shared_with
from tickets.store.search import plain
from tickets.store.tables import metadata

saved_filter = sa.Table(
    "saved_filter",
    metadata,
    sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("queue", sa.Text, nullable=False, server_default=""),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("updated_time", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("owner", "name"),
    sa.Index("saved_filter_queue", "queue", postgresql_where=sa.text("queue <> ''")),
)
"""Queries with a name; those with a queue are seen by everybody who works in it."""

_f = saved_filter


async def load_filter(tx: Tx, filter_id: str) -> SavedFilter:
    """One filter, locked. Raises NotFound (FILTER_NOT_FOUND)."""
    found = await tx.execute(sa.select(_f).where(_f.c.id == filter_id).with_for_update())
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound("no such filter", reason="FILTER_NOT_FOUND", metadata={"filter": filter_id})
    return SavedFilter(**row)


async def put_filter(tx: Tx, saved: SavedFilter) -> None:
    """Keep a new filter or the changes of one. Raises AlreadyExists (FILTER_NAME_TAKEN)."""
    values = {each.name: getattr(saved, each.name) for each in _f.c}
    upsert = insert(_f).values(values).on_conflict_do_update(index_elements=[_f.c.id], set_=values)
    try:
        await tx.execute(upsert)
    except IntegrityError as error:
        text = "must differ from the names of your other filters"
        raise AlreadyExists(
            f"name {text}", reason="FILTER_NAME_TAKEN", violations=[Violation("name", text)]
        ) from error


async def delete_filter(tx: Tx, filter_id: str) -> None:
    """Forget a filter."""
    await tx.execute(sa.delete(_f).where(_f.c.id == filter_id))


async def list_filters(tx: Tx, owner: str, queue: str, page: Page) -> Listed[SavedFilter]:
    """Filters of an owner and those shared in queues that the caller works in, by name.

    Only those of a queue where one is said.
    """
    shared = sa.and_(_f.c.queue != "", *await shared_with(tx, _f.c.queue))
    query = sa.select(_f).where(sa.or_(_f.c.owner == owner, shared))
    if queue:
        query = query.where(_f.c.queue == queue)
    if page.token:
        query = query.where(sa.tuple_(_f.c.name, _f.c.id) > page_start(page.token, (owner, queue), _place))
    rows = await tx.execute(query.order_by(_f.c.name, _f.c.id).limit(page.limit + 1))
    found = [SavedFilter(**row) for row in rows.mappings()]
    return listed(found, page, (owner, queue), lambda each: [each.name, each.id])


def _place(name: str, identity: str) -> sa.Tuple:
    return sa.tuple_(sa.literal(plain(name)), sa.literal(str(UUID(identity)), _f.c.id.type))
