"""The loops: fire what is due, set timers, mend the index, follow policy edits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import grpc.aio
import nats.errors

from chassis import telemetry
from chassis.errors import Unavailable
from chassis.going import going
from sla_clock.handlers.compare import compare
from sla_clock.handlers.fire import fire_claimed, fire_overdue
from sla_clock.handlers.mend import Pace, reconcile, remind
from sla_clock.handlers.prune import prune
from sla_clock.handlers.publish import check_notes, check_stream, deliver, let_refused_try, resend
from sla_clock.handlers.recalculate import recalculate
from sla_clock.handlers.works import Works
from sla_clock.metrics import CLAIMED, DUE_SOON, INDEX_UP, LANES_BUSY, OUTDATED, POLICY, REFUSED
from sla_clock.store import policies, reads, recalculations
from sla_clock.timers import AWAY, Claim, Lane
from tickdesk.tickets.v1.tickets_service_pb2_grpc import TicketServiceStub

log = telemetry.logger(__name__)

GRACE_SECONDS = 2.0
"""A wake-up this much overdue may have lost its timer."""

_RECALCULATED = 100
_REST_SECONDS = 0.005
_BACKOFF_SECONDS, _BACKOFF_LIMIT = 1.0, 60.0
_GATHER_SECONDS = 0.008
_LAST_SECONDS = 1.5
# Edits by other replicas are looked for this often.
_EDIT_SECONDS = 2.0
# Longer than one attempt to send takes: who entered the batch is no longer at it.
_UNSENT = timedelta(seconds=6)
_STREAM_SECONDS = 30.0
# Longer than any statement may run, the note of a batch among them.
_NOTES_SECONDS = 30.0
_PATROL_SHARE = 0.005
_PRUNE_SECONDS, _PRUNE_SHARE = 3600.0, 0.02


async def fire_timers(works: Works, lane: Lane, poll_seconds: float) -> None:
    """Claim, fire, send, settle, for ever. While Redis is away it asks the database instead."""
    while going():
        try:
            await _fire_due(works, lane)
        except AWAY as error:
            INDEX_UP.set(0)
            log.warning("timers away, sweeping the database", error=type(error).__name__)
            await _sweep_once(works)
            await asyncio.sleep(poll_seconds)
        except Unavailable as error:
            log.warning("firing waits", error=str(error))
            await asyncio.sleep(poll_seconds)


async def _fire_due(works: Works, lane: Lane) -> None:
    """Fire until nothing is due, then rest."""
    # Twice a fair share of each shard: tickets are spread evenly, but not exactly.
    limit = max(1, 2 * works.batch // len(lane.shards))
    claims = await _unhurried(lane, lane.claim(limit))
    INDEX_UP.set(1)
    while claims:
        with LANES_BUSY.track_inprogress():
            claims = await _unhurried(lane, _fire(works, lane, claims, limit if going() else 0))
    await lane.rest()


async def _fire(works: Works, lane: Lane, claims: Sequence[Claim], limit: int) -> list[Claim]:
    """Fire what was claimed; what is claimed next."""
    started = asyncio.get_running_loop().time()
    CLAIMED.inc(sum(len(claim.tickets) for claim in claims))
    try:
        batch, wakes = await fire_claimed(works, claims)
    except Unavailable:
        with suppress(*AWAY):
            await lane.settle(claims, [])
        raise
    # Sent before the shards are free again: what falls due in them later is sent later.
    await deliver(works, batch)
    # What falls due within a moment of each other is fired together.
    await asyncio.sleep(max(0.0, started + _GATHER_SECONDS - asyncio.get_running_loop().time()))
    settled, following = await lane.turn(claims, wakes, limit)
    REFUSED.inc(len(wakes) - settled)
    return following


async def _unhurried(lane: Lane, work: Coroutine[Any, Any, list[Claim]]) -> list[Claim]:
    """Let work end when this process is told to: what it holds would wait for the end of its lease."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        with suppress(Unavailable, *AWAY):
            async with asyncio.timeout(_LAST_SECONDS):
                await lane.settle(await task, [])
        raise


async def _sweep_once(works: Works) -> None:
    """One lane for all, whichever comes first: of a cluster only its shards may be away."""
    if not works.sweeping.locked():
        async with works.sweeping:
            await _sweep(works)


async def _sweep(works: Works) -> None:
    with suppress(Unavailable):
        while going():
            batch, looked_at = await fire_overdue(works, 0.0)
            await deliver(works, batch)
            if looked_at < works.batch:
                return


async def arm_timers(works: Works) -> None:
    """Set the timers that committed units of work have asked for; what fails is found by the mending."""
    while going():
        await works.to_arm.wait()
        works.to_arm.clear()
        wakes, works.wakes = works.wakes, []
        try:
            await works.timers.apply(wakes)
        except AWAY as error:
            log.warning("timers not set", timers=len(wakes), error=type(error).__name__)


async def tend(works: Works, sweep_seconds: float) -> None:
    """Every few seconds: sweep what is overdue, send what is unsent, mend the index if lost."""
    clock = asyncio.get_running_loop().time
    stream_at = 0.0
    connection, filled = works.bus.connections, False
    while going():
        with suppress(Unavailable, nats.errors.Error, TimeoutError):
            while await resend(works, _UNSENT):
                pass
            if clock() >= stream_at or connection != works.bus.connections:
                stream_at, connection = clock() + _STREAM_SECONDS, works.bus.connections
                await let_refused_try(works)
                await check_stream(works)
            await _measure(works)
        with suppress(Unavailable, *AWAY):
            if not filled or not await works.timers.known():
                await reconcile(works)
                filled = True
            else:
                await remind(works, GRACE_SECONDS)
        await asyncio.sleep(sweep_seconds)


async def check_late_notes(works: Works) -> None:
    """After each new connection, once no statement of before can still be running, look at what was noted."""
    checked = seen = works.bus.connections
    while going():
        await asyncio.sleep(_NOTES_SECONDS)
        with suppress(Unavailable, nats.errors.Error, TimeoutError):
            if checked != seen == works.bus.connections:
                await check_notes(works, timedelta(seconds=4 * _NOTES_SECONDS))
                checked = seen
        seen = works.bus.connections


async def patrol(works: Works, reconcile_seconds: float) -> None:
    """Compare timers and database again and again, so slowly that a million of them take little of a core."""
    while going():
        await asyncio.sleep(reconcile_seconds)
        with suppress(Unavailable, *AWAY):
            await reconcile(works, _PATROL_SHARE)


async def prune_marks(works: Works, kept: timedelta) -> None:
    """Now and then delete marks of tickets that are over, so slowly that marks never wait for it."""
    while going():
        with suppress(Unavailable):
            pace = Pace(_PRUNE_SHARE)
            after = await prune(works, kept)
            while after and going():
                await pace.rest()
                after = await prune(works, kept, after)
        await asyncio.sleep(_PRUNE_SECONDS)


async def follow_policy(works: Works) -> None:
    """Bring open tickets under a new policy or new data, in batches, for ever, whoever began it."""
    while going():
        works.policy_changed.clear()
        looked_at = 0
        try:
            looked_at = await recalculate(works, _RECALCULATED)
        except (Unavailable, TimeoutError) as error:
            log.warning("recalculation waits", error=str(error) or type(error).__name__)
        with suppress(TimeoutError):
            # Marks come first: who waits for this loop or for the database gets a turn.
            async with asyncio.timeout(_REST_SECONDS if looked_at else _EDIT_SECONDS):
                await works.policy_changed.wait()


async def compare_tickets(works: Works, pipe: grpc.aio.Channel, every_seconds: float) -> None:
    """Compare open tickets with the tickets service: at start, after a lost index, and now and then."""
    desk = TicketServiceStub(pipe)
    delay = _BACKOFF_SECONDS
    while going():
        works.index_lost.clear()
        wait = every_seconds
        try:
            found = await compare(works, desk)
            delay = _BACKOFF_SECONDS
            log.info("compared with tickets", missing=found.missing, stale=found.stale, orphan=found.orphan)
            wait = 0 if found.full else wait
        except (grpc.aio.AioRpcError, Unavailable, TimeoutError) as error:
            log.warning("tickets not compared", error=str(error)[:300], again_seconds=delay)
            wait, delay = delay, min(2 * delay, _BACKOFF_LIMIT)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await works.index_lost.wait()


async def _measure(works: Works) -> None:
    async with works.db.tx() as tx:
        for minutes, count in (await reads.due_counts(tx)).items():
            DUE_SOON.labels(str(minutes)).set(count)
        version = await policies.policy_version(tx)
        POLICY.set(version)
        OUTDATED.set(await recalculations.count_outdated(tx, version, works.data))
