"""The ledger of marks: what makes each of them take effect once, and the outbox of their events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from sla_clock.store.tables import ledger_table

COUNT_LIMIT = 10_000
"""Matches are counted up to here: counting a million rows would cost more than the page."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A mark that fired: once per ticket, clock, cycle, mark and generation."""

    ticket_id: UUID
    clock: str
    cycle: int
    mark: str
    generation: int
    action: str
    due_at: datetime
    fired_at: datetime
    folded: bool
    event_id: UUID
    payload: bytes
    headers: Mapping[str, str]

    @property
    def key(self) -> tuple[UUID, str, int, str, int]:
        """The primary key."""
        return self.ticket_id, self.clock, self.cycle, self.mark, self.generation


@dataclass(frozen=True, slots=True)
class MarkFilter:
    """Which marks: of a ticket, with an action, after the last one of a page."""

    ticket_id: UUID | None = None
    action: str = ""
    after: tuple[datetime, UUID] | None = None


_LEDGER_COLUMNS = [ledger_table.c[name] for name in LedgerRow.__dataclass_fields__]


async def add_marks(tx: Tx, rows: Sequence[LedgerRow]) -> set[tuple[UUID, str, int, str, int]]:
    """Enter marks into the ledger; the keys of those that were not there yet: only these take effect."""
    if not rows:
        return set()
    values = [{name: getattr(row, name) for name in LedgerRow.__dataclass_fields__} for row in rows]
    return {tuple(found) for found in await tx.execute(_ENTER, values)}


_ENTER = insert(ledger_table).on_conflict_do_nothing().returning(*ledger_table.primary_key.columns)


async def unsent_marks(tx: Tx, before: datetime, limit: int) -> list[LedgerRow]:
    """Marks whose event is not known to be in the stream, held until the end of the unit of work."""
    unsent = sa.and_(ledger_table.c.published_at.is_(None), ~ledger_table.c.folded)
    query = (
        sa.select(*_LEDGER_COLUMNS)
        .where(unsent, ledger_table.c.fired_at < before)
        .order_by(ledger_table.c.fired_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [LedgerRow(**found) for found in (await tx.execute(query)).mappings()]


async def marks_sent(tx: Tx, sent: Sequence[tuple[LedgerRow, int]], at: datetime) -> None:
    """Note under which number of the stream each event was stored."""
    if sent:
        await tx.execute(_SENT, [{**_key(row), "at": at, "number": number} for row, number in sent])


_KEY = ("ticket_id", "clock", "cycle", "mark", "generation")
_SENT = (
    sa.update(ledger_table)
    .where(*(ledger_table.c[name] == sa.bindparam(f"k_{name}") for name in _KEY))
    .values(published_at=sa.bindparam("at"), stream_seq=sa.bindparam("number"))
)


def _key(row: LedgerRow) -> dict[str, Any]:
    return {f"k_{name}": getattr(row, name) for name in _KEY}


async def sent_numbers(tx: Tx, since: datetime) -> list[tuple[int, UUID]]:
    """Stream numbers with event ids of marks published since then, in order."""
    query = (
        sa.select(ledger_table.c.stream_seq, ledger_table.c.event_id)
        .where(ledger_table.c.stream_seq.is_not(None), ledger_table.c.published_at >= since)
        .order_by(ledger_table.c.stream_seq)
    )
    return [(found.stream_seq, found.event_id) for found in await tx.execute(query)]


async def newest_number(tx: Tx, since: datetime) -> tuple[int, UUID] | None:
    """The highest stream number of a mark published since then, with its event id."""
    query = (
        sa.select(ledger_table.c.stream_seq, ledger_table.c.event_id)
        .where(ledger_table.c.stream_seq.is_not(None), ledger_table.c.published_at >= since)
        .order_by(ledger_table.c.stream_seq.desc())
        .limit(1)
    )
    found = (await tx.execute(query)).first()
    return None if found is None else (found.stream_seq, found.event_id)


async def forget_sent(tx: Tx, number: int) -> int:
    """Marks with this stream number or a higher one count as unpublished again; how many."""
    lost = sa.update(ledger_table).where(ledger_table.c.stream_seq >= number)
    return (await tx.execute(lost.values(published_at=None, stream_seq=None))).rowcount


async def list_marks(tx: Tx, wanted: MarkFilter, limit: int) -> tuple[list[LedgerRow], int]:
    """The ledger, newest first, and how many match in all, counted up to COUNT_LIMIT."""
    matches = []
    if wanted.ticket_id is not None:
        matches.append(ledger_table.c.ticket_id == wanted.ticket_id)
    if wanted.action:
        matches.append(ledger_table.c.action == wanted.action)
    counted = sa.select(ledger_table.c.event_id).where(*matches).limit(COUNT_LIMIT).subquery()
    total = await tx.conn.scalar(sa.select(sa.func.count()).select_from(counted)) or 0
    place = (ledger_table.c.fired_at, ledger_table.c.event_id)
    query = sa.select(*_LEDGER_COLUMNS).where(*matches)
    if wanted.after is not None:
        query = query.where(sa.tuple_(*place) < sa.tuple_(*wanted.after))
    query = query.order_by(*(column.desc() for column in place)).limit(limit)
    return [LedgerRow(**found) for found in (await tx.execute(query)).mappings()], total
