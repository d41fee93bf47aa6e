"""A mail server that keeps what it is given: the world outside the desk, for the demo."""

import asyncio
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope, Session

_LINK = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True, slots=True)
class Caught:
    """One letter as it arrived."""

    recipients: tuple[str, ...]
    message: EmailMessage = field(repr=False)

    @property
    def subject(self) -> str:
        """Its subject."""
        return str(self.message["Subject"] or "")

    @property
    def id(self) -> str:
        """Its Message-ID with brackets."""
        return str(self.message["Message-ID"] or "")

    @property
    def reply_to(self) -> str:
        """The address an answer goes to."""
        header = self.message["Reply-To"] or self.message["From"]
        return str(header.addresses[0].addr_spec) if header and header.addresses else ""

    @property
    def text(self) -> str:
        """Its plain text."""
        body = self.message.get_body(("plain", "html"))
        return str(body.get_content()) if body is not None else ""

    @property
    def to_staff(self) -> bool:
        """True when it goes to people of the desk."""
        return all(each.endswith("@desk.example.org") for each in self.recipients)

    @property
    def links(self) -> list[str]:
        """Web addresses in its text."""
        return [link.rstrip(".,)") for link in _LINK.findall(self.text)]


class Catcher:
    """An SMTP listener on a free loopback port; `letters` holds each message once, by Message-ID."""

    def __init__(self, port: int = 0) -> None:
        self.letters: list[Caught] = []
        self.repeated = 0
        self.port = port
        self.told: Callable[[Caught], None] = lambda _: None
        self._ids: set[str] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(self._session, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        """What a relay setting points at."""
        return f"smtp://127.0.0.1:{self.port}?starttls=never"

    def _session(self) -> SMTP:
        return SMTP(self, hostname="mail.example.net", enable_SMTPUTF8=True)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the letter; called by aiosmtpd."""
        content: Any = envelope.content
        message: Any = message_from_bytes(content, policy=policy.default)
        caught = Caught(tuple(envelope.rcpt_tos), message)
        if caught.id in self._ids:
            # The last hop may repeat a letter after a crash; whoever reads mail sees it once.
            self.repeated += 1
        else:
            self._ids.add(caught.id)
            self.letters.append(caught)
            self.told(caught)
        return "250 2.0.0 taken"


async def keep(port: int, folder: Path) -> None:
    """Catch mail until SIGTERM, each letter as a file: the mail server of a desk that a demo left running."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Catcher(port) as catcher:
        catcher.told = lambda caught: _store(folder, caught)
        await stop.wait()


def _store(folder: Path, caught: Caught) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    number = sum(1 for _ in folder.glob("*.eml")) + 1
    (folder / f"{number:05}.eml").write_bytes(caught.message.as_bytes())


if __name__ == "__main__":
    asyncio.run(keep(int(sys.argv[1]), Path(sys.argv[2])))
