"""A burst into a stream that syncs each message to the disk, as `tickdesk up` sets it."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.clock.marks import fire
from bench.clock.plan import Plan, repeat
from bench.clock.site import a_site
from bench.clock.tickets import Tickets


async def measure(plan: Plan) -> dict[str, Any]:
    """The smallest burst."""
    count = min(plan.bursts)
    async with a_site(synced=True) as site:
        tickets = await Tickets.of(site)
        once = partial(fire, site, tickets, count, 0)
        return {"marks": count, **await repeat(plan.slow_rounds, f"{count} at once, each synced", once)}
