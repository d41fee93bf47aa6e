"""The loops: fire what is due, set timers, mend the index, follow policy edits."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import nats.errors

from chassis import telemetry
from chassis.clock import utcnow
from chassis.errors import Unavailable
from chassis.going import going
from sla_clock.calendar import MICROS, micros
from sla_clock.handlers.fire import check_stream, fire_claimed, fire_overdue, resend
from sla_clock.handlers.follow import recalculate
from sla_clock.handlers.mend import reconcile
from sla_clock.handlers.works import Works
from sla_clock.metrics import DUE_SOON, INDEX_UP, OUTDATED, POLICY, REFUSED
from sla_clock.store import policies, tickets
from sla_clock.timers import SHARDS, RedisError

log = telemetry.logger(__name__)

GRACE_SECONDS = 2.0
"""A wake-up this much overdue is not being fired by anybody: the sweep takes it."""

_AWAY = (RedisError, OSError, TimeoutError)
_RECALCULATED = 100
_MINUTES = (15, 60, 240)
_STREAM_SECONDS = 30.0


async def fire_timers(works: Works, poll_seconds: float) -> None:
    """Claim, fire, settle, for ever. While Redis is away the database is asked instead."""
    while going():
        try:
            await _fire_once(works, poll_seconds)
            INDEX_UP.set(1)
        except _AWAY as error:
            INDEX_UP.set(0)
            log.warning("timers away, sweeping the database", error=type(error).__name__)
            await _sweep(works, 0.0)
            await asyncio.sleep(poll_seconds)
        except Unavailable as error:
            log.warning("firing waits", error=str(error))
            await asyncio.sleep(poll_seconds)


async def _fire_once(works: Works, poll_seconds: float) -> None:
    # Twice a fair share of each shard: tickets are spread evenly, but not exactly.
    claims, wait = await works.timers.claim(max(1, 2 * works.batch // SHARDS))
    if not claims:
        seconds = min(wait, poll_seconds)
        await works.timers.rest(seconds, micros(utcnow()) + int(seconds * MICROS))
        return
    wakes = await fire_claimed(works, claims)
    REFUSED.inc(len(wakes) - await works.timers.settle(claims, wakes))


async def arm_timers(works: Works) -> None:
    """Set the timers that committed units of work have asked for; what fails is found by the mending."""
    while going():
        await works.to_arm.wait()
        works.to_arm.clear()
        wakes, works.wakes = works.wakes, []
        try:
            await works.timers.apply(wakes)
        except _AWAY as error:
            log.warning("timers not set", timers=len(wakes), error=type(error).__name__)


async def tend(works: Works, sweep_seconds: float, reconcile_seconds: float) -> None:
    """Every few seconds: sweep what is overdue, send what is unsent, mend the index if lost."""
    clock = asyncio.get_running_loop().time
    mend_at = stream_at = 0.0
    connection = works.bus.connections
    while going():
        with suppress(Unavailable, nats.errors.Error, TimeoutError):
            await _sweep(works, GRACE_SECONDS)
            await resend(works, timedelta(seconds=GRACE_SECONDS))
            if clock() >= stream_at or connection != works.bus.connections:
                stream_at, connection = clock() + _STREAM_SECONDS, works.bus.connections
                await check_stream(works)
            await _measure(works)
        with suppress(Unavailable, *_AWAY):
            if clock() >= mend_at or not await works.timers.known():
                await reconcile(works)
                mend_at = clock() + reconcile_seconds
        await asyncio.sleep(sweep_seconds)


async def follow_policy(works: Works) -> None:
    """Bring open tickets under a new policy, in batches, for ever; other replicas' edits are noticed too."""
    while going():
        works.policy_changed.clear()
        try:
            while await recalculate(works, _RECALCULATED):
                pass
        except Unavailable as error:
            log.warning("recalculation waits", error=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await works.policy_changed.wait()


async def _sweep(works: Works, grace_seconds: float) -> None:
    with suppress(Unavailable):
        while await fire_overdue(works, grace_seconds) == works.batch:
            pass


async def _measure(works: Works) -> None:
    async with works.db.tx() as tx:
        for minutes, count in (await tickets.due_counts(tx, _MINUTES)).items():
            DUE_SOON.labels(str(minutes)).set(count)
        version = await policies.policy_version(tx)
        POLICY.set(version)
        OUTDATED.set(await tickets.outdated_count(tx, version))
