"""Compares the timers with the database and repairs them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

from chassis import telemetry
from chassis.going import going
from sla_clock.handlers.works import Works
from sla_clock.metrics import ARMED, DRIFT, REBUILD_SECONDS, SWEPT
from sla_clock.store import wakes
from sla_clock.timers import SHARDS, Wake

log = telemetry.logger(__name__)

_PAGE, _SMALL_PAGE = 5000, 500


async def reconcile(works: Works, share: float = 1.0) -> tuple[int, int, int]:
    """Make the index say what the database says; how many timers were missing, moved and orphan.

    It works for that share of the time and rests between its pages for the remainder.
    Raises RedisError while Redis is away.
    """
    pace = Pace(share)
    started = time.monotonic()
    if not await works.timers.known():
        works.timers.filling = True
        works.index_lost.set()
    # First, so that a flush while it is being filled is noticed by the next look.
    await works.timers.note_filling()
    async with works.db.tx() as tx:
        overdue = await wakes.overdue_tickets(tx, 0.0, _PAGE)
    missing, moved = await _repair(works, overdue)
    after: UUID | None = None
    while going():
        async with works.db.tx() as tx:
            page = await wakes.armed_tickets(tx, after, pace.page)
        found = await _repair(works, page)
        missing, moved = missing + found[0], moved + found[1]
        if len(page) < pace.page:
            break
        after = page[-1][0]
        await pace.rest()
    works.timers.filling = False
    orphans = await _remove_orphans(works, pace)
    ARMED.set(await works.timers.armed())
    for kind, count in (("missing", missing), ("moved", moved), ("orphan", orphans)):
        DRIFT.labels(kind).inc(count)
    REBUILD_SECONDS.observe(time.monotonic() - started)
    if missing or moved or orphans:
        log.info("timers repaired", missing=missing, moved=moved, orphans=orphans)
    return missing, moved, orphans


async def remind(works: Works, grace_seconds: float) -> int:
    """Set the timers of overdue tickets if they are not there; how many were not.

    Raises RedisError while Redis is away.
    """
    async with works.db.tx() as tx:
        overdue = await wakes.overdue_tickets(tx, grace_seconds, _PAGE)
    found = sum(await _repair(works, overdue))
    SWEPT.inc(found)
    return found


async def _repair(works: Works, page: Sequence[tuple[UUID, int, int]]) -> tuple[int, int]:
    return await works.timers.repair([Wake(*one) for one in page])


async def _remove_orphans(works: Works, pace: Pace) -> int:
    count = 0
    for shard in range(SHARDS):
        async for timed in works.timers.scan(shard):
            async with works.db.tx() as tx:
                orphans = await wakes.unarmed(tx, timed)
            await works.timers.remove(shard, orphans)
            count += len(orphans)
            await pace.rest()
    return count


class Pace:
    """Rests between pages of work, so that the work takes no more than its share of the time."""

    def __init__(self, share: float) -> None:
        self.page = _PAGE if share == 1.0 else _SMALL_PAGE
        self._rests = 1 / share - 1
        self._since = time.monotonic()

    async def rest(self) -> None:
        """Called after each page."""
        await asyncio.sleep((time.monotonic() - self._since) * self._rests)
        self._since = time.monotonic()
