"""The relay of one process: a full outbox, until its last event is in the stream."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from bench.clock.plan import Figures, Plan, repeat
from bench.clock.site import Site, a_site
from tickdesk.sla.v1.clock_pb2 import Clock, TicketRef
from tickdesk.sla.v1.events_pb2 import ClockStarted

_TYPE = ClockStarted.DESCRIPTOR.full_name
_SECONDS = 300


async def measure(plan: Plan) -> dict[str, Any]:
    """Fill the outbox of the running service in one transaction; events of one key, as of many tickets."""
    async with a_site() as site:

        async def once() -> Figures:
            return await _drain(site, plan.relayed)

        return {"events": plan.relayed, **await repeat(plan.rounds, f"{plan.relayed} events relayed", once)}


async def _drain(site: Site, count: int) -> Figures:
    after = await site.last_sequence()
    payload = ClockStarted(ticket=TicketRef(id="bench"), clock=Clock(name="resolution")).SerializeToString()
    await site.sql.execute(
        "insert into outbox (id, type, key, payload, headers, created_at)"
        " select gen_random_uuid(), $1, md5((number % 1000)::text), $2, '{}', now()"
        " from generate_series(1, $3::int) number",
        _TYPE,
        payload,
        count,
    )
    began, meter = time.monotonic(), site.meter()
    while await site.last_sequence() < after + count:
        if time.monotonic() > began + _SECONDS:
            raise TimeoutError(f"{count} events were not relayed within {_SECONDS} s")
        await asyncio.sleep(0.05)
    took = time.monotonic() - began
    cost = {f"{name}_us": round(1e6 * used / count, 1) for name, used in meter.used().items()}
    # It notes what it has sent after the stream has it.
    await site.until(partial(_noted, site), 60, "the outbox noted as sent")
    return {"events_per_second": round(count / took), "seconds": round(took, 2), **cost}


async def _noted(site: Site) -> bool:
    return not await site.sql.fetchval("select count(*) from outbox where published_at is null")
