"""The ledger of marks makes each take effect once; its batches are the outbox of their events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from sla_clock.calendar import micros
from sla_clock.store.tables import batch_table, ledger_table
from sla_clock.store.tickets import TicketRow

COUNT_LIMIT = 10_000
"""Matches are counted up to here: counting a million rows would cost more than the page."""


class LedgerRow(NamedTuple):
    """A mark that fired: once per ticket, clock, cycle, mark and generation; in a place of a batch."""

    ticket_id: UUID
    clock: str
    cycle: int
    mark: str
    generation: int
    action: str
    due_at: datetime
    fired_at: datetime
    folded: bool
    payload: bytes
    trace: str
    batch: int = 0
    place: int = 0

    @property
    def event_id(self) -> str:
        """The id of its event: of the key, so that it is the same whoever sends it, however often."""
        return _event_id(self.ticket_id, self.clock, self.cycle, self.mark, self.generation)


class Mark(NamedTuple):
    """A mark on its way into the ledger and the stream; its instant in microseconds."""

    ticket_id: UUID
    clock: str
    cycle: int
    mark: str
    generation: int
    action: str
    at: int
    folded: bool
    payload: bytes
    trace: str

    @property
    def event_id(self) -> str:
        """The id of its event, as of its row in the ledger."""
        return _event_id(*self[:5])


def _event_id(ticket_id: UUID, clock: str, cycle: int, mark: str, generation: int) -> str:
    """A UUID made of a name: of version 8, since this hash takes a third of the time of those of 3 and 5."""
    name = f"tickdesk/sla/{ticket_id}/{clock}/{cycle}/{mark}/{generation}"
    text = blake2b(name.encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-8{text[17:20]}-{text[20:]}"


@dataclass(frozen=True, slots=True)
class MarkFilter:
    """Which marks: of a ticket, with an action, after the last one (batch, place) of a page."""

    ticket_id: UUID | None = None
    action: str = ""
    after: tuple[int, int] | None = None


LEDGER_COLUMNS = [ledger_table.c[name] for name in LedgerRow._fields]
_KEY = [ledger_table.c[name] for name in ("ticket_id", "clock", "cycle", "mark", "generation")]
_SENT_COLUMNS = [
    ledger_table.c.due_at.label("at") if name == "at" else ledger_table.c[name] for name in Mark._fields
]


async def list_marks(tx: Tx, wanted: MarkFilter, limit: int) -> tuple[list[LedgerRow], int]:
    """The ledger, newest first, and how many match in all, counted up to COUNT_LIMIT."""
    matches = []
    if wanted.ticket_id is not None:
        matches.append(ledger_table.c.ticket_id == wanted.ticket_id)
    if wanted.action:
        matches.append(ledger_table.c.action == wanted.action)
    counted = sa.select(ledger_table.c.batch).where(*matches).limit(COUNT_LIMIT).subquery()
    total = await tx.conn.scalar(sa.select(sa.func.count()).select_from(counted)) or 0
    place = (ledger_table.c.batch, ledger_table.c.place)
    query = sa.select(*LEDGER_COLUMNS).where(*matches)
    if wanted.after is not None:
        query = query.where(sa.tuple_(*place) < sa.tuple_(*wanted.after))
    query = query.order_by(*(column.desc() for column in place)).limit(limit)
    return [LedgerRow(**found) for found in (await tx.execute(query)).mappings()], total


async def with_told(tx: Tx, rows: Sequence[TicketRow]) -> list[TicketRow]:
    """The tickets with all marks that the ledger knows of them, those of forgotten cycles too."""
    c = ledger_table.c
    query = sa.select(c.ticket_id, c.clock, c.cycle, c.mark, c.due_at)
    wanted = c.ticket_id == sa.any_(sa.literal([one.ticket_id for one in rows], sa.ARRAY(sa.Uuid)))
    told: dict[UUID, dict[tuple[str, int], dict[str, int]]] = {one.ticket_id: {} for one in rows}
    for one in await tx.execute(query.where(wanted).order_by(c.generation)):
        told[one.ticket_id].setdefault((one.clock, one.cycle), {})[one.mark] = micros(one.due_at)
    return [replace(one, told=told[one.ticket_id]) for one in rows]


async def batch_marks(tx: Tx, batch: int) -> list[Mark]:
    """The marks of a batch whose events are sent, in the order of sending."""
    wanted = sa.and_(ledger_table.c.batch == batch, ~ledger_table.c.folded)
    query = sa.select(*_SENT_COLUMNS).where(wanted).order_by(ledger_table.c.place)
    return [Mark(**{**one, "at": micros(one["at"])}) for one in (await tx.execute(query)).mappings()]


async def lock_unsent(
    tx: Tx, before: datetime, but: Collection[int], limit: int
) -> list[tuple[int, datetime]]:
    """Oldest batches not known to be in the stream, with their instants, held until the unit of work ends."""
    query = (
        sa.select(batch_table.c.id, batch_table.c.fired_at)
        .where(batch_table.c.published_at.is_(None), batch_table.c.fired_at < before)
        .where(batch_table.c.id.not_in(but))
        .order_by(batch_table.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [(found.id, found.fired_at) for found in await tx.execute(query)]


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch that the stream has stored, with its lowest and highest number there if any was sent."""

    batch: int
    first: int | None
    last: int | None


async def batches_sent(tx: Tx, sent: list[Sent], at: datetime) -> None:
    """Note that every event of these batches is in the stream."""
    if sent:
        values: dict[str, Any] = {"at": at, "ids": [one.batch for one in sent]}
        values |= {"firsts": [one.first for one in sent], "lasts": [one.last for one in sent]}
        await tx.execute(_SENT, values)


_NUMBERS = sa.ARRAY(sa.BigInteger)
_SENT = sa.text(
    "update mark_batch set published_at = :at, first_seq = sent.first, last_seq = sent.last"
    " from unnest(:ids, :firsts, :lasts) as sent(batch, first, last) where mark_batch.id = sent.batch"
).bindparams(
    sa.bindparam("at", type_=sa.DateTime(timezone=True)),
    sa.bindparam("ids", type_=_NUMBERS),
    sa.bindparam("firsts", type_=_NUMBERS),
    sa.bindparam("lasts", type_=_NUMBERS),
)


async def sent_range(tx: Tx, since: datetime) -> tuple[int, int] | None:
    """The lowest and the highest `last_seq` of batches published since then."""
    last = batch_table.c.last_seq
    query = sa.select(sa.func.min(last).label("low"), sa.func.max(last).label("high"))
    query = query.where(last.is_not(None), batch_table.c.published_at >= since)
    found = (await tx.execute(query)).one()
    return None if found.low is None else (found.low, found.high)


async def number_from(tx: Tx, number: int, since: datetime) -> int | None:
    """The lowest `last_seq`, of batches published since then, that is not below that number, if any is."""
    query = sa.select(sa.func.min(batch_table.c.last_seq))
    query = query.where(batch_table.c.last_seq >= number, batch_table.c.published_at >= since)
    found: int | None = (await tx.execute(query)).scalar_one()
    return found


async def ends_with(tx: Tx, number: int, event_id: str, since: datetime) -> bool:
    """Whether every batch published since then with this `last_seq` holds that event: others were lost."""
    joined = ledger_table.join(batch_table, batch_table.c.id == ledger_table.c.batch)
    query = sa.select(ledger_table.c.batch, *_KEY).select_from(joined)
    # A stream that was made anew has given out numbers of long ago once more.
    query = query.where(batch_table.c.last_seq == number, batch_table.c.published_at >= since)
    batches: dict[int, set[str]] = {}
    for found in (await tx.execute(query)).mappings():
        key = dict(found)
        batches.setdefault(key.pop("batch"), set()).add(_event_id(**key))
    return all(event_id in ids for ids in batches.values())


async def batch_events(tx: Tx, batch: int) -> set[str]:
    """The ids of a batch's events, those of folded marks too."""
    found = await tx.execute(sa.select(*_KEY).where(ledger_table.c.batch == batch))
    return {_event_id(**key) for key in found.mappings()}


async def noted_since(tx: Tx, since: datetime) -> list[tuple[int, int]]:
    """Batches noted as sent since then, each with its `last_seq`."""
    noted = sa.and_(batch_table.c.last_seq.is_not(None), batch_table.c.published_at >= since)
    query = sa.select(batch_table.c.id, batch_table.c.last_seq).where(noted)
    return [(found.id, found.last_seq) for found in await tx.execute(query)]


async def unsend(tx: Tx, batches: Sequence[int]) -> None:
    """These batches count as unpublished again."""
    lost = sa.update(batch_table).where(batch_table.c.id.in_(batches))
    await tx.execute(lost.values(published_at=None, first_seq=None, last_seq=None))


async def forget_sent(tx: Tx, number: int, since: datetime) -> int:
    """Batches published since then with this number or a higher one count as unpublished; how many."""
    lost = sa.update(batch_table)
    lost = lost.where(batch_table.c.last_seq >= number, batch_table.c.published_at >= since)
    return (await tx.execute(lost.values(published_at=None, first_seq=None, last_seq=None))).rowcount
