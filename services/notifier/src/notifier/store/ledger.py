"""The ledger of deliveries."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from chassis.errors import NotFound
from notifier import metrics
from notifier.domain import STAFF, Audience, Channel, Delivery, Parcel, State
from notifier.store.tables import OPEN_ROW, delivery_table

COUNT_LIMIT = 10_000
"""Matches are counted up to here: counting a million rows would cost more than the page."""
# An index knows no table name.
_OPEN = sa.text(f"delivery.{OPEN_ROW}")
_d = delivery_table.c


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


async def count_acknowledgements(tx: Tx, since: datetime, limit: int, recipient: str = "") -> int:
    """What robots wrote since then before a person had answered, to one recipient or to anybody.

    Counted up to `limit`.
    """
    chosen = [_d.created_at > since, _d.state != State.SUPPRESSED]
    if recipient:
        chosen.append(_d.recipient == recipient)
    by_rule = (_d.template == "reply") & _d.context.contains({"acknowledges": True})
    return await _count(tx, [*chosen, (_d.template == "auto_reply") | by_rule], limit)


async def count_robot_letters(tx: Tx, since: datetime, limit: int, recipient: str) -> int:
    """Letters of rules to one recipient asked for since then, counted up to `limit`."""
    chosen = [_d.recipient == recipient, _d.created_at > since, _d.state != State.SUPPRESSED]
    return await _count(
        tx, [*chosen, _d.template == "reply", _d.context.contains({"automatic": True})], limit
    )


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
