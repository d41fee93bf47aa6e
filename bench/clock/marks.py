"""Lets marks fall due and judges what the stream holds afterwards."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from bench.clock.site import Site
from bench.clock.tickets import Tickets
from bench.report import quantiles
from chassis.bus import Bus
from chassis.clock import utcnow
from sla_clock.calendar import MICROS, micros
from sla_clock.timers import shard_of
from tickdesk.sla.v1.events_pb2 import MarkReached

_SUBJECT = MarkReached.DESCRIPTOR.full_name
_LATENESS = "tickdesk_sla_fire_lateness_seconds"


@dataclass(frozen=True, slots=True)
class Stored:
    """A mark in the stream: whose, due when, noticed when, stored when (microseconds)."""

    ticket: UUID
    due: int
    reached: int
    stored: int


@dataclass(frozen=True, slots=True)
class Before:
    """What there was before marks fell due: messages, marks in the stream, ledger rows, observations."""

    sequence: int
    stored: int
    entered: int
    buckets: Mapping[str, float]

    @classmethod
    async def of(cls, site: Site) -> Before:
        """As it is now."""
        buckets = await site.metric(_LATENESS + "_bucket")
        return cls(await site.last_sequence(), await site.stored(_SUBJECT), await _ledger(site), buckets)


async def fire(site: Site, tickets: Tickets, count: int, spacing: int, **changed: Any) -> dict[str, float]:
    """Let so many marks fall due, `spacing` microseconds apart; lateness, faults, and what each one cost."""
    before = await Before.of(site)
    try:
        first, due = await tickets.plant(count, spacing, **changed)
    except TimeoutError:
        # What was planted too late fires late: let it pass, then allow more time.
        await _wait(site, before.stored + count, 120)
        before = await Before.of(site)
        first, due = await tickets.plant(count, spacing, **changed)
    await asyncio.sleep(max(0.0, (first - micros(utcnow())) / MICROS - 0.1))
    meter = site.meter()
    await _wait(site, before.stored + count, 120 + count * spacing / MICROS)
    used = {f"{name}_us": seconds * MICROS / count for name, seconds in meter.used().items()}
    # Marks that were stored twice would come late.
    await asyncio.sleep(0.5)
    told = judge(await read(site.bus, before.sequence + 1, await site.last_sequence()), due)
    told["not_in_ledger"] = count - (await _ledger(site) - before.entered)
    told["histogram_p99"] = share(await site.metric(_LATENESS + "_bucket"), before.buckets, 0.99)
    used["cpu_us"] = sum(used.values())
    return told | {name: round(value, 1) for name, value in used.items()}


async def _wait(site: Site, count: int, seconds: float) -> None:
    """Wait until the stream holds so many marks; what is missing then is told as missing."""

    async def enough() -> bool:
        return await site.stored(_SUBJECT) >= count

    try:
        await site.until(enough, seconds, "marks in the stream")
    except TimeoutError as error:
        print(f"   {error}", flush=True)


async def _ledger(site: Site) -> int:
    return int(await site.sql.fetchval("select count(*) from mark_ledger"))


async def read(bus: Bus, first: int, last: int) -> list[Stored]:
    """Marks with these numbers of the stream, in its order."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=first, ack_policy=AckPolicy.NONE
    )
    subscription = await bus.js.pull_subscribe(_SUBJECT, stream="SLA", config=config)
    found: list[Stored] = []
    at = first - 1
    while at < last:
        try:
            batch = await subscription.fetch(2000, timeout=1)
        except TimeoutError:
            break
        found += [_mark(message) for message in batch]
        at = batch[-1].metadata.sequence.stream
    await subscription.unsubscribe()
    return found


def _mark(message: Any) -> Stored:
    event = MarkReached.FromString(message.data)
    due, reached = event.mark.due_time.ToMicroseconds(), event.reached_time.ToMicroseconds()
    return Stored(UUID(event.ticket.id), due, reached, micros(message.metadata.timestamp))


def judge(found: Sequence[Stored], due: Mapping[UUID, int]) -> dict[str, float]:
    """Lateness in seconds from a mark's instant to its storing, and everything that must not be."""
    told = [one for one in found if one.ticket in due]
    times = Counter(one.ticket for one in told)
    late = quantiles([(one.stored - due[one.ticket]) / MICROS for one in told] or [-1.0])
    took = (max((one.stored for one in told), default=0) - min(due.values())) / MICROS
    return {
        **late,
        "seconds": round(took, 6),
        "marks": len(told),
        "missing": len(due) - len(times),
        "twice": len(told) - len(times),
        "early": sum(min(one.reached, one.stored) < due[one.ticket] for one in told),
        "disordered": disordered(told),
    }


def disordered(told: Sequence[Stored]) -> int:
    """Marks behind one of their shard that was due a millisecond or more later: timers are that fine."""
    newest: dict[int, int] = {}
    count = 0
    for one in told:
        shard, due = shard_of(one.ticket), -(-one.due // 1000)
        count += due < newest.get(shard, 0)
        newest[shard] = max(due, newest.get(shard, 0))
    return count


def share(after: Mapping[str, float], before: Mapping[str, float], wanted: float) -> float:
    """The bound of the histogram's bucket that a share of the new observations lies below."""
    counts = {float(bound): count - before.get(bound, 0.0) for bound, count in after.items()}
    total = max(counts.values(), default=0.0)
    bounds = [bound for bound, count in sorted(counts.items()) if total and count >= wanted * total]
    return bounds[0] if bounds and math.isfinite(bounds[0]) else -1.0
