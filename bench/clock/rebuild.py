"""An index that was flushed: until every timer is there again, out of the tables."""

from __future__ import annotations

from typing import Any

from bench.clock.plan import Figures, Plan, repeat
from bench.clock.site import a_site
from bench.clock.tickets import Tickets

_METRIC = "tickdesk_sla_reconcile_seconds"


async def measure(plan: Plan) -> dict[str, Any]:
    """Flush and wait, again and again. It includes that the service has to notice."""
    async with a_site() as site:
        tickets = await Tickets.of(site)
        await tickets.keep(plan.rebuilt)

        async def once() -> Figures:
            meter = site.meter()
            took = await tickets.rebuild()
            cost = {f"{name}_us": round(1e6 * used / plan.rebuilt, 1) for name, used in meter.used().items()}
            return {"seconds": round(took, 2), **cost}

        figures = await repeat(plan.slow_rounds, f"{plan.rebuilt} timers rebuilt", once)
        told = await site.metric(_METRIC)
    return {"timers": plan.rebuilt, "reconciliations": told.get("_count", 0.0), **figures}
