"""What intake knows: addresses, parsed messages, limits, and who may join a conversation."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


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
