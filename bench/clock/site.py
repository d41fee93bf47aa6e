"""What is measured: the three servers and one real process of sla-clock, ledger, metrics and traces on."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from bench.clock.processes import Meter
from chassis.bus import Bus
from chassis.schema import migrate
from chassis.servers import Server, free_port, start_nats, start_postgres, start_valkey
from sla_clock.timers import Timers
from tickdesk_cli.process import Process

# One clock with one mark: timers, marks and tickets are equally many. Far off: nothing fires by itself.
POLICY = """\
name: bench
calendars:
  always: {zone: UTC, hours: always}
targets:
  - {name: all, targets: {resolution: 5000h}}
marks:
  - {at: 100%, action: breach}
"""


@dataclass(slots=True)
class Traces:
    """A collector that takes all spans and counts what it is sent."""

    requests: int = 0
    bytes: int = 0

    async def take(self, request: web.Request) -> web.Response:
        """One export."""
        self.requests += 1
        self.bytes += len(await request.read())
        return web.Response()


@dataclass(slots=True)
class Site:
    """Servers, the process, and the bench's own connections to them."""

    postgres: Server
    nats: Server
    valkey: Server
    clock: Process
    sql: asyncpg.Pool
    bus: Bus
    timers: Timers
    token: str
    grpc_port: int
    traces: Traces = field(default_factory=Traces)

    @property
    def pids(self) -> dict[str, int]:
        """The processes whose cost is told."""
        servers = {"redis": self.valkey.pid, "nats": self.nats.pid, "postgres": self.postgres.pid}
        return {"worker": self.clock.pid, **servers}

    def meter(self) -> Meter:
        """Begins to measure their processor time."""
        return Meter(self.pids)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """The process stands still, so that it takes nothing from a peer."""
        os.kill(self.clock.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.clock.pid, signal.SIGCONT)

    async def last_sequence(self) -> int:
        """The number of the newest message of the SLA stream."""
        return await self.bus.last_sequence("SLA") or 0

    async def stored(self, subject: str) -> int:
        """How many messages of that subject the SLA stream holds."""
        info = await self.bus.js.stream_info("SLA", subjects_filter=subject)
        return int((info.state.subjects or {}).get(subject, 0))

    async def metric(self, name: str) -> dict[str, float]:
        """The samples of one metric of the process, summed over their labels; buckets by their bound."""
        url = f"http://127.0.0.1:{self.clock.ops_port}/metrics/"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            text = await answer.text()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name.startswith(name):
                    key = sample.labels.get("le", sample.name.removeprefix(name))
                    found[key] = found.get(key, 0.0) + sample.value
        return found

    async def until(self, done: Callable[[], Awaitable[object]], seconds: float, what: str) -> None:
        """Wait for an awaitable condition. Raises TimeoutError that says for what."""
        deadline = time.monotonic() + seconds
        while not await done():
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{what}: not within {seconds:.0f} s; {self.clock.log}:\n{self.clock.tail(20)}"
                )
            await asyncio.sleep(0.2)


@asynccontextmanager
async def a_site(*, synced: bool = False) -> AsyncIterator[Site]:
    """A site from nothing, gone afterwards. PostgreSQL syncs each commit, Valkey keeps an append-only file
    synced each second, NATS stores on disk and syncs as it does by default, or with `synced` each message."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tickdesk-bench-")))
        postgres = start_postgres(folder / "postgres", durable=True)
        stack.callback(postgres.stop)
        nats = start_nats(folder / "nats", durable=synced)
        stack.callback(nats.stop)
        valkey = start_valkey(folder / "valkey", durable=True)
        stack.callback(valkey.stop)
        database = await _database(postgres)
        traces, collector = Traces(), free_port()
        await stack.enter_async_context(_collector(traces, collector))
        token = secrets.token_urlsafe(16)
        settings = _settings(folder, token) | {
            "database_url": database,
            "nats_url": nats.url,
            "redis_url": valkey.url,
            "otlp_endpoint": f"http://127.0.0.1:{collector}",
        }
        clock = _process(folder, settings)
        stack.push_async_callback(clock.stop)
        clock.start()
        await clock.ready()
        sql = await stack.enter_async_context(asyncpg.create_pool(database, min_size=1, max_size=4))
        bus = await stack.enter_async_context(Bus(nats.url, service="bench"))
        await bus.ensure_stream("SLA")
        timers = await stack.enter_async_context(Timers(valkey.url, lease_seconds=30))
        yield Site(postgres, nats, valkey, clock, sql, bus, timers, token, int(settings["grpc_port"]), traces)


def _settings(folder: Path, token: str) -> dict[str, str]:
    """What is not an address. All else is left at its default, or at what the environment says."""
    path = folder / "policy.yaml"
    path.write_text(POLICY, encoding="utf-8")
    return {
        "policy_path": str(path),
        "tokens": json.dumps({"admin:bench": token}),
        "grpc_port": str(free_port()),
        "ops_port": str(free_port()),
    }


def _process(folder: Path, settings: Mapping[str, str]) -> Process:
    variables = {f"TICKDESK_SLA_CLOCK_{name.upper()}": value for name, value in settings.items()}
    port = int(settings["ops_port"])
    return Process("sla-clock", "sla_clock", folder, variables, port, detached=False)


async def _database(postgres: Server) -> str:
    connection = await asyncpg.connect(postgres.url)
    await connection.execute("create database sla_clock")
    await connection.close()
    url = postgres.url.rpartition("/")[0] + "/sla_clock"
    await migrate(url, "sla_clock.migrations")
    return url


@asynccontextmanager
async def _collector(traces: Traces, port: int) -> AsyncIterator[None]:
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/traces", traces.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()
