"""Recalculations: which there are, what is outdated, and tickets written many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa

from chassis.db import Tx
from chassis.errors import NotFound
from sla_clock.calendar import moment
from sla_clock.store.tables import INSTANT, recalculation_table, ticket_table
from sla_clock.store.tickets import TICKETS, Running, TicketRow, ticket_row

_FIGURES = ("done", "earlier", "later", "added", "dropped", "took")


@dataclass(frozen=True, slots=True)
class Recalculation:
    """Bringing open tickets under a policy and data; `took` in microseconds, `total` None until counted."""

    id: int
    policy: str
    version: int
    data: str
    cause: str
    started_at: datetime
    finished_at: datetime | None = None
    total: int | None = None
    done: int = 0
    earlier: int = 0
    later: int = 0
    added: int = 0
    dropped: int = 0
    took: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """A ticket computed anew with its running clocks; `revision` is the one it was read at."""

    row: TicketRow
    running: Sequence[Running]
    revision: int


async def begin_recalculation(tx: Tx, policy: str, version: int, data: str, cause: str) -> None:
    """Note that open tickets are to be brought under this policy and data."""
    values = {"policy": policy, "version": version, "data": data, "cause": cause, "started_at": tx.now}
    await tx.execute(sa.insert(recalculation_table), values)


async def find_recalculation(tx: Tx, version: int = 0) -> Recalculation | None:
    """The newest one, or the newest of a policy version."""
    query = sa.select(recalculation_table).order_by(recalculation_table.c.id.desc()).limit(1)
    if version:
        query = query.where(recalculation_table.c.version == version)
    found = (await tx.execute(query)).mappings().first()
    return None if found is None else Recalculation(**found)


async def get_recalculation(tx: Tx, version: int) -> Recalculation:
    """The same. Raises NotFound."""
    found = await find_recalculation(tx, version)
    if found is None:
        what = f"no recalculation of version {version} is known" if version else "no policy is in force yet"
        raise NotFound(what, reason="POLICY_NOT_FOUND")
    return found


def _outdated(version: int, data: str) -> list[sa.ColumnElement[bool]]:
    """Open tickets computed under an earlier policy, or with other data: each a range of its index."""
    t = ticket_table.c
    return [
        sa.and_(t.open, t.policy_version < version),
        sa.and_(t.open, t.data < data),
        sa.and_(t.open, t.data > data),
    ]


async def lock_outdated(tx: Tx, version: int, data: str, limit: int) -> list[TicketRow]:
    """Open tickets to be computed anew, at most so many, that nobody else is at.

    Their wake-ups stay free: they fire meanwhile, and are computed again then.
    """
    for condition in _outdated(version, data):
        query = TICKETS.where(condition).limit(limit).with_for_update(of=ticket_table, skip_locked=True)
        if found := (await tx.execute(query)).all():
            return [ticket_row(one) for one in found]
    return []


async def count_outdated(tx: Tx, version: int, data: str) -> int:
    """How many there are, those included that somebody is at."""
    query = sa.select(sa.func.count()).select_from(ticket_table).where(sa.or_(*_outdated(version, data)))
    return await tx.conn.scalar(query) or 0


async def any_outdated(tx: Tx, version: int, data: str) -> bool:
    """Whether there is one."""
    exists = [sa.exists().where(one) for one in _outdated(version, data)]
    return bool(await tx.conn.scalar(sa.select(sa.or_(*exists))))


async def add_progress(tx: Tx, one: Recalculation, figures: dict[str, int]) -> None:
    """Add to what was done: the last statement of its unit of work, since replicas wait here."""
    changed = {name: recalculation_table.c[name] + figures.get(name, 0) for name in _FIGURES}
    await tx.execute(sa.update(recalculation_table).where(recalculation_table.c.id == one.id).values(changed))


async def set_total(tx: Tx, one: Recalculation, total: int) -> None:
    """How many it touches, unless somebody has counted already."""
    mine = sa.and_(recalculation_table.c.id == one.id, recalculation_table.c.total.is_(None))
    await tx.execute(sa.update(recalculation_table).where(mine).values(total=total))


async def finish_recalculation(tx: Tx, one: Recalculation) -> Recalculation | None:
    """Note that it is through, with all before it; None when somebody was faster."""
    through = sa.and_(recalculation_table.c.id <= one.id, recalculation_table.c.finished_at.is_(None))
    counted = sa.func.coalesce(recalculation_table.c.total, 0)
    done = sa.update(recalculation_table).where(through).values(finished_at=tx.now, total=counted)
    found = (await tx.execute(done.returning(*recalculation_table.c))).mappings().all()
    return next((Recalculation(**each) for each in found if each["id"] == one.id), None)


async def write_tickets(tx: Tx, written: Sequence[Written]) -> set[UUID]:
    """Write tickets whose rows are held, with their running clocks and wake-ups, in one statement.

    One that fired or changed since it was read, or is just firing, is left as it is. The ids of the others.
    """
    rows = [one.row for one in written]
    clocks = [(one.row.ticket_id, one.row.facets.queue, each) for one in written for each in one.running]
    values: dict[str, Any] = {
        "ids": [one.ticket_id for one in rows],
        "known": [one.revision for one in written],
        "revisions": [one.revision for one in rows],
        "wakes": [None if one.next_wake is None else moment(one.next_wake) for one in rows],
        "versions": [one.policy_version for one in rows],
        "data": [one.data for one in rows],
        "standings": [orjson.dumps([each.dump() for each in one.standings]).decode() for one in rows],
        "ahead": [one.ahead for one in rows],
        "clock_ids": [ticket_id for ticket_id, _, _ in clocks],
        "clocks": [one.clock for _, _, one in clocks],
        "queues": [queue for _, queue, _ in clocks],
        "dues": [moment(one.due) for _, _, one in clocks],
        "targets": [one.target for _, _, one in clocks],
        "elapsed": [one.elapsed for _, _, one in clocks],
        "since": [moment(one.since) for _, _, one in clocks],
        "calendars": [one.calendar for _, _, one in clocks],
        "counts": [one.due_count for _, _, one in clocks],
    }
    return {one.ticket_id for one in await tx.execute(_WRITE, values)}


_UUIDS, _TEXTS, _NUMBERS = sa.ARRAY(sa.Uuid), sa.ARRAY(sa.Text), sa.ARRAY(sa.BigInteger)
_INSTANTS, _BYTES = sa.ARRAY(INSTANT), sa.ARRAY(sa.LargeBinary)
# Wake-ups that a worker holds are passed over, never waited for: it may be waiting for one of these.
_WRITE = sa.text(
    "with given as (select * from"
    " unnest(:ids, :known, :revisions, :wakes, :versions, :data, :standings, :ahead)"
    " as given(ticket_id, known, revision, next_wake_at, policy_version, data, standings, ahead)),"
    " free as (select wake.ticket_id from wake join given using (ticket_id)"
    " where wake.revision = given.known for update of wake skip locked),"
    " slept as (update wake set revision = given.revision, next_wake_at = given.next_wake_at,"
    " fired_until = null from given join free using (ticket_id) where wake.ticket_id = given.ticket_id"
    " returning wake.ticket_id),"
    " told as (update ticket_clock set policy_version = given.policy_version, data = given.data,"
    " standings = given.standings::jsonb, ahead = given.ahead from given join slept using (ticket_id)"
    " where ticket_clock.ticket_id = given.ticket_id),"
    " running as (select * from unnest(:clock_ids, :clocks, :queues, :dues, :targets, :elapsed, :since,"
    " :calendars, :counts) as running(ticket_id, clock, queue, due_at, target, elapsed, since, calendar,"
    " due_count) where ticket_id in (select ticket_id from slept)),"
    " forgotten as (delete from due_clock using slept where due_clock.ticket_id = slept.ticket_id and not"
    " exists (select from running where (running.ticket_id, running.clock) ="
    " (due_clock.ticket_id, due_clock.clock))),"
    " counted as (insert into due_clock (ticket_id, clock, queue, due_at, target, elapsed, since, calendar,"
    " due_count) select * from running on conflict (ticket_id, clock) do update set queue = excluded.queue,"
    " due_at = excluded.due_at, target = excluded.target, elapsed = excluded.elapsed, since = excluded.since,"
    " calendar = excluded.calendar, due_count = excluded.due_count)"
    " select ticket_id from slept"
).bindparams(
    sa.bindparam("ids", type_=_UUIDS),
    sa.bindparam("known", type_=_NUMBERS),
    sa.bindparam("revisions", type_=_NUMBERS),
    sa.bindparam("wakes", type_=_INSTANTS),
    sa.bindparam("versions", type_=sa.ARRAY(sa.Integer)),
    sa.bindparam("data", type_=_TEXTS),
    sa.bindparam("standings", type_=_TEXTS),
    sa.bindparam("ahead", type_=_BYTES),
    sa.bindparam("clock_ids", type_=_UUIDS),
    sa.bindparam("clocks", type_=_TEXTS),
    sa.bindparam("queues", type_=_TEXTS),
    sa.bindparam("dues", type_=_INSTANTS),
    sa.bindparam("targets", type_=_NUMBERS),
    sa.bindparam("elapsed", type_=_NUMBERS),
    sa.bindparam("since", type_=_INSTANTS),
    sa.bindparam("calendars", type_=_TEXTS),
    sa.bindparam("counts", type_=_NUMBERS),
)
