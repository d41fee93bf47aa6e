"""Drafts of answers."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from chassis.pages import page_start
from tickets.domain.drafts import Draft
from tickets.store import tables
from tickets.store.lists import Listed, Page, listed

_d, _a = tables.draft, tables.agent


async def save(tx: Tx, draft: Draft) -> None:
    """Keep a draft in place of the agent's last one."""
    values = {each.name: getattr(draft, each.name) for each in _d.c}
    changed = {name: value for name, value in values.items() if name not in ("ticket_id", "agent_id")}
    upsert = insert(_d).values(values)
    await tx.execute(
        upsert.on_conflict_do_update(index_elements=[_d.c.ticket_id, _d.c.agent_id], set_=changed)
    )


async def remove(tx: Tx, ticket_id: str, agent_id: str) -> None:
    """Throw an agent's draft away, if there is one."""
    await tx.execute(sa.delete(_d).where(_d.c.ticket_id == ticket_id, _d.c.agent_id == agent_id))


async def list_drafts(tx: Tx, ticket_id: str, page: Page) -> Listed[Draft]:
    """Drafts of a ticket by agent."""
    scope = ("drafts", ticket_id)
    query = sa.select(_d, _a.c.name.label("agent_name")).join_from(
        _d, _a, _a.c.id == _d.c.agent_id, isouter=True
    )
    query = query.where(_d.c.ticket_id == ticket_id)
    if page.token:
        query = query.where(_d.c.agent_id > page_start(page.token, scope, str))
    rows = await tx.execute(query.order_by(_d.c.agent_id).limit(page.limit + 1))
    found = [Draft(**{**row, "agent_name": row["agent_name"] or ""}) for row in rows.mappings()]
    return listed(found, page, scope, lambda each: [each.agent_id])
