"""Pages of the audit."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from chassis.pages import page_start
from tickets.domain.audit import Change, Entry
from tickets.domain.model import Actor, ActorKind
from tickets.domain.rule_runs import ENTRIES
from tickets.store import access_tables, rights, tables
from tickets.store.lists import Listed, Page, listed

_e, _t = access_tables.audit, tables.ticket


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries; all given conditions must hold."""

    ticket_id: str = ""
    actor_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


async def list_audit(tx: Tx, wanted: Wanted, page: Page) -> Listed[Entry]:
    """Entries, newest first; of tickets only those that the caller may see."""
    query = sa.select(_e)
    for column, value in ((_e.c.ticket_id, wanted.ticket_id), (_e.c.actor_id, wanted.actor_id)):
        query = query.where(column == value) if value else query
    query = query.where(_e.c.time >= wanted.since) if wanted.since else query
    query = query.where(_e.c.time < wanted.until) if wanted.until else query
    seen = await rights.visible(tx)
    if seen:
        theirs = sa.exists().where(_t.c.id == _e.c.ticket_id, *seen)
        query = query.where(sa.or_(_e.c.ticket_id.is_(None), theirs))
    if page.token:
        query = query.where(_e.c.id < page_start(page.token, wanted, identity))
    rows = await tx.execute(query.order_by(_e.c.id.desc()).limit(page.limit + 1))
    return listed([to_entry(row) for row in rows], page, wanted, lambda each: [each.id])


async def since(tx: Tx, ticket_id: str, version: int) -> list[Entry]:
    """The last entries of a ticket that tell of later versions than this one, newest first; at most 50."""
    query = sa.select(_e).where(_e.c.ticket_id == ticket_id, _e.c.version > version)
    query = query.where(_e.c.event.not_in(ENTRIES.values()))
    return [to_entry(row) for row in await tx.execute(query.order_by(_e.c.id.desc()).limit(50))]


def to_entry(row: sa.Row[Any]) -> Entry:
    """An entry out of its row."""
    values = {each.name: getattr(row, each.name) for each in _e.c if not each.name.startswith("actor_")}
    changed = tuple(Change(*each) for each in values.pop("changes"))
    return Entry(**values, actor=Actor(ActorKind(row.actor_kind), row.actor_id), changes=changed)


def identity(value: str) -> str:
    """The place of a page behind an entry."""
    return str(UUID(value))
