"""E-mail over SMTP: messages that cannot loop and cannot be forged, over connections used again."""

import asyncio
import re
import ssl
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from chassis.clock import utcnow
from chassis.errors import Refused, Unavailable
from notifier.adapters import signed
from notifier.adapters.files import Files
from notifier.adapters.letters import Letter, compose
from notifier.domain import Audience, File, Parcel, is_address, is_message_id, one_line

# Of the other kinds a mail library wants text, or messages of its own.
_MEDIA = ("application", "audio", "image", "video")
_SUBTYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,80}")


@dataclass(frozen=True, slots=True)
class Relay:
    """The server that takes our mail."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: bool
    starttls: bool | None

    @classmethod
    def of(cls, url: str) -> "Relay":
        """Read `smtp://user:password@host:port?starttls=auto|always|never`. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("smtp_url must be smtp://host:port or smtps://host:port")
        tls = parts.scheme == "smtps"
        wish = parse_qs(parts.query).get("starttls", ["auto"])[0]
        if wish not in _STARTTLS:
            raise ValueError("starttls in smtp_url must be auto, always or never")
        return cls(
            parts.hostname,
            parts.port or (465 if tls else 25),
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
            tls,
            False if tls else _STARTTLS[wish],
        )


_STARTTLS = {"auto": None, "always": True, "never": False}


@dataclass(frozen=True, slots=True)
class Desk:
    """How the desk signs and calls itself."""

    reply_keys: str
    default_from: str
    zone: str


class Mail:
    """Sends letters; an async context manager that keeps idle connections."""

    def __init__(self, relay: Relay, desk: Desk, files: Files, seconds: float) -> None:
        self._relay = relay
        self._desk = desk
        self._files = files
        self._seconds = seconds
        self._idle: list[aiosmtplib.SMTP] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._idle:
            client.close()

    async def send(self, parcel: Parcel) -> str:
        """Send a letter and return its subject. Raises Refused (5xx) or Unavailable (later)."""
        letter = compose(parcel, self._desk.zone)
        files = File.of(parcel.first)
        contents = await self._files.read(files)
        try:
            envelope, message = build(parcel, letter, self._desk)
            for file, content in zip(files, contents, strict=True):
                _attach(message, file, content)
            raw = message.as_bytes(policy=SMTP_POLICY)
        except (MessageError, ValueError, IndexError) as error:
            raise Refused(f"the letter cannot be written: {error}", reason="LETTER_BROKEN") from error
        await self._hand_over(envelope, parcel.first.recipient, raw)
        return str(message["Subject"])

    async def _hand_over(self, envelope: str, recipient: str, raw: bytes) -> None:
        client = None
        try:
            async with asyncio.timeout(self._seconds):
                client = await self._client()
                await client.sendmail(envelope, [recipient], raw)
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            if client is not None:
                client.close()
            raise verdict(error) from error
        self._idle.append(client)

    async def _client(self) -> aiosmtplib.SMTP:
        while self._idle:
            client = self._idle.pop()
            if client.is_connected and await _answers(client):
                return client
        relay = self._relay
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.username,
            password=relay.password,
            use_tls=relay.tls,
            start_tls=relay.starttls,
            tls_context=ssl.create_default_context() if relay.tls or relay.starttls else None,
            timeout=self._seconds,
        )
        await client.connect()
        return client


async def _answers(client: aiosmtplib.SMTP) -> bool:
    # A server closes idle connections; asking costs less than an attempt that fails and waits.
    try:
        await client.noop(timeout=5)
    except (aiosmtplib.SMTPException, OSError, TimeoutError):
        client.close()
        return False
    return True


def verdict(error: Exception) -> Refused | Unavailable:
    """What an SMTP failure means: refused for good, or to be tried again."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPResponseException):
        text = f"{error.code} {one_line(str(error.message))}"
        # Greeting and login speak of the relay and our account, not of this letter.
        ours = isinstance(
            error,
            aiosmtplib.SMTPAuthenticationError
            | aiosmtplib.SMTPConnectResponseError
            | aiosmtplib.SMTPHeloError,
        )
        if error.code >= 500 and not ours:
            return Refused(text, reason="REFUSED_BY_RELAY")
        return Unavailable(text)
    return Unavailable(f"{type(error).__name__}: {one_line(str(error))}")


def build(parcel: Parcel, letter: Letter, desk: Desk) -> tuple[str, EmailMessage]:
    """The envelope sender and the message. Raises ValueError for what no header can hold."""
    delivery = parcel.first
    default_name, default_address = parseaddr(desk.default_from)
    sender = parcel.sender_address if is_address(parcel.sender_address) else default_address.lower()
    name = parcel.sender_name or default_name
    domain = sender.rpartition("@")[2]
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = _address(name, sender)
    message["To"] = _address("", delivery.context.get("to") or delivery.recipient)
    if copies := delivery.context.get("cc"):
        message["Cc"] = [_address("", each) for each in copies if is_address(each)]
    message["Date"] = format_datetime(utcnow())
    envelope, subject, identity = sender, letter.subject, f"<{delivery.id}@{domain}>"
    if parcel.conversation_id and delivery.audience is Audience.CUSTOMER:
        mac = signed.mac(desk.reply_keys, parcel.conversation_id, delivery.recipient)
        # A bounce comes back to the same address and so finds its conversation.
        envelope = signed.reply_address(sender, parcel.conversation_id, mac)
        subject += " " + signed.subject_tag(delivery.ticket_key, parcel.conversation_id, mac)
        identity = signed.message_id(parcel.conversation_id, mac, delivery.id.hex, domain)
        message["Reply-To"] = _address(name, envelope)
    elif delivery.audience is Audience.CUSTOMER:
        subject += f" [#{delivery.ticket_key}]"
    message["Subject"] = one_line(subject, 400)
    message["Message-ID"] = identity
    if is_message_id(parcel.answers):
        message["In-Reply-To"] = message["References"] = f"<{parcel.answers}>"
    message["X-Tickdesk-Delivery"] = str(delivery.id)
    if delivery.template != "reply" or delivery.context.get("automatic"):
        envelope = ""
        _mark_automatic(message, delivery.template)
    message.set_content(letter.text)
    if letter.html:
        message.add_alternative(letter.html, subtype="html")
    return envelope, message


def _attach(message: EmailMessage, file: File, content: bytes) -> None:
    """Add a file as what it says it is; what is no media type, or one that mail programs open, is bytes."""
    main, _, sub = file.media_type.partition("/")
    if main not in _MEDIA or not _SUBTYPE.fullmatch(sub):
        main, sub = "application", "octet-stream"
    name = one_line(file.name, 200) or "file"
    message.add_attachment(content, maintype=main, subtype=sub, filename=name)


def _mark_automatic(message: EmailMessage, template: str) -> None:
    """Headers of RFC 3834 and its older cousins, and no return path: no robot answers, none loops."""
    message["Auto-Submitted"] = "auto-replied" if template == "auto_reply" else "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    if template == "auto_reply":
        message["Precedence"] = "bulk"


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(one_line(name, 100), local, domain)
