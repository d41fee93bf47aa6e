"""A letter of the desk: whom it goes to, who gets a copy, under which subject."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chassis.errors import InvalidInput, Violation
from tickets.domain.model import Channel, Conversation, Message, Ticket

MAX_COPIES = 20
FROM_FIELD = "from"
"""The custom field by which a form may say whom to answer (YT-09)."""
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,253}")
_BY_MAIL = (Channel.EMAIL, Channel.WEB_FORM, Channel.API, Channel.PHONE, Channel.IMPORT)
"""Channels without a way back of their own: their customers are answered by mail."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What an agent wants to send; what is empty is chosen for them."""

    text: str
    to: str = ""
    cc: tuple[str, ...] = ()
    subject: str = ""
    attachment_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """How an answer leaves."""

    conversation: Conversation
    to: str
    cc: tuple[str, ...] = ()

    @property
    def by_mail(self) -> bool:
        """Whether it is a letter, which may have other readers and a subject of its own."""
        return self.conversation.channel in _BY_MAIL


def checked(letter: Letter) -> Letter:
    """A letter with clean addresses, each once. Raises InvalidInput naming `to`, `cc[n]` or `subject`."""
    to = address("to", letter.to) if letter.to else ""
    copies = [address(f"cc[{index}]", each) for index, each in enumerate(letter.cc)]
    cc = tuple(each for each in dict.fromkeys(copies) if each != to)
    return Letter(letter.text, to, cc, " ".join(letter.subject.split()), letter.attachment_ids)


def address(field: str, value: str) -> str:
    """An e-mail address in small letters. Raises InvalidInput naming the field."""
    value = value.strip().lower()
    if not _ADDRESS.fullmatch(value) or ".." in value:
        text = f"{field} must be an e-mail address such as kim@example.org"
        raise InvalidInput(text, violations=[Violation(field, text)])
    return value


def envelope(ticket: Ticket) -> Envelope:
    """How an answer leaves when nobody says otherwise: to the other end of the last conversation.

    Where that is no mailbox: to the field "from", else to the customer's first mail address.
    """
    conversation = ticket.conversations[-1]
    usual = Envelope(conversation, conversation.address)
    is_mailbox = conversation.channel == Channel.EMAIL or not usual.by_mail
    return usual if is_mailbox else Envelope(conversation, _named(ticket))


def proposed(ticket: Ticket, last: Message | None) -> Envelope:
    """How an answer may best leave: to who wrote last by mail, copies to all others who took part."""
    usual = envelope(ticket)
    if not usual.by_mail:
        return usual
    to = last.address if last and last.channel == Channel.EMAIL else usual.to
    return Envelope(usual.conversation, to, _copies(ticket, usual.conversation, to))


def addressed(letter: Letter, usual: Envelope) -> Envelope:
    """Where a letter goes: as it says, else as usual. Raises InvalidInput where no letters go."""
    if not usual.by_mail:
        for field, value in (("to", letter.to), ("cc", letter.cc), ("subject", letter.subject)):
            if value:
                text = f"{field} must be empty: the customer is not answered by mail"
                raise InvalidInput(text, violations=[Violation(field, text)])
    return Envelope(usual.conversation, letter.to or usual.to, letter.cc)


def _named(ticket: Ticket) -> str:
    told = ticket.fields.get(FROM_FIELD)
    if isinstance(told, str) and _ADDRESS.fullmatch(told.strip()):
        return told.strip().lower()
    mail = (each.address for each in ticket.customer.contacts if each.channel == Channel.EMAIL)
    return next(mail, "")


def _copies(ticket: Ticket, conversation: Conversation, to: str) -> tuple[str, ...]:
    first = [conversation.address] if conversation.channel == Channel.EMAIL else []
    people: Sequence[str] = [each.address for each in ticket.participants if each.channel == Channel.EMAIL]
    return tuple(each for each in dict.fromkeys([*first, *people]) if each != to)[:MAX_COPIES]
