"""What is known of tickets and their running clocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from chassis.errors import NotFound, Stale
from sla_clock.calendar import micros, moment
from sla_clock.standing import Record, Standing, Standings, Told, fired_by
from sla_clock.store.tables import INSTANT, policy_table, ticket_table, wake_table


@dataclass(frozen=True, slots=True)
class Facets:
    """What lists filter, group and order a ticket's clocks by."""

    queue: str = ""
    line: str = ""
    assignee: str = ""
    tier: str = ""
    customer_timezone: str = ""


@dataclass(frozen=True, slots=True)
class TicketRow:
    """What is known of a ticket. `revision` grows with every write; instants are microseconds.

    `standings` are told as of the last firing. `ahead` is None when it is to be computed anew. Marks at or
    before `pruned_until` do not fire: the rows that would say which of them did were deleted. `told` is read
    from the ledger only where another policy may count cycles anew.
    """

    ticket_id: UUID
    version: int
    revision: int
    policy_version: int
    open: bool
    ref: bytes
    timeline: bytes
    attributes: Mapping[str, Any]
    standings: Standings
    ahead: bytes | None = None
    trace: str = ""
    facets: Facets = Facets()
    next_wake: int | None = None
    data: str = ""
    pruned_until: int | None = None
    told: Told = field(default_factory=dict)

    @property
    def record(self) -> Record:
        """What a computation looks at beside the standings.

        No generation has ever reached the revision: it grows by one at most where the revision grows.
        """
        return Record(self.revision, self.told, self.pruned_until)


@dataclass(frozen=True, slots=True)
class Running:
    """A clock that counts: due at, target, counted before `since`, from which on its calendar counts.

    `due_count` is what the calendar's own count shows at `due`.
    """

    clock: str
    due: int
    target: int
    elapsed: int
    since: int
    calendar: str
    due_count: int


async def lock_ticket(tx: Tx, ticket_id: UUID) -> tuple[int, int, TicketRow | None]:
    """The policy version in force, the database's instant, and the ticket (None: unknown), which is held."""
    found = (await tx.execute(_LOCK_ONE, {"one": ticket_id})).one()
    known = None if found.ticket_id is None else ticket_row(found)
    return found.in_force or 0, micros(found.now), known


async def instant(tx: Tx) -> int:
    """The database's own instant: what lies ahead is not for a worker's clock to say."""
    now: datetime = (await tx.execute(sa.select(sa.func.clock_timestamp()))).scalar_one()
    return micros(now)


async def find_ticket(tx: Tx, ticket_id: UUID) -> TicketRow:
    """The ticket's row. Raises NotFound."""
    found = (await tx.execute(TICKETS.where(ticket_table.c.ticket_id == ticket_id))).first()
    if found is None:
        raise NotFound(f"no event of ticket {ticket_id} has arrived", reason="TICKET_UNKNOWN")
    return ticket_row(found)


async def open_tickets(tx: Tx, after: UUID | None, limit: int, queue: str = "") -> list[TicketRow]:
    """A page of open tickets in the order of their ids, of one queue or of all."""
    query = TICKETS.where(ticket_table.c.open)
    if queue:
        query = query.where(ticket_table.c.queue == queue)
    if after is not None:
        query = query.where(ticket_table.c.ticket_id > after)
    found = await tx.execute(query.order_by(ticket_table.c.ticket_id).limit(limit))
    return [ticket_row(one) for one in found]


async def lock_unready(tx: Tx, ticket_ids: Sequence[UUID]) -> list[TicketRow]:
    """Those of the tickets whose waiting marks must be computed anew."""
    given = ticket_table.c.ticket_id == sa.any_(sa.literal(list(ticket_ids), sa.ARRAY(sa.Uuid)))
    return await _locked(tx, TICKETS.where(given, ticket_table.c.ahead.is_(None)))


async def _locked(tx: Tx, query: sa.Select[Any]) -> list[TicketRow]:
    found = await tx.execute(query.with_for_update(skip_locked=True))
    return [ticket_row(one) for one in found]


async def save_ticket(tx: Tx, row: TicketRow, running: Sequence[Running] | None = None) -> None:
    """Write a ticket, and its running clocks if given. Raises Stale when somebody else was faster."""
    if running is None:
        saved = await tx.execute(_SAVE, _values(row))
    else:
        saved = await tx.execute(_SAVE_ALL, _values(row) | _running(running))
    if not saved.rowcount:
        raise Stale(f"ticket {row.ticket_id} was written by somebody else, try again")


_INSTANTS = sa.ARRAY(INSTANT)
_TEXTS = sa.ARRAY(sa.Text)
_NUMBERS = sa.ARRAY(sa.BigInteger)

# One statement reads what one ticket's event needs. The ticket is locked before its wake-up, by everybody.
_LOCK_ONE = sa.text(
    "with known as (select * from ticket_clock where ticket_id = :one for update),"
    " slept as (select * from wake where ticket_id = :one for update)"
    " select (select max(version) from policy) as in_force, clock_timestamp() as now, known.*,"
    " slept.revision, slept.next_wake_at, slept.fired_until"
    " from (values (1)) as one left join known on true left join slept on true"
).columns(
    policy_table.c.version.label("in_force"),
    sa.column("now", INSTANT),
    *ticket_table.c,
    wake_table.c.revision,
    wake_table.c.next_wake_at,
    wake_table.c.fired_until,
)
_LOCK_ONE = _LOCK_ONE.bindparams(sa.bindparam("one", type_=sa.Uuid))

_NAMES = [column.name for column in ticket_table.c]
_SAVE_SQL = (
    "with slept as ("
    " insert into wake (ticket_id, revision, next_wake_at) values (:ticket_id, :revision, :next_wake_at)"
    " on conflict (ticket_id) do update set revision = excluded.revision,"
    " next_wake_at = excluded.next_wake_at, fired_until = null"
    " where wake.revision < excluded.revision returning ticket_id),"
    f" known as (insert into ticket_clock ({', '.join(_NAMES)})"
    f" select {', '.join(f':{name}' for name in _NAMES)} from slept"
    f" on conflict (ticket_id) do update set {', '.join(f'{name} = excluded.{name}' for name in _NAMES[1:])})"
)
_SAVE_DUE_SQL = (
    ", forgotten as (delete from due_clock where ticket_id = :ticket_id and clock <> all(:clocks)),"
    " counted as (insert into due_clock"
    " (ticket_id, clock, queue, due_at, target, elapsed, since, calendar, due_count)"
    " select :ticket_id, given.clock, :queue, given.due_at, given.target, given.elapsed, given.since,"
    " given.calendar, given.due_count"
    " from slept, unnest(:clocks, :dues, :targets, :elapsed, :since, :calendars, :counts)"
    " as given(clock, due_at, target, elapsed, since, calendar, due_count)"
    " on conflict (ticket_id, clock) do update set queue = excluded.queue, due_at = excluded.due_at,"
    " target = excluded.target, elapsed = excluded.elapsed, since = excluded.since,"
    " calendar = excluded.calendar, due_count = excluded.due_count)"
)
_COLUMNS = [
    *(sa.bindparam(column.name, type_=column.type) for column in ticket_table.c),
    sa.bindparam("revision", type_=sa.BigInteger),
    sa.bindparam("next_wake_at", type_=INSTANT),
]
_SAVE = sa.text(f"{_SAVE_SQL} select 1 from slept").bindparams(*_COLUMNS)
_SAVE_ALL = sa.text(f"{_SAVE_SQL}{_SAVE_DUE_SQL} select 1 from slept").bindparams(
    *_COLUMNS,
    sa.bindparam("clocks", type_=_TEXTS),
    sa.bindparam("dues", type_=_INSTANTS),
    sa.bindparam("targets", type_=_NUMBERS),
    sa.bindparam("elapsed", type_=_NUMBERS),
    sa.bindparam("since", type_=_INSTANTS),
    sa.bindparam("calendars", type_=_TEXTS),
    sa.bindparam("counts", type_=_NUMBERS),
)

TICKETS = sa.select(
    *ticket_table.c, wake_table.c.revision, wake_table.c.next_wake_at, wake_table.c.fired_until
).select_from(ticket_table.join(wake_table, wake_table.c.ticket_id == ticket_table.c.ticket_id))
"""Whole tickets, as `ticket_row` reads them."""


def ticket_row(found: Any) -> TicketRow:
    """A row of TICKETS."""
    standings = tuple(Standing.load(one) for one in found.standings)
    return TicketRow(
        found.ticket_id,
        found.version,
        found.revision,
        found.policy_version,
        found.open,
        found.ref,
        found.timeline,
        found.attributes,
        standings if found.fired_until is None else fired_by(standings, micros(found.fired_until)),
        found.ahead,
        found.trace,
        Facets(found.queue, found.line, found.assignee, found.tier, found.customer_timezone),
        None if found.next_wake_at is None else micros(found.next_wake_at),
        found.data,
        None if found.pruned_until is None else micros(found.pruned_until),
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
        "ahead": row.ahead,
        "trace": row.trace,
        "queue": row.facets.queue,
        "line": row.facets.line,
        "assignee": row.facets.assignee,
        "tier": row.facets.tier,
        "customer_timezone": row.facets.customer_timezone,
        "data": row.data,
        "pruned_until": None if row.pruned_until is None else moment(row.pruned_until),
        "next_wake_at": None if row.next_wake is None else moment(row.next_wake),
    }


def _running(running: Sequence[Running]) -> dict[str, Any]:
    return {
        "clocks": [one.clock for one in running],
        "dues": [moment(one.due) for one in running],
        "targets": [one.target for one in running],
        "elapsed": [one.elapsed for one in running],
        "since": [moment(one.since) for one in running],
        "calendars": [one.calendar for one in running],
        "counts": [one.due_count for one in running],
    }
