"""What a delivery is and when it may leave: guards against loops and storms, backoff, clean header text."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5


class Channel(StrEnum):
    """The way a delivery goes."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class Audience(StrEnum):
    """Who is on the other end."""

    CUSTOMER = "customer"
    AGENT = "agent"
    LEAD = "lead"
    MANAGEMENT = "management"
    SYSTEM = "system"


STAFF = (Audience.AGENT, Audience.LEAD, Audience.MANAGEMENT)


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One notice or letter to one recipient; `context` is what its template is filled with."""

    id: UUID
    channel: Channel
    audience: Audience
    recipient: str
    template: str
    language: str
    ticket_id: str
    ticket_key: str
    created_at: datetime
    next_at: datetime | None
    give_up_at: datetime
    state: State = State.PENDING
    subject: str = ""
    attempts: int = 0
    detail: str = ""
    sent_at: datetime | None = None
    message_id: str = ""
    digest: bool = False
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agent:
    """A person of the desk who may be told things."""

    id: str
    name: str
    email: str
    language: str


@dataclass(frozen=True, slots=True)
class Queue:
    """What a letter needs to know of a queue."""

    key: str
    name: str
    addresses: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Another system that is told of events: an address, the key that signs, the events it wants.

    A chat ("slack", "telegram") is told in words, and only what rules of queues say to it by its name.
    """

    url: str
    key: bytes
    events: frozenset[str]
    name: str = ""
    format: str = "event"
    chat_id: str = ""

    @property
    def recipient(self) -> str:
        """What deliveries call it; the address of a chat is its secret."""
        return self.url if self.format == "event" else self.name

    def wants(self, event: str) -> bool:
        """Tell whether it asked for this event, by its full or last name; no names means all."""
        named = not self.events or event in self.events or event.rpartition(".")[2] in self.events
        return named and self.format == "event"


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits and choices a deployment makes; times are durations."""

    promise_wait: timedelta
    replies_per_hour: int
    replies_per_minute: int
    robot_letters_per_hour: int
    notices_per_minute: int
    digest_window: timedelta
    first_retry: timedelta
    keep_trying: timedelta
    language: str
    own_domains: frozenset[str] = frozenset()
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A file that goes with a letter; its bytes are with intake."""

    id: str
    name: str
    media_type: str
    size: int

    @classmethod
    def of(cls, delivery: Delivery) -> "tuple[File, ...]":
        """The files of a delivery."""
        return tuple(cls(**each) for each in delivery.context.get("files", ()))


@dataclass(frozen=True, slots=True)
class Parcel:
    """What leaves in one go: one delivery, or a digest of many for one recipient."""

    deliveries: tuple[Delivery, ...]
    lease: datetime
    values: dict[str, Any] = field(default_factory=dict)
    sender_name: str = ""
    sender_address: str = ""
    conversation_id: str = ""
    answers: str = ""
    zone: str = ""

    @property
    def first(self) -> Delivery:
        """The delivery that speaks for the parcel."""
        return self.deliveries[0]


def identity(*parts: str) -> UUID:
    """The id of a delivery: the same cause and recipient never make two."""
    return uuid5(NAMESPACE_URL, "tickdesk/delivery/" + "\0".join(parts))


# C0, DEL, C1 and the Unicode line ends; bidirectional controls could make a header read otherwise.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
)
_MESSAGE_ID = re.compile(r"[!-;=?-~]{1,900}")
_ROBOT = re.compile(
    r"(?:no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer[-_.]?daemon|postmaster|bounces?|daemon|nobody|devnull"
    r"|listserv|majordomo|auto[-_.]?(?:reply|responder|mailer)|notifications?)(?:[-+_.=].*)?"
    r"|(?:owner|bounces?)-.*|.*-(?:owner|request|bounces?)|.*[-_.]no[-_.]?reply"
)
_TAG = re.compile(r"\[#[^\]\s]{1,40}(?: [a-z2-7.]{1,60})?\]", re.IGNORECASE)
_PREFIX = re.compile(r"(?:re|aw|fwd?|отв|ответ|пересл|на)\s{0,2}(?:\[\d{1,3}\])?\s{0,2}:\s*", re.IGNORECASE)


def one_line(text: str, limit: int = 200) -> str:
    """Text that may stand in a header: one line, no controls, nothing that a mail library would decode.

    Some interpreters decode an encoded word inside a plain value and let its line ends become headers.
    """
    line = " ".join(_CONTROLS.sub(" ", text).replace("=?", "= ?").split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def topic(subject: str) -> str:
    """A subject without our tags and any run of Re: and the like."""
    rest = one_line(_TAG.sub(" ", subject))
    while (match := _PREFIX.match(rest)) is not None:
        rest = rest[match.end() :]
    return rest


def is_address(text: str) -> bool:
    """Tell whether mail can be sent there: plain ASCII, no quoting, a dot-separated domain."""
    return bool(_ADDRESS.fullmatch(text)) and ".." not in text and not text.startswith(".")


def is_message_id(text: str) -> bool:
    """Tell whether a Message-ID (without brackets) may be repeated in our headers."""
    return bool(_MESSAGE_ID.fullmatch(text)) and "=?" not in text


def plain_mailbox(address: str) -> str:
    """The mailbox behind an address with a +suffix, in lower case."""
    local, _, domain = address.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def is_robot_address(address: str) -> bool:
    """Tell whether nobody reads there: no-reply, bounces, list owners."""
    return bool(_ROBOT.fullmatch(address.lower().rpartition("@")[0]))


def in_domains(address: str, domains: frozenset[str]) -> bool:
    """Tell whether the address belongs to one of the domains or to a part of one."""
    domain = address.lower().rpartition("@")[2]
    return any(domain == own or domain.endswith("." + own) for own in domains)


LONGEST_RETRY = timedelta(hours=1)


def retry_at(delivery: Delivery, now: datetime, first: timedelta, jitter: float) -> datetime | None:
    """When to try again after a failed attempt, or None to give up.

    The pause doubles from `first` on; `jitter` (0 to 1) takes up to half of it.
    """
    pause = min(first * 2 ** min(delivery.attempts - 1, 12), LONGEST_RETRY)
    again = now + pause * (0.5 + jitter / 2)
    return again if again < delivery.give_up_at else None


def window_end(now: datetime, window: timedelta) -> datetime:
    """The end of the digest window that `now` lies in; all rows of one window share it."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + ((now - epoch) // window + 1) * window


_UNITS = ((86400, {"ru": "д", "en": "d"}), (3600, {"ru": "ч", "en": "h"}), (60, {"ru": "мин", "en": "min"}))


def duration_words(seconds: float, language: str) -> str:
    """A length of time by its two largest units: `2 h 10 min`; under a minute in seconds."""
    rest, words = int(abs(seconds)), []
    for size, names in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {names[language]}")
    if not words:
        return f"{rest} {'с' if language == 'ru' else 's'}"
    return " ".join(words[:2])
