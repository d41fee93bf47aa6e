"""Wishes and who wants them."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from chassis.pages import page_start
from tickets.domain.model import Contact, Ticket
from tickets.domain.wishes import Wish
from tickets.store import body, tables
from tickets.store.lists import Listed, Page, listed
from tickets.store.rights import visible

_t, _v, _c, _who = tables.ticket, tables.vote, tables.contact, tables.customer
# Spelt out rather than bound, so that the planner sees the partial index.
_OPEN_WISH = sa.text("type = 5 and status_kind < 5")
# Customers who turned out to be one want it once.
_VOTER = sa.func.coalesce(_who.c.merged_into, _who.c.id)
_VOTES = (
    (
        sa.select(sa.func.count(_VOTER.distinct()))
        .select_from(_v.join(_who, _who.c.id == _v.c.customer_id))
        .where(_v.c.ticket_id == _t.c.id, _t.c.customer_id != _VOTER)
        .correlate(_t)
        .scalar_subquery()
        + 1
    )
    .cast(sa.Integer)
    .label("votes")
)
_WISHES = sa.select(
    _t.c.id, _t.c.queue, _t.c.number, _t.c.subject, _t.c.status_kind, _t.c.created_time, _VOTES
)


async def customer_of(tx: Tx, contact: Contact) -> str | None:
    """Id of the customer whose contact it is."""
    query = sa.select(_c.c.customer_id).where(
        _c.c.channel == contact.channel, _c.c.address == contact.address
    )
    found: str | None = (await tx.execute(query)).scalar_one_or_none()
    return found


async def vote(tx: Tx, ticket: Ticket, customer_id: str) -> None:
    """One who wants it; counted once."""
    row = {"ticket_id": ticket.id, "customer_id": customer_id, "created_time": tx.now}
    await tx.execute(insert(_v).values(row).on_conflict_do_nothing())


async def unvote(tx: Tx, ticket: Ticket, customer_id: str) -> None:
    """One who does not want it any more."""
    await tx.execute(sa.delete(_v).where(_v.c.ticket_id == ticket.id, _v.c.customer_id == customer_id))


async def load_wish(tx: Tx, ticket_id: str) -> Wish:
    """A wish and its votes."""
    return _to_wish((await tx.execute(_WISHES.where(_t.c.id == ticket_id))).one())


async def list_wishes(tx: Tx, queue: str, page: Page) -> Listed[Wish]:
    """Wishes that are not over, the most wanted first, then the oldest."""
    scope, wishes = ("wishes", queue), _WISHES.where(_OPEN_WISH, *await visible(tx))
    if queue:
        wishes = wishes.where(_t.c.queue == queue)
    found = wishes.subquery()
    place = (-found.c.votes, found.c.created_time, found.c.id)
    query = sa.select(found).order_by(*place).limit(page.limit + 1)
    after = page_start(page.token, scope, _place)
    if after:
        bound = (sa.literal(value, column.type) for value, column in zip(after, place, strict=True))
        query = query.where(sa.tuple_(*place) > sa.tuple_(*bound))
    wanted = [_to_wish(row) for row in await tx.execute(query)]
    return listed(
        wanted, page, scope, lambda each: [each.votes, body.micros(each.created_time), each.ticket_id]
    )


def _place(votes: int, micros: int, ticket_id: str) -> tuple[Any, ...]:
    return -int(votes), body.instant(micros), str(UUID(ticket_id))


def _to_wish(row: sa.Row[Any]) -> Wish:
    return Wish(
        row.id, f"{row.queue}-{row.number}", row.subject, row.status_kind, row.votes, row.created_time
    )
