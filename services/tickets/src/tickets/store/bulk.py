"""Bulks and the tickets of their lists."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.db import Tx
from chassis.errors import DeskError, NotFound
from chassis.pages import page_start
from tickets.domain.bulk import Bulk, Failure, Item, ItemState, Order
from tickets.domain.query.resolve import Search
from tickets.store import tables
from tickets.store.lists import Listed, Page, listed
from tickets.store.query import clauses, ordering, sort_keys
from tickets.store.references import ids_of
from tickets.store.rights import visible
from tickets.store.search import bounded

_ID, _TIME = sa.Uuid(as_uuid=False), sa.DateTime(timezone=True)
_WAITING = sa.text("state = 1")

bulk = sa.Table(
    "bulk",
    tables.metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("principal", sa.Text, nullable=False),
    sa.Column("agent_id", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("action", JSONB, nullable=False),
    sa.Column("dry_run", sa.Boolean, nullable=False),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Index("bulk_principal", "principal", "id"),
)

bulk_item = sa.Table(
    "bulk_item",
    tables.metadata,
    sa.Column("bulk_id", sa.ForeignKey("bulk.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False, server_default="1"),
    sa.Column("code", sa.Text, nullable=False, server_default=""),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("field", sa.Text, nullable=False, server_default=""),
    sa.Column("message", sa.Text, nullable=False, server_default=""),
    sa.Column("time", _TIME),
    sa.Column("attempts", sa.SmallInteger, nullable=False, server_default="0"),
    # By place and not by list: a short list does not wait behind a long one, nor behind what failed.
    sa.Index("bulk_item_waiting", "attempts", "position", "bulk_id", postgresql_where=_WAITING),
)

_b, _i, _t = bulk, bulk_item, tables.ticket


def _count(*states: ItemState) -> sa.ColumnElement[int]:
    return sa.func.count().filter(_i.c.state.in_(states))


_COUNTS = (
    sa.select(
        _count(*ItemState).label("total"),
        _count(ItemState.WAITING).label("waiting"),
        _count(ItemState.DONE).label("done"),
        _count(ItemState.REFUSED).label("failed"),
        _count(ItemState.CANCELLED).label("cancelled"),
        sa.func.max(_i.c.time).label("updated_time"),
    )
    .where(_i.c.bulk_id == _b.c.id)
    .correlate(_b)
    .lateral("counts")
)
BULKS = sa.select(_b, *_COUNTS.c).join_from(_b, _COUNTS, sa.true())
"""Bulks and how far they are, for `to_bulk`."""


async def add(tx: Tx, order: Order) -> None:
    """A bulk without tickets."""
    await tx.execute(insert(_b).values(asdict(order)))


async def list_found(tx: Tx, order: Order, search: Search, limit: int, *, staff: bool) -> int:
    """Let every ticket that is found and seen wait, at most one more than the limit; how many those are.

    One statement, so the list is of one moment. Raises Exhausted (QUERY_TOO_COSTLY).
    """
    place = ordering(sort_keys(search.order))
    found = (
        sa.select(sa.literal(order.id, _ID), sa.func.row_number().over(order_by=place), _t.c.id)
        .where(*clauses(search, staff=staff), *await visible(tx))
        .order_by(*place)
        .limit(limit + 1)
    )
    async with bounded():
        kept = await tx.execute(insert(_i).from_select(["bulk_id", "position", "ticket_id"], found))
    return kept.rowcount


async def count_found(tx: Tx, search: Search, *, staff: bool) -> int:
    """How many tickets are found and seen. Raises Exhausted (QUERY_TOO_COSTLY)."""
    query = sa.select(sa.func.count(_t.c.id)).where(*clauses(search, staff=staff), *await visible(tx))
    async with bounded():
        count: int = (await tx.execute(query)).scalar_one()
    return count


async def list_named(tx: Tx, order: Order, references: Sequence[str]) -> list[str]:
    """Let the tickets of these ids and keys wait, each once; returns references to none that is seen."""
    known = await ids_of(tx, references)
    ids = dict.fromkeys(known[each] for each in references if each in known)
    rows = [
        {"bulk_id": order.id, "position": place, "ticket_id": each} for place, each in enumerate(ids, start=1)
    ]
    if rows:
        await tx.execute(insert(_i), rows)
    return [each for each in references if each not in known]


async def load(tx: Tx, bulk_id: str) -> Bulk:
    """One bulk and how far it is. Raises NotFound (BULK_NOT_FOUND)."""
    row = (await tx.execute(BULKS.where(_b.c.id == bulk_id))).mappings().one_or_none()
    if row is None:
        raise unknown(bulk_id)
    return to_bulk(row)


def unknown(bulk_id: str) -> NotFound:
    """The error for a bulk that there is not, or that the caller does not see."""
    return NotFound(f"no bulk {bulk_id}", reason="BULK_NOT_FOUND", metadata={"bulk": bulk_id})


async def list_bulks(tx: Tx, principal: str, page: Page) -> Listed[Bulk]:
    """Bulks of a principal, or of everybody when it is empty; newest first."""
    scope, query = ("bulks", principal), BULKS
    if principal:
        query = query.where(_b.c.principal == principal)
    if page.token:
        query = query.where(_b.c.id < page_start(page.token, scope, _identity))
    rows = await tx.execute(query.order_by(_b.c.id.desc()).limit(page.limit + 1))
    return listed([to_bulk(row) for row in rows.mappings()], page, scope, lambda each: [each.order.id])


async def list_failures(tx: Tx, bulk_id: str, page: Page) -> Listed[Failure]:
    """Tickets that refused and are seen, in the order of the list."""
    scope = ("bulk failures", bulk_id)
    query = (
        sa.select(_i, _t.c.queue, _t.c.number)
        .join_from(_i, _t, _t.c.id == _i.c.ticket_id)
        .where(_i.c.bulk_id == bulk_id, _i.c.state == ItemState.REFUSED, *await visible(tx))
    )
    if page.token:
        query = query.where(_i.c.position > page_start(page.token, scope, int))
    rows = await tx.execute(query.order_by(_i.c.position).limit(page.limit + 1))
    return listed([_to_failure(row) for row in rows], page, scope, lambda each: [each.position])


async def lock_next(tx: Tx) -> Item | None:
    """A ticket that waits, the least tried first, in the order of the lists; None when others have all."""
    query = (
        sa.select(_i.c.position, _i.c.ticket_id, _i.c.attempts, _b)
        .join_from(_i, _b, _b.c.id == _i.c.bulk_id)
        .where(_i.c.state == sa.literal_column("1"))
        .order_by(_i.c.attempts, _i.c.position, _i.c.bulk_id)
        .limit(1)
        .with_for_update(of=_i, skip_locked=True)
    )
    row = (await tx.execute(query)).mappings().one_or_none()
    return Item(_to_order(row), row["position"], row["ticket_id"], row["attempts"]) if row else None


async def finish(tx: Tx, item: Item, error: DeskError | None = None) -> None:
    """Note what became of a ticket, unless that is known."""
    told = {} if error is None else _refusal(error)
    state = ItemState.DONE if error is None else ItemState.REFUSED
    change = sa.update(_i).where(
        _i.c.bulk_id == item.order.id, _i.c.position == item.position, _i.c.state == ItemState.WAITING
    )
    await tx.execute(change.values(state=state, time=tx.now, **told))


async def put_off(tx: Tx, item: Item) -> None:
    """Count an attempt that came to nothing."""
    change = sa.update(_i).where(_i.c.bulk_id == item.order.id, _i.c.position == item.position)
    await tx.execute(change.values(attempts=item.attempts + 1))


async def forget(tx: Tx, before: datetime, limit: int) -> int:
    """Delete some bulks with their lists that began and ended before; how many."""
    waits_or_young = sa.exists().where(
        _i.c.bulk_id == _b.c.id, sa.or_(_i.c.state == ItemState.WAITING, _i.c.time >= before)
    )
    old = sa.select(_b.c.id).where(_b.c.created_time < before, ~waits_or_young).order_by(_b.c.id).limit(limit)
    # One that somebody resumes just now stays.
    gone = sa.delete(_b).where(_b.c.id.in_(old.with_for_update(skip_locked=True)))
    return (await tx.execute(gone)).rowcount


async def turn(tx: Tx, bulk_id: str, of: Sequence[ItemState], to: ItemState) -> int:
    """Let all tickets of these states have another one; how many those were."""
    await tx.execute(sa.select(_b.c.id).where(_b.c.id == bulk_id).with_for_update())
    blank = dict.fromkeys(("code", "reason", "field", "message"), "")
    change = sa.update(_i).where(_i.c.bulk_id == bulk_id, _i.c.state.in_(of))
    return (await tx.execute(change.values(state=to, attempts=0, **blank))).rowcount


def _refusal(error: DeskError) -> dict[str, str]:
    field = error.violations[0].field if error.violations else ""
    return {"code": error.code, "reason": error.reason, "field": field, "message": error.message}


def _to_order(row: Any) -> Order:
    return Order(**{each.name: row[each.name] for each in _b.c})


def to_bulk(row: Any) -> Bulk:
    """A row of `BULKS`."""
    return Bulk(_to_order(row), **{each.name: row[each.name] for each in _COUNTS.c})


def _to_failure(row: Any) -> Failure:
    return Failure(
        ticket_id=row.ticket_id,
        ticket_key=f"{row.queue}-{row.number}",
        position=row.position,
        code=row.code,
        reason=row.reason,
        field=row.field,
        message=row.message,
        time=row.time,
    )


def _identity(identity: str) -> str:
    return str(UUID(identity))
