"""pytest plugin (`-p chassis.testing`): real servers, fresh databases, a watch on a stream."""

import asyncio
import contextlib
import fcntl
import hashlib
import inspect
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, overload
from uuid import uuid4

import pytest
import sqlalchemy as sa
from google.protobuf.message import Message
from nats.aio.msg import Msg
from nats.js import api

from chassis import telemetry
from chassis.bus import Bus, stream_of
from chassis.schema import asyncpg_url, migrate, plain_engine
from chassis.servers import Server, start_nats, start_postgres, start_valkey

M = TypeVar("M", bound=Message)
T = TypeVar("T")
Prepare = Callable[[str], Awaitable[None]]

_WORKER_KEY = "chassis_postgres"
_TEMPLATE_LOCK = 0x74706C
_MEMORY, _ENOUGH, _OWNER = Path("/dev/shm"), 4 * 1024**3, "owner"


class Run:
    """What one test run shares: a folder and, on first use, PostgreSQL."""

    def __init__(self, postgres_url: str = "") -> None:
        self._url = postgres_url
        self._server: Server | None = None
        self._stack = contextlib.ExitStack()
        self.folder = self._stack.enter_context(_server_folder())

    @property
    def postgres_url(self) -> str:
        """URL of the run's PostgreSQL; starts it when nobody has."""
        if not self._url:
            self._server = start_postgres(self.folder / "pg")
            self._url = self._server.url
        return self._url

    def close(self) -> None:
        """Stop what was started and remove the folder."""
        if self._server:
            self._server.kill()
        self._stack.close()


_RUN: pytest.StashKey[Run] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Open the run; a worker of xdist is told the controller's PostgreSQL."""
    given = getattr(config, "workerinput", {}).get(_WORKER_KEY, "")
    config.stash[_RUN] = Run(given)
    telemetry.setup_logs("test", "warning")
    # Servers are forked off while gRPC runs; its fork handlers only add noise.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Under xdist: start PostgreSQL once, in the controller, and pass its URL to each worker."""
    node.workerinput[_WORKER_KEY] = node.config.stash[_RUN].postgres_url


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the run's servers."""
    run = config.stash.get(_RUN, None)
    if run is not None:
        run.close()


@pytest.fixture(scope="session")
def test_run(pytestconfig: pytest.Config) -> Run:
    """The run's shared servers."""
    return pytestconfig.stash[_RUN]


async def _nothing(url: str) -> None:
    """Leave a migrated database as it is."""


@pytest.fixture
def database(test_run: Run) -> Iterator[Callable[..., str]]:
    """Make fresh databases: `database("tickets.migrations")` -> URL, `database()` -> an empty one.

    What `prepare` puts into a migrated one is put there once per run and copied.
    """
    made: list[str] = []

    def make(package: str = "", prepare: Prepare = _nothing) -> str:
        name = f"t_{uuid4().hex}"
        _in_thread(_create(test_run.postgres_url, name, package, prepare))
        made.append(name)
        return _url_of(test_run.postgres_url, name)

    yield make
    if made:
        _in_thread(_drop(test_run.postgres_url, made))


@pytest.fixture
def tmp_server_folder() -> Iterator[Path]:
    """A short folder for a server of one test, removed afterwards."""
    with _server_folder() as folder:
        yield folder


@pytest.fixture
def nats_server(tmp_server_folder: Path) -> Iterator[Server]:
    """A NATS of this test's own: `.kill()` and `.start()` make an outage on the same port."""
    server = start_nats(tmp_server_folder / "nats")
    yield server
    server.kill()


@pytest.fixture
def nats_url(nats_server: Server) -> str:
    """URL of a fresh NATS."""
    return nats_server.url


@pytest.fixture
def valkey_server(tmp_server_folder: Path) -> Iterator[Server]:
    """A Valkey of this test's own."""
    server = start_valkey(tmp_server_folder / "valkey")
    yield server
    server.kill()


@pytest.fixture
def valkey_url(valkey_server: Server) -> str:
    """URL of a fresh Valkey."""
    return valkey_server.url


@asynccontextmanager
async def open_bus(url: str, service: str = "test") -> AsyncIterator[Bus]:
    """Connect a bus."""
    async with Bus(url, service) as bus:
        yield bus


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    """A bus on a fresh NATS."""
    async with open_bus(nats_url) as opened:
        yield opened


class EventWatch:
    """Everything published on some events since the stream began, decoded, in order."""

    def __init__(self, types: tuple[type[Message], ...]) -> None:
        self._types = {one.DESCRIPTOR.full_name: one for one in types}
        self._news = asyncio.Condition()
        self._taken = 0
        self.seen: list[Any] = []
        self.ids: list[str] = []

    @property
    def subjects(self) -> list[str]:
        """The events watched."""
        return sorted(self._types)

    def of(self, kind: type[M]) -> list[M]:
        """Return the events of one type seen so far."""
        return [event for event in self.seen if isinstance(event, kind)]

    async def next(self, kind: type[M] | None = None, timeout: float = 20) -> Any:
        """Return the next event not yet returned (of `kind`, skipping others). Raises AssertionError."""
        try:
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: self._skip_to(kind))
                self._taken += 1
                return self.seen[self._taken - 1]
        except TimeoutError:
            wanted = kind.DESCRIPTOR.full_name if kind else "event"
            names = [event.DESCRIPTOR.name for event in self.seen]
            raise AssertionError(f"no {wanted} within {timeout} s; seen: {names}") from None

    def _skip_to(self, kind: type[Message] | None) -> bool:
        while self._taken < len(self.seen):
            if kind is None or isinstance(self.seen[self._taken], kind):
                return True
            self._taken += 1
        return False

    async def take(self, msg: Msg) -> None:
        """Note one message of the stream."""
        if msg.subject not in self._types:
            return
        async with self._news:
            self.seen.append(self._types[msg.subject].FromString(msg.data))
            self.ids.append((msg.headers or {}).get("Tickdesk-Event-Id", ""))
            self._news.notify_all()


@asynccontextmanager
async def events(bus: Bus, *types: type[Message]) -> AsyncIterator[EventWatch]:
    """Watch events of any streams from their beginning: `async with events(bus, TicketOpened) as watch`."""
    watch = EventWatch(types)
    subscriptions = []
    for stream in {stream_of(subject) for subject in watch.subjects}:
        await bus.ensure_stream(stream)
        subscriptions.append(
            await bus.js.subscribe(
                f"tickdesk.{stream.lower()}.>",
                stream=stream,
                cb=watch.take,
                ordered_consumer=True,
                deliver_policy=api.DeliverPolicy.ALL,
            )
        )
    try:
        yield watch
    finally:
        for subscription in subscriptions:
            await subscription.unsubscribe()


@overload
async def eventually(check: Callable[[], Awaitable[T]], timeout: float = 20) -> T: ...


@overload
async def eventually(check: Callable[[], T], timeout: float = 20) -> T: ...


async def eventually(check: Callable[[], Any], timeout: float = 20) -> Any:
    """Poll until `check` returns something truthy, and return that; a failing assert in it counts as no."""
    last: Any = None
    deadline = asyncio.get_running_loop().time() + timeout
    while not last:
        with contextlib.suppress(AssertionError):
            found = check()
            last = await found if inspect.isawaitable(found) else found
        if not last and asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {timeout} s; last: {last!r}")
        await asyncio.sleep(0 if last else 0.01)
    return last


@contextlib.contextmanager
def _server_folder() -> Iterator[Path]:
    """A short path, as unix sockets need; in memory where there is room: each database is 400 new files."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix="td-", dir=_MEMORY if _roomy() else None))
    with (folder / "new").open("wb") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        # Never to be seen without its lock.
        (folder / "new").rename(folder / _OWNER)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Remove what runs that were killed have left in memory: nobody holds their locks."""
    for path in _MEMORY.glob(f"td-*/{_OWNER}"):
        with contextlib.suppress(OSError), path.open("rb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent)


def _roomy() -> bool:
    if not os.access(_MEMORY, os.W_OK):
        return False
    # Runs that were killed leave their folders until the next: half of the memory is never taken by them.
    total, _, free = shutil.disk_usage(_MEMORY)
    return free > max(_ENOUGH, total // 2)


def _url_of(server_url: str, name: str) -> str:
    url = asyncpg_url(server_url).set(drivername="postgresql", database=name)
    return url.render_as_string(hide_password=False)


async def _create(server_url: str, name: str, package: str, prepare: Prepare) -> None:
    template = await _template(server_url, package, prepare) if package else "template0"
    await _admin(server_url, f'create database "{name}" template "{template}" strategy file_copy')


async def _template(server_url: str, package: str, prepare: Prepare) -> str:
    """Migrate a template database once per run and package; workers wait for the one that makes it."""
    made_of = f"{package} {prepare.__qualname__}"
    name = f"tpl_{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"
    engine = plain_engine(server_url, autocommit=True)
    try:
        async with engine.connect() as conn:
            await conn.execute(sa.text(f"select pg_advisory_lock({_TEMPLATE_LOCK})"))
            ready = sa.text("select 1 from pg_database where datname = :n and datistemplate")
            if (await conn.execute(ready, {"n": name})).first() is None:
                await conn.execute(sa.text(f'drop database if exists "{name}"'))
                await conn.execute(sa.text(f'create database "{name}" template template0'))
                await migrate(_url_of(server_url, name), package)
                await prepare(_url_of(server_url, name))
                await conn.execute(sa.text(f'alter database "{name}" is_template true'))
    finally:
        await engine.dispose()
    return name


async def _drop(server_url: str, names: list[str]) -> None:
    for name in names:
        await _admin(server_url, f'drop database if exists "{name}" with (force)')


async def _admin(server_url: str, statement: str) -> None:
    engine = plain_engine(server_url, autocommit=True)
    try:
        async with engine.connect() as conn:
            await conn.execute(sa.text(statement))
    finally:
        await engine.dispose()


def _in_thread(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from synchronous code, also while this thread's loop is running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
