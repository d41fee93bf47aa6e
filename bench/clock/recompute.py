"""A policy edit that touches every open ticket, and whether other tickets' marks stay on time meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from bench.clock.marks import fire
from bench.clock.plan import Figures, Plan, repeat
from bench.clock.site import POLICY, Site, a_site
from bench.clock.tickets import Tickets
from chassis.channel import channel
from sla_clock.calendar import MICROS
from tickdesk.sla.v1.policy_service_pb2 import ApplyPolicyRequest
from tickdesk.sla.v1.policy_service_pb2_grpc import PolicyServiceStub

RATE = 200
"""Marks of other tickets a second, meanwhile."""
SECONDS = 4
_OUTDATED = "select exists(select 1 from ticket_clock where open and policy_version < $1)"


async def measure(plan: Plan) -> dict[str, Any]:
    """Change the target back and forth."""
    async with a_site() as site, channel(f"127.0.0.1:{site.grpc_port}", site.token) as link:
        policies = PolicyServiceStub(link)
        tickets = await Tickets.of(site)
        await tickets.keep(plan.recomputed)
        hours = iter(range(5_001, 6_000))

        async def once() -> Figures:
            others: list[Figures] = []
            async with asyncio.TaskGroup() as group:
                edit = group.create_task(_edit(site, policies, next(hours)))
                while not edit.done():
                    # What has ended is not computed anew, and its marks fire all the same.
                    others.append(await fire(site, tickets, RATE * SECONDS, MICROS // RATE, open=False))
            return {"seconds": round(edit.result(), 2), **_worst(others)}

        figures = await repeat(plan.slow_rounds, f"{plan.recomputed} tickets recomputed", once)
    return {"tickets": plan.recomputed, "others_per_second": RATE, **figures}


def _worst(others: Sequence[Figures]) -> dict[str, float]:
    """Sums of what is counted, the worst of what is timed."""
    timed = {f"others_{name}": max(one[name] for one in others) for name in ("p50", "p99", "max")}
    counted = ("marks", "missing", "twice", "early")
    return {**timed, **{f"others_{name}": sum(one[name] for one in others) for name in counted}}


async def _edit(site: Site, policies: Any, hours: int) -> float:
    began = time.monotonic()
    request = ApplyPolicyRequest(request_id=str(uuid4()), yaml=POLICY.replace("5000h", f"{hours}h"))
    answer = await policies.ApplyPolicy(request, timeout=30)

    async def followed() -> bool:
        return not await site.sql.fetchval(_OUTDATED, answer.version)

    await site.until(followed, 1200, "the recalculation")
    return time.monotonic() - began
