"""Lists running clocks: by due instant, and in the order in which to serve."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from chassis.db import Tx
from chassis.errors import InvalidInput, Violation
from sla_clock.calendar import micros
from sla_clock.domain import Clock
from sla_clock.handlers.follow import timeline_of
from sla_clock.handlers.works import Works
from sla_clock.policy import clocks
from sla_clock.serving import counted, days_left
from sla_clock.store import reads
from sla_clock.store.reads import Counters, DueFilter
from sla_clock.store.tickets import TicketRow

_DIGEST = 8
_VERSIONS = 16


@dataclass(frozen=True, slots=True)
class Due:
    """A running clock with its ticket, as of an instant."""

    row: TicketRow
    clock: Clock
    now: int


async def due_clocks(works: Works, tx: Tx, wanted: DueFilter, token: str, size: int) -> tuple[list[Due], str]:
    """A page of running clocks, soonest due first, and the token of the next one. Raises InvalidInput."""
    after = _read_due(token, wanted)
    found = await reads.list_due(tx, wanted, after, size + 1)
    picked = [(one.row, one.clock) for one in found[:size]]
    last = found[size - 1] if len(found) > size else None
    place = [last.due_at.isoformat(), str(last.row.ticket_id), last.clock] if last else None
    return await _compute(works, tx, picked, micros(tx.now)), _token(wanted, place)


async def next_clocks(
    works: Works, tx: Tx, wanted: DueFilter, token: str, size: int
) -> tuple[list[Due], str]:
    """A page in the order to serve, and the token of the next one. Raises InvalidInput.

    Later pages are ordered as of the instant of the first, so that no ticket moves from one to another by
    the mere passing of time.
    """
    now, after = _read_next(token, wanted, micros(tx.now))
    at = await _counters(works, tx, now)
    found = await reads.list_next(tx, wanted, at, after, size + 1)
    rows = await reads.tickets_of(tx, {one.ticket_id for one in found[:size]})
    picked = [(rows[one.ticket_id], one.clock) for one in found[:size] if one.ticket_id in rows]
    last = found[size - 1] if len(found) > size else None
    place = [now, *last.place(now, at.days_left), str(last.ticket_id)] if last else None
    return await _compute(works, tx, picked, micros(tx.now)), _token((wanted, "next"), place)


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


def _token(scope: object, place: Sequence[object] | None) -> str:
    if place is None:
        return ""
    payload = json.dumps(place).encode()
    return base64.urlsafe_b64encode(_digest(scope, payload) + payload).decode()


def _read_due(token: str, wanted: DueFilter) -> tuple[datetime, UUID, str] | None:
    if not token:
        return None
    try:
        due, ticket_id, clock = _place(token, wanted)
        return datetime.fromisoformat(str(due)).astimezone(UTC), UUID(str(ticket_id)), str(clock)
    except ValueError:
        raise _bad_token() from None


def _read_next(token: str, wanted: DueFilter, now: int) -> tuple[int, list[int | str] | None]:
    if not token:
        return now, None
    try:
        then, *place = _place(token, (wanted, "next"))
        return int(then), place
    except ValueError:
        raise _bad_token() from None


def _place(token: str, scope: object) -> list[int | str]:
    raw = base64.urlsafe_b64decode(token.encode())
    digest, payload = raw[:_DIGEST], raw[_DIGEST:]
    if digest != _digest(scope, payload):
        raise ValueError("a token of another list")
    place: list[int | str] = json.loads(payload)
    return place


def _digest(scope: object, payload: bytes) -> bytes:
    """Ties a token to its list. No secret: a made-up place shows nothing that the list would not."""
    return hashlib.sha256(repr(scope).encode() + b"\0" + payload).digest()[:_DIGEST]


def _bad_token() -> InvalidInput:
    text = "must be the next_page_token of the same list with the same filters"
    violations = [Violation("page_token", text)]
    return InvalidInput(f"page_token {text}", reason="PAGE_TOKEN_INVALID", violations=violations)
