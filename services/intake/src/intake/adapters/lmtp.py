"""Mail over LMTP and SMTP: nothing is answered 250 before it is committed."""

import asyncio
import re
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, cast

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from chassis import telemetry
from chassis.db import Database, Tx
from chassis.errors import InvalidInput, Unavailable
from intake import metrics
from intake.adapters.reader import Reader
from intake.domain import Mailboxes, Parcel, Receipt, plain_mailbox
from intake.reading.headers import clean_address

log = telemetry.logger(__name__)

CHANNEL = "email"
_LONGEST_LINE = 512 * 1024
_CONTROLS = re.compile("[\x00-\x20\x7f\ud800-\udfff]")
_PEERS = 10_000
_MINUTE = 60.0
# The library would look the full name up in DNS for each connection, and wait for it.
_HOSTNAME = socket.gethostname()
_DRAIN_SECONDS = 10
_CODES = {"MAIL_TOO_LARGE": "552 5.3.4"}

Receive = Callable[[Tx, Parcel], Awaitable[Receipt]]


@dataclass(frozen=True, slots=True)
class Rules:
    """The bounds of a listener. `peer_per_minute` 0 means no bound, for LMTP from the own mail server."""

    max_bytes: int
    max_recipients: int
    connections: int
    idle_seconds: float
    peer_per_minute: int = 0


# No slots: the library inspects its handler, which a dataclass with slots does not bear before Python 3.11.3.
@dataclass
class Door:
    """What happens at each SMTP command; one for all connections of a listener."""

    db: Database
    reader: Reader
    mailboxes: Mailboxes
    receive: Receive
    rules: Rules
    per_recipient: bool
    sessions: set[asyncio.BaseTransport] = field(default_factory=set)
    busy: set[asyncio.Future[str]] = field(default_factory=set)
    peers: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take the envelope's sender; an empty one is the null sender of reports."""
        if address and _bad(address):
            return "553 5.1.7 the sender's address has characters that no address has"
        if self._too_many(session):
            metrics.MESSAGES.labels(CHANNEL, "failed").inc()
            return "451 4.7.1 too many mails from your address, try again in a minute"
        envelope.mail_from = address or ""
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient that is one of ours."""
        account = plain_mailbox(clean_address(address)) if not _bad(address) else ""
        if "@" not in account.strip("@"):
            return "553 5.1.3 the recipient is not an address"
        if not self.mailboxes.takes(account):
            metrics.MESSAGES.labels(CHANNEL, "rejected").inc()
            return f"550 5.1.1 {account} is no mailbox of this desk"
        if len(envelope.rcpt_tos) >= self.rules.max_recipients:
            return f"452 4.5.3 at most {self.rules.max_recipients} recipients a delivery"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Read the mail, store it for every account, and answer: each recipient over LMTP, all over SMTP."""
        work: asyncio.Future[str] = asyncio.ensure_future(self._deliver(envelope))  # noqa: TID251
        self.busy.add(work)
        work.add_done_callback(self.busy.discard)
        # A client that hangs up must not stop a commit half-way, and a drain waits for it.
        return await asyncio.shield(work)

    async def handle_exception(self, error: Exception) -> str:
        """A fault of ours: the mail comes again."""
        log.error("mail delivery failed", exc_info=error)
        metrics.MESSAGES.labels(CHANNEL, "failed").inc()
        return "451 4.3.0 the desk has a problem, try again later"

    async def _deliver(self, envelope: Envelope) -> str:
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        recipients = tuple(envelope.rcpt_tos)
        try:
            mail = await self.reader.read(raw, envelope.mail_from, recipients)
        except InvalidInput as error:
            answer = _refusal(error)
            return "\r\n".join([answer] * len(recipients)) if self.per_recipient else answer
        answers: dict[str, str] = {}
        for recipient in recipients:
            account = plain_mailbox(clean_address(recipient))
            if account not in answers:
                answers[account] = await self._store(Parcel(account, mail, raw))
        if self.per_recipient:
            return "\r\n".join(answers[plain_mailbox(clean_address(each))] for each in recipients)
        # One answer for all: a failure makes the mail come again, and what is stored is a duplicate then.
        return max(answers.values())

    async def _store(self, parcel: Parcel) -> str:
        started = time.perf_counter()
        try:
            async with self.db.tx() as tx:
                receipt = await self.receive(tx, parcel)
        except InvalidInput as error:
            return _refusal(error)
        except Unavailable as error:
            metrics.MESSAGES.labels(CHANNEL, "failed").inc()
            return f"451 4.3.0 {error.message}"
        metrics.SECONDS.labels(CHANNEL).observe(time.perf_counter() - started)
        metrics.LAST_SUCCESS.labels(CHANNEL).set_to_current_time()
        metrics.MESSAGES.labels(CHANNEL, _outcome(receipt)).inc()
        words = "duplicate of" if receipt.duplicate else "stored as"
        return f"250 2.0.0 {words} {receipt.message_id}"

    def _too_many(self, session: Session) -> bool:
        """Count a mail of a peer, minutes beginning with its first; the least recent peers are forgotten."""
        if not self.rules.peer_per_minute:
            return False
        address: Any = session.peer
        peer = str(address[0]) if isinstance(address, tuple) else str(address)
        now = time.monotonic()
        since, count = self.peers.pop(peer, (now, 0))
        since, count = (since, count + 1) if now < since + _MINUTE else (now, 1)
        self.peers[peer] = (since, count)
        if len(self.peers) > _PEERS:
            self.peers.popitem(last=False)
        return count > self.rules.peer_per_minute


def _bad(address: str) -> bool:
    return len(address) > 320 or bool(_CONTROLS.search(address))


def _refusal(error: InvalidInput) -> str:
    metrics.MESSAGES.labels(CHANNEL, "rejected").inc()
    return f"{_CODES.get(error.reason, '554 5.6.0')} {error.message}"


def _outcome(receipt: Receipt) -> str:
    if receipt.duplicate:
        return "duplicate"
    return "created" if receipt.started else "appended"


class _Smtp(SMTP):
    """Real mail has lines longer than the standard's, and a desk has bounds."""

    line_length_limit = _LONGEST_LINE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turn a connection away when there are too many."""
        door: Door = self.event_handler
        # uvloop's transports are no subclasses of asyncio's.
        wire = cast(asyncio.Transport, transport)
        if len(door.sessions) >= door.rules.connections:
            wire.write(b"421 4.7.0 too many connections, try again later\r\n")
            transport.close()
            return
        door.sessions.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget a connection."""
        door: Door = self.event_handler
        transport = getattr(self, "transport", None)
        if transport in door.sessions:
            door.sessions.discard(transport)
            super().connection_lost(error)


class _Lmtp(_Smtp, LMTP):
    """The same bounds; an answer per recipient is the door's part."""


class Listener:
    """An open port for mail. An async context manager; `port` is known once it is entered."""

    def __init__(self, door: Door, host: str, port: int) -> None:
        self._door = door
        self._host = host
        self.port = port
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, self._host, self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        if self._door.busy:
            await asyncio.wait(self._door.busy, timeout=_DRAIN_SECONDS)
        # The answers of finished deliveries are written before the connections go.
        await asyncio.sleep(0)
        for transport in list(self._door.sessions):
            transport.close()

    def _protocol(self) -> SMTP:
        kind = _Lmtp if self._door.per_recipient else _Smtp
        return kind(
            self._door,
            data_size_limit=self._door.rules.max_bytes,
            enable_SMTPUTF8=True,
            decode_data=False,
            hostname=_HOSTNAME,
            ident="Tickdesk",
            timeout=self._door.rules.idle_seconds,
            loop=asyncio.get_running_loop(),
        )
