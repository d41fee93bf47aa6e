"""Links between tickets, and pages and tasks of other systems."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from tickets.domain.links import Edge, ExternalKind, ExternalLink, Link, LinkKind, TaskState, seen_from
from tickets.store import tables
from tickets.store.rights import visible

_l, _e, _t = tables.ticket_link, tables.external_link, tables.ticket

# The way from one ticket along links of a kind; a visited ticket is not gone through again.
_REACHES = sa.text(
    """
    with recursive way (id) as (
        select cast(:start as uuid)
        union
        select link.to_id from ticket_link link join way on link.from_id = way.id where link.kind = :kind
    )
    select exists (select from way where id = cast(:goal as uuid))
    """
)


async def one_at_a_time(tx: Tx) -> None:
    """Make those who link tickets wait for each other: the halves of a cycle must see each other."""
    await tx.execute(sa.text("select pg_advisory_xact_lock(hashtextextended('ticket_link', 0))"))


async def reaches(tx: Tx, edge: Edge) -> bool:
    """Whether links of its kind lead from the end of a link to its beginning."""
    found = await tx.execute(_REACHES, {"kind": edge.kind, "start": edge.to_id, "goal": edge.from_id})
    return bool(found.scalar())


async def count_parents(tx: Tx, ticket_id: str) -> int:
    """Of how many tickets this one is a part."""
    return await _count(tx, sa.and_(_l.c.kind == LinkKind.PARENT_OF, _l.c.to_id == ticket_id))


async def count(tx: Tx, ticket_id: str) -> int:
    """How many links a ticket has."""
    return await _count(tx, _of(ticket_id))


async def add(tx: Tx, edge: Edge) -> bool:
    """Keep a link; False when it is there."""
    row = {"kind": edge.kind, "from_id": edge.from_id, "to_id": edge.to_id, "created_time": tx.now}
    return bool((await tx.execute(insert(_l).values(row).on_conflict_do_nothing())).rowcount)


async def remove(tx: Tx, edge: Edge) -> bool:
    """Forget a link; False when it is not there."""
    gone = sa.delete(_l).where(_l.c.kind == edge.kind, _l.c.from_id == edge.from_id, _l.c.to_id == edge.to_id)
    return bool((await tx.execute(gone)).rowcount)


async def take_edges(tx: Tx, ticket_id: str) -> list[Edge]:
    """Forget all links of a ticket and return them."""
    rows = await tx.execute(sa.delete(_l).where(_of(ticket_id)).returning(_l))
    return sorted(Edge(LinkKind(row.kind), row.from_id, row.to_id) for row in rows)


async def links(tx: Tx, ticket_id: str) -> list[Link]:
    """All links of a ticket as it sees them, by kind, the oldest first."""
    other = sa.case((_l.c.from_id == ticket_id, _l.c.to_id), else_=_l.c.from_id)
    query = sa.select(_l, _t.c.id, _t.c.queue, _t.c.number, _t.c.subject, _t.c.status_kind)
    rows = await tx.execute(query.join(_t, _t.c.id == other).where(_of(ticket_id), *await visible(tx)))
    found = [_to_link(row, ticket_id) for row in rows]
    return sorted(found, key=lambda each: (each.kind, each.created_time, each.ticket_id))


async def put_external(tx: Tx, ticket_id: str, link: ExternalLink) -> bool:
    """Keep a page or task of a ticket; False when it is there with the same values."""
    values = {"title": link.title, "kind": link.kind, "state": link.state}
    row = {"ticket_id": ticket_id, "url": link.url, **values, "created_time": tx.now, "updated_time": tx.now}
    differs = sa.or_(*(_e.c[name] != value for name, value in values.items()))
    upsert = (
        insert(_e)
        .values(row)
        .on_conflict_do_update(
            index_elements=[_e.c.ticket_id, _e.c.url], set_={**values, "updated_time": tx.now}, where=differs
        )
    )
    return bool((await tx.execute(upsert)).rowcount)


async def remove_external(tx: Tx, ticket_id: str, url: str) -> bool:
    """Forget a page or task; False when it is not there."""
    gone = sa.delete(_e).where(_e.c.ticket_id == ticket_id, _e.c.url == url)
    return bool((await tx.execute(gone)).rowcount)


async def externals(tx: Tx, ticket_id: str) -> list[ExternalLink]:
    """All pages and tasks of a ticket, the oldest first."""
    query = sa.select(_e).where(_e.c.ticket_id == ticket_id).order_by(_e.c.created_time, _e.c.url)
    return [to_external(row) for row in await tx.execute(query)]


async def waiting_for(tx: Tx, url: str) -> list[str]:
    """Ids of the tickets that have a task, in one order for everybody; at most 1,000."""
    query = sa.select(_e.c.ticket_id).where(_e.c.url == url, _e.c.kind != ExternalKind.PAGE)
    return list((await tx.execute(query.order_by(_e.c.ticket_id).limit(1000))).scalars())


async def set_state(tx: Tx, ticket_id: str, url: str, state: TaskState) -> bool:
    """How far a task of a ticket is; False when that is known."""
    task = sa.and_(_e.c.ticket_id == ticket_id, _e.c.url == url, _e.c.kind != ExternalKind.PAGE)
    change = sa.update(_e).where(task, _e.c.state != state)
    return bool((await tx.execute(change.values(state=state, updated_time=tx.now))).rowcount)


async def _count(tx: Tx, condition: sa.ColumnElement[bool]) -> int:
    found: int = (await tx.execute(sa.select(sa.func.count()).select_from(_l).where(condition))).scalar_one()
    return found


def _of(ticket_id: str) -> sa.ColumnElement[bool]:
    return sa.or_(_l.c.from_id == ticket_id, _l.c.to_id == ticket_id)


def _to_link(row: sa.Row[Any], ticket_id: str) -> Link:
    found = Edge(LinkKind(row.kind), row.from_id, row.to_id)
    key = f"{row.queue}-{row.number}"
    return Link(seen_from(found, ticket_id), row.id, key, row.subject, row.status_kind, row.created_time)


def to_external(row: sa.Row[Any]) -> ExternalLink:
    """A page or task out of its row."""
    return ExternalLink(row.url, row.title, ExternalKind(row.kind), TaskState(row.state), row.updated_time)
