"""The statements of the firing path, in the driver's own words: they run thousands of times a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from chassis.db import Driver
from sla_clock.calendar import micros
from sla_clock.store.ledger import Mark


class Sleeper(NamedTuple):
    """A ticket whose wake-up has come, as it was read without a lock."""

    ticket_id: UUID
    revision: int
    fired_until: datetime | None
    policy_version: int
    ahead: bytes | None
    ref: bytes
    trace: str


class Woken(NamedTuple):
    """What firing makes of a ticket of that revision; instants in microseconds."""

    ticket_id: UUID
    revision: int
    next_wake: int | None
    fired_until: int


@dataclass(frozen=True, slots=True)
class Entered:
    """What took effect: the batch, and unless it was everything, which tickets and which marks (by place)."""

    batch: int
    tickets: frozenset[UUID] | None
    places: frozenset[int] | None


_COLUMNS = "wake.ticket_id, wake.revision, wake.fired_until, known.policy_version, ahead, ref, trace"
_CLAIMED = (
    f"select {_COLUMNS} from unnest($1::uuid[]) as claimed(ticket_id)"
    " join wake using (ticket_id) join ticket_clock known using (ticket_id)"
    # Whoever enters many locks them in this order, or two would wait for each other crosswise.
    " order by wake.ticket_id"
)
_OVERDUE = (
    f"select clock_timestamp() as now, {_COLUMNS} from ("
    " select * from wake where next_wake_at <= clock_timestamp() - $1::float8 * interval '1 second'"
    " order by next_wake_at limit $2 for update skip locked) as wake"
    " join ticket_clock known using (ticket_id) order by wake.next_wake_at"
)
# Who comes second finds another revision, or the mark in the ledger: nothing of that ticket is entered.
# Instants come as microseconds: the driver takes several times as long for a datetime.
_ENTER = """
with woken as (
  update wake set revision = wake.revision + 1,
    next_wake_at = timestamptz 'epoch' + given.next_wake * interval '1 microsecond',
    fired_until = timestamptz 'epoch' + given.fired_until * interval '1 microsecond'
  from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[])
    as given(ticket_id, revision, next_wake, fired_until)
  where wake.ticket_id = given.ticket_id and wake.revision = given.revision
  returning wake.ticket_id
), batch as (
  insert into mark_batch (fired_at, marks)
  select $5, cardinality($6::uuid[]) where exists (select from woken) returning id, marks
), entered as (
  insert into mark_ledger (ticket_id, clock, cycle, mark, generation, action, due_at, folded, payload,
    trace, place, batch, fired_at)
  select mark.ticket_id, clock, cycle, mark, generation, action,
    timestamptz 'epoch' + at * interval '1 microsecond', folded, payload, trace, place, batch.id, $5
  from unnest($6::uuid[], $7::text[], $8::int[], $9::text[], $10::bigint[], $11::text[],
    $12::bigint[], $13::bool[], $14::bytea[], $15::text[]) with ordinality
    as mark(ticket_id, clock, cycle, mark, generation, action, at, folded, payload, trace, place)
  join woken using (ticket_id) cross join batch
  on conflict do nothing
  returning place
)
select (select id from batch),
  case when (select count(*) from woken) < cardinality($1) then
    (select coalesce(array_agg(ticket_id), '{}') from woken) end,
  case when (select count(*) from entered) < cardinality($6) then
    (select coalesce(array_agg(place), '{}') from entered) end
"""


# The same, but fails when a mark is in the ledger already: to look first costs a tenth of the statement.
_ENTER_NEW = _ENTER.replace("  on conflict do nothing\n", "")


async def read_claimed(conn: Driver, ticket_ids: Sequence[UUID]) -> list[Sleeper]:
    """Claimed tickets as they are now; nobody is kept from changing them."""
    return [Sleeper(*found) for found in await conn.fetch(_CLAIMED, ticket_ids)]


async def lock_overdue(conn: Driver, grace_seconds: float, limit: int) -> tuple[int, list[Sleeper]]:
    """The database's own instant and tickets whose wake-up lies more than the grace behind it, held."""
    found = await conn.fetch(_OVERDUE, grace_seconds, limit)
    return (micros(found[0]["now"]) if found else 0), [Sleeper(*tuple(one)[1:]) for one in found]


async def enter(conn: Driver, woken: Sequence[Woken], marks: Sequence[Mark], fired_at: datetime) -> Entered:
    """Move tickets on and enter their marks into the ledger, all at once, unless somebody was faster."""
    args = (*zip(*woken, strict=True), fired_at, *zip(*marks, strict=True))
    if conn.is_in_transaction():
        # A statement that fails would end it.
        found = await conn.fetchrow(_ENTER, *args)
    else:
        try:
            found = await conn.fetchrow(_ENTER_NEW, *args)
        except asyncpg.UniqueViolationError:
            found = await conn.fetchrow(_ENTER, *args)
    batch, tickets, places = found
    return Entered(
        batch or 0,
        None if tickets is None else frozenset(tickets),
        None if places is None else frozenset(places),
    )
