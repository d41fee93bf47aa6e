"""The background of the service: closing what nobody confirmed, incidents, counting what is open."""

import asyncio
from datetime import timedelta

from chassis.db import Database
from chassis.errors import Unavailable
from chassis.going import going
from chassis.telemetry import logger
from tickets import metrics
from tickets.handlers import burst, customers, incident, work
from tickets.settings import Settings
from tickets.store import figures

log = logger(__name__)


async def close_expired(db: Database, settings: Settings) -> None:
    """Close resolved tickets after the confirmation term; any number of replicas may do this at once."""
    term = timedelta(seconds=settings.confirmation_seconds)
    while going():
        try:
            async with db.tx() as tx:
                closed = await work.close_expired(tx, term, settings.close_batch)
        except Unavailable as error:
            log.warning("closing waits", error=error.message)
            closed = 0
        # A full batch means that more are waiting.
        if closed < settings.close_batch:
            await asyncio.sleep(settings.close_poll_seconds)


async def follow_incidents(db: Database, settings: Settings) -> None:
    """Let children of mass incidents follow, a batch at a time; any number of replicas may do this."""
    while going():
        try:
            async with db.tx() as tx:
                worked = await incident.advance(tx, settings.incident_batch)
        except Unavailable as error:
            log.warning("incidents wait", error=error.message)
            worked = False
        if not worked:
            await asyncio.sleep(settings.incident_poll_seconds)


async def watch_bursts(db: Database, settings: Settings) -> None:
    """Propose a mass incident when many tickets come about one thing."""
    while going():
        try:
            async with db.tx() as tx:
                await burst.propose_incidents(tx)
        except Unavailable as error:
            log.warning("looking for bursts waits", error=error.message)
        await asyncio.sleep(settings.burst_poll_seconds)


async def spread_changes(db: Database, settings: Settings) -> None:
    """Let customers follow their organisations and open tickets their customers, some at a time."""
    while going():
        try:
            async with db.tx() as tx:
                busy = await customers.spread_organisation(tx, settings.spread_batch)
            async with db.tx() as tx:
                busy = await customers.spread_customer(tx, settings.spread_batch) or busy
        except Unavailable as error:
            log.warning("changes of customers wait", error=error.message)
            busy = False
        if not busy:
            await asyncio.sleep(settings.spread_poll_seconds)


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
