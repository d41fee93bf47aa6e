"""Two customers become one, and two again."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from chassis.db import Tx
from chassis.errors import NotFound
from chassis.pages import page_start
from tickets.domain.customers import Merge
from tickets.domain.model import Contact, Customer
from tickets.store import tables
from tickets.store.lists import Listed, Page, listed
from tickets.store.rights import visible
from tickets.store.tables import metadata

_ID = sa.Uuid(as_uuid=False)
_TIME = sa.DateTime(timezone=True)

customer_merge = sa.Table(
    "customer_merge",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("source_id", sa.ForeignKey("customer.id"), nullable=False),
    sa.Column("target_id", sa.ForeignKey("customer.id"), nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("time", _TIME, nullable=False),
    sa.Column("contacts", JSONB, nullable=False),
    sa.Column("numbers", ARRAY(sa.Text), nullable=False),
    sa.Column("source_numbers", ARRAY(sa.Text), nullable=False),
    sa.Column("ticket_count", sa.Integer, nullable=False),
    sa.Column("undone_time", _TIME),
    sa.Index("customer_merge_source", "source_id", "id"),
    sa.Index("customer_merge_target", "target_id", "id"),
)

customer_merge_ticket = sa.Table(
    "customer_merge_ticket",
    metadata,
    sa.Column("merge_id", sa.ForeignKey("customer_merge.id"), primary_key=True),
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), primary_key=True),
)

_g, _gt, _t, _k = customer_merge, customer_merge_ticket, tables.ticket, tables.contact


async def create(tx: Tx, merge: Merge) -> None:
    """Move contacts and tickets of the source to the target and keep what moved."""
    row = {each.name: getattr(merge, each.name) for each in _g.c if each.name != "contacts"}
    pairs = [[int(each.channel), each.address] for each in merge.contacts]
    await tx.execute(insert(_g), {**row, "contacts": pairs})
    of_source = _k.c.customer_id == merge.source_id
    await tx.execute(sa.update(_k).where(of_source).values(customer_id=merge.target_id))
    moved = (
        sa.update(_t)
        .where(_t.c.customer_id == merge.source_id)
        .values(customer_id=merge.target_id)
        .returning(_t.c.id)
        .cte("moved")
    )
    kept = insert(_gt).from_select(
        ["merge_id", "ticket_id"], sa.select(sa.literal(merge.id, _ID), moved.c.id)
    )
    merge.ticket_count = (await tx.execute(kept)).rowcount
    counted = sa.update(_g).where(_g.c.id == merge.id)
    await tx.execute(counted.values(ticket_count=merge.ticket_count))


async def hold_tickets(tx: Tx, source_id: str) -> None:
    """Wait for changes of a customer's tickets, and let others wait: tickets are locked before customers."""
    await _hold(tx, _t.c.customer_id == source_id)


async def hold_moved(tx: Tx, merge: Merge) -> None:
    """The same of the tickets that moved with a merge."""
    await _hold(tx, _t.c.id.in_(_tickets_of(merge)))


async def _hold(tx: Tx, which: sa.ColumnElement[bool]) -> None:
    # Held for the transaction; their ids are not asked for, there may be tens of thousands.
    held = sa.select(_t.c.id).where(which).order_by(_t.c.id).with_for_update(key_share=True).cte("held")
    await tx.execute(sa.select(sa.func.count()).select_from(held))


async def undo(tx: Tx, merge: Merge) -> None:
    """Move back what a merge moved."""
    for each in merge.contacts:
        mine = sa.and_(_k.c.channel == each.channel, _k.c.address == each.address)
        await tx.execute(sa.update(_k).where(mine).values(customer_id=merge.source_id))
    back = sa.update(_t).where(_t.c.id.in_(_tickets_of(merge)))
    await tx.execute(back.values(customer_id=merge.source_id))
    merge.undone_time = tx.now
    await tx.execute(sa.update(_g).where(_g.c.id == merge.id).values(undone_time=tx.now))


async def lock_merge(tx: Tx, merge_id: str) -> Merge:
    """One merge, locked. Raises NotFound (MERGE_NOT_FOUND)."""
    row = (await tx.execute(sa.select(_g).where(_g.c.id == merge_id).with_for_update())).one_or_none()
    if row is None:
        raise NotFound("no such merge", reason="MERGE_NOT_FOUND", metadata={"merge": merge_id})
    return to_merge(row)


async def moved_on(tx: Tx, merge: Merge) -> list[str]:
    """Tickets that moved with the merge and are somebody else's by now, at most 20: keys of those seen."""
    seen = sa.and_(sa.true(), *await visible(tx)).label("seen")
    query = (
        sa.select(_t.c.queue, _t.c.number, seen)
        .where(_t.c.id.in_(_tickets_of(merge)), _t.c.customer_id != merge.target_id)
        .order_by(_t.c.queue, _t.c.number)
        .limit(20)
    )
    rows = await tx.execute(query)
    return [f"{row.queue}-{row.number}" if row.seen else "that you may not see" for row in rows]


async def list_merges(tx: Tx, customer_id: str, page: Page) -> Listed[Merge]:
    """Merges that a customer was part of, newest first."""
    scope = ("merges of", customer_id)
    query = sa.select(_g).where(sa.or_(_g.c.source_id == customer_id, _g.c.target_id == customer_id))
    if page.token:
        query = query.where(_g.c.id < page_start(page.token, scope, lambda each: str(UUID(each))))
    rows = await tx.execute(query.order_by(_g.c.id.desc()).limit(page.limit + 1))
    return listed([to_merge(row) for row in rows], page, scope, lambda each: [each.id])


async def count_source(tx: Tx, source: Customer) -> int:
    """How many tickets would move."""
    query = sa.select(sa.func.count()).where(_t.c.customer_id == source.id)
    return int((await tx.execute(query)).scalar_one())


def _tickets_of(merge: Merge) -> sa.Select[Any]:
    return sa.select(_gt.c.ticket_id).where(_gt.c.merge_id == merge.id)


def to_merge(row: sa.Row[Any]) -> Merge:
    """A row of merges."""
    contacts = [Contact(channel, address) for channel, address in row.contacts]
    return Merge(
        id=row.id,
        source_id=row.source_id,
        target_id=row.target_id,
        author=row.author,
        time=row.time,
        contacts=contacts,
        numbers=list(row.numbers),
        source_numbers=list(row.source_numbers),
        ticket_count=row.ticket_count,
        undone_time=row.undone_time,
    )
