"""What is known of tickets, people, queues, promises and conversations."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from notifier.domain import Agent, Queue
from notifier.store.tables import agent_table, conversation_table, promise_table, queue_table, ticket_table
from tickdesk.tickets.v1 import ticket_pb2


async def put_ticket(tx: Tx, ticket: ticket_pb2.Ticket) -> bool:
    """Keep the newest version of a ticket; False when a newer one is already here."""
    row = {"id": ticket.id, "version": ticket.version, "body": ticket.SerializeToString()}
    return await _put(tx, ticket_table, row)


async def get_ticket(tx: Tx, ticket_id: str) -> ticket_pb2.Ticket | None:
    """The ticket as last heard of."""
    body = await tx.conn.scalar(sa.select(ticket_table.c.body).where(ticket_table.c.id == ticket_id))
    return ticket_pb2.Ticket.FromString(body) if body is not None else None


async def put_agent(tx: Tx, agent: ticket_pb2.Agent) -> None:
    """Keep the newest version of a person."""
    row = {
        "id": agent.id,
        "version": agent.version,
        "name": agent.name,
        "email": agent.email,
        "language": agent.language,
        "lines": list(agent.lines),
        "leads": list(agent.leads),
        "queues": list(agent.queues),
        "management": agent.management,
        "active": agent.active,
    }
    await _put(tx, agent_table, row)


async def put_queue(tx: Tx, queue: ticket_pb2.Queue) -> None:
    """Keep the newest version of a queue."""
    row = {
        "key": queue.key,
        "version": queue.version,
        "name": queue.name,
        "addresses": [address.lower() for address in queue.addresses],
        "language": queue.default_language,
    }
    await _put(tx, queue_table, row)


async def _put(tx: Tx, table: sa.Table, row: dict[str, Any]) -> bool:
    statement = insert(table).values(row)
    newest = statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: statement.excluded[name] for name in row},
        where=table.c.version < statement.excluded.version,
    )
    return bool((await tx.execute(newest)).rowcount)


async def get_queue(tx: Tx, key: str) -> Queue | None:
    """A queue as last heard of."""
    row = (await tx.execute(sa.select(queue_table).where(queue_table.c.key == key))).first()
    return Queue(row.key, row.name, tuple(row.addresses), row.language) if row else None


async def is_own_address(tx: Tx, mailbox: str) -> bool:
    """Tell whether it is an address of one of our queues."""
    found = sa.select(sa.true()).where(_holds(queue_table.c.addresses, mailbox)).limit(1)
    return bool(await tx.conn.scalar(found))


def _holds(array: sa.Column[Any], value: str | int) -> sa.ColumnElement[bool]:
    return sa.literal(value) == sa.any_(array)


async def get_agent(tx: Tx, agent_id: str) -> Agent | None:
    """An active person."""
    found = await _agents(tx, agent_table.c.id == agent_id)
    return found[0] if found else None


async def leads(tx: Tx, line: int, queue: str) -> list[Agent]:
    """The heads of a line in a queue."""
    return await _agents(tx, _holds(agent_table.c.leads, line), _belongs(queue))


async def workers(tx: Tx, line: int, queue: str) -> list[Agent]:
    """Those who work on a line in a queue; who names no line and heads nothing works on all of them."""
    anywhere = sa.and_(*(sa.func.cardinality(agent_table.c[name]) == 0 for name in ("lines", "leads")))
    on_line = sa.or_(_holds(agent_table.c.lines, line), sa.and_(anywhere, ~agent_table.c.management))
    return await _agents(tx, on_line, _belongs(queue))


def _belongs(queue: str) -> sa.ColumnElement[bool]:
    return sa.or_(sa.func.cardinality(agent_table.c.queues) == 0, _holds(agent_table.c.queues, queue))


async def management(tx: Tx) -> list[Agent]:
    """The people told of escalations to management."""
    return await _agents(tx, agent_table.c.management)


async def _agents(tx: Tx, *conditions: sa.ColumnElement[bool]) -> list[Agent]:
    chosen = sa.select(agent_table).where(agent_table.c.active, *conditions).order_by(agent_table.c.id)
    return [Agent(row.id, row.name, row.email, row.language) for row in await tx.execute(chosen)]


async def put_promise(tx: Tx, ticket_id: str, due_at: datetime) -> bool:
    """Keep the first promised instant of a ticket; False when there is one already."""
    statement = insert(promise_table).values(ticket_id=ticket_id, due_at=due_at).on_conflict_do_nothing()
    return bool((await tx.execute(statement)).rowcount)


async def get_promise(tx: Tx, ticket_id: str) -> datetime | None:
    """The promised instant of the first answer."""
    wanted = sa.select(promise_table.c.due_at).where(promise_table.c.ticket_id == ticket_id)
    found: datetime | None = await tx.conn.scalar(wanted)
    return found


async def put_conversation(tx: Tx, conversation_id: str, external_id: str, received_at: datetime) -> None:
    """Keep the id of the customer's newest message."""
    statement = insert(conversation_table).values(
        id=conversation_id, last_external_id=external_id, received_at=received_at
    )
    newest = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={name: statement.excluded[name] for name in ("last_external_id", "received_at")},
        where=conversation_table.c.received_at < statement.excluded.received_at,
    )
    await tx.execute(newest)


async def last_external_id(tx: Tx, conversation_id: str) -> str:
    """The channel's own id of the customer's newest message; empty when unknown."""
    wanted = sa.select(conversation_table.c.last_external_id).where(
        conversation_table.c.id == conversation_id
    )
    return await tx.conn.scalar(wanted) or ""
