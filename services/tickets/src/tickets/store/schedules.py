"""When scheduled rules run next, and which tickets they are done with."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from chassis.errors import Exhausted
from tickets.domain.model import Ticket
from tickets.domain.query.resolve import Search
from tickets.store import tables
from tickets.store.query import clauses
from tickets.store.search import bounded
from tickets.store.tables import metadata
from tickets.store.tickets import TO_CHANGE, changeable

_ID, _TIME = sa.Uuid(as_uuid=False), sa.DateTime(timezone=True)
_t, _q = tables.ticket, tables.queue

rule_schedule = sa.Table(
    "rule_schedule",
    metadata,
    sa.Column("queue", sa.ForeignKey("queue.key"), primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("next_time", _TIME, nullable=False),
    sa.Column("position", _ID),
    sa.Index("rule_schedule_due", "next_time"),
)
"""Rules of the setups in force; `position` is the last ticket of a round that is under way."""

rule_mark = sa.Table(
    "rule_mark",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("ticket_id", sa.ForeignKey("ticket.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("time", _TIME, nullable=False),
    sa.ForeignKeyConstraint(
        ["queue", "rule"], ["rule_schedule.queue", "rule_schedule.rule"], ondelete="CASCADE"
    ),
    sa.Index("rule_mark_ticket", "ticket_id"),
)
"""Tickets that a rule was done to, or refused by, for as long as they match."""
_s, _m = rule_schedule, rule_mark


@dataclass(frozen=True, slots=True)
class Due:
    """A rule whose time has come, and where its round is."""

    queue: str
    rule: str
    setup_id: str
    position: str | None


async def put_schedules(tx: Tx, queue: str, rules: Mapping[str, timedelta]) -> None:
    """The scheduled rules of a queue, and how long a round of each waits at most from now on.

    New ones are due at once; marks of those that go are forgotten.
    """
    gone = sa.delete(_s).where(_s.c.queue == queue, _s.c.rule.not_in(list(rules)))
    await tx.execute(gone)
    if rules:
        row = insert(_s).values(queue=queue, next_time=tx.now)
        sooner = sa.func.least(_s.c.next_time, sa.bindparam("latest", type_=_TIME))
        put = row.on_conflict_do_update(index_elements=["queue", "rule"], set_={"next_time": sooner})
        await tx.execute(put, [{"rule": key, "latest": tx.now + every} for key, every in rules.items()])


async def lock_due(tx: Tx) -> Due | None:
    """A rule whose time has come and that no other replica runs, locked until the end of the transaction."""
    query = (
        sa.select(_s.c.queue, _s.c.rule, _s.c.position, _q.c.setup_id)
        .join_from(_s, _q, _q.c.key == _s.c.queue)
        .where(_s.c.next_time <= tx.now)
        .order_by(_s.c.next_time)
        .limit(1)
        .with_for_update(of=_s, skip_locked=True)
    )
    row = (await tx.execute(query)).one_or_none()
    return Due(row.queue, row.rule, str(row.setup_id or ""), row.position) if row else None


async def lock_batch(tx: Tx, due: Due, search: Search, limit: int) -> list[Ticket]:
    """The next tickets of a round; one that somebody holds waits for the next round. Raises Exhausted."""
    query = TO_CHANGE.where(_t.c.queue == due.queue, *clauses(search, staff=True))
    if due.position:
        query = query.where(_t.c.id > due.position)
    query = query.order_by(_t.c.id).limit(limit).with_for_update(of=_t, skip_locked=True)
    # What was done before stays when the query takes too long.
    async with bounded(), tx.conn.begin_nested():
        return await changeable(tx, query)


async def marked(tx: Tx, due: Due, ticket_ids: Sequence[str]) -> set[str]:
    """Those of the tickets that the rule is done with."""
    query = sa.select(_m.c.ticket_id).where(_of(due), _m.c.ticket_id.in_(ticket_ids))
    return set((await tx.execute(query)).scalars())


async def mark(tx: Tx, due: Due, ticket_id: str) -> None:
    """The rule is done with a ticket."""
    row = {"queue": due.queue, "rule": due.rule, "ticket_id": ticket_id, "time": tx.now}
    await tx.execute(insert(_m), row)


async def unmark(tx: Tx, due: Due, ticket_id: str) -> None:
    """The ticket matches no longer."""
    await tx.execute(sa.delete(_m).where(_of(due), _m.c.ticket_id == ticket_id))


async def go_on(tx: Tx, due: Due, position: str) -> None:
    """The round goes on behind a ticket."""
    await tx.execute(_change(due).values(position=position))


async def end_round(tx: Tx, due: Due, search: Search, next_time: datetime) -> None:
    """The round is over: the next one has its time, and tickets that no longer match lose their marks."""
    found = sa.exists().where(
        _t.c.id == _m.c.ticket_id, _t.c.queue == due.queue, *clauses(search, staff=True)
    )
    # Where that takes too long, marks stay until the next round.
    with suppress(Exhausted):
        async with bounded(), tx.conn.begin_nested():
            await tx.execute(sa.delete(_m).where(_of(due), ~found))
    await postpone(tx, due, next_time)


async def postpone(tx: Tx, due: Due, next_time: datetime) -> None:
    """The next round begins later."""
    await tx.execute(_change(due).values(next_time=next_time, position=None))


def _of(due: Due) -> sa.ColumnElement[bool]:
    return sa.and_(_m.c.queue == due.queue, _m.c.rule == due.rule)


def _change(due: Due) -> sa.Update:
    return sa.update(_s).where(_s.c.queue == due.queue, _s.c.rule == due.rule)
