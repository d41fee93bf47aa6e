"""The signed places of our own mail that name a conversation, and how to find them in an answer.

Formats (the notifier writes the same):
- reply address `<mailbox-local>+<conversation>.<mac26>@<domain>`
- subject tag `[#<TICKET-KEY> <conversation>.<mac16>]`
- Message-ID `<conversation>.<mac26>.<unique>@<domain>`
A MAC covers the conversation and the address of the person the mail went to: it is good for nobody else."""

import re
from collections.abc import Iterable

from intake.domain import Token

PURPOSE = "reply"

_CONVERSATION = r"([a-z2-7]{16})"
_ADDRESS = re.compile(rf"\A[^+@]{{1,64}}\+{_CONVERSATION}\.([a-z2-7]{{26}})@", re.IGNORECASE)
_SUBJECT = re.compile(rf"\[#[^\]\s]{{1,40}} {_CONVERSATION}\.([a-z2-7]{{16}})\]", re.IGNORECASE)
_TAG = re.compile(r"\[#[^\]\s]{1,40}(?: [a-z2-7.]{1,60})?\]", re.IGNORECASE)
_MESSAGE_ID = re.compile(rf"\A<?{_CONVERSATION}\.([a-z2-7]{{26}})\.[^@\s]{{1,80}}@", re.IGNORECASE)

_PREFIX = re.compile(
    r"\A\s*(re|aw|sv|vs|antw|odp|ynt|rif|r|fwd?|wg|rv|tr|i|отв|ответ|нa|на|ha|пересл|пер|қайта|жауап)"
    r"\s{0,2}(\[\d{1,3}\]|\(\d{1,3}\)|\^\d{1,3}|\d{1,2})?\s{0,2}[:：]\s*",
    re.IGNORECASE,
)
_FORWARD = frozenset({"fwd", "fw", "wg", "rv", "tr", "i", "пересл", "пер"})


def address_token(addresses: Iterable[str]) -> Token | None:
    """The first signed reply address among the recipients."""
    return _first(_ADDRESS, addresses)


def subject_token(subject: str) -> Token | None:
    """The signed tag in a subject."""
    match = _SUBJECT.search(subject)
    return Token(match[1].lower(), match[2].lower()) if match else None


def message_tokens(ids: Iterable[str]) -> tuple[Token, ...]:
    """The conversations of our own mail among referred message ids, the last first."""
    found = [Token(match[1].lower(), match[2].lower()) for each in ids if (match := _MESSAGE_ID.match(each))]
    return tuple(dict.fromkeys(reversed(found)))


def _first(pattern: re.Pattern[str], texts: Iterable[str]) -> Token | None:
    match = next(filter(None, map(pattern.match, texts)), None)
    return Token(match[1].lower(), match[2].lower()) if match else None


def topic(subject: str) -> str:
    """The subject without tags and any run of Re:, Fwd:, Отв: and the like."""
    rest = " ".join(_TAG.sub(" ", subject).split())
    while (match := _PREFIX.match(rest)) is not None:
        rest = rest[match.end() :]
    return rest


def is_reply(subject: str) -> bool:
    """The subject's outermost prefix says that this answers something."""
    return _outer(subject) not in _FORWARD | {""}


def is_forward(subject: str) -> bool:
    """The subject's outermost prefix says that this passes something on."""
    return _outer(subject) in _FORWARD


def _outer(subject: str) -> str:
    match = _PREFIX.match(_TAG.sub(" ", subject))
    return match[1].lower() if match else ""
