"""The statements of the firing path, in the driver's own words: they run thousands of times a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from chassis.db import Driver
from sla_clock.store.ledger import LedgerRow


class Sleeper(NamedTuple):
    """A ticket whose wake-up has come, as it was read without a lock."""

    ticket_id: UUID
    revision: int
    fired_until: datetime | None
    ahead: bytes | None
    ref: bytes
    trace: str


class Woken(NamedTuple):
    """What firing makes of a ticket of that revision."""

    ticket_id: UUID
    revision: int
    next_wake_at: datetime | None
    fired_until: datetime


@dataclass(frozen=True, slots=True)
class Entered:
    """What took effect: the batch, the places of the marks in it, the tickets that were moved on."""

    batch: int
    places: frozenset[int]
    tickets: frozenset[UUID]


_COLUMNS = "wake.ticket_id, wake.revision, wake.fired_until, known.ahead, known.ref, known.trace"
_CLAIMED = (
    f"select {_COLUMNS} from unnest($1::uuid[]) as claimed(ticket_id)"
    " join wake using (ticket_id) join ticket_clock known using (ticket_id)"
)
_OVERDUE = (
    f"select clock_timestamp() as now, {_COLUMNS} from ("
    " select * from wake where next_wake_at <= clock_timestamp() - $1::float8 * interval '1 second'"
    " order by next_wake_at limit $2 for update skip locked) as wake"
    " join ticket_clock known using (ticket_id) order by wake.next_wake_at"
)
# Who comes second finds another revision, or the mark in the ledger: nothing of that ticket is entered.
_ENTER = """
with woken as (
  update wake set revision = wake.revision + 1, next_wake_at = given.next_wake_at,
    fired_until = given.fired_until
  from unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::timestamptz[])
    as given(ticket_id, revision, next_wake_at, fired_until)
  where wake.ticket_id = given.ticket_id and wake.revision = given.revision
  returning wake.ticket_id
), batch as (
  insert into mark_batch (fired_at, marks)
  select $5, $6 where exists (select from woken) and $6 > 0 returning id
), entered as (
  insert into mark_ledger (ticket_id, clock, cycle, mark, generation, batch, place, action, due_at,
    fired_at, folded, payload, trace)
  select mark.ticket_id, clock, cycle, mark, generation, batch.id, mark.place, action, due_at,
    $5, folded, payload, trace
  from unnest($7::uuid[], $8::text[], $9::int[], $10::text[], $11::bigint[], $12::text[],
    $13::timestamptz[], $14::bool[], $15::bytea[], $16::text[]) with ordinality
    as mark(ticket_id, clock, cycle, mark, generation, action, due_at, folded, payload, trace, place)
  join woken using (ticket_id) cross join batch
  on conflict do nothing returning place
)
select (select id from batch), (select array_agg(place) from entered),
  (select array_agg(ticket_id) from woken)
"""


async def read_claimed(conn: Driver, ticket_ids: Sequence[UUID]) -> list[Sleeper]:
    """Claimed tickets as they are now; nobody is kept from changing them."""
    return [Sleeper(*found) for found in await conn.fetch(_CLAIMED, ticket_ids)]


async def lock_overdue(
    conn: Driver, grace_seconds: float, limit: int
) -> tuple[datetime | None, list[Sleeper]]:
    """The database's own instant and tickets whose wake-up lies more than the grace behind it, held."""
    found = await conn.fetch(_OVERDUE, grace_seconds, limit)
    return (found[0]["now"] if found else None), [Sleeper(*tuple(one)[1:]) for one in found]


async def enter(
    conn: Driver, woken: Sequence[Woken], marks: Sequence[LedgerRow], fired_at: datetime
) -> Entered:
    """Move tickets on and enter their marks into the ledger, all at once, unless somebody was faster."""
    columns = list(zip(*marks, strict=True)) or [()] * len(LedgerRow._fields)
    tickets, clocks, cycles, names, generations, actions, dues, _, folded, payloads, traces = columns[:11]
    found = await conn.fetchrow(
        _ENTER,
        *(zip(*woken, strict=True)),
        fired_at,
        len(marks),
        *(tickets, clocks, cycles, names, generations, actions, dues, folded, payloads, traces),
    )
    batch, places, moved = found
    return Entered(batch or 0, frozenset(places or ()), frozenset(moved or ()))
