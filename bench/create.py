"""CreateTicket over gRPC at 1, 16 and 64 callers, beside a bare echo of the same request."""

import asyncio
import itertools
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc.aio

from bench.desks import a_desk
from bench.report import machine, medians, quantiles, save
from tickdesk.common.v1.common_pb2 import CHANNEL_EMAIL
from tickdesk.tickets.v1.ticket_pb2 import Contact
from tickdesk.tickets.v1.tickets_service_pb2 import CreateTicketRequest
from tickdesk_cli.client import Client

CALLERS = (1, 16, 64)
RUNS, SECONDS = 5, 4.0
TEXT = "Здравствуйте! После обновления не открывается отчёт за ноябрь, страница пустая. " * 5
Call = Callable[[], Awaitable[object]]
Runs = dict[str, dict[int, list[dict[str, float]]]]


async def measure() -> Path:
    """Five runs of four seconds per number of callers, ours and the echo in turns, only tickets running.

    One figure with the whole desk running beside it: then clocks and notices share the cores."""
    about = machine()
    echo = subprocess.Popen([sys.executable, "-m", "bench.echo"], stdout=subprocess.PIPE, text=True)
    try:
        assert echo.stdout
        bare = grpc.aio.insecure_channel(f"127.0.0.1:{echo.stdout.readline().strip()}")
        async with bare, a_desk() as (desk, client):
            calls = {"create": lambda: create(client), "echo": lambda: echoed(bare)}
            whole = [await load(calls["create"], 16, SECONDS) for _ in range(RUNS)]
            for name in ("sla-clock", "notifier", "survey", "intake"):
                await desk.service(name).stop()
            runs = await in_turns(calls)
    finally:
        echo.terminate()
        echo.wait()
    return save("create", {**figures(runs), "whole_desk_16_callers": medians(whole)}, about)


async def in_turns(calls: Mapping[str, Call]) -> Runs:
    """A warm-up, then ours and the echo in turns, so that both see the same noise."""
    runs: Runs = {name: {callers: [] for callers in CALLERS} for name in calls}
    await load(calls["create"], 16, 2.0)
    for callers, _ in itertools.product(CALLERS, range(RUNS)):
        for name, call in calls.items():
            runs[name][callers].append(await load(call, callers, SECONDS))
    return runs


def figures(runs: Runs) -> dict[str, object]:
    """Medians per number of callers, and what a ticket costs in calls of the echo."""
    table = {name: {str(n): medians(each) for n, each in by.items()} for name, by in runs.items()}
    ratios = {
        n: round(table["create"][n]["per_second"] / table["echo"][n]["per_second"], 3) for n in table["echo"]
    }
    for n, row in table["create"].items():
        print(f"   {n:>3} callers: {row['per_second']:8.1f}/s  p50 {row['p50'] * 1e3:7.2f} ms  "
              f"p99 {row['p99'] * 1e3:7.2f} ms  ({ratios[n]:.2f} of a bare echo)")  # fmt: skip
    return {
        "unit": "seconds",
        "runs": RUNS,
        "seconds_per_run": SECONDS,
        "medians": table,
        "rate_to_echo": ratios,
    }


async def load(call: Call, callers: int, seconds: float) -> dict[str, float]:
    """Callers that each wait for their answer before the next call."""
    latencies: list[float] = []
    until = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < until:
            await call()
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return {"per_second": round(len(latencies) / (time.perf_counter() - began), 1), **quantiles(latencies)}


def request() -> CreateTicketRequest:
    """A ticket of one of a thousand customers."""
    identity = uuid.uuid4()
    contact = Contact(channel=CHANNEL_EMAIL, address=f"user{identity.int % 1000}@client.example.com")
    return CreateTicketRequest(
        request_id=str(identity), queue="SUP", subject="Не открывается отчёт", text=TEXT, contact=contact
    )


async def create(client: Client) -> object:
    """One ticket."""
    return await client.tickets.CreateTicket(request(), timeout=30)


async def echoed(channel: grpc.aio.Channel) -> object:
    """The same bytes to the echo."""
    call: Any = channel.unary_unary("/echo/Echo")
    return await call(request().SerializeToString(), timeout=30)
