"""Lists running clocks: by due instant, and in the order in which to serve."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from chassis.db import Tx
from chassis.pages import page_start, page_token
from sla_clock.calendar import MICROS, micros, moment
from sla_clock.domain import Clock
from sla_clock.handlers.follow import timeline_of
from sla_clock.handlers.works import Works
from sla_clock.hours import DAY
from sla_clock.policy import clocks
from sla_clock.serving import COUNT_FROM, counted, days_left
from sla_clock.store import reads
from sla_clock.store.reads import Counters, DueFilter
from sla_clock.store.tables import integer
from sla_clock.store.tickets import TicketRow

_VERSIONS = 16


@dataclass(frozen=True, slots=True)
class Due:
    """A running clock with its ticket, as of an instant."""

    row: TicketRow
    clock: Clock
    now: int


async def due_clocks(works: Works, tx: Tx, wanted: DueFilter, token: str, size: int) -> tuple[list[Due], str]:
    """A page of running clocks, soonest due first, and the token of the next one. Raises InvalidInput."""
    scope = ("due", wanted)
    after = page_start(token, scope, _due_place)
    found = await reads.list_due(tx, wanted, after, size + 1)
    picked = [(one.row, one.clock) for one in found[:size]]
    last = found[size - 1] if len(found) > size else None
    place = (last.due_at.isoformat(), str(last.row.ticket_id), last.clock) if last else None
    return await _compute(works, tx, picked, micros(tx.now)), page_token(scope, *place) if place else ""


async def next_clocks(
    works: Works, tx: Tx, wanted: DueFilter, token: str, size: int
) -> tuple[list[Due], str]:
    """A page in the order to serve, and the token of the next one. Raises InvalidInput.

    Later pages are ordered as of the instant of the first, so that no ticket moves from one to another by
    the mere passing of time.
    """
    scope = ("next", wanted)
    present = micros(tx.now)
    now, after = page_start(token, scope, partial(_next_place, present)) or (present, None)
    at = await _counters(works, tx, now)
    found = await reads.list_next(tx, wanted, at, after, size + 1)
    rows = await reads.tickets_of(tx, {one.ticket_id for one in found[:size]})
    picked = [(rows[one.ticket_id], one.clock) for one in found[:size] if one.ticket_id in rows]
    last = found[size - 1] if len(found) > size else None
    place = (now, *last.place(now, at.days_left), str(last.ticket_id)) if last else None
    return await _compute(works, tx, picked, present), page_token(scope, *place) if place else ""


async def _counters(works: Works, tx: Tx, now: int) -> Counters:
    oldest, newest = await reads.versions_in_use(tx)
    counts: dict[tuple[int, str], int] = {}
    for version in range(max(oldest, newest - _VERSIONS + 1), newest + 1):
        policy = await works.book.version(tx, version)
        for name, calendar in policy.calendars.items():
            counts[version, name] = counted(calendar, now)
    return Counters(now, counts, days_left(now))


async def _compute(works: Works, tx: Tx, picked: Sequence[tuple[TicketRow, str]], now: int) -> list[Due]:
    """The named clock of each ticket; one that is not there any more is left out."""
    found: list[Due] = []
    for row, name in picked:
        policy = await works.book.version(tx, row.policy_version)
        told = {one.name: one for one in clocks(timeline_of(row), policy)}
        if name in told:
            found.append(Due(row, told[name], now))
        # Two hundred tickets take long enough to keep marks waiting.
        await asyncio.sleep(0)
    return found


def _due_place(due: str, ticket_id: str, clock: str) -> tuple[datetime, UUID, str]:
    """Where a page by due instant ended."""
    if not clock.isprintable():
        raise ValueError("no clock has such a name")
    return datetime.fromisoformat(due).astimezone(UTC), UUID(ticket_id), clock


def _next_place(present: int, then: int, *place: int | str) -> tuple[int, list[int | str]]:
    """As of when a page in the order to serve was ordered, and where it ended."""
    *given, ticket_id = place
    # As wide as the database counts what it orders by: ahead, tenths, plain, days, due.
    numbers = [integer(one, bits) for one, bits in zip(given, (32, 64, 32, 64, 64), strict=True)]
    moment(numbers[-1])
    # Calendars are counted as of then: far from here they would be compiled for thousands of years.
    if not COUNT_FROM <= int(then) <= present + DAY * MICROS:
        raise ValueError("no page was ordered then")
    return int(then), [*numbers, str(UUID(str(ticket_id)))]
