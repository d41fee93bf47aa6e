"""Consumers: one durable per service and stream, one transaction and inbox row per event."""

import asyncio
import socket
import zlib
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import grpc
import nats.errors
import structlog
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from nats.js import api
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Histogram
from sqlalchemy.exc import InterfaceError, OperationalError

from chassis import telemetry
from chassis.bus import DEAD_LETTERS, Bus, Outgoing, Poison, Subscription
from chassis.clock import utcnow
from chassis.db import Database, Delivery
from chassis.errors import DeskError, Unavailable
from chassis.going import going
from chassis.principal import Principal, asked, current

log = telemetry.logger(__name__)

CONSUMED = Counter(
    "tickdesk_events_consumed_total",
    "Events handled: ok, duplicate, retry, unavailable, unknown or dead.",
    ["consumer", "event", "outcome"],
)
AGE = Histogram(
    "tickdesk_event_age_seconds",
    "Time from emitting an event to having handled it.",
    ["consumer", "event"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600),
)

_LANES = 8
_FETCH = 64
_FETCH_SECONDS = 5.0
# A dead process' events come again after this; a living one says in time that it still works on them.
_ACK_WAIT = 10.0
_BEAT_SECONDS = 3.0
_HANDLER_SECONDS = 25.0
_POISON_DELAYS = (0.2, 1.0, 5.0, 15.0)
_AWAY_DELAYS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# A message this often delivered is taken for poison at its first failure here: memory dies with a process.
_MANY_DELIVERIES = 20
# An event that is this late to come back is with another replica, and later was finished there.
_LOST_SECONDS = 2.0
_FORGET_SECONDS = 60.0
_SHARE_WINDOW, _SHARE_MIN = 100, 20
_AWAY_CODES = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
_AWAY = (
    Unavailable,
    TimeoutError,
    ConnectionError,
    socket.gaierror,
    OperationalError,
    InterfaceError,
    nats.errors.Error,
)


class DeadLetterFlood(Exception):
    """Most of the recent events became dead letters: this version is broken, not the events."""


class Consumer:
    """Pulls one stream's events for a service and handles them in lanes by aggregate key."""

    def __init__(
        self, bus: Bus, db: Database, stream: str, subscriptions: Sequence[Subscription[Any]]
    ) -> None:
        self.stream = stream
        self._bus = bus
        self._db = db
        self._handlers = {one.subject: one for one in subscriptions}
        self._lanes: list[asyncio.Queue[Msg]] = [asyncio.Queue() for _ in range(_LANES)]
        self._queued = 0
        self._mine: dict[str, Msg] = {}
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._over = asyncio.Event()
        self._wanted = 0
        self._refusal: Unavailable | None = None
        bus.on_connect(self._over.set)
        self._failures: dict[int, int] = {}
        self._held: dict[str, dict[int, float]] = {}
        self._recent: deque[bool] = deque(maxlen=_SHARE_WINDOW)

    async def run(self) -> None:
        """Handle events until `stop`; then finish what was fetched."""
        async with asyncio.TaskGroup() as lanes:
            tasks = [lanes.create_task(self._work(lane)) for lane in self._lanes]
            tasks.append(lanes.create_task(self._beat()))
            await self._pull()
            for lane in self._lanes:
                await lane.join()
            for task in tasks:
                task.cancel()

    def stop(self) -> None:
        """Fetch no more."""
        self._stopping.set()
        self._over.set()
        self._room.set()

    async def _pull(self) -> None:
        delay = 0.2
        while going() and not self._stopping.is_set():
            try:
                await self._fetch_until_lost()
                delay = 0.2
            except (nats.errors.Error, Unavailable, OSError) as error:
                log.warning("consumer waits", stream=self.stream, error=type(error).__name__, seconds=delay)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)
                delay = min(delay * 2, 5.0)

    async def _fetch_until_lost(self) -> None:
        """Make sure the durable exists, then fetch until an error or another connection."""
        connection = self._bus.connections
        await self._bus.ready()
        await self._bus.ensure_stream(self.stream)
        await self._bus.ensure_stream(DEAD_LETTERS)
        await self._bus.js.add_consumer(
            self.stream,
            api.ConsumerConfig(
                durable_name=self._bus.service,
                filter_subjects=sorted(self._handlers),
                ack_policy=api.AckPolicy.EXPLICIT,
                ack_wait=_ACK_WAIT,
                max_deliver=-1,
                max_ack_pending=512,
                deliver_policy=api.DeliverPolicy.ALL,
            ),
        )
        inbox = self._bus.client.new_inbox()
        source = await self._bus.client.subscribe(inbox, cb=self._on_message)
        try:
            while going() and not self._stopping.is_set() and connection == self._bus.connections:
                await self._fetch(inbox)
        finally:
            with suppress(nats.errors.Error):
                await source.unsubscribe()

    async def _fetch(self, inbox: str) -> None:
        """Ask for one batch; the server ends the request when it is full, or after its expiry."""
        while self._queued >= _FETCH and not self._stopping.is_set():
            self._room.clear()
            await self._room.wait()
        self._over.clear()
        self._wanted, self._refusal = _FETCH, None
        request = b'{"batch":%d,"expires":%d}' % (_FETCH, int(_FETCH_SECONDS * 1e9))
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self._bus.service}"
        await self._bus.client.publish(subject, request, inbox)
        with suppress(TimeoutError):
            async with asyncio.timeout(_FETCH_SECONDS + 2):
                await self._over.wait()
        if self._refusal:
            raise self._refusal

    async def _on_message(self, msg: Msg) -> None:
        status = (msg.headers or {}).get("Status")
        if status:
            # 404 and 408 end a request that found too little; anything else says the consumer is gone.
            if status not in ("404", "408"):
                reason = (msg.headers or {}).get("Description", "")
                self._refusal = Unavailable(f"stream {self.stream} answers {status} {reason}".strip())
            self._over.set()
        elif self._stopping.is_set():
            await msg.nak()
        else:
            self._queued += 1
            self._mine[msg.reply] = msg
            self._lanes[zlib.crc32(_key(msg).encode()) % _LANES].put_nowait(msg)
            self._wanted -= 1
            if not self._wanted:
                self._over.set()

    async def _work(self, lane: asyncio.Queue[Msg]) -> None:
        while going():
            msg = await lane.get()
            try:
                await self._handle(msg)
            except nats.errors.Error as error:
                # An answer that could not be sent: the event comes again after ack_wait.
                log.warning("event not answered", error=type(error).__name__)
            finally:
                self._queued -= 1
                self._mine.pop(msg.reply, None)
                self._room.set()
                lane.task_done()

    async def _beat(self) -> None:
        """Keep what is queued or being handled from coming again while this process lives."""
        while going():
            await asyncio.sleep(_BEAT_SECONDS)
            self._forget()
            with suppress(nats.errors.Error):
                for msg in list(self._mine.values()):
                    await msg.in_progress()

    def _forget(self) -> None:
        """Drop what is known of events that never came back here."""
        since = asyncio.get_running_loop().time() - _FORGET_SECONDS
        late = {
            key: {each: until for each, until in held.items() if until > since}
            for key, held in self._held.items()
        }
        self._held = {key: held for key, held in late.items() if held}
        known = {sequence for held in self._held.values() for sequence in held}
        known |= {msg.metadata.sequence.stream for msg in self._mine.values()}
        self._failures = {each: count for each, count in self._failures.items() if each in known}

    async def _handle(self, msg: Msg) -> None:
        subscription = self._handlers.get(msg.subject)
        if subscription is None:
            # A newer replica subscribed to it through the shared durable; leave it to that one.
            self._count(msg, "unknown")
            await msg.nak(delay=5)
            return
        wait = self._hold(msg)
        if wait:
            await self._nak(msg, wait)
            return
        headers = msg.headers or {}
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(event=msg.subject, event_id=_event_id(msg), key=_key(msg))
        current.set(Principal.of(f"service:{self._bus.service}"))
        asked.set(msg.subject)
        span = telemetry.tracer.start_as_current_span(
            msg.subject, context=telemetry.extract(headers), kind=SpanKind.CONSUMER
        )
        with span:
            try:
                fresh = await self._apply(subscription, msg)
            except (DecodeError, Poison) as error:
                await self._bury(msg, error)
            except Exception as error:  # noqa: BLE001 - the boundary: any failure of a handler is sorted here
                await self._retry(msg, error)
            else:
                await self._done(msg, "ok" if fresh else "duplicate")

    async def _apply(self, subscription: Subscription[Any], msg: Msg) -> bool:
        """Run the handler in one transaction with its inbox row; False for an event already handled."""
        event = subscription.event_type.FromString(msg.data)
        delivery = Delivery(_event_id(msg), _time(msg), self._bus.service)
        async with asyncio.timeout(_HANDLER_SECONDS), self._db.tx(delivery) as tx:
            if not await tx.first_time():
                return False
            await subscription.handler(tx, event)
        return True

    async def _done(self, msg: Msg, outcome: str) -> None:
        await msg.ack()
        self._release(msg)
        self._count(msg, outcome)
        self._recent.append(False)
        AGE.labels(self._bus.service, msg.subject).observe(max(0.0, (utcnow() - _time(msg)).total_seconds()))

    async def _retry(self, msg: Msg, error: Exception) -> None:
        if _is_away(error):
            tries = min(msg.metadata.num_delivered, len(_AWAY_DELAYS))
            log.warning("event waits for a dependency", error=type(error).__name__, detail=str(error)[:200])
            self._count(msg, "unavailable")
            await self._nak(msg, _AWAY_DELAYS[tries - 1])
            return
        sequence = msg.metadata.sequence.stream
        failures = self._failures[sequence] = self._failures.get(sequence, 0) + 1
        if failures > len(_POISON_DELAYS) or msg.metadata.num_delivered >= _MANY_DELIVERIES:
            await self._bury(msg, error)
            return
        log.warning("event failed", attempt=failures, exc_info=error)
        self._count(msg, "retry")
        await self._nak(msg, _POISON_DELAYS[failures - 1])

    async def _nak(self, msg: Msg, delay: float) -> None:
        """Give the event back for `delay` seconds and keep the later events of its key behind it."""
        until = asyncio.get_running_loop().time() + delay
        self._held.setdefault(_key(msg), {})[msg.metadata.sequence.stream] = until
        await msg.nak(delay=delay)

    def _hold(self, msg: Msg) -> float:
        """Return how many seconds this event must wait for earlier ones of its key, 0 for none."""
        mine, now = msg.metadata.sequence.stream, asyncio.get_running_loop().time()
        held = self._held.get(_key(msg), {})
        # One that has not come back here for so long is with another replica.
        earlier = [
            until for sequence, until in held.items() if sequence < mine and until > now - _LOST_SECONDS
        ]
        return max(max(earlier) - now, 0.0) + 0.1 if earlier else 0.0

    def _release(self, msg: Msg) -> None:
        sequence = msg.metadata.sequence.stream
        self._failures.pop(sequence, None)
        held = self._held.get(_key(msg), {})
        held.pop(sequence, None)
        if not held:
            self._held.pop(_key(msg), None)

    async def _bury(self, msg: Msg, error: Exception) -> None:
        """Move the event to the dead letters with its reason. Raises DeadLetterFlood above the share."""
        dead = [*self._recent, True]
        if len(dead) >= _SHARE_MIN and sum(dead) * 2 > len(dead):
            log.critical("most recent events fail, stopping", dead=sum(dead), of=len(dead), exc_info=error)
            raise DeadLetterFlood(f"{sum(dead)} of the last {len(dead)} events of {self.stream} failed")
        ack = (await self._bus.publish([dead_letter(msg, self._bus.service, error)]))[0]
        if isinstance(ack, Exception):
            await self._nak(msg, _AWAY_DELAYS[0])
            return
        log.error("event became a dead letter", exc_info=error)
        await msg.term()
        self._recent.append(True)
        self._release(msg)
        self._count(msg, "dead")

    def _count(self, msg: Msg, outcome: str) -> None:
        event = msg.subject if msg.subject in self._handlers else "other"
        CONSUMED.labels(self._bus.service, event, outcome).inc()


def dead_letter(msg: Msg, consumer: str, error: Exception) -> Outgoing:
    """Build the dead letter of an event: subject `dlq.<consumer>.<event>`, the original headers and why."""
    original = {key: value for key, value in (msg.headers or {}).items() if not key.startswith("Nats-")}
    reason = error.reason if isinstance(error, DeskError) else type(error).__name__
    headers = {
        **original,
        "Tickdesk-Dlq-Consumer": consumer,
        "Tickdesk-Dlq-Subject": msg.subject,
        "Tickdesk-Dlq-Sequence": str(msg.metadata.sequence.stream),
        "Tickdesk-Dlq-Reason": reason,
        "Tickdesk-Dlq-Detail": " ".join(str(error).split())[:500].encode("ascii", "replace").decode(),
        "Tickdesk-Dlq-Time": utcnow().isoformat(timespec="microseconds"),
        "Tickdesk-Dlq-Deliveries": str(msg.metadata.num_delivered),
    }
    once = f"{consumer}/{msg.metadata.sequence.stream}/{_event_id(msg)}"
    subject = f"dlq.{consumer}.{msg.subject}"
    return Outgoing(subject, msg.data, _event_id(msg), _key(msg), _time(msg), headers, once)


def _is_away(error: Exception) -> bool:
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() in _AWAY_CODES
    return isinstance(error, _AWAY)


def _key(msg: Msg) -> str:
    return (msg.headers or {}).get("Tickdesk-Key") or _event_id(msg)


def _event_id(msg: Msg) -> str:
    headers = msg.headers or {}
    fallback = f"{msg.metadata.stream}/{msg.metadata.sequence.stream}"
    return headers.get("Tickdesk-Event-Id") or headers.get("Nats-Msg-Id") or fallback


def _time(msg: Msg) -> datetime:
    text = (msg.headers or {}).get("Tickdesk-Time", "")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return msg.metadata.timestamp
