"""PostgreSQL: units of work that carry their events, idempotent requests, migrations."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

import asyncpg
import orjson
import sqlalchemy as sa
from google.protobuf.message import Message
from pydantic import SecretStr
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from chassis import telemetry
from chassis.clock import utcnow, uuid7
from chassis.dberrors import passing_told
from chassis.errors import AlreadyExists, InvalidInput, Violation
from chassis.principal import Principal, current
from chassis.schema import asyncpg_url, chassis_tables

R = TypeVar("R", bound=Message)
Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
"""Values of one execution of a statement, or of many."""
Driver: TypeAlias = asyncpg.Connection
"""A connection of the driver itself."""
DriverUUID: Callable[[bytes], UUID] = asyncpg.pgproto.pgproto.UUID
"""Makes a UUID of 16 bytes as the driver does: the same, but several times as quick to make and to send."""
_outbox, _inbox, _request = chassis_tables(sa.MetaData())
_NOTE = insert(_inbox).on_conflict_do_nothing()
# Waits for a running call with the same id: its row is not visible yet, but its key is locked.
_CLAIM = insert(_request).on_conflict_do_nothing()
# Everything that is written last, in one round trip.
_FLUSH = """
with answered as (update request set response = $8 where id = $7)
insert into outbox (id, key, type, payload, headers, created_at)
select id, key, type, payload, headers::jsonb, $6
from unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[]) with ordinality
  as given(id, key, type, payload, headers, place)
order by place on conflict do nothing
"""
# NATS takes 1 MiB with the headers; refused here so that a row which can never be sent is never written.
_MAX_EVENT_BYTES = 900_000
# A server that did not answer will not answer this either.
_ROLLBACK_SECONDS = 2.0
# Then a connection goes back to the pool, which replaces old ones.
_OPEN_SECONDS = 60.0


class Emitted(NamedTuple):
    """An event on its way into the outbox; its headers as JSON."""

    id: UUID
    key: str
    type: str
    payload: bytes
    headers: str


class Claim(NamedTuple):
    """A call that is to be done once, before its answer is known; id "" claims nothing."""

    id: str
    principal: str
    method: str
    body_hash: bytes


_NO_CLAIM = Claim("", "", "", b"")


class Repeated(Exception):
    """The id of the call is known."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The event being handled: its id, when it was emitted, and the consumer that handles it."""

    event_id: str
    time: datetime
    consumer: str


class Tx:
    """One unit of work: a transaction, one instant, the events that commit with it, and what was `read`.

    Both `conn` and the `driver` below it are within the transaction; the driver is for the few statements
    that every call takes: at hundreds of calls a second the layer above it costs more than the rest.
    """

    def __init__(
        self, conn: AsyncConnection, driver: Driver, service: str, delivery: Delivery | None = None
    ) -> None:
        self.conn = conn
        self.driver = driver
        self.now = utcnow()
        self.claim = _NO_CLAIM
        self.request_id = delivery.event_id if delivery else ""
        self.read: dict[str, Any] = {}
        self._service = service
        self._delivery = delivery
        self._events: list[Emitted] = []
        self._answer: tuple[str | None, bytes | None] = (None, None)
        self._callbacks: list[Callable[[], object]] = []

    @property
    def event_id(self) -> str:
        """Id of the event being handled. Raises LookupError in a unit of work that handles none."""
        return self._handled().event_id

    @property
    def event_time(self) -> datetime:
        """When the event being handled was emitted, UTC."""
        return self._handled().time

    async def execute(self, statement: sa.Executable, params: Parameters = None) -> sa.CursorResult[Any]:
        """Execute one Core statement in this transaction."""
        return await self.conn.execute(statement, params)

    def emit(self, message: Message, key: str, event_id: UUID | str | None = None) -> UUID:
        """Write an event into the outbox when this transaction commits; events of one key keep their order.

        Without an `event_id` a handler of an event makes the same ids again when it is redelivered.
        Raises InvalidInput for an event too large to be sent.
        """
        kind, payload = message.DESCRIPTOR.full_name, message.SerializeToString()
        if len(payload) > _MAX_EVENT_BYTES:
            text = f"{kind} would be {len(payload)} bytes, at most {_MAX_EVENT_BYTES} fit: send less text"
            raise InvalidInput(text, reason="EVENT_TOO_LARGE")
        headers: dict[str, str] = {}
        telemetry.inject(headers)
        identity = UUID(str(event_id)) if event_id else self._next_id(kind)
        self._events.append(Emitted(identity, key, kind, payload, to_json(headers)))
        return identity

    def answered(self, identity: str, response: bytes) -> None:
        """Store the answer of a call beside its request_id when this transaction commits."""
        self._answer = (identity, response)

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Call something once the transaction is committed: to wake a loop, never for an effect."""
        self._callbacks.append(callback)

    async def first_time(self) -> bool:
        """Note the event being handled as done; False when its effect is already here."""
        delivery = self._handled()
        row = {"event_id": delivery.event_id, "consumer": delivery.consumer, "at": self.now}
        return bool((await self.execute(_NOTE, row)).rowcount)

    async def flush(self) -> None:
        """Write the events and the answer; the unit of work does this by itself right before its commit."""
        if self._events or self._answer[0]:
            columns = list(zip(*self._events, strict=True)) or [()] * len(Emitted._fields)
            await self.driver.execute(_FLUSH, *columns, self.now, *self._answer)

    def committed(self) -> bool:
        """Run the callbacks and tell whether events were written."""
        for callback in self._callbacks:
            callback()
        return bool(self._events)

    def _handled(self) -> Delivery:
        if self._delivery is None:
            raise LookupError("this unit of work handles no event")
        return self._delivery

    def _next_id(self, kind: str) -> UUID:
        if self._delivery is None:
            return uuid7()
        return uuid5(NAMESPACE_URL, f"{self._service}/{self._delivery.event_id}/{kind}/{len(self._events)}")


class Database:
    """The service's own database: an async context manager that gives out units of work."""

    def __init__(
        self,
        url: str | SecretStr,
        service: str,
        *,
        pool_size: int = 10,
        wait_seconds: float = 5.0,
        server_settings: Mapping[str, str] | None = None,
    ) -> None:
        self.service = service
        self.emitted = asyncio.Event()
        self._wait_seconds = wait_seconds
        self._turns = asyncio.Semaphore(pool_size + pool_size // 2)
        self._idle: list[tuple[float, AsyncConnection]] = []
        self._closing = False
        settings = {
            "application_name": f"tickdesk-{service}",
            "timezone": "UTC",
            "statement_timeout": "10000",
            "lock_timeout": "3000",
            "idle_in_transaction_session_timeout": "20000",
            **(server_settings or {}),
        }
        self.engine = create_async_engine(
            asyncpg_url(url),
            pool_size=pool_size,
            max_overflow=pool_size // 2,
            pool_recycle=1800,
            # Errors are logged with their statement; what customers wrote stays out of it.
            hide_parameters=True,
            # Units of work begin and end their transactions themselves.
            isolation_level="AUTOCOMMIT",
            json_serializer=to_json,
            json_deserializer=orjson.loads,
            connect_args={"timeout": 5, "command_timeout": 15, "server_settings": settings},
        )
        sa.event.listen(self.engine.sync_engine, "checkout", _refuse_closed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        for _, conn in self._idle:
            await conn.close()
        await self.engine.dispose()

    @asynccontextmanager
    async def tx(self, delivery: Delivery | None = None) -> AsyncIterator[Tx]:
        """Open a unit of work: commits at the end, rolls back on any exception.

        Raises Unavailable when the database is away, out of connections, or a lock was not to be had.
        """
        async with self._connection() as conn, _transaction(conn) as driver:
            tx = Tx(conn, driver, self.service, delivery)
            yield tx
            await tx.flush()
        if tx.committed():
            self.emitted.set()

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[Driver]:
        """Lend a connection of the driver, for the few statements that must be quick; each commits by itself.

        Raises Unavailable as `tx` does.
        """
        async with self._connection() as conn:
            try:
                yield _driver_of(conn)
            except BaseException:
                # It may be within a transaction, in which the next would lose what it writes.
                await conn.invalidate()
                raise

    async def ready(self) -> None:
        """Ask the database for one row. Raises Unavailable when it does not answer."""
        async with self.tx() as tx:
            await tx.execute(sa.text("select 1"))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        with passing_told():
            # In the order of asking: the pool would let who gives one back take it again before who waits.
            async with asyncio.timeout(self._wait_seconds):
                await self._turns.acquire()
            try:
                with passing_told(OSError):
                    until, conn = await self._open()
                try:
                    yield conn
                except BaseException:
                    await conn.close()
                    raise
                if self._closing:
                    await conn.invalidate()
                else:
                    self._idle.append((until, conn))
            finally:
                self._turns.release()

    async def _open(self) -> tuple[float, AsyncConnection]:
        """One that is open already: taking one out of the pool and back costs as much as a statement."""
        while self._idle:
            until, conn = self._idle.pop()
            if time.monotonic() < until and not _driver_of(conn).is_closed():
                return until, conn
            await conn.close()
        return time.monotonic() + _OPEN_SECONDS, await self.engine.connect()


@asynccontextmanager
async def _transaction(conn: AsyncConnection) -> AsyncIterator[Driver]:
    """A transaction of the driver, which the layer above would begin and end at twice the cost."""
    driver = _driver_of(conn)
    try:
        await driver.execute("begin")
        yield driver
        if await driver.execute("commit") != "COMMIT":
            # So PostgreSQL answers when a statement had failed and somebody passed over it.
            raise RuntimeError("nothing was committed: a statement of this unit of work had failed")
    except BaseException:
        try:
            await driver.execute("rollback", timeout=_ROLLBACK_SECONDS)
        except BaseException:  # noqa: BLE001 - what went wrong first is told
            await conn.invalidate()
        raise


def _driver_of(conn: AsyncConnection) -> Driver:
    return conn.sync_connection.connection.driver_connection  # type: ignore[union-attr]


def to_json(value: Any) -> str:
    """A value as JSON text."""
    return orjson.dumps(value).decode()


def _refuse_closed(connection: Any, record: Any, proxy: Any) -> None:
    """Make the pool replace a connection whose server has gone; a ping would be three round trips."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


async def idempotent(
    tx: Tx, request_id: str, request: Message, response_type: type[R], work: Callable[[], Awaitable[R]]
) -> R:
    """Do the work once per caller and request_id: a repetition gets the stored response.

    Two calls at once run one after the other. Raises AlreadyExists when the id came with another body.
    An empty request_id is not remembered.
    """

    async def claimed() -> R:
        row = {**tx.claim._asdict(), "response": b"", "at": tx.now}
        if tx.claim.id and not (await tx.execute(_CLAIM, row)).rowcount:
            raise Repeated
        # Work that claims by itself in other calls has nothing left to claim here.
        tx.claim = _NO_CLAIM
        return await work()

    return await claiming(tx, request_id, request, response_type, claimed)


async def claiming(
    tx: Tx, request_id: str, request: Message, response_type: type[R], work: Callable[[], Awaitable[R]]
) -> R:
    """As `idempotent`, but the work writes `tx.claim` itself, with its first statement that changes anything.

    It raises Repeated, having changed nothing, when that id is known.
    """
    if not request_id:
        return await work()
    tx.request_id = request_id
    tx.claim = claim = _claim(request_id, request)
    try:
        response = await work()
    except Repeated:
        return await _stored(tx, claim, response_type)
    tx.answered(claim.id, response.SerializeToString())
    return response


def _claim(request_id: str, request: Message) -> Claim:
    caller, method = current.get(Principal("", "")).name, request.DESCRIPTOR.full_name
    body = hashlib.sha256(method.encode() + b"\0" + request.SerializeToString(deterministic=True)).digest()
    return Claim(f"{caller}/{request_id}", caller, method, body)


async def _stored(tx: Tx, claim: Claim, response_type: type[R]) -> R:
    query = sa.select(_request.c.body_hash, _request.c.response).where(_request.c.id == claim.id)
    stored = (await tx.execute(query)).one()
    if stored.body_hash != claim.body_hash:
        raise AlreadyExists(
            "request_id was used with another request: send a new request_id",
            reason="REQUEST_ID_REUSED",
            violations=[Violation("request_id", "must be new for a new request")],
        )
    return response_type.FromString(stored.response)
