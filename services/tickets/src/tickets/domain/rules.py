"""Small decisions: what is valid, which ticket a message joins, which mark still counts."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from chassis.errors import InvalidInput, Violation
from tickets.domain import timeline as facts
from tickets.domain.model import Agent, Attachment, Channel, Contact, Customer, Participant, Queue, Ticket
from tickets.domain.statuses import StatusKind

LANGUAGES = ("ru", "en")
_JOIN_WINDOW = timedelta(days=7)
_SUBJECT_LENGTH = 500
_MAX_ADDRESS = 320
_QUEUE_KEY = re.compile(r"[A-Z0-9]{2,10}")
_AGENT_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
# Prefixes of answers and forwards in the languages of the desk's customers.
_PREFIX = re.compile(r"(?:re|aw|fwd?|отв|ответ|пересл|пер|на)\s{0,2}(?:\[\d{1,3}\])?\s{0,2}:", re.IGNORECASE)
_TAG = re.compile(r"\[#[^\]]{1,120}\]")


class AuthorKind(IntEnum):
    """Who or what wrote a message from outside."""

    PERSON = 1
    AUTO_REPLY = 2
    BOUNCE = 3
    LIST = 4


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from outside, as much of it as tickets needs."""

    id: str
    channel: int
    account: str
    conversation_id: str
    sender: Contact
    sender_name: str
    subject: str
    text: str
    full_text: str
    received_time: datetime
    author_kind: AuthorKind = AuthorKind.PERSON
    html: str = ""
    nudge: bool = False
    language: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    related: list[str] = field(default_factory=list)
    customer_number: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    topic: str = ""
    preceding: list[str] = field(default_factory=list)
    in_copy: list[Participant] = field(default_factory=list)

    @property
    def from_robot(self) -> bool:
        """Not written by a person: never reopens, never ends a pause, gets no auto-reply."""
        return self.author_kind != AuthorKind.PERSON


def people_of(inbound: Inbound) -> list[Participant]:
    """Who takes part by a message: its sender and who was in copy. A robot brings nobody."""
    if inbound.from_robot:
        return []
    sender = inbound.sender
    return [Participant(sender.channel, sender.address, inbound.sender_name, wrote=True), *inbound.in_copy]


def language_of(spoken: str, customer: Customer, queue: Queue) -> str:
    """The language to answer in: the message's, else the customer's, else the queue's."""
    known = (spoken, customer.language)
    return next((each for each in known if each in LANGUAGES), queue.default_language)


def subject_line(subject: str, text: str, language: str) -> str:
    """One line for lists: the subject, else the beginning of the text."""
    line = " ".join(subject.split()) or " ".join(text[: 4 * _SUBJECT_LENGTH].split())[:100]
    return line[:_SUBJECT_LENGTH] or ("Без темы" if language == "ru" else "No subject")


def topic(subject: str) -> str:
    """A subject without tags and answer prefixes, for comparing."""
    line = " ".join(_TAG.sub(" ", subject[: 2 * _SUBJECT_LENGTH]).split())
    while found := _PREFIX.match(line):
        line = line[found.end() :].lstrip()
    return line.casefold()


def ticket_to_join(inbound: Inbound, open_tickets: Sequence[Ticket]) -> Ticket | None:
    """The open ticket a person means with a new conversation (CA-33); tickets come newest first.

    A bare "any news?" means the newest one. Otherwise the subject must be the same, within seven days.
    """
    if inbound.from_robot:
        return None
    if inbound.nudge and open_tickets:
        return open_tickets[0]
    wanted, since = topic(inbound.subject), inbound.received_time - _JOIN_WINDOW
    same = (each for each in open_tickets if topic(each.subject) == wanted and each.updated_time >= since)
    return next(same, None) if wanted else None


def is_outdated(ticket: Ticket, clock: str) -> bool:
    """Whether what a mark of this clock warned of has been done meanwhile, or waits for the customer."""
    if ticket.status_kind in (StatusKind.RESOLVED, StatusKind.CLOSED):
        return True
    if clock == "resolution":
        # The only clock that waiting pauses: a customer without an answer waits on.
        return ticket.status_kind == StatusKind.WAITING
    if clock == "pickup":
        return bool(ticket.assignee)
    if clock in ("acknowledge", "first_response"):
        cycle = ticket.timeline[facts.cycle_start(ticket.timeline) :]
        return facts.latest(cycle, facts.StaffReplies) is not None
    if clock == "accepted_response":
        return replied_after(ticket.timeline, facts.Taken)
    return clock == "next_response" and replied_after(ticket.timeline, facts.CustomerMessages)


def contact(channel: int, address: str) -> Contact:
    """A normalised contact. Raises InvalidInput naming `contact.address`."""
    address = address.strip()
    if channel == Channel.EMAIL:
        address = address.lower()
    if not 0 < len(address) <= _MAX_ADDRESS or (channel == Channel.EMAIL and not _EMAIL.fullmatch(address)):
        text = f"contact.address must be an address of its channel, at most {_MAX_ADDRESS} characters"
        raise InvalidInput(text, violations=[Violation("contact.address", text)])
    return Contact(channel, address)


def check_queue(queue: Queue) -> None:
    """Normalise a queue. Raises InvalidInput with every bad field."""
    queue.addresses = list(dict.fromkeys(each.strip().lower() for each in queue.addresses))
    _refuse("queue", _queue_faults(queue))


def check_lines(faults: Iterable[str]) -> None:
    """Raises InvalidInput for a last line on which tickets would be stuck; the faults are of the setup."""
    _refuse("queue", [("last_line", f"is too high for the setup in force: it {text}") for text in faults])


def check_agent(agent: Agent) -> None:
    """Normalise an agent. Raises InvalidInput with every bad field."""
    agent.email = agent.email.strip().lower()
    _refuse("agent", _agent_faults(agent))


def _queue_faults(queue: Queue) -> Iterator[tuple[str, str]]:
    if not _QUEUE_KEY.fullmatch(queue.key):
        yield "key", "must be 2 to 10 capital letters or digits"
    if not 0 < len(queue.name) <= 200:
        yield "name", "must have 1 to 200 characters"
    for index, address in enumerate(queue.addresses):
        if not _EMAIL.fullmatch(address):
            yield f"addresses[{index}]", "must be an e-mail address"
    if queue.default_language not in LANGUAGES:
        yield "default_language", "must be ru or en"
    if queue.first_line > queue.last_line:
        yield "last_line", "must not be below first_line"


def _agent_faults(agent: Agent) -> Iterator[tuple[str, str]]:
    if not _AGENT_ID.fullmatch(agent.id):
        yield "id", "must be 1 to 100 small letters, digits, dots, dashes or underscores"
    if not 0 < len(agent.name) <= 200:
        yield "name", "must have 1 to 200 characters"
    if agent.email and not _EMAIL.fullmatch(agent.email):
        yield "email", "must be an e-mail address"
    if agent.language not in LANGUAGES:
        yield "language", "must be ru or en"


def _refuse(name: str, faults: Iterable[tuple[str, str]]) -> None:
    violations = [Violation(f"{name}.{path}", text) for path, text in faults]
    if violations:
        text = "; ".join(f"{each.field} {each.description}" for each in violations)
        raise InvalidInput(text, violations=violations)


def replied_after(timeline: list[facts.Fact], kind: type[facts.Fact]) -> bool:
    """Whether the newest staff reply comes after the newest fact of the kind."""
    sides = (each for each in reversed(timeline) if isinstance(each, facts.StaffReplies | kind))
    return isinstance(next(sides, None), facts.StaffReplies)
