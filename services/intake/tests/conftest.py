"""An intake with its listeners, a client that speaks LMTP and SMTP word by word, builders of mail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import Any

import pytest

from chassis.bus import Bus
from chassis.channel import channel
from chassis.run import running
from chassis.servers import free_port
from chassis.sign import sign
from chassis.testing import EventWatch, events, open_bus
from intake.main import build
from intake.settings import Settings
from tickdesk.intake.v1.events_pb2 import MessageReceived
from tickdesk.intake.v1.intake_service_pb2_grpc import IntakeServiceStub

TOKEN = "secret-of-the-tests"
KEYS = "reply-key-of-the-tests"
SUPPORT = "support@desk.test"
ANN = "ann@client.test"


def a_mail(text: str = "It does not print.", **headers: str) -> EmailMessage:
    """A plain mail of Ann to support; headers by name with _ for -, an empty value leaves one out."""
    message = EmailMessage()
    values = {
        "From": "Ann <ann@client.test>",
        "To": SUPPORT,
        "Subject": "Printer",
        "Date": "Fri, 20 Nov 2026 09:00:00 +0000",
        "Message-ID": make_msgid(domain="client.test"),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    for name, value in values.items():
        if value:
            message[name] = value
    message.set_content(text)
    return message


def token(conversation_id: str, address: str, size: int = 26) -> str:
    """What notifier would have signed for this person."""
    return sign(KEYS, "reply", conversation_id, address, size=size)


@dataclass
class MailClient:
    """One connection; each method returns the server's answer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    lmtp: bool

    async def answer(self) -> str:
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 20)).decode()
            if not line:
                raise ConnectionError("the server hung up")
            lines.append(line[4:].strip())
            if line[3:4] != "-":
                return f"{line[:3]} {' '.join(lines)}"

    async def say(self, line: str | bytes) -> str:
        self.writer.write((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        await self.writer.drain()
        return await self.answer()

    async def hello(self) -> str:
        return await self.say("LHLO client.test" if self.lmtp else "EHLO client.test")

    async def envelope(self, sender: str, *recipients: str) -> list[str]:
        answers = [await self.say(f"MAIL FROM:<{sender}>")]
        return answers + [await self.say(f"RCPT TO:<{each}>") for each in recipients]

    def data(self, raw: bytes) -> None:
        normal = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"\r\n.", b"\r\n..")
        self.writer.write(normal + (b"" if normal.endswith(b"\r\n") else b"\r\n") + b".\r\n")

    async def deliver(self, mail: EmailMessage | bytes, *recipients: str, sender: str = ANN) -> str:
        """The whole dialogue; the answers to the data, over LMTP one a recipient."""
        to = recipients or (SUPPORT,)
        refused = [each for each in await self.envelope(sender, *to) if not each.startswith("250")]
        if refused:
            await self.say("RSET")
            return refused[0]
        assert (await self.say("DATA")).startswith("354")
        self.data(mail if isinstance(mail, bytes) else mail.as_bytes())
        return "\n".join([await self.answer() for _ in (to if self.lmtp else to[:1])])


@asynccontextmanager
async def mail_client(port: int, *, lmtp: bool = True) -> AsyncIterator[MailClient]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    client = MailClient(reader, writer, lmtp)
    try:
        await client.answer()
        await client.hello()
        yield client
    finally:
        writer.close()


@dataclass
class Running:
    """A running intake: its API, its ports, and what it announced."""

    api: Any
    bus: Bus
    settings: Settings
    watch: EventWatch
    clients: list[MailClient] = field(default_factory=list)

    async def next(self) -> Any:
        """The next announced message."""
        return (await self.watch.next(MessageReceived)).message

    async def deliver(self, mail: EmailMessage | bytes, *recipients: str, sender: str = ANN) -> str:
        async with mail_client(self.settings.lmtp_port) as client:
            return await client.deliver(mail, *recipients, sender=sender)

    async def accept(self, mail: EmailMessage | bytes, *recipients: str, sender: str = ANN) -> Any:
        """Deliver a mail that is taken, and return what was announced of it."""
        answer = await self.deliver(mail, *recipients, sender=sender)
        assert answer.startswith("250 2.0.0 stored as"), answer
        return await self.next()


Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
async def start(database: Any, nats_url: str, tmp_path: Path) -> Start:
    """Start intake with these settings; a second start in one test finds the same database and files."""
    url = database("intake.migrations")

    @asynccontextmanager
    async def begin(**changes: Any) -> AsyncIterator[Running]:
        values: dict[str, Any] = {
            "database_url": url,
            "nats_url": nats_url,
            "tokens": {"service:test": TOKEN},
            "lmtp_port": free_port(),
            "smtp_port": free_port(),
            "objects": str(tmp_path / "objects"),
            "reply_keys": KEYS,
            "drain_pause_seconds": 0.0,
            **changes,
        }
        settings = Settings(**values)
        async with (
            running("intake", settings, build) as app,
            open_bus(nats_url) as bus,
            events(bus, MessageReceived) as watch,
            channel(f"127.0.0.1:{app.grpc_port}", TOKEN) as wire,
        ):
            yield Running(IntakeServiceStub(wire), bus, settings, watch)

    return begin
