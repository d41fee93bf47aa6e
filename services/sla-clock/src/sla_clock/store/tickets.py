"""What is known of tickets, their running clocks and their wake-ups."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.db import Tx
from chassis.errors import NotFound, Stale
from sla_clock.calendar import micros, moment
from sla_clock.standing import Standing, Standings
from sla_clock.store.tables import INSTANT, due_table, ticket_table


@dataclass(frozen=True, slots=True)
class TicketRow:
    """What is known of a ticket. `revision` grows with every write; instants are microseconds."""

    ticket_id: UUID
    version: int
    revision: int
    policy_version: int
    open: bool
    ref: bytes
    timeline: bytes
    attributes: Mapping[str, Any]
    standings: Standings
    trace: Mapping[str, str] = field(default_factory=dict)
    next_wake: int | None = None


@dataclass(frozen=True, slots=True)
class DueRow:
    """A running clock with its ticket."""

    clock: str
    due_at: datetime
    row: TicketRow


@dataclass(frozen=True, slots=True)
class DueFilter:
    """Which running clocks: of a queue, due before an instant, after the last one of a page."""

    queue: str = ""
    before: datetime | None = None
    after: tuple[datetime, UUID, str] | None = None


async def lock_ticket(tx: Tx, ticket_id: UUID) -> TicketRow | None:
    """The ticket's row, held until the end of the unit of work; None when it is not known."""
    found = (await tx.execute(_LOCK_ONE, {"one": ticket_id})).first()
    return None if found is None else _ticket(found)


async def find_ticket(tx: Tx, ticket_id: UUID) -> TicketRow:
    """The ticket's row. Raises NotFound."""
    found = (await tx.execute(sa.select(ticket_table).where(ticket_table.c.ticket_id == ticket_id))).first()
    if found is None:
        raise NotFound(f"no event of ticket {ticket_id} has arrived", reason="TICKET_UNKNOWN")
    return _ticket(found)


async def lock_tickets(tx: Tx, ticket_ids: Collection[UUID]) -> list[TicketRow]:
    """Rows of claimed tickets; in one order, so that two workers never wait for each other crosswise."""
    found = await tx.execute(_LOCK_MANY, {"many": list(ticket_ids)})
    return [_ticket(one) for one in found]


async def lock_overdue(tx: Tx, grace_seconds: float, limit: int) -> tuple[int, list[TicketRow]]:
    """The database's own instant, and rows whose wake-up lies more than the grace behind it."""
    now: datetime = (await tx.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
    edge = sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 0, 0, 0, grace_seconds)
    query = (
        sa.select(ticket_table)
        .where(ticket_table.c.next_wake_at <= edge)
        .order_by(ticket_table.c.next_wake_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return micros(now), [_ticket(found) for found in await tx.execute(query)]


async def lock_outdated(tx: Tx, version: int, limit: int) -> list[TicketRow]:
    """Open tickets that were computed under an earlier policy."""
    older = sa.and_(ticket_table.c.open, ticket_table.c.policy_version < version)
    query = (
        sa.select(ticket_table)
        .where(older)
        .order_by(ticket_table.c.policy_version, ticket_table.c.ticket_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_ticket(found) for found in await tx.execute(query)]


async def save_ticket(tx: Tx, row: TicketRow) -> None:
    """Write a ticket. Raises Stale when somebody else wrote this revision of it first."""
    if not (await tx.execute(_SAVE, _values(row))).rowcount:
        raise Stale(f"ticket {row.ticket_id} was written by somebody else, try again")


async def save_due(tx: Tx, ticket_id: UUID, queue: str, due: Mapping[str, int]) -> None:
    """Replace the running clocks of a ticket by these, with their due instants."""
    await tx.execute(_FORGET_DUE, {"one": ticket_id})
    if due:
        clocks = due.items()
        rows = [
            {"ticket_id": ticket_id, "clock": k, "queue": queue, "due_at": moment(at)} for k, at in clocks
        ]
        await tx.execute(_ADD_DUE, rows)


async def move_due(tx: Tx, ticket_id: UUID, queue: str) -> None:
    """The ticket's running clocks belong to another queue now."""
    await tx.execute(sa.update(due_table).where(due_table.c.ticket_id == ticket_id).values(queue=queue))


# Statements of the hot paths are built once: building costs more than sending.
_LOCK_ONE = sa.select(ticket_table).where(ticket_table.c.ticket_id == sa.bindparam("one")).with_for_update()
_LOCK_MANY = (
    sa.select(ticket_table)
    .where(ticket_table.c.ticket_id == sa.any_(sa.bindparam("many", type_=sa.ARRAY(sa.Uuid))))
    .order_by(ticket_table.c.ticket_id)
    .with_for_update()
)
_NEW = insert(ticket_table)
_SAVE = _NEW.on_conflict_do_update(
    index_elements=["ticket_id"],
    set_={column.name: _NEW.excluded[column.name] for column in ticket_table.c},
    where=ticket_table.c.revision < _NEW.excluded.revision,
)
_FORGET_DUE = sa.delete(due_table).where(due_table.c.ticket_id == sa.bindparam("one"))
_ADD_DUE = sa.insert(due_table)


async def save_fired(tx: Tx, rows: Sequence[TicketRow]) -> None:
    """Write what firing changes: standings, next wake-up and revision."""
    if rows:
        await tx.execute(
            _FIRED,
            [
                {
                    "row_id": row.ticket_id,
                    "rev": row.revision,
                    "stood": [one.dump() for one in row.standings],
                    "wake": None if row.next_wake is None else moment(row.next_wake),
                }
                for row in rows
            ],
        )


_FIRED = (
    sa.update(ticket_table)
    .where(ticket_table.c.ticket_id == sa.bindparam("row_id"))
    .values(
        revision=sa.bindparam("rev"),
        standings=sa.bindparam("stood", type_=JSONB),
        next_wake_at=sa.bindparam("wake", type_=INSTANT),
    )
)


async def armed_tickets(tx: Tx, after: UUID | None, limit: int) -> list[tuple[UUID, int, int]]:
    """A page of tickets with a wake-up: id, revision, instant."""
    columns = (ticket_table.c.ticket_id, ticket_table.c.revision, ticket_table.c.next_wake_at)
    query = sa.select(*columns).where(ticket_table.c.next_wake_at.is_not(None))
    if after is not None:
        query = query.where(ticket_table.c.ticket_id > after)
    found = await tx.execute(query.order_by(ticket_table.c.ticket_id).limit(limit))
    return [(one.ticket_id, one.revision, micros(one.next_wake_at)) for one in found]


async def overdue_tickets(tx: Tx, limit: int) -> list[tuple[UUID, int, int]]:
    """The tickets that have waited longest: what a rebuilt index gets first."""
    columns = (ticket_table.c.ticket_id, ticket_table.c.revision, ticket_table.c.next_wake_at)
    query = sa.select(*columns).where(ticket_table.c.next_wake_at <= sa.func.clock_timestamp())
    found = await tx.execute(query.order_by(ticket_table.c.next_wake_at).limit(limit))
    return [(one.ticket_id, one.revision, micros(one.next_wake_at)) for one in found]


async def unarmed(tx: Tx, ticket_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the tickets that have no wake-up."""
    given = sa.func.unnest(sa.literal(list(ticket_ids), sa.ARRAY(sa.Uuid))).column_valued("given")
    armed = sa.and_(ticket_table.c.ticket_id == given, ticket_table.c.next_wake_at.is_not(None))
    query = sa.select(given).where(~sa.exists().where(armed))
    return [found[0] for found in await tx.execute(query)]


async def list_due(tx: Tx, wanted: DueFilter, limit: int) -> list[DueRow]:
    """Running clocks, soonest first."""
    place = (due_table.c.due_at, due_table.c.ticket_id, due_table.c.clock)
    joined = due_table.join(ticket_table, ticket_table.c.ticket_id == due_table.c.ticket_id)
    query = sa.select(due_table.c.clock, due_table.c.due_at, ticket_table).select_from(joined)
    if wanted.queue:
        query = query.where(due_table.c.queue == wanted.queue)
    if wanted.before is not None:
        query = query.where(due_table.c.due_at < wanted.before)
    if wanted.after is not None:
        query = query.where(sa.tuple_(*place) > sa.tuple_(*wanted.after))
    found = await tx.execute(query.order_by(*place).limit(limit))
    return [DueRow(one.clock, one.due_at, _ticket(one)) for one in found]


async def due_counts(tx: Tx, minutes: Sequence[int]) -> dict[int, int]:
    """How many running clocks fall due within so many minutes."""
    now = sa.func.clock_timestamp()
    counts = [
        sa.func.count().filter(due_table.c.due_at <= now + sa.func.make_interval(0, 0, 0, 0, 0, one))
        for one in minutes
    ]
    within = due_table.c.due_at.between(now, now + sa.func.make_interval(0, 0, 0, 0, 0, max(minutes)))
    row = (await tx.execute(sa.select(*counts).where(within))).one()
    return dict(zip(minutes, row, strict=True))


async def outdated_count(tx: Tx, version: int) -> int:
    """Open tickets computed under an earlier policy."""
    older = sa.and_(ticket_table.c.open, ticket_table.c.policy_version < version)
    return await tx.conn.scalar(sa.select(sa.func.count()).select_from(ticket_table).where(older)) or 0


def _ticket(found: Any) -> TicketRow:
    return TicketRow(
        found.ticket_id,
        found.version,
        found.revision,
        found.policy_version,
        found.open,
        found.ref,
        found.timeline,
        found.attributes,
        tuple(Standing.load(one) for one in found.standings),
        found.trace,
        None if found.next_wake_at is None else micros(found.next_wake_at),
    )


def _values(row: TicketRow) -> dict[str, Any]:
    return {
        "ticket_id": row.ticket_id,
        "version": row.version,
        "revision": row.revision,
        "policy_version": row.policy_version,
        "open": row.open,
        "ref": row.ref,
        "timeline": row.timeline,
        "attributes": dict(row.attributes),
        "standings": [one.dump() for one in row.standings],
        "trace": dict(row.trace),
        "next_wake_at": None if row.next_wake is None else moment(row.next_wake),
    }
