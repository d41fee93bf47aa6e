"""The background of the service: closing what nobody confirmed, incidents, counting what is open."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from chassis.db import Database, Tx
from chassis.errors import DeskError, Unavailable
from chassis.going import going
from chassis.telemetry import logger
from tickets import metrics
from tickets.handlers import bulk, burst, customers, incident, schedules, work
from tickets.settings import Settings
from tickets.store import bulk as store
from tickets.store import figures

log = logger(__name__)
_FORGET_SECONDS, _FORGOTTEN = 3600.0, 10


async def close_expired(db: Database, settings: Settings) -> None:
    """Close resolved tickets after the confirmation term; any number of replicas may do this at once."""
    term = timedelta(seconds=settings.confirmation_seconds)

    async def step(tx: Tx) -> bool:
        # A full batch means that more are waiting.
        return await work.close_expired(tx, term, settings.close_batch) == settings.close_batch

    await _again(db, "closing", step, settings.close_poll_seconds)


async def follow_incidents(db: Database, settings: Settings) -> None:
    """Let children of mass incidents follow, a batch at a time; any number of replicas may do this."""

    async def step(tx: Tx) -> bool:
        return await incident.advance(tx, settings.incident_batch)

    await _again(db, "incidents", step, settings.incident_poll_seconds)


async def watch_bursts(db: Database, settings: Settings) -> None:
    """Propose a mass incident when many tickets come about one thing."""

    async def step(tx: Tx) -> bool:
        await burst.propose_incidents(tx)
        return False

    await _again(db, "bursts", step, settings.burst_poll_seconds)


async def spread_organisations(db: Database, settings: Settings) -> None:
    """Let customers follow their organisations, some at a time."""

    async def step(tx: Tx) -> bool:
        return await customers.spread_organisation(tx, settings.spread_batch)

    await _again(db, "organisations", step, settings.spread_poll_seconds)


async def spread_customers(db: Database, settings: Settings) -> None:
    """Let open tickets follow their customers, some at a time."""

    async def step(tx: Tx) -> bool:
        return await customers.spread_customer(tx, settings.spread_batch)

    await _again(db, "customers", step, settings.spread_poll_seconds)


async def run_bulks(db: Database, settings: Settings) -> None:
    """Change the tickets of bulks, one at a time; any number of replicas may do this."""
    await _repeat("bulks", lambda: bulk.advance(db), settings.bulk_poll_seconds)


async def forget_bulks(db: Database, settings: Settings) -> None:
    """Delete bulks that are over for long, some at a time; any number of replicas may do this."""
    kept = timedelta(days=settings.keep_bulks_days)

    async def step(tx: Tx) -> bool:
        return await store.forget(tx, tx.now - kept, _FORGOTTEN) == _FORGOTTEN

    await _again(db, "old bulks", step, _FORGET_SECONDS)


async def run_schedules(db: Database, settings: Settings) -> None:
    """Run the rules whose time has come; any number of replicas may do this."""

    async def step(tx: Tx) -> bool:
        return await schedules.run_due(tx, settings.rule_batch)

    await _again(db, "rules", step, settings.rule_poll_seconds)


async def _again(db: Database, what: str, step: Callable[[Tx], Awaitable[bool]], seconds: float) -> None:
    """Do a step for ever, each in a unit of work."""

    async def once() -> bool:
        async with db.tx() as tx:
            return await step(tx)

    await _repeat(what, once, seconds)


async def _repeat(what: str, step: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Do a step for ever, at once again while it says that more is waiting.

    One that the rules refuse is told and tried again: it must not take the service down with it.
    """
    while going():
        more = False
        try:
            more = await step()
        except Unavailable as error:
            log.warning("background work waits", work=what, error=error.message)
        except DeskError as error:
            metrics.REFUSED_STEPS.labels(what).inc()
            log.error("background work refused", work=what, reason=error.reason, error=error.message)
        if not more:
            await asyncio.sleep(seconds)


async def count_open(db: Database, settings: Settings) -> None:
    """Export the gauges. Every replica shows the same figures, so rules take `max by`, never a sum."""
    while going():
        try:
            async with db.tx() as tx:
                rows = await figures.open_tickets(tx)
            show(rows)
        except Unavailable as error:
            log.warning("counting waits", error=error.message)
        await asyncio.sleep(settings.gauge_seconds)


def show(rows: list[figures.Open]) -> None:
    """Replace the gauges by these rows."""
    metrics.OPEN.clear()
    metrics.OLDEST_UNASSIGNED.clear()
    ages: dict[str, float] = {}
    for row in rows:
        metrics.OPEN.labels(row.queue, row.status).set(row.count)
        ages[row.queue] = max(ages.get(row.queue, 0.0), row.oldest_unassigned_seconds or 0.0)
    for queue, age in ages.items():
        metrics.OLDEST_UNASSIGNED.labels(queue).set(age)
