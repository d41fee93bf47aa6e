"""Tables of notifier and every query."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from chassis.db import Tx, chassis_tables
from chassis.errors import NotFound
from notifier import metrics
from notifier.domain import STAFF, Agent, Audience, Channel, Delivery, Parcel, Queue, State
from tickdesk.tickets.v1 import ticket_pb2

metadata = sa.MetaData()
chassis_tables(metadata)
COUNT_LIMIT = 10_000
"""Matches are counted up to here: counting a million rows would cost more than the page."""
_INSTANT = sa.DateTime(timezone=True)

ticket_table = sa.Table(
    "ticket",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
agent_table = sa.Table(
    "agent",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("leads", ARRAY(sa.SmallInteger), nullable=False),
    sa.Column("queues", ARRAY(sa.Text), nullable=False),
    sa.Column("management", sa.Boolean, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
)
queue_table = sa.Table(
    "queue",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("addresses", ARRAY(sa.Text), nullable=False),
    sa.Column("language", sa.Text, nullable=False),
)
promise_table = sa.Table(
    "promise",
    metadata,
    sa.Column("ticket_id", sa.Text, primary_key=True),
    sa.Column("due_at", _INSTANT, nullable=False),
)
# What the customer's last mail called itself, so that a mail program shows our answer under it.
conversation_table = sa.Table(
    "conversation",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("last_external_id", sa.Text, nullable=False),
    sa.Column("received_at", _INSTANT, nullable=False),
)
# Spelt out rather than bound, so that the planner sees the partial indexes; an index knows no table name.
_OPEN_ROW = "state in ('pending', 'sending')"
_OPEN = sa.text(f"delivery.{_OPEN_ROW}")
delivery_table = sa.Table(
    "delivery",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("audience", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("ticket_id", sa.Text, nullable=False),
    sa.Column("ticket_key", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    # When the next attempt is due; while one is under way, when its lease ends.
    sa.Column("next_at", _INSTANT),
    sa.Column("give_up_at", _INSTANT, nullable=False),
    sa.Column("sent_at", _INSTANT),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("digest", sa.Boolean, nullable=False),
    sa.Column("context", JSONB, nullable=False),
    sa.Index("delivery_due", "channel", "next_at", postgresql_where=sa.text(f"{_OPEN_ROW} and not digest")),
    sa.Index("delivery_digest", "next_at", postgresql_where=sa.text(f"{_OPEN_ROW} and digest")),
    sa.Index(
        "delivery_digested",
        "recipient",
        "sent_at",
        postgresql_where=sa.text("digest and sent_at is not null"),
    ),
    sa.Index("delivery_recipient", "recipient", "created_at"),
    sa.Index("delivery_ticket", "ticket_id", "created_at"),
    sa.Index("delivery_newest", "created_at", "id"),
    sa.Index("delivery_auto_reply", "created_at", postgresql_where=sa.text("template = 'auto_reply'")),
)
_d = delivery_table.c


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
    here = sa.or_(sa.func.cardinality(agent_table.c.queues) == 0, _holds(agent_table.c.queues, queue))
    return await _agents(tx, _holds(agent_table.c.leads, line), here)


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


async def add_deliveries(tx: Tx, deliveries: Iterable[Delivery]) -> None:
    """Add what is not there yet: the same cause never makes two."""
    deliveries = list(deliveries)
    for each in deliveries:
        if each.state is State.SUPPRESSED:
            tx.after_commit(metrics.NOTIFICATIONS.labels(each.channel, "suppressed").inc)
    rows = [{**asdict(each), **_texts(each)} for each in deliveries]
    if rows:
        await tx.execute(insert(delivery_table).on_conflict_do_nothing(), rows)


def _texts(delivery: Delivery) -> dict[str, str]:
    return {
        "channel": delivery.channel.value,
        "audience": delivery.audience.value,
        "state": delivery.state.value,
    }


async def release_auto_reply(tx: Tx, ticket_id: str) -> None:
    """Send the waiting auto-reply of a ticket at once."""
    waiting = sa.and_(
        _d.ticket_id == ticket_id, _d.template == "auto_reply", _d.state == State.PENDING, _d.attempts == 0
    )
    await tx.execute(sa.update(delivery_table).where(waiting).values(next_at=tx.now))


async def one_at_a_time(tx: Tx, name: str) -> None:
    """Make transactions that name the same thing wait for each other, so that a count can be trusted."""
    await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))


async def count_auto_replies(tx: Tx, since: datetime, limit: int, recipient: str = "") -> int:
    """Auto-replies asked for since then, counted up to `limit`; to one recipient or to anybody."""
    chosen = [_d.template == "auto_reply", _d.state != State.SUPPRESSED, _d.created_at > since]
    if recipient:
        chosen.append(_d.recipient == recipient)
    return await _count(tx, chosen, limit)


async def count_notices(tx: Tx, recipient: str, since: datetime, limit: int) -> int:
    """Notices to a person of the desk asked for since then, counted up to `limit`."""
    staff = _d.audience.in_([audience.value for audience in STAFF])
    return await _count(tx, [_d.recipient == recipient, staff, _d.created_at > since], limit)


async def _count(tx: Tx, conditions: Sequence[sa.ColumnElement[bool]], limit: int) -> int:
    bounded = sa.select(sa.literal(1)).select_from(delivery_table).where(*conditions).limit(limit).subquery()
    return await tx.conn.scalar(sa.select(sa.func.count()).select_from(bounded)) or 0


async def claim_one(tx: Tx, channel: Channel, lease: timedelta) -> tuple[Parcel | None, bool]:
    """Take the delivery that is due longest; the flag tells that an earlier attempt died unknown."""
    due = (
        sa.select(_d.id)
        .where(_d.channel == channel.value, _OPEN, sa.not_(_d.digest), _d.next_at <= tx.now)
        .order_by(_d.next_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return await _take(tx, _d.id == due.scalar_subquery(), lease)


async def claim_digest(tx: Tx, lease: timedelta, window: timedelta) -> tuple[Parcel | None, bool]:
    """Take all held-back notices of one person, unless they had a digest within the window."""
    ready = sa.and_(_OPEN, _d.digest, _d.next_at <= tx.now)
    recipient = await tx.conn.scalar(sa.select(_d.recipient).where(ready).order_by(_d.next_at).limit(1))
    if recipient is None:
        return None, False
    await one_at_a_time(tx, f"digest/{recipient}")
    theirs = sa.and_(ready, _d.recipient == recipient)
    sent = sa.select(sa.func.max(_d.sent_at)).where(
        _d.digest, _d.recipient == recipient, _d.sent_at > tx.now - window
    )
    if last := await tx.conn.scalar(sent):
        # Notices that were committed a moment after their window's digest had left.
        await tx.execute(sa.update(delivery_table).where(theirs).values(next_at=last + window))
        return None, False
    return await _take(tx, theirs, lease)


async def _take(tx: Tx, chosen: sa.ColumnElement[bool], lease: timedelta) -> tuple[Parcel | None, bool]:
    before = delivery_table.alias("before")
    statement = (
        sa.update(delivery_table)
        .where(chosen, _d.id == before.c.id)
        .values(state=State.SENDING.value, attempts=_d.attempts + 1, next_at=tx.now + lease)
        .returning(delivery_table, before.c.state.label("state_before"))
    )
    rows = (await tx.execute(statement)).all()
    if not rows:
        return None, False
    died = any(row.state_before == State.SENDING for row in rows)
    deliveries = sorted(map(_delivery, rows), key=lambda delivery: (delivery.created_at, delivery.id))
    return Parcel(tuple(deliveries), tx.now + lease), died


async def settle(tx: Tx, parcel: Parcel, changes: dict[str, Any]) -> list[Delivery]:
    """Write the outcome of an attempt; nothing changes when its lease was lost to another worker."""
    mine = sa.and_(
        _d.id.in_([each.id for each in parcel.deliveries]),
        _d.state == State.SENDING,
        _d.next_at == parcel.lease,
    )
    statement = sa.update(delivery_table).where(mine).values(**changes).returning(delivery_table)
    return [_delivery(row) for row in await tx.execute(statement)]


async def get_delivery(tx: Tx, delivery_id: UUID, *, lock: bool = False) -> Delivery:
    """One delivery. Raises NotFound."""
    wanted = sa.select(delivery_table).where(_d.id == delivery_id)
    row = (await tx.execute(wanted.with_for_update() if lock else wanted)).first()
    if row is None:
        raise NotFound(f"there is no delivery {delivery_id}", reason="DELIVERY_NOT_FOUND")
    return _delivery(row)


async def retry(tx: Tx, delivery: Delivery, keep_trying: timedelta) -> Delivery:
    """Make a failed delivery pending again."""
    changes: dict[str, Any] = {
        "state": State.PENDING,
        "attempts": 0,
        "detail": "",
        "next_at": tx.now,
        "give_up_at": tx.now + keep_trying,
    }
    await tx.execute(sa.update(delivery_table).where(_d.id == delivery.id).values(**changes))
    return replace(delivery, **changes)


async def list_deliveries(
    tx: Tx, filters: dict[str, str], after: tuple[datetime, UUID] | None, size: int
) -> tuple[list[Delivery], int]:
    """A page, newest first, by equal columns; and how many match in all, counted up to COUNT_LIMIT."""
    chosen = [_d[name] == value for name, value in filters.items()]
    counted = sa.select(_d.id).where(*chosen).limit(COUNT_LIMIT).subquery()
    total = await tx.conn.scalar(sa.select(sa.func.count()).select_from(counted))
    page = sa.select(delivery_table).where(*chosen).order_by(_d.created_at.desc(), _d.id.desc()).limit(size)
    if after:
        page = page.where(sa.tuple_(_d.created_at, _d.id) < after)
    return [_delivery(row) for row in await tx.execute(page)], total or 0


async def oldest_due(tx: Tx) -> dict[str, datetime]:
    """Per channel, since when its most overdue delivery has been due."""
    waiting = sa.select(_d.channel, sa.func.min(_d.next_at).label("since"))
    grouped = waiting.where(_OPEN, _d.next_at <= tx.now).group_by(_d.channel)
    return {row.channel: row.since for row in await tx.execute(grouped)}


async def forget(tx: Tx, before: datetime) -> int:
    """Empty what old letters said, some thousand at a time; the rows stay, so that no cause sends twice."""
    done = _d.state.in_([State.SENT.value, State.SUPPRESSED.value])
    old = (
        sa.select(_d.id).where(done, _d.created_at < before, _d.context != sa.text("'{}'::jsonb")).limit(5000)
    )
    emptied = sa.update(delivery_table).where(_d.id.in_(old)).values(context={})
    return (await tx.execute(emptied)).rowcount


def _delivery(row: Any) -> Delivery:
    values = {column.name: getattr(row, column.name) for column in delivery_table.columns}
    return Delivery(
        **{
            **values,
            "channel": Channel(row.channel),
            "audience": Audience(row.audience),
            "state": State(row.state),
        }
    )
