"""NATS JetStream behind one module: streams, windowed publishing, subscriptions."""

import asyncio
from collections import Counter as Counts
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import count
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

import nats.errors
import orjson
from google.protobuf.message import Message
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, BadRequestError, NotFoundError
from prometheus_client import Counter
from pydantic import SecretStr

from chassis import telemetry
from chassis.db import Tx
from chassis.errors import Unavailable

M = TypeVar("M", bound=Message)
log = telemetry.logger(__name__)

PUBLISHED = Counter("tickdesk_events_published_total", "Events handed to a stream.", ["event", "outcome"])
FAULTS = Counter("tickdesk_nats_errors_total", "Errors NATS reported beside any call, by class.", ["error"])

DEAD_LETTERS = "DLQ"
_DEDUPE_SECONDS = 600.0
_KEEP_SECONDS = 14 * 86400.0
_NAME_IN_USE = 10058
_WINDOW = 2000


class Poison(Exception):
    """Raised by a handler for an event that can never be handled: it becomes a dead letter at once."""


@dataclass(frozen=True, slots=True)
class Subscription(Generic[M]):
    """An event this service follows, and the function that handles it inside one unit of work."""

    event_type: type[M]
    handler: Callable[[Tx, M], Awaitable[None]]

    @property
    def subject(self) -> str:
        """The subject of the event: its protobuf full name."""
        return self.event_type.DESCRIPTOR.full_name


class Outgoing(NamedTuple):
    """One event on its way into a stream."""

    subject: str
    payload: bytes
    event_id: str
    key: str
    time: datetime
    headers: Mapping[str, str]
    message_id: str = ""

    def wire_headers(self) -> dict[str, str]:
        """Headers as published; `Tickdesk-Event-Id` survives a replay, `Nats-Msg-Id` only spares work."""
        return {
            **self.headers,
            "Nats-Msg-Id": self.message_id or self.event_id,
            "Tickdesk-Event-Id": self.event_id,
            "Tickdesk-Key": self.key,
            "Tickdesk-Time": _written(self.time),
        }

    def command(self, reply: str) -> tuple[bytes, int]:
        """The publish command of the NATS protocol, and how many bytes of headers and payload it holds."""
        fields = self.wire_headers()
        head = _head(fields)
        if head.count("\n") != len(fields) + 2 or head.count("\r") != len(fields) + 2:
            # A line break in a value would begin a header of its own.
            head = _head({name: " ".join(value.splitlines()) for name, value in fields.items()})
        block = head.encode()
        size = len(block) + len(self.payload)
        line = f"HPUB {self.subject} {reply} {len(block)} {size}\r\n".encode()
        return b"".join((line, block, self.payload, b"\r\n")), size


def _head(fields: Mapping[str, str]) -> str:
    return "".join(("NATS/1.0\r\n", *[f"{name}: {value}\r\n" for name, value in fields.items()], "\r\n"))


@lru_cache(maxsize=256)
def _written(time: datetime) -> str:
    """An instant as headers have it; events that are emitted together share it."""
    return time.isoformat(timespec="microseconds")


class Ack(NamedTuple):
    """The stream has stored an event; `duplicate` when it already had that id."""

    sequence: int
    duplicate: bool


@dataclass(slots=True)
class _Window:
    """Events sent together whose acknowledgements are still being counted."""

    events: Sequence[Outgoing]
    token: str
    acks: list[Ack | Exception]
    left: int
    commands: list[bytes] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, index: int, ack: Ack | Exception) -> None:
        """One event's fate."""
        self.acks[index] = ack
        self.left -= 1
        if not self.left:
            self.done.set()

    def tell(self) -> None:
        """Count what became of them."""
        fates = ("failed" if isinstance(ack, Exception) else "stored" for ack in self.acks)
        subjects = (event.subject for event in self.events)
        for fate, times in Counts(zip(subjects, fates, strict=True)).items():
            PUBLISHED.labels(*fate).inc(times)


class _Client(Client):
    """The NATS client, able to send many commands in one go, and to take acknowledgements out of turn.

    Its own `publish` checks and copies every header by itself, which costs as much as all the rest of an
    event's way; so does handing each acknowledgement to a task through a queue. The methods used here are
    not public: tests of this module hold them.
    """

    def __init__(self, on_ack: Callable[[str, bytes, bytes], None]) -> None:
        super().__init__()
        self._on_ack = on_ack
        self._acks = b" "

    async def take_acks(self, prefix: str) -> None:
        """Call `on_ack` with subject, body and headers of each message to `<prefix>.<one>.<two>`."""
        self._acks = f"{prefix}.".encode()
        await self.subscribe(f"{prefix}.*.*")

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        if subject.startswith(self._acks):
            self._on_ack(subject.decode(), data, headers)
        else:
            await super()._process_msg(sid, subject, reply, data, headers)

    async def send(self, commands: bytes) -> None:
        """Write commands as they are; waits while too much is unsent."""
        await self._send_command(commands)
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()


def stream_of(event: str) -> str:
    """Return the stream of an event name: `tickdesk.sla.v1.MarkReached` -> `SLA`."""
    parts = event.split(".")
    if len(parts) < 3:
        raise ValueError(f"{event!r} is not <product>.<service>.<version>.<Name>")
    return parts[1].upper()


class Bus:
    """The service's one connection to NATS: an async context manager that reconnects for ever."""

    def __init__(
        self, url: str | SecretStr, service: str, *, replicas: int = 1, startup_seconds: float = 30
    ) -> None:
        self.service = service
        self._url = url.get_secret_value() if isinstance(url, SecretStr) else url
        self._replicas = replicas
        self._startup_seconds = startup_seconds
        # An inbox prefix of its own lets NATS permissions keep one service from reading another's replies.
        self._inbox = f"_INBOX_{service.replace('-', '_')}"
        self._client = _Client(self._on_ack)
        self._js: JetStreamContext = self._client.jetstream(timeout=5)
        self._known: set[str] = set()
        self._on_connects: list[Callable[[], object]] = []
        self._windows: dict[str, _Window] = {}
        self._tokens = count()
        self._reply = ""

    async def __aenter__(self) -> Self:
        servers = [part.strip() for part in self._url.split(",")]
        try:
            async with asyncio.timeout(self._startup_seconds):
                await self._client.connect(
                    servers,
                    name=f"tickdesk-{self.service}",
                    inbox_prefix=self._inbox,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.25,  # type: ignore[arg-type]
                    connect_timeout=3,
                    ping_interval=10,
                    max_outstanding_pings=2,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_disconnect,
                    reconnected_cb=self._on_connect,
                )
        except TimeoutError as error:
            await self._client.close()
            raise Unavailable(f"NATS did not answer within {self._startup_seconds:g} s") from error
        self._reply = self._client.new_inbox()
        await self._client.take_acks(self._reply)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            async with asyncio.timeout(3):
                await self._client.flush()
        except (TimeoutError, nats.errors.Error, OSError):
            log.warning("bus closed without a last flush")
        await self._client.close()

    @property
    def connections(self) -> int:
        """How often the connection was made; grows before anything is sent over a new one."""
        return 1 + self._client.stats["reconnects"]

    @property
    def js(self) -> JetStreamContext:
        """The JetStream context, for schedules and other things this module does not wrap."""
        return self._js

    @property
    def client(self) -> Client:
        """The NATS client itself."""
        return self._client

    def on_connect(self, callback: Callable[[], object]) -> None:
        """Call something each time the connection has been made again."""
        self._on_connects.append(callback)

    async def ready(self) -> None:
        """Raise Unavailable while not connected."""
        if not self._client.is_connected:
            raise Unavailable("NATS is not connected", reason="NATS_UNAVAILABLE")

    async def ensure_stream(self, name: str) -> None:
        """Create the stream unless it exists; an existing one keeps whatever its operator has set."""
        if name in self._known:
            return
        subject = "dlq.>" if name == DEAD_LETTERS else f"tickdesk.{name.lower()}.>"
        config = api.StreamConfig(
            name=name,
            subjects=[subject],
            storage=api.StorageType.FILE,
            discard=api.DiscardPolicy.OLD,
            max_age=_KEEP_SECONDS,
            duplicate_window=_DEDUPE_SECONDS,
            num_replicas=self._replicas,
            allow_direct=True,
        )
        try:
            await self._js.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _NAME_IN_USE:
                raise
        self._known.add(name)

    async def last_sequence(self, stream: str) -> int:
        """Return the last sequence of a stream; 0 when it does not exist (and forget that it did)."""
        try:
            return (await self._js.stream_info(stream)).state.last_seq
        except NotFoundError:
            self._known.discard(stream)
            return 0

    async def stored(self, stream: str, number: int) -> str | None:
        """The id of the event that a stream stores under a number; empty when it was deleted or grew too old.

        None when the stream has never come so far: if it once acknowledged that number, it went back in time.
        """
        # First: asked behind a message that was not found, others could have filled the number by then.
        if await self.last_sequence(stream) < number:
            return None
        try:
            found = await self._js.get_msg(stream, number)
        except NotFoundError:
            return ""
        return str((found.headers or {}).get("Tickdesk-Event-Id"))

    async def publish(self, events: Sequence[Outgoing], timeout: float = 5.0) -> list[Ack | Exception]:
        """Publish events in order, many in flight; return for each its acknowledgement or what went wrong."""
        windows = (events[start : start + _WINDOW] for start in range(0, len(events), _WINDOW))
        return [ack async for acks in self.publish_each(windows, timeout) for ack in acks]

    async def publish_each(
        self, windows: Iterable[Sequence[Outgoing]], timeout: float = 5.0
    ) -> AsyncIterator[list[Ack | Exception]]:
        """Publish windows one after the other, none of them empty; yield the acknowledgements of each.

        What is sent next is taken and written while the acknowledgements are awaited.
        """
        written = map(self._write, windows)
        window = next(written, None)
        while window is not None:
            await self.ready()
            self._windows[window.token] = window
            following = None
            try:
                async with asyncio.timeout(timeout):
                    await self._client.send(b"".join(window.commands))
                    # Lets it go out.
                    await asyncio.sleep(0)
                    following = next(written, None)
                    await window.done.wait()
            except TimeoutError:
                log.warning("events not acknowledged", missing=window.left, sent=len(window.events))
            finally:
                del self._windows[window.token]
            window.tell()
            yield window.acks
            window = following or next(written, None)

    def _write(self, events: Sequence[Outgoing]) -> _Window:
        acks: list[Ack | Exception] = [TimeoutError("not acknowledged in time")] * len(events)
        window = _Window(events, str(next(self._tokens)), acks, len(events))
        for index, event in enumerate(events):
            command, size = event.command(f"{self._reply}.{window.token}.{index}")
            if size > self._client.max_payload:
                # The server would end the connection for it.
                window.note(index, nats.errors.MaxPayloadError())
            else:
                window.commands.append(command)
        return window

    def _on_ack(self, subject: str, body: bytes, headers: bytes) -> None:
        token, index = subject.rsplit(".", 2)[1:]
        if headers:
            self._known.clear()
        with suppress(ValueError, LookupError, TypeError):
            # Not what comes too late, or was made up by somebody else: it would end the reading of all.
            self._windows[token].note(int(index), _parse_ack(body, headers))

    async def _on_error(self, error: Exception) -> None:
        FAULTS.labels(type(error).__name__).inc()
        log.warning("nats error", error=type(error).__name__, detail=str(error)[:200])

    async def _on_disconnect(self) -> None:
        log.warning("nats disconnected")

    async def _on_connect(self) -> None:
        # The server may have come back with another store: look at the streams again.
        self._known.clear()
        log.info("nats connected again")
        for callback in self._on_connects:
            callback()


def _parse_ack(body: bytes, headers: bytes) -> Ack | Exception:
    if headers:
        # From the server itself: nobody listens.
        return Unavailable("no stream takes this subject", reason="NATS_UNAVAILABLE")
    answer = orjson.loads(body)
    if "error" in answer:
        detail = answer["error"]
        return APIError(detail.get("code"), detail.get("description"), detail.get("err_code"))
    return Ack(answer["seq"], bool(answer.get("duplicate")))


def by_stream(subscriptions: Iterable[Subscription[Any]]) -> dict[str, list[Subscription[Any]]]:
    """Group subscriptions by the stream their events are in."""
    streams: dict[str, list[Subscription[Any]]] = {}
    for subscription in subscriptions:
        streams.setdefault(stream_of(subscription.subject), []).append(subscription)
    return streams
