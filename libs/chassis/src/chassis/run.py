"""The life of a service process: build, serve, drain on SIGTERM, close in reverse."""

import argparse
import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

import grpc.aio
import prometheus_client
import sqlalchemy.exc
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from chassis import telemetry
from chassis.bus import Bus, Subscription, by_stream
from chassis.consume import Consumer
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.going import going
from chassis.guard import Roles
from chassis.rpc import Server
from chassis.schema import lagging_revision, migrate
from chassis.settings import ChassisSettings, load_settings

T = TypeVar("T")
S = TypeVar("S", bound=ChassisSettings)
Check = Callable[[], Awaitable[object]]
log = telemetry.logger(__name__)

_CHECK_SECONDS = 2.0
_HTTP_GRACE_SECONDS = 3


class App:
    """What `build` fills: resources, servers, consumers and loops of one service."""

    def __init__(self, service: str, settings: ChassisSettings) -> None:
        self.service = service
        self.settings = settings
        self.grpc_port = 0
        self.ops_port = 0
        self.http_ports: list[int] = []
        self.draining = False
        self._stack = AsyncExitStack()
        self._server = Server(settings)
        self._serves_grpc = False
        self._https: list[tuple[_Http, socket.socket]] = []
        self._consumers: list[Consumer] = []
        self._loops: list[tuple[str, Coroutine[Any, Any, object]]] = []
        self._checks: dict[str, Check] = {}
        self._lesser: set[str] = set()
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[object]] = []
        self._consuming: list[asyncio.Task[object]] = []

    async def open(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Enter a resource; it is closed at the end, in reverse order. A `ready` method joins /readyz."""
        entered = await self._stack.enter_async_context(resource)
        check = getattr(entered, "ready", None)
        if check is not None:
            self.on_ready(check)
        return entered

    def serve_grpc(
        self,
        add_to_server: Callable[[Any, grpc.aio.Server], None],
        servicer: Any,
        *service_names: str,
        permitted: Roles | None = None,
    ) -> None:
        """Serve a servicer under the gRPC port; its full service names show in health and reflection.

        `permitted` names the roles that may call each method; what it leaves out is refused to everybody.
        """
        self._server.add(add_to_server, servicer, *service_names, permitted=permitted)
        self._serves_grpc = True

    def serve_http(self, asgi_app: Any, port: int) -> int:
        """Serve an ASGI application; binds at once and returns the port (0 picks a free one)."""
        sock = socket.create_server(
            (self.settings.host, port),
            family=socket.AF_INET6 if ":" in self.settings.host else socket.AF_INET,
        )
        self._https.append((_Http(asgi_app), sock))
        self.http_ports.append(sock.getsockname()[1])
        return self.http_ports[-1]

    def consume(self, bus: Bus, db: Database, subscriptions: Iterable[Subscription[Any]]) -> None:
        """Handle these events: one durable consumer per stream, named after the service."""
        for stream, group in by_stream(subscriptions).items():
            self._consumers.append(Consumer(bus, db, stream, group))

    def spawn(self, name: str, loop: Coroutine[Any, Any, object]) -> None:
        """Run a loop until the drain, which cancels it. Its end before that ends the process."""
        if self._group is None:
            self._loops.append((name, loop))
        else:
            self._tasks.append(self._group.create_task(self._last(name, loop), name=name))

    async def _last(self, name: str, loop: Coroutine[Any, Any, object]) -> None:
        await loop
        if not self.draining:
            # A service that goes on without one of its loops looks well and does half its work.
            raise RuntimeError(f"the loop {name} ended by itself")

    def on_ready(self, check: Check, *, vital: bool = True) -> None:
        """Add a check to /readyz: it fails by raising or returning False, and has the name of its class.

        One that is not vital is told as degraded and takes nobody out of service.
        """
        name = type(getattr(check, "__self__", check)).__name__.lower()
        same = sum(each.partition("-")[0] == name for each in self._checks)
        name = f"{name}-{same + 1}" if same else name
        self._checks[name] = check
        if not vital:
            self._lesser.add(name)

    async def unready(self) -> list[str]:
        """Return the names of the vital checks that fail now."""
        return (await self.health())[0]

    async def health(self) -> tuple[list[str], list[str]]:
        """Return the names of the checks that fail now: the vital ones, and those that are not."""
        if self.draining or self._group is None:
            return ["draining" if self.draining else "starting"], []
        results = await asyncio.gather(*(self._passes(check) for check in self._checks.values()))
        failed = [name for name, passed in zip(self._checks, results, strict=True) if not passed]
        vital = [name for name in failed if name not in self._lesser]
        return vital, [name for name in failed if name in self._lesser]

    async def _passes(self, check: Check) -> bool:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                return await check() is not False
        except Exception as error:  # noqa: BLE001 - a check may fail in any way, the answer is the same
            log.warning("not ready", error=type(error).__name__, detail=str(error)[:200])
            return False

    async def live(
        self, build: Callable[[Any, Any], Awaitable[None]], started: asyncio.Event, stop: asyncio.Event
    ) -> None:
        """Build, serve until `stop`, drain, close. Raises what a loop raised."""
        try:
            async with self._stack:
                self.ops_port = self.serve_http(_ops(self), self.settings.ops_port)
                self.http_ports.clear()
                await build(self, self.settings)
                self._stack.push_async_callback(self._server.stop, 0)
                async with asyncio.TaskGroup() as group:
                    await self._start(group)
                    started.set()
                    await stop.wait()
                    await self._drain()
        finally:
            for _, loop in self._loops:
                loop.close()
            for _, sock in self._https:
                sock.close()

    async def _start(self, group: asyncio.TaskGroup) -> None:
        for server, sock in self._https:
            group.create_task(server.serve(sockets=[sock]), name="http")
        if self._serves_grpc:
            self.grpc_port = await self._server.start()
        self._consuming = [
            group.create_task(consumer.run(), name=f"consume:{consumer.stream}")
            for consumer in self._consumers
        ]
        self._group = group
        pending, self._loops = self._loops, []
        for name, loop in pending:
            self.spawn(name, loop)
        log.info("ready", grpc_port=self.grpc_port, ops_port=self.ops_port, http_ports=self.http_ports)

    async def _drain(self) -> None:
        grace = self.settings.drain_seconds
        self.draining = True
        await self._server.not_serving()
        await asyncio.sleep(self.settings.drain_pause_seconds)
        for consumer in self._consumers:
            consumer.stop()
        if self._consuming:
            await asyncio.wait(self._consuming, timeout=grace)
        await self._server.stop(grace)
        for server, _ in self._https:
            server.should_exit = True
        tasks = {*self._consuming, *self._tasks}
        while tasks:
            # Before Python 3.12 asyncio.wait_for, which clients use, can swallow a cancellation.
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=2)
        log.info("drained")


class _Http(uvicorn.Server):
    """uvicorn without its own signal handlers: the process has one place that listens to them."""

    def __init__(self, asgi_app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                asgi_app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_HTTP_GRACE_SECONDS,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(
    service: str,
    settings_type: type[S],
    build: Callable[[App, S], Awaitable[None]],
    migrations: str | None = None,
    argv: list[str] | None = None,
) -> None:
    """Be the process: `serve` (the default) or `migrate`. Exits with 1 when a loop or the start fails."""
    parser = argparse.ArgumentParser(prog=f"python -m {service}", description=f"Tickdesk {service}.")
    parser.add_argument("command", nargs="?", default="serve", choices=["serve", "migrate"])
    command = parser.parse_args(argv).command
    settings = load_settings(settings_type)
    telemetry.setup_logs(service, settings.log_level)
    telemetry.setup_foreign_logs(service, settings.log_level)
    end_traces = telemetry.setup_traces(service, settings.otlp_endpoint)
    work = (
        _serve(service, settings, build, migrations) if command == "serve" else _migrate(settings, migrations)
    )
    try:
        code = uvloop.run(work) if sys.platform == "linux" else asyncio.run(work)
    finally:
        end_traces()
    raise SystemExit(code)


@asynccontextmanager
async def running(
    service: str, settings: S, build: Callable[[App, S], Awaitable[None]]
) -> AsyncIterator[App]:
    """Run a service inside this process: for component tests. Yields once it serves."""
    app, started, stop = App(service, settings), asyncio.Event(), asyncio.Event()
    life = asyncio.create_task(app.live(build, started, stop), name=f"life:{service}")
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if life.done():
        life.result()
    try:
        yield app
    finally:
        stop.set()
        await life


async def _serve(
    service: str, settings: S, build: Callable[[App, S], Awaitable[None]], migrations: str | None
) -> int:
    stop, started = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        if migrations and not await _schema_ready(settings, migrations, stop):
            return 1
        await App(service, settings).live(build, started, stop)
    except (Unavailable, RuntimeError, OSError) as error:
        log.critical("start failed" if not started.is_set() else "stopped", error=str(error))
        return 1
    except Exception as error:
        log.critical("crashed", exc_info=error)
        return 1
    return 0


async def _schema_ready(settings: ChassisSettings, package: str, stop: asyncio.Event) -> bool:
    """Wait for the database and for a schema at least as new as this code."""
    deadline = asyncio.get_running_loop().time() + settings.startup_seconds
    while going() and not stop.is_set():
        reason = await _not_usable(settings, package)
        if not reason:
            return True
        if asyncio.get_running_loop().time() > deadline:
            log.critical("database not usable", seconds=settings.startup_seconds, reason=reason)
            return False
        await asyncio.sleep(0.25)
    return False


async def _not_usable(settings: ChassisSettings, package: str) -> str:
    try:
        async with asyncio.timeout(settings.startup_seconds):
            lagging = await lagging_revision(settings.database_url, package)
    except (OSError, TimeoutError, sqlalchemy.exc.DBAPIError) as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return f"its schema is at revision {lagging}: run the migrate command" if lagging else ""


async def _migrate(settings: ChassisSettings, package: str | None) -> int:
    if package is None:
        log.info("this service has no database")
        return 0
    try:
        await migrate(settings.database_url, package)
    except (OSError, TimeoutError, sqlalchemy.exc.DBAPIError) as error:
        log.critical("migration failed", error=str(error)[:500])
        return 1
    log.info("migrated", package=package)
    return 0


def _ops(app: App) -> Starlette:
    lock = asyncio.Lock()
    cached: tuple[float, list[str], list[str]] = (0.0, [], [])

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def readyz(_: Request) -> Response:
        nonlocal cached
        async with lock:
            # Anyone may ask, so the dependencies are asked at most twice a second.
            now = asyncio.get_running_loop().time()
            if app.draining or now - cached[0] > 0.5:
                cached = (now, *await app.health())
        failing, degraded = cached[1:]
        told = {"ready": not failing, "failing": failing, "degraded": degraded}
        return JSONResponse(told, 503 if failing else 200)

    metrics = prometheus_client.make_asgi_app()
    return Starlette(
        routes=[Route("/healthz", healthz), Route("/readyz", readyz), Mount("/metrics", metrics)]
    )
