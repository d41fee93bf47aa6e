"""Lateness under a spread load, with few and with many timers armed."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.clock.marks import fire
from bench.clock.plan import Plan, repeat, say
from bench.clock.site import a_site
from bench.clock.tickets import Tickets
from sla_clock.calendar import MICROS

RATE = 5_000


async def measure(plan: Plan) -> dict[str, Any]:
    """RATE marks a second for some seconds; each number of armed timers in turn."""
    figures: dict[str, Any] = {"rate": RATE, "seconds": plan.load_seconds, "armed": {}}
    async with a_site() as site:
        tickets = await Tickets.of(site)
        await fire(site, tickets, 2_000, MICROS // RATE)
        for armed in plan.armed:
            took = await tickets.keep(armed)
            say(f"{armed} armed, index filled in {took:.1f} s")
            once = partial(fire, site, tickets, RATE * plan.load_seconds, MICROS // RATE)
            figures["armed"][str(armed)] = await repeat(plan.rounds, f"{armed} armed", once)
        figures["trace_exports"] = site.traces.requests
    return figures
