"""What intake knows: addresses, parsed messages, limits, and who may join a conversation."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from chassis.errors import InvalidInput, Violation


class Kind(StrEnum):
    """Who is behind a message."""

    PERSON = "person"
    AUTO_REPLY = "auto_reply"
    BOUNCE = "bounce"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of one message is looked at; sizes in bytes, text in characters."""

    size: int = 25 * 1024 * 1024
    headers: int = 1_000
    header_bytes: int = 512 * 1024
    parts: int = 1_000
    depth: int = 50
    files: int = 100
    addresses: int = 200
    text: int = 100_000
    html: int = 1_000_000
    html_depth: int = 1_000


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: `address` is lower case and has exactly one @, `name` is one line for display."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a message. `label` is for display only and never a path."""

    label: str
    media_type: str
    content: bytes = field(repr=False)
    sha256: str
    inline: bool = False
    content_id: str = ""

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return len(self.content)


@dataclass(frozen=True, slots=True)
class Token:
    """A conversation named by a signed place of a message; worth nothing until the MAC is verified."""

    conversation_id: str
    mac: str


@dataclass(frozen=True, slots=True)
class Thread:
    """What a message says about the conversation it belongs to. All of it is a claim."""

    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    reply_token: Token | None = None
    subject_token: Token | None = None
    message_tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """What a bounce tells: whom the mail did not reach and which message it was."""

    addresses: tuple[str, ...] = ()
    original_message_id: str = ""
    permanent: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """A message as an agent would read it. `sent_at` is what the sender claims: no clock starts from it."""

    sender: Address | None = None
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    delivered_to: tuple[str, ...] = ()
    subject: str = ""
    topic: str = ""
    sent_at: datetime | None = None
    message_id: str = ""
    thread: Thread = Thread()
    text: str = ""
    reply: str = ""
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    kind: Kind = Kind.PERSON
    robot_signs: tuple[str, ...] = ()
    failure: Failure | None = None
    nudge: bool = False
    language: str = ""
    warnings: tuple[str, ...] = ()

    def warn(self, *warnings: str) -> "ParsedMail":
        """The same message with more remarks for the reader."""
        return replace(self, warnings=(*self.warnings, *warnings))

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON shape (README, "What a message becomes"); attachments without their bytes."""
        shape: dict[str, Any] = {
            "from": _address(self.sender) if self.sender else None,
            "reply_to": [_address(each) for each in self.reply_to],
            "to": [_address(each) for each in self.to],
            "cc": [_address(each) for each in self.cc],
            "subject": self.subject,
            "topic": self.topic,
            "date": self.sent_at.isoformat() if self.sent_at else None,
            "message_id": self.message_id,
            "thread": _thread(self.thread),
            "kind": self.kind.value,
            "robot_signs": list(self.robot_signs),
            "bounce": _failure(self.failure) if self.failure else None,
            "nudge": self.nudge,
            "language": self.language,
            "text": self.text,
            "reply": self.reply,
            "attachments": [_attachment(each) for each in self.attachments],
            "warnings": list(self.warnings),
        }
        if self.html:
            shape["html"] = self.html
        return shape


def _address(address: Address) -> dict[str, str]:
    return {"address": address.address, "name": address.name}


def _token(token: Token | None) -> str | None:
    return f"{token.conversation_id}.{token.mac}" if token else None


def _thread(thread: Thread) -> dict[str, Any]:
    return {
        "in_reply_to": list(thread.in_reply_to),
        "references": list(thread.references),
        "reply_token": _token(thread.reply_token),
        "subject_token": _token(thread.subject_token),
        "message_tokens": [_token(each) for each in thread.message_tokens],
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "addresses": list(failure.addresses),
        "original_message_id": failure.original_message_id,
        "permanent": failure.permanent,
        "reason": failure.reason,
    }


def _attachment(attachment: Attachment) -> dict[str, Any]:
    return {
        "label": attachment.label,
        "media_type": attachment.media_type,
        "size": attachment.size,
        "sha256": attachment.sha256,
        "inline": attachment.inline,
        "content_id": attachment.content_id,
    }


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """Which recipients are ours: full addresses, whole domains, or anybody when both are empty."""

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: tuple[str, ...]) -> "Mailboxes":
        """From a list of addresses and domains in lower case."""
        return cls(
            frozenset(one for one in entries if "@" in one),
            frozenset(one for one in entries if "@" not in one),
        )

    def takes(self, account: str) -> bool:
        """Whether mail for this address (without a +suffix) is accepted."""
        if not self.addresses and not self.domains:
            return True
        return account in self.addresses or account.rpartition("@")[2] in self.domains


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message on its way in: what its channel and its account say of it, and what was read of it."""

    account: str
    mail: ParsedMail
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message: its id (of the first copy when it is a duplicate), and its conversation."""

    message_id: str
    duplicate: bool = False
    started: bool = False


def sender_of(parcel: Parcel) -> Address:
    """Who wrote it. A report of a mail server may come from nobody; anything else must name its sender."""
    if parcel.mail.sender:
        return parcel.mail.sender
    if parcel.mail.kind is Kind.BOUNCE:
        return Address(f"mailer-daemon@{parcel.account.rpartition('@')[2]}")
    message = "the message names no sender: put an address into its From header"
    raise InvalidInput(message, reason="MAIL_NO_SENDER", violations=[Violation("from", message)])


def others_of(parcel: Parcel, mailboxes: Mailboxes) -> tuple[Address, ...]:
    """The people addressed besides the sender and the desk's own mailboxes."""
    own = {parcel.account, *map(plain_mailbox, parcel.mail.delivered_to)}
    restricted = bool(mailboxes.addresses or mailboxes.domains)
    sender = parcel.mail.sender.address if parcel.mail.sender else ""
    found = {each.address: each for each in (*parcel.mail.to, *parcel.mail.cc)}
    return tuple(
        each
        for address, each in found.items()
        if address != sender
        and plain_mailbox(address) not in own
        and not (restricted and mailboxes.takes(plain_mailbox(address)))
    )


def plain_mailbox(address: str) -> str:
    """The mailbox behind an address with a +suffix, in lower case."""
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def content_digest(parcel: Parcel) -> bytes:
    """The same for copies of one mail whatever route they took; other for other words, files or sender.

    A Message-ID alone is not enough: programs exist that give each of their mails the same one."""
    mail = parcel.mail
    identity = mail.message_id or f"{mail.sent_at}"
    facts = [
        parcel.account,
        identity,
        mail.sender.address if mail.sender else "",
        mail.subject,
        " ".join(mail.text.split()),
        *sorted(each.sha256 for each in mail.attachments),
    ]
    digest = hashlib.sha256()
    for fact in facts:
        encoded = fact.encode("utf-8", "replace")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


def claims(mail: ParsedMail) -> tuple[Token, ...]:
    """Signed places in the order of trust: the reply address, the subject, the message ids."""
    thread = mail.thread
    found = (thread.reply_token, thread.subject_token, *thread.message_tokens)
    return tuple(dict.fromkeys(each for each in found if each))[:20]


def referred_ids(mail: ParsedMail) -> tuple[str, ...]:
    """Message ids this message answers, the nearest first."""
    failed = (mail.failure.original_message_id,) if mail.failure and mail.failure.original_message_id else ()
    thread = mail.thread
    return tuple(dict.fromkeys((*failed, *thread.in_reply_to, *reversed(thread.references))))[:50]


def signatories(mail: ParsedMail, sender: Address) -> tuple[str, ...]:
    """Whose signature a token of this message may bear: its sender's, or for a bounce whom it is about."""
    return (sender.address, *(mail.failure.addresses if mail.failure else ()))
