"""CreateTicket at many callers in the planted desk, in turns with the public form of django-helpdesk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc.aio

from bench.clock import install
from bench.clock.plan import say
from bench.clock.processes import Meter
from bench.create import load, request
from bench.report import medians
from bench.tickets.helpdesk import Side, serving
from tickdesk_cli.desk import Desk

CALLERS, ROUNDS, SECONDS = (32, 64), 5, 5.0
_METHOD = "/tickdesk.tickets.v1.TicketService/CreateTicket"


async def measure(desk: Desk) -> dict[str, Any]:
    """Rounds for each number of callers: ours, then django-helpdesk, so that both see the same noise.

    Each has one process, the same PostgreSQL, and stands still while it is not its turn. Processor time is
    in microseconds for a ticket; the load generator shares the cores.
    """
    async with AsyncExitStack() as stack:
        sides = {"ours": await stack.enter_async_context(_ours(desk))}
        skipped = {}
        try:
            await asyncio.to_thread(install.python)
            sides["django-helpdesk"] = await stack.enter_async_context(serving(desk))
        except install.Missing as error:
            skipped = {"skipped": {"django-helpdesk": str(error)}}
        for call, _ in sides.values():
            await load(call, 16, 3.0)
        return {**await _in_turns(desk, sides), **skipped}


async def _in_turns(desk: Desk, sides: dict[str, Side]) -> dict[str, Any]:
    told: dict[str, Any] = {name: {} for name in sides}
    for callers in CALLERS:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, side in sides.items():
                runs[name].append(await _run(desk, side, callers))
        for name, found in runs.items():
            told[name][str(callers)] = {"median": medians(found), "runs": found}
            say(f"{name}, {callers} callers: {told[name][str(callers)]['median']}")
    return told


async def _run(desk: Desk, side: Side, callers: int) -> dict[str, float]:
    call, pid = side
    meter, began = Meter({"process": pid, "postgres": desk.servers.postgres.pid}), time.process_time()
    figures = await load(call, callers, SECONDS)
    used = {**meter.used(), "load": time.process_time() - began}
    tickets = figures["per_second"] * SECONDS
    return {**figures, **{f"{name}_us": round(each / tickets * 1e6) for name, each in used.items()}}


@asynccontextmanager
async def _ours(desk: Desk) -> AsyncIterator[Side]:
    """Calls without the client's own interceptors: their time is not the service's."""
    metadata = (("authorization", f"Bearer {desk.token}"),)
    async with grpc.aio.insecure_channel(desk.addresses["tickets"]) as channel:
        ask: Any = channel.unary_unary(_METHOD)

        async def create() -> object:
            return await ask(request().SerializeToString(), timeout=30, metadata=metadata)

        yield create, desk.service("tickets").pid
