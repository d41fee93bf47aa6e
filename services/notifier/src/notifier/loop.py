"""The delivery loops: claim what is due, send it, write what became of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from chassis import telemetry
from chassis.clock import utcnow
from chassis.db import Database, Tx
from chassis.errors import Refused, Unavailable
from chassis.going import going
from notifier import metrics
from notifier.domain import Channel, Delivery, Parcel, State, one_line
from notifier.handlers import deliveries
from notifier.store import ledger

log = telemetry.logger(__name__)
Claim = Callable[[Tx], Awaitable[tuple[Parcel | None, bool]]]
Settle = Callable[[Tx], Awaitable[list[Delivery]]]
_POLL_SECONDS = 0.5
_MEASURE_SECONDS = 5.0
_FORGET_SECONDS = 3600.0
_OUTCOMES = {State.SENT: "sent", State.FAILED: "failed", State.PENDING: "postponed"}


class Sender(Protocol):
    """A channel: sends a parcel and returns its subject.

    Raises Refused when it will never be taken, Unavailable when it may be taken later.
    """

    async def send(self, parcel: Parcel) -> str:
        """Hand the parcel to the next hop."""


@dataclass(slots=True)
class Lane:
    """One loop: what it claims, how it sends, how much at the same time; `bell` wakes it."""

    claim: Claim
    sender: Sender
    width: int
    bell: asyncio.Event = field(default_factory=asyncio.Event)


def lanes(
    mail: Sender,
    hooks: Sender,
    widths: tuple[int, int],
    leases: tuple[timedelta, timedelta],
    window: timedelta,
) -> list[Lane]:
    """Mail, digests and webhooks apart, so that a slow one holds up nobody else."""
    return [
        Lane(lambda tx: ledger.claim_one(tx, Channel.EMAIL, leases[0]), mail, widths[0]),
        Lane(lambda tx: ledger.claim_digest(tx, leases[0], window), mail, 1),
        Lane(lambda tx: ledger.claim_one(tx, Channel.WEBHOOK, leases[1]), hooks, widths[1]),
    ]


def ring(ways: Iterable[Lane]) -> None:
    """Wake the loops: something may be due."""
    for way in ways:
        way.bell.set()


async def deliver(db: Database, lane: Lane, first_retry: timedelta) -> None:
    """Send for ever; on cancellation let what is under way finish, else it would be sent twice."""
    free = asyncio.Semaphore(lane.width)
    async with asyncio.TaskGroup() as group:
        try:
            while going():
                await free.acquire()
                parcel = await _next(db, lane)
                group.create_task(_send(db, parcel, _attempt(lane.sender, parcel, first_retry), free))
        except asyncio.CancelledError:
            # Swallowed: leaving the group waits for its tasks, and each of them has a deadline.
            log.info("delivery loop drains")


async def measure(db: Database) -> None:
    """Keep the gauges of waiting deliveries."""
    while going():
        try:
            async with db.tx() as tx:
                since = await ledger.oldest_due(tx)
            for channel in Channel:
                age = (utcnow() - since[channel]).total_seconds() if channel in since else 0.0
                metrics.OLDEST.labels(channel).set(max(0.0, age))
        except Unavailable:
            log.warning("cannot measure the deliveries")
        await asyncio.sleep(_MEASURE_SECONDS)


async def forget(db: Database, keep: timedelta) -> None:
    """Empty the letters that are older than `keep`, an hour apart."""
    while going():
        try:
            async with db.tx() as tx:
                count = await ledger.forget(tx, tx.now - keep)
            if count:
                log.info("letters forgotten", letters=count)
        except Unavailable:
            log.warning("cannot forget old letters")
        await asyncio.sleep(_FORGET_SECONDS)


async def _next(db: Database, lane: Lane) -> Parcel:
    while going():
        lane.bell.clear()
        try:
            parcel = await _claim(db, lane)
        except Unavailable as error:
            log.warning("cannot claim deliveries", detail=error.message)
            parcel = None
        if parcel is not None:
            return parcel
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                await lane.bell.wait()
        except TimeoutError:
            pass
    raise asyncio.CancelledError


async def _claim(db: Database, lane: Lane) -> Parcel | None:
    async with db.tx() as tx:
        parcel, died = await lane.claim(tx)
        if parcel is None:
            return None
        if died:
            metrics.UNKNOWN.labels(parcel.first.channel).inc()
        return await deliveries.prepare(tx, parcel)


async def _send(db: Database, parcel: Parcel, attempt: Awaitable[Settle], free: asyncio.Semaphore) -> None:
    try:
        settle = await attempt
        async with db.tx() as tx:
            done = await settle(tx)
        for delivery in done:
            _count(delivery)
        _log(done)
    except Unavailable as error:
        # The lease runs out and the parcel is sent again: at least once.
        log.warning("outcome not written", delivery=str(parcel.first.id), detail=error.message)
    finally:
        free.release()


async def _attempt(sender: Sender, parcel: Parcel, first_retry: timedelta) -> Settle:
    try:
        subject = await sender.send(parcel)
    except Refused as error:
        detail = one_line(error.message, 400)
        return lambda tx: deliveries.refused(tx, parcel, detail)
    except Unavailable as error:
        detail = one_line(error.message, 400)
        return lambda tx: deliveries.postponed(tx, parcel, detail, first_retry)
    return lambda tx: deliveries.delivered(tx, parcel, subject)


def _count(delivery: Delivery) -> None:
    metrics.NOTIFICATIONS.labels(delivery.channel, _OUTCOMES[delivery.state]).inc()
    if delivery.sent_at:
        waited = (delivery.sent_at - delivery.created_at).total_seconds()
        metrics.DELIVERY_SECONDS.labels(delivery.channel, delivery.template).observe(waited)


def _log(done: list[Delivery]) -> None:
    for delivery in done[:1]:
        log.info(
            "delivery",
            delivery=str(delivery.id),
            template=delivery.template,
            state=delivery.state.value,
            attempts=delivery.attempts,
            letters=len(done),
            detail=delivery.detail,
        )
