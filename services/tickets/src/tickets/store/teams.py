"""Teams of the desk."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from chassis.pages import page_start
from tickets.domain.mentions import Team
from tickets.store import tables
from tickets.store.lists import Listed, Page, listed

_t, _a = tables.team, tables.agent


async def active(tx: Tx, agent_ids: Sequence[str]) -> list[str]:
    """Those of the agents who are there and have not left."""
    query = sa.select(_a.c.id).where(_a.c.id.in_(list(agent_ids)), _a.c.active)
    return list((await tx.execute(query)).scalars())


async def load(tx: Tx, keys: Sequence[str]) -> list[Team]:
    """Those of the teams that there are, by key."""
    query = sa.select(_t).where(_t.c.key.in_(list(keys))).order_by(_t.c.key)
    return [to_team(row) for row in (await tx.execute(query)).mappings()]


async def put(tx: Tx, team: Team) -> Team:
    """Create or replace a team."""
    values = {each.name: getattr(team, each.name) for each in _t.c}
    changed = {name: value for name, value in values.items() if name not in ("key", "version")}
    upsert = insert(_t).values(values)
    upsert = upsert.on_conflict_do_update(
        index_elements=[_t.c.key], set_={**changed, "version": _t.c.version + 1}
    )
    stored = (await tx.execute(upsert.returning(_t))).mappings().one()
    return to_team(stored)


async def list_teams(tx: Tx, page: Page) -> Listed[Team]:
    """Teams by key."""
    query = sa.select(_t)
    if page.token:
        query = query.where(_t.c.key > page_start(page.token, "teams", str))
    rows = await tx.execute(query.order_by(_t.c.key).limit(page.limit + 1))
    return listed([to_team(row) for row in rows.mappings()], page, "teams", lambda each: [each.key])


def to_team(row: Mapping[Any, Any]) -> Team:
    """A team out of its row."""
    values: dict[str, Any] = {each.name: row[each.name] for each in _t.c}
    return Team(**values)
