"""The relay: publishes what units of work have emitted, in order per key, and refills a lost stream."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import nats.errors
import orjson
from prometheus_client import Counter, Gauge

from chassis import telemetry
from chassis.bus import Ack, Bus, Outgoing, stream_of
from chassis.clock import utcnow
from chassis.db import Database, Tx
from chassis.errors import Unavailable
from chassis.going import going

log = telemetry.logger(__name__)

PENDING = Gauge("tickdesk_outbox_pending", "Events written and not yet published.")
OLDEST = Gauge("tickdesk_outbox_oldest_age_seconds", "Age of the oldest event not yet published.")
ROLLBACKS = Counter("tickdesk_stream_rollback_total", "Times a stream was found behind what it acknowledged.")

# One relay at a time in a database: two would overtake each other within a key.
_RELAY_LOCK = 0x6F757462
# Between two batches nothing is under way, so they are large; their bytes bound what is held in memory.
_BATCH, _BATCH_BYTES, _WINDOW = 8000, 16 << 20, 1000
_POLL_SECONDS = 1.0
_BUSY_SECONDS = 0.02
_CHECK_SECONDS = 30.0
_GAUGE_SECONDS = 5.0
_CLEAN_SECONDS = 3600.0
_KEEP_PUBLISHED = timedelta(days=7)
_KEEP_INBOX = timedelta(days=14)


async def relay_outbox(db: Database, bus: Bus) -> None:
    """Run until cancelled; every service that emits spawns it. Outages of database or NATS are waited out."""
    await Relay(db, bus).run()


class Relay:
    """Publishes pending rows of one database; any number of replicas may run it."""

    def __init__(self, db: Database, bus: Bus) -> None:
        self._db = db
        self._bus = bus
        self._checked_connection = -1
        self._due = {"check": 0.0, "gauge": 0.0, "clean": time.monotonic() + 60}

    async def run(self) -> None:
        """Publish for ever: woken by commits, and looking each second for what a dead replica has left."""
        delay = 0.5
        while going():
            try:
                more = await self.step()
                delay = 0.5
            except (Unavailable, nats.errors.Error, TimeoutError) as error:
                log.warning("relay waits", error=type(error).__name__, detail=str(error)[:200], seconds=delay)
                await asyncio.sleep(delay)
                delay = min(delay * 2, 5.0)
                continue
            if not more:
                await self._wait()

    async def step(self) -> bool:
        """Publish one batch; True when there may be more to do at once."""
        self._db.emitted.clear()
        await self._housekeep()
        async with self._db.tx() as tx:
            if not await _lock(tx):
                # Another replica is publishing and may have looked before our commit.
                await asyncio.sleep(_BUSY_SECONDS)
                return True
            rows = await tx.driver.fetch(_PENDING_ROWS, _BATCH, _BATCH_BYTES)
            if not rows:
                return False
            # A crash that loses the note that an event was published only publishes it again.
            await tx.driver.execute("set local synchronous_commit = off")
            refused = await self._send(tx, rows)
            if self._bus.connections != self._checked_connection:
                # Noted now, these would hide that the stream behind the new connection went back.
                raise Unavailable("the connection was made again, its stream is looked at first")
        if refused:
            raise Unavailable(f"{refused} of {len(rows)} events were not taken by the stream")
        return len(rows) == _BATCH or sum(len(row["payload"]) for row in rows) >= _BATCH_BYTES

    async def _send(self, tx: Tx, rows: Sequence[Any]) -> int:
        """Publish window by window, noting one while the next is under way; how many were refused."""
        high = await tx.driver.fetchval(_HIGH) or 0
        for stream in {stream_of(kind) for kind in {row["type"] for row in rows}}:
            await self._bus.ensure_stream(stream)
        refused = 0
        noting = asyncio.Lock()

        async def note(window: Sequence[Any], acks: list[Ack | Exception]) -> None:
            async with noting:
                await self._settle(tx, window, acks, high)

        async with _together() as notes:
            windows = [rows[start : start + _WINDOW] for start in range(0, len(rows), _WINDOW)]
            sent = iter(windows)
            async for acks in self._bus.publish_each(list(map(_outgoing, window)) for window in windows):
                notes.create_task(note(next(sent), acks))
                refused += sum(isinstance(ack, Exception) for ack in acks)
                if refused:
                    # What follows would overtake what was refused.
                    break
        return refused

    async def check(self) -> int:
        """Compare the stream with what it acknowledged; return how many rows will be published again."""
        connection = self._bus.connections
        async with self._db.tx() as tx:
            if not await _lock(tx):
                return 0
            newest = await tx.driver.fetchrow(_NEWEST, _NO_NUMBER)
            count = 0
            if newest is not None and await self._lost(newest):
                count = await _reset(tx, await self._last_kept(tx, newest), stream_of(newest["type"]))
        self._checked_connection = connection
        return count

    async def _lost(self, row: Any) -> bool:
        return await self._bus.stored(stream_of(row["type"]), row["stream_seq"]) not in ("", str(row["id"]))

    async def _last_kept(self, tx: Tx, lost: Any) -> int:
        """The number after which nothing is kept: a stream loses its tail, so halving finds it.

        The stream's own last number says nothing: others write into it too.
        """
        kept, gone = 0, lost["stream_seq"]
        while kept + 1 < gone:
            middle = (kept + gone) // 2
            row = await tx.driver.fetchrow(_NEWEST, middle)
            if row is not None and row["stream_seq"] > kept and await self._lost(row):
                gone = row["stream_seq"]
            else:
                kept = middle
        return kept

    async def _settle(self, tx: Tx, rows: Sequence[Any], acks: list[Ack | Exception], high: int) -> None:
        done = {row["id"]: ack.sequence for row, ack in zip(rows, acks, strict=True) if isinstance(ack, Ack)}
        if not done:
            return
        fresh = [ack.sequence for ack in acks if isinstance(ack, Ack) and not ack.duplicate]
        # A number handed out twice: the stream went back between two checks and has begun to refill.
        if fresh and min(fresh) <= high:
            await _reset(tx, min(fresh) - 1, stream_of(rows[0]["type"]))
        await tx.driver.execute(_MARK, utcnow(), list(done), list(done.values()))

    async def _housekeep(self) -> None:
        if self._bus.connections != self._checked_connection or self._is_due("check", _CHECK_SECONDS):
            await self.check()
        if self._is_due("gauge", _GAUGE_SECONDS):
            await self._measure()
        if self._is_due("clean", _CLEAN_SECONDS):
            await self._clean()

    def _is_due(self, name: str, every: float) -> bool:
        if time.monotonic() < self._due[name]:
            return False
        self._due[name] = time.monotonic() + every
        return True

    async def _measure(self) -> None:
        async with self._db.tx() as tx:
            pending, oldest = await tx.driver.fetchrow(_BACKLOG)
        PENDING.set(pending)
        OLDEST.set(max(0.0, (utcnow() - oldest).total_seconds()) if oldest else 0.0)

    async def _clean(self) -> None:
        async with self._db.tx() as tx:
            await tx.driver.execute("delete from outbox where published_at < $1", tx.now - _KEEP_PUBLISHED)
            await tx.driver.execute("delete from inbox where at < $1", tx.now - _KEEP_INBOX)
            await tx.driver.execute("delete from request where at < $1", tx.now - _KEEP_PUBLISHED)

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_POLL_SECONDS):
                await self._db.emitted.wait()


# No row is locked: the relay's own lock keeps others out, and a lock would write every row once more.
_PENDING_ROWS = (
    "select id, key, type, payload, headers::text as headers, created_at from ("
    " select *, sum(octet_length(payload)) over (order by seq rows unbounded preceding) as bytes"
    " from outbox where published_at is null order by seq limit $1) as pending"
    # The first is taken whatever its size.
    " where bytes - octet_length(payload) < $2 order by seq"
)
_REQUEUE = "update outbox set published_at = null, stream_seq = null where stream_seq > $1"
_HIGH = "select max(stream_seq) from outbox"
_NO_NUMBER = 2**62
_NEWEST = "select id, type, stream_seq from outbox where stream_seq <= $1 order by stream_seq desc limit 1"
_MARK = (
    "update outbox set published_at = $1, stream_seq = acked.number"
    " from unnest($2::uuid[], $3::bigint[]) as acked(id, number) where outbox.id = acked.id"
)
_BACKLOG = "select count(*) as pending, min(created_at) as oldest from outbox where published_at is null"


@asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """Tasks that end together; the first failure is raised as it is."""
    task = asyncio.current_task()
    cancelling = task.cancelling() if task else 0
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failed:
        # Before Python 3.13 a group that is being left when a task fails does not take its cancellation
        # of the parent back, and the parent's loop would think that it was asked to stop.
        while task and task.cancelling() > cancelling:
            task.uncancel()
        raise failed.exceptions[0] from None


def _outgoing(row: Any) -> Outgoing:
    headers = orjson.loads(row["headers"])
    return Outgoing(row["type"], row["payload"], str(row["id"]), row["key"], row["created_at"], headers)


async def _lock(tx: Tx) -> bool:
    return bool(await tx.driver.fetchval("select pg_try_advisory_xact_lock($1)", _RELAY_LOCK))


async def _reset(tx: Tx, last: int, stream: str) -> int:
    """Queue again every row the stream says it has never seen."""
    # Answered with "UPDATE" and how many.
    count = int((await tx.driver.execute(_REQUEUE, last)).split()[1])
    ROLLBACKS.inc()
    log.error("stream went back, publishing again", stream=stream, last_sequence=last, events=count)
    return count
