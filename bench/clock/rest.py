"""What a waiting clock costs: bytes of Redis, and processor time while nothing is due."""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

import redis.asyncio as redis

from bench.clock.plan import Figures, Plan, repeat
from bench.clock.site import Site, a_site
from bench.clock.tickets import Tickets

_SETTLE_SECONDS = 10


async def measure(plan: Plan) -> dict[str, Any]:
    """Arm so many, let things settle, then look for some seconds at a time."""
    async with a_site() as site:
        before = await _used(site)
        tickets = await Tickets.of(site)
        await tickets.keep(plan.resting)
        await asyncio.sleep(_SETTLE_SECONDS)
        size = await _used(site) - before

        async def idle() -> Figures:
            meter = site.meter()
            await asyncio.sleep(plan.idle_seconds)
            return {f"{name}_percent": 100 * each / plan.idle_seconds for name, each in meter.used().items()}

        figures = await repeat(plan.rounds, f"idle, {plan.resting} armed", idle)
        # The windows touch each other, so that the mean holds what is done once a minute.
        mean = {
            name: round(statistics.mean(run[name] for run in figures["runs"]), 3)
            for name in figures["median"]
        }
        rows = await site.sql.fetchval("select pg_database_size(current_database())")
    return {
        "armed": plan.resting,
        "redis_bytes_each": round(size / plan.resting, 1),
        "postgres_bytes_each": round(rows / plan.resting),
        "mean": mean,
        **figures,
    }


async def _used(site: Site) -> int:
    link = redis.Redis.from_url(site.valkey.url)
    try:
        memory = await link.info("memory")
    finally:
        await link.aclose()
    return int(memory["used_memory"])
