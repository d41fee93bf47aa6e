"""Delivery over LMTP, as a mail server does it: one recipient a transaction, bounded retries."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parseaddr
from types import TracebackType
from typing import Self

import aiosmtplib
from aiosmtplib.typing import Default

from tickdesk_cli.terminal import Problem

_COMPLETED = 250
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 5.0, 5.0, 5.0, 5.0)
_TIMEOUT = 60.0
_GREETING_TIMEOUT = 5.0
_RECIPIENT = re.compile(
    rb"^(?:delivered-to|x-original-to|to|cc):(.*(?:\r?\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE
)
_RETURN_PATH = re.compile(rb"^return-path:[ \t]*<?([^>\r\n]*)>?", re.IGNORECASE | re.MULTILINE)
_FROM = re.compile(rb"^from:(.*(?:\r?\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)
_ADDRESS = re.compile(r"[^\s<>\"(),:;\\\[\]@]{1,64}@[A-Za-z0-9.-]{1,255}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends and who receives, as the transport says it. An empty sender is the null sender `<>`."""

    sender: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a delivery: the code and text of the last answer, and how often it was tried.

    `unsure` is true when a try broke off after the message had been sent: the desk may have stored it then,
    and an answer "duplicate" speaks of this very message."""

    code: int
    text: str
    tries: int = 1
    unsure: bool = False

    @property
    def accepted(self) -> bool:
        """True when the desk has stored it."""
        return self.code == _COMPLETED


class _Client(aiosmtplib.SMTP):
    """SMTP with LHLO for EHLO, which is all that LMTP changes for a single recipient."""

    async def ehlo(
        self,
        *,
        hostname: str | None = None,
        timeout: float | Default | None = None,
    ) -> aiosmtplib.SMTPResponse:
        response = await self.execute_command(b"LHLO", (hostname or "localhost").encode("ascii"))
        if response.code != _COMPLETED:
            raise aiosmtplib.SMTPHeloError(response.code, response.message)
        self.last_ehlo_response = response
        return response


@dataclass(slots=True)
class Sender:
    """A connection to an LMTP listener that is made again when it breaks.

    Refused connections and 4xx answers are tried again with growing pauses, about half a minute in all."""

    port: int
    host: str = "127.0.0.1"
    notice: Callable[[str], None] = lambda _: None
    _client: _Client | None = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            self._client.close()

    async def send(self, envelope: Envelope, raw: bytes) -> Answer:
        """Deliver one message. Raises Problem when the listener stays away for all tries."""
        unsure, last = False, Answer(0, "")
        for tries, pause in enumerate((*_BACKOFF, None), 1):
            try:
                code, text = await self._attempt(envelope, raw)
                last = Answer(code, text, tries, unsure)
                if code < 400 or code >= 500:
                    return last
                reason = f"{code} {text}"
            except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPReadTimeoutError) as error:
                unsure, reason = True, str(error)
            except (aiosmtplib.SMTPConnectError, OSError) as error:
                reason = str(error)
            self._drop()
            if pause is not None:
                self.notice(
                    f"intake does not take mail ({reason.splitlines()[0][:80]}), trying again in {pause:g} s"
                )
                await asyncio.sleep(pause)
        if last.code:
            return last
        raise Problem(
            f"no LMTP listener answers on {self.host}:{self.port}",
            "`tickdesk status` shows whether intake runs, `tickdesk up` starts it.",
        )

    async def _attempt(self, envelope: Envelope, raw: bytes) -> tuple[int, str]:
        try:
            client = await self._connected()
            _, text = await client.sendmail(envelope.sender, [envelope.recipient], raw)
        except aiosmtplib.SMTPRecipientsRefused as error:
            refused = error.recipients[0]
            return refused.code, refused.message
        except aiosmtplib.SMTPResponseException as error:
            return error.code, error.message
        return _COMPLETED, text

    async def _connected(self) -> _Client:
        if self._client is None or not self._client.is_connected:
            self._client = _Client(
                hostname=self.host,
                port=self.port,
                local_hostname="localhost",
                start_tls=False,
                timeout=_GREETING_TIMEOUT,
            )
            await self._client.connect()
            # A listener that does not greet is away; one that stores a large message may take its time.
            self._client.timeout = _TIMEOUT
        return self._client

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def envelope_of(raw: bytes, mailboxes: list[str], recipient: str = "") -> Envelope:
    """The envelope that a stored message most likely came in: Return-Path or From, and the desk's mailbox.

    `mailboxes` are the desk's addresses, of which the first takes what is addressed to none of them."""
    head = raw[: 256 * 1024].partition(b"\n\n")[0].partition(b"\r\n\r\n")[0]
    return Envelope(_sender(head), recipient or _recipient(head, mailboxes))


def _sender(head: bytes) -> str:
    path = _RETURN_PATH.search(head)
    if path is not None:
        return _plain(path[1])
    author = _FROM.search(head)
    return _plain(parseaddr(author[1].decode("latin-1"))[1].encode("latin-1")) if author else ""


def _plain(value: bytes) -> str:
    """An address that can be put on a command line of SMTP, else the null sender."""
    match = _ADDRESS.fullmatch(value.decode("latin-1").strip())
    return match[0] if match and match[0].isascii() else ""


def _recipient(head: bytes, mailboxes: list[str]) -> str:
    for match in _RECIPIENT.finditer(head):
        for address in _ADDRESS.findall(match[1].decode("latin-1")):
            local, _, domain = address.lower().partition("@")
            if f"{local.partition('+')[0]}@{domain}" in mailboxes and address.isascii():
                return str(address)
    return mailboxes[0]
