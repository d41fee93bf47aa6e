"""A desk around notifier: a mail catcher, a webhook catcher, a stream to speak into, builders of events."""

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP
from google.protobuf.message import Message
from sqlalchemy import text

from chassis.bus import Bus, Outgoing, stream_of
from chassis.channel import channel
from chassis.clock import utcnow
from chassis.db import Database
from chassis.run import App, running
from chassis.testing import eventually, open_bus
from notifier.main import build
from notifier.settings import Settings
from tickdesk.notifier.v1.notifier_service_pb2_grpc import NotifierServiceStub

TOKEN = "secret-of-the-tests"
KEYS = "reply-key-of-the-tests"


@dataclass
class Sink:
    """An SMTP server that keeps what it takes; `script` may answer RCPT or DATA otherwise."""

    letters: list[tuple[str, str, bytes]] = field(default_factory=list)
    script: Callable[[str, str], str | None] = lambda verb, recipient: None
    attempts: int = 0
    hold: asyncio.Event | None = None
    url: str = ""

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        envelope.mail_from = address or "<>"
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        answer = self.script("RCPT", address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.attempts += 1
        recipient = envelope.rcpt_tos[0]
        if self.hold is not None:
            await self.hold.wait()
        answer = self.script("DATA", recipient)
        if answer is None or answer == "drop":
            self.letters.append((envelope.mail_from.strip("<>"), recipient, envelope.content))
        if answer == "drop":
            server.transport.abort()
        return answer or "250 OK"

    def to(self, recipient: str) -> list[EmailMessage]:
        """What one recipient got."""
        return [parsed(raw) for _, to, raw in self.letters if to == recipient]

    async def next_to(self, recipient: str, timeout: float = 20) -> EmailMessage:
        """The only letter to a recipient, once it is there."""
        found = await eventually(lambda: self.to(recipient), timeout)
        assert len(found) == 1, [str(one["Subject"]) for one in found]
        return found[0]


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def body_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    catcher = Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(catcher, hostname="sink.test"), "127.0.0.1", 0)
    catcher.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}?starttls=never"
    yield catcher
    server.close()
    await server.wait_closed()


@dataclass
class Hook:
    """A web server that keeps what is posted to it and answers with the next of `answers`."""

    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        self.posts.append(
            ({name.lower(): value for name, value in request.headers.items()}, await request.read())
        )
        return self.answers.pop(0) if self.answers else web.Response(status=204)


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    catcher = Hook()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", catcher.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    catcher.url = f"http://127.0.0.1:{port}/events"
    yield catcher
    await runner.cleanup()


@dataclass
class Running:
    """A running notifier and the bus it listens to."""

    app: App
    bus: Bus
    settings: Settings
    api: Any

    async def tell(self, *events: Message, key: str = "", event_id: str = "") -> None:
        """Publish events in this order."""
        await self._publish(events, key, event_id)

    async def learn(self, *events: Message) -> None:
        """Publish events and wait until they are handled: other streams keep no order with these."""
        ids = await self._publish(events, "", "")
        handled = text("select count(*) from inbox where event_id = any(:ids)")
        async with Database(self.settings.database_url, "test") as db:

            async def done() -> bool:
                async with db.tx() as tx:
                    return bool(await tx.conn.scalar(handled, {"ids": ids}) == len(ids))

            await eventually(done)

    async def _publish(self, events: Iterable[Message], key: str, event_id: str) -> list[str]:
        out = [
            Outgoing(
                event.DESCRIPTOR.full_name,
                event.SerializeToString(),
                event_id or str(uuid4()),
                key or getattr(getattr(event, "ticket", None), "id", "k"),
                utcnow(),
                {},
            )
            for event in events
        ]
        for stream in {stream_of(each.subject) for each in out}:
            await self.bus.ensure_stream(stream)
        for ack in await self.bus.publish(out):
            assert not isinstance(ack, Exception), ack
        return [each.event_id for each in out]


Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
async def start(database: Any, nats_url: str, sink: Sink) -> Start:
    """Start notifier with these settings; a second start in one test finds the same database."""
    url = database("notifier.migrations")

    @asynccontextmanager
    async def begin(**changes: Any) -> AsyncIterator[Running]:
        values: dict[str, Any] = {
            "database_url": url,
            "nats_url": nats_url,
            "tokens": {"service:test": TOKEN},
            "smtp_url": sink.url,
            "reply_keys": KEYS,
            "default_from": "Desk <desk@desk.test>",
            "promise_wait_seconds": 0.2,
            "retry_seconds": 0.05,
            "drain_pause_seconds": 0.0,
            "webhook_allow_private": True,
            **changes,
        }
        settings = Settings(**values)
        async with (
            running("notifier", settings, build) as app,
            open_bus(nats_url) as bus,
            channel(f"127.0.0.1:{app.grpc_port}", TOKEN) as wire,
        ):
            yield Running(app, bus, settings, NotifierServiceStub(wire))

    return begin
