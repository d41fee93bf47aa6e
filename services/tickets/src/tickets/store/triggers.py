"""What rules ask of the database, and what they did."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from chassis.db import Tx
from chassis.pages import page_start
from tickets.domain.audit import Entry
from tickets.domain.conditions import MAX_TEXT
from tickets.domain.model import ActorKind, Ticket
from tickets.domain.query.resolve import Search
from tickets.domain.rule_actions import CALLS_AN_HOUR, TOO_OFTEN
from tickets.domain.rule_runs import ENTRIES, PREFIX, Outcome, Run, actor_of, from_entry
from tickets.domain.rule_trials import Said
from tickets.domain.triggers import EVENTS
from tickets.store import access_tables, rights, tables
from tickets.store.audit_lists import identity, to_entry
from tickets.store.lists import Listed, Page, listed
from tickets.store.query import clauses
from tickets.store.tickets import TICKETS, to_ticket

_e, _t, _m = access_tables.audit, tables.ticket, tables.message
_TOO_OFTEN = ["reason", "", TOO_OFTEN]
_MAX_LATER = 5_000
_MAX_MESSAGES = 2_000


async def finds(tx: Tx, ticket_ids: Sequence[str], search: Search) -> set[str]:
    """Those of the tickets, as they are stored, that a query finds."""
    query = sa.select(_t.c.id).where(_t.c.id.in_(ticket_ids), *clauses(search, staff=True))
    return set((await tx.execute(query)).scalars())


async def found_in(tx: Tx, queue: str, search: Search, limit: int) -> list[Ticket]:
    """Tickets of a queue that a query finds and the caller may see, the oldest first."""
    query = TICKETS.where(_t.c.queue == queue, *clauses(search, staff=True), *await rights.visible(tx))
    rows = await tx.execute(query.order_by(_t.c.id).limit(limit))
    return [to_ticket(row) for row in rows.mappings()]


async def list_runs(tx: Tx, ticket: Ticket, page: Page) -> Listed[Run]:
    """Which rule did what to a ticket, newest first."""
    query = sa.select(_e).where(_e.c.ticket_id == ticket.id, _e.c.event.in_(ENTRIES.values()))
    if page.token:
        query = query.where(_e.c.id < page_start(page.token, ticket.id, identity))
    rows = await tx.execute(query.order_by(_e.c.id.desc()).limit(page.limit + 1))
    found = listed([to_entry(row) for row in rows], page, ticket.id, lambda each: [each.id])
    return Listed([from_entry(each) for each in found.items], found.next_token)


async def calls_since(tx: Tx, ticket: Ticket, rule: str, since: datetime) -> tuple[int, bool]:
    """How often a rule was done to a ticket since then, counted up to CALLS_AN_HOUR, and whether the trail
    says that this was too often.
    """
    own = sa.select(_e.c.id).where(
        _e.c.ticket_id == ticket.id, _e.c.actor_id == actor_of(rule).id, _e.c.time > since
    )
    done = own.where(_e.c.event == ENTRIES[Outcome.DONE]).limit(CALLS_AN_HOUR).subquery()
    stopped = own.where(_e.c.event == ENTRIES[Outcome.NOT_RUN], _e.c.changes.contains([_TOO_OFTEN]))
    count = sa.select(sa.func.count()).select_from(done).scalar_subquery()
    row = (await tx.execute(sa.select(count.label("calls"), stopped.exists().label("told")))).one()
    return row.calls, row.told


async def list_events(tx: Tx, queue: str, page: Page) -> Listed[Entry]:
    """What happened to the tickets of a queue but by rules, newest first; only tickets the caller may see."""
    query = (
        sa.select(_e)
        .join_from(_e, _t, _t.c.id == _e.c.ticket_id)
        .where(_t.c.queue == queue, _e.c.event.in_(EVENTS), *await rights.visible(tx))
        .where(_e.c.actor_id.not_like(f"{PREFIX}%"))
    )
    if page.token:
        query = query.where(_e.c.id < page_start(page.token, queue, identity))
    rows = await tx.execute(query.order_by(_e.c.id.desc()).limit(page.limit + 1))
    return listed([to_entry(row) for row in rows], page, queue, lambda each: [each.id])


async def tickets_now(tx: Tx, ticket_ids: Sequence[str]) -> list[Ticket]:
    """Tickets as they are."""
    rows = await tx.execute(TICKETS.where(_t.c.id.in_(ticket_ids)))
    return [to_ticket(row) for row in rows.mappings()]


async def later_entries(tx: Tx, ticket_ids: Sequence[str], after: str) -> list[Entry]:
    """What happened to tickets since an entry, newest first; the newest five thousand of it."""
    query = sa.select(_e).where(_e.c.ticket_id.in_(ticket_ids), _e.c.id > after)
    rows = await tx.execute(query.order_by(_e.c.id.desc()).limit(_MAX_LATER))
    return [to_entry(row) for row in rows]


async def words_of_customers(tx: Tx, ticket_ids: Sequence[str]) -> list[Said]:
    """What customers wrote to tickets, newest first; the newest two thousand messages."""
    text = sa.func.left(_m.c.text, MAX_TEXT).label("text")
    query = sa.select(_m.c.ticket_id, _m.c.created_time, text).where(
        _m.c.ticket_id.in_(ticket_ids), _m.c.author_kind == ActorKind.CUSTOMER
    )
    rows = await tx.execute(query.order_by(_m.c.created_time.desc()).limit(_MAX_MESSAGES))
    return [Said(row.ticket_id, row.created_time, row.text) for row in rows]
