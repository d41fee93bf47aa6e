"""Who is there to get tickets, how many each of them has, and whose turn it was."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from tickets.domain.model import Agent, Line
from tickets.domain.routing import Load
from tickets.store import tables
from tickets.store.agents import to_agent

_a, _t, _turn = tables.agent, tables.ticket, tables.agent_turn


async def active_agents(tx: Tx, ids: Sequence[str]) -> list[Agent]:
    """Those of the agents who are there and active."""
    if not ids:
        return []
    rows = await tx.execute(sa.select(_a).where(_a.c.id.in_(ids), _a.c.active).order_by(_a.c.id))
    return [to_agent(row) for row in rows.mappings()]


async def lock_staff(tx: Tx, queue: str, line: Line) -> list[Load]:
    """Active agents of a line and queue with what they have, locked until the end of the transaction.

    Two statements: who waited for the lock must count what the other gave away meanwhile. Everybody locks in
    one order, tickets before agents.
    """
    of_line = sa.or_(sa.func.cardinality(_a.c.lines) == 0, _a.c.lines.contains([line]))
    of_queue = sa.or_(sa.func.cardinality(_a.c.queues) == 0, _a.c.queues.contains([queue]))
    query = sa.select(_a).where(_a.c.active, of_line, of_queue).order_by(_a.c.id)
    rows = await tx.execute(query.with_for_update(key_share=True))
    return await loads(tx, [to_agent(row) for row in rows.mappings()])


async def loads(tx: Tx, agents: Sequence[Agent]) -> list[Load]:
    """How many open tickets the agents have, and when a strategy last gave them one."""
    count = (
        sa.select(sa.func.count())
        .where(_t.c.assignee == _a.c.id, tables.OF_AGENT_AND_OPEN)
        .correlate(_a)
        .scalar_subquery()
    )
    query = (
        sa.select(_a.c.id, count.label("open_tickets"), _turn.c.turn_time)
        .join_from(_a, _turn, _turn.c.agent_id == _a.c.id, isouter=True)
        .where(_a.c.id.in_([each.id for each in agents]))
    )
    found = {row.id: row for row in await tx.execute(query)}
    return [Load(each, found[each.id].open_tickets, found[each.id].turn_time) for each in agents]


async def note_turn(tx: Tx, agent_id: str) -> None:
    """The agent had their turn."""
    upsert = insert(_turn).values(agent_id=agent_id, turn_time=tx.now)
    await tx.execute(
        upsert.on_conflict_do_update(
            index_elements=["agent_id"], set_={"turn_time": upsert.excluded.turn_time}
        )
    )
