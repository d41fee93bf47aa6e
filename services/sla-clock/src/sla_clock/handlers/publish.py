"""Sends batches of the ledger into the stream, and again until it has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import nats.errors
from nats.js.errors import APIError
from prometheus_client import Histogram

from chassis import telemetry
from chassis.bus import Ack, Outgoing
from chassis.clock import utcnow
from chassis.db import Tx
from chassis.errors import Unavailable
from chassis.going import going
from sla_clock import convert
from sla_clock.calendar import MICROS, micros, moment
from sla_clock.handlers.works import Works
from sla_clock.metrics import LATENESS, REPUBLISHED, TOO_LARGE
from sla_clock.store import ledger, tickets
from sla_clock.store.ledger import Mark, Sent
from tickdesk.sla.v1.events_pb2 import MarkReached

log = telemetry.logger(__name__)

STREAM = "SLA"
_SUBJECT = MarkReached.DESCRIPTOR.full_name
_KEPT_BY_STREAM = timedelta(days=7)
_AGAIN_SECONDS = (0.1, 0.5, 1.0, 2.0)
_NOTE_SECONDS, _NOTE_PAUSE_SECONDS = 0.1, 0.005
# In a `traceparent`: version-trace-span-flags.
_TRACE_ID = slice(3, 35)
# JetStream's error for a message beyond the stream's max_msg_size.
_TOO_LARGE = 10054


class Refused(Exception):
    """The stream will not take an event of a batch however often it is sent: it is larger than its limit."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Marks that were entered together and are sent together; number 0 is no batch."""

    number: int
    fired_at: datetime
    marks: Sequence[Mark]


async def deliver(works: Works, batch: Batch) -> None:
    """Send a batch until the stream has it: whoever fires does not run ahead of a stream that is slow.

    One that is refused is left to the sweep; it would keep all others waiting.
    """
    tries = 0
    while going():
        try:
            sent = await send(works, batch)
        except Refused:
            return
        if sent is not None:
            if sent.batch:
                works.note(sent)
            return
        await asyncio.sleep(_AGAIN_SECONDS[min(tries, len(_AGAIN_SECONDS) - 1)])
        tries += 1


async def send(works: Works, batch: Batch) -> Sent | None:
    """Send a batch once; None when the stream does not have all of it. Raises Refused."""
    if not batch.marks:
        return Sent(batch.number, None, None)
    try:
        await _compare(works)
        await works.bus.ensure_stream(STREAM)
        acks = await works.bus.publish([_outgoing(mark, batch.fired_at) for mark in batch.marks])
    except (Unavailable, nats.errors.Error, TimeoutError) as error:
        log.warning("marks wait for the stream", marks=len(batch.marks), error=type(error).__name__)
        return None
    numbers, failures = _sorted_out(batch, acks)
    if failures:
        log.warning("marks not taken by the stream", marks=len(failures), error=str(failures[0])[:200])
        if all(map(_is_refusal, failures)):
            TOO_LARGE.inc(len(failures))
            raise Refused
        return None
    if works.compared != works.bus.connections:
        # Some may have been stored behind a new connection, before what it lost was looked for.
        return None
    return Sent(batch.number, min(numbers), max(numbers))


def _sorted_out(batch: Batch, acks: Sequence[Ack | Exception]) -> tuple[list[int], list[Exception]]:
    """The numbers of what the stream has stored now or before, its lateness told, and what went wrong."""
    stored = micros(utcnow())
    numbers: list[int] = []
    failures: list[Exception] = []
    for mark, ack in zip(batch.marks, acks, strict=True):
        if isinstance(ack, Exception):
            failures.append(ack)
            continue
        numbers.append(ack.sequence)
        if not ack.duplicate:
            _note_lateness(mark, max(0, stored - mark.at))
    return numbers, failures


def _is_refusal(failure: Exception) -> bool:
    too_large = isinstance(failure, APIError) and failure.err_code == _TOO_LARGE
    return too_large or isinstance(failure, nats.errors.MaxPayloadError)


async def _compare(works: Works) -> None:
    """Look for lost marks before any is published over a new connection.

    A stream that has lost its tail hands the lost numbers out again, and what is new would hide the loss.
    """
    connection = works.bus.connections
    if works.compared == connection:
        return
    async with works.comparing:
        if works.compared == connection:
            return
        # Stored by the stream as it was before: perhaps lost by now, so they are sent again.
        works.sent.clear()
        await check_stream(works)
        works.compared = connection


@cache
def _lateness(clock: str) -> Histogram:
    return LATENESS.labels(clock)


def _note_lateness(mark: Mark, late: int) -> None:
    """Observe it; a late mark leaves the trace that it was armed by. One in time costs nothing more."""
    example = {"trace_id": mark.trace[_TRACE_ID]} if late > convert.LATE and mark.trace else None
    _lateness(mark.clock).observe(late / MICROS, example)


def _outgoing(mark: Mark, fired_at: datetime) -> Outgoing:
    headers = {"traceparent": mark.trace} if mark.trace else {}
    return Outgoing(_SUBJECT, mark.payload, mark.event_id, str(mark.ticket_id), fired_at, headers)


async def note_sent(works: Works) -> None:
    """Note batches that the stream has stored, a few at a time, for ever."""
    while going():
        await works.to_note.wait()
        works.to_note.clear()
        try:
            # A comparison sees what was noted, or takes it away before it is.
            async with works.comparing, works.db.tx() as tx:
                sent, works.sent = works.sent, []
                await ledger.batches_sent(tx, sent, tx.now)
        except Unavailable as error:
            log.warning("sent batches not noted, they are sent again", error=str(error))
        await asyncio.sleep(_NOTE_SECONDS)


async def resend(works: Works, older: timedelta, limit: int = 20) -> int:
    """Send batches, oldest first, that have waited for the stream at least that long; how many were tried.

    One that is refused is passed over until `let_refused_try`.

    Raises Unavailable, and notes nothing, when the connection was made again meanwhile.
    """
    count, connection = 0, works.bus.connections
    async with works.db.tx() as tx:
        before = moment(await tickets.instant(tx)) - older
        for number, fired_at in await ledger.lock_unsent(tx, before, works.oversized.batches, limit):
            marks = await ledger.batch_marks(tx, number)
            try:
                sent = await send(works, Batch(number, fired_at, marks))
            except Refused:
                works.oversized.batches.add(number)
                count += 1
                continue
            if sent is None:
                break
            await ledger.batches_sent(tx, [sent], utcnow())
            REPUBLISHED.inc(len(marks))
            count += 1
        if connection != works.bus.connections:
            raise Unavailable("the connection was made again while marks were sent again")
    return count


async def let_refused_try(works: Works) -> None:
    """Let refused batches be sent again once the limit is another: what is taken of them may double."""
    if works.oversized.batches:
        limit = (await works.bus.js.stream_info(STREAM)).config.max_msg_size
        works.oversized.try_under(limit, works.bus.connections)


async def check_stream(works: Works) -> int:
    """Find batches that the stream acknowledged and has lost; they will be sent again. How many."""
    async with works.db.tx() as tx:
        since = tx.now - _KEPT_BY_STREAM
        known = await ledger.sent_range(tx, since)
        if known is None:
            return 0
        low, lost_from = known
        if await _holds(works, tx, lost_from, since):
            return 0
        # What a stream loses is its tail, so the first lost batch can be searched for by halving.
        high = lost_from
        while low <= high:
            middle = (low + high) // 2
            # None when another replica has taken them back since this one looked.
            number = await ledger.number_from(tx, middle, since) or lost_from
            if number < lost_from and await _holds(works, tx, number, since):
                low = number + 1
            else:
                lost_from, high = number, middle - 1
        lost = await ledger.forget_sent(tx, lost_from, since)
    if lost:
        log.error("stream has lost marks, sending again", batches=lost, from_sequence=lost_from)
    return lost


async def check_notes(works: Works, newer: timedelta) -> int:
    """Look at each batch noted that lately; those that the stream does not hold are sent again. How many.

    A replica that has not seen yet that a stream went back may write its note behind another one's
    comparison, and what that one has sent since hides it.
    """
    async with works.db.tx() as tx:
        noted = await ledger.noted_since(tx, tx.now - newer)
    lost = []
    for batch, number in noted:
        stored = await works.bus.stored(STREAM, number)
        async with works.db.tx() as tx:
            ids = await ledger.batch_events(tx, batch)
        if stored != "" and stored not in ids:
            lost.append(batch)
        # Marks come first.
        await asyncio.sleep(_NOTE_PAUSE_SECONDS)
    if lost:
        async with works.db.tx() as tx:
            await ledger.unsend(tx, lost)
        log.error("stream has lost marks noted late, sending again", batches=len(lost))
    return len(lost)


async def _holds(works: Works, tx: Tx, number: int, since: datetime) -> bool:
    """Whether the stream knows the event of our ledger under that number, though it may have been deleted."""
    stored = await works.bus.stored(STREAM, number)
    return stored == "" or (stored is not None and await ledger.ends_with(tx, number, stored, since))
