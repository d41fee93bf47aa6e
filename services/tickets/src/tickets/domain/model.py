"""What the desk is made of: tickets, customers, messages, queues and agents.

Numbers of the enums are those of the contract, so converting them is a cast.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from tickets.domain.fields import Value
from tickets.domain.history import History
from tickets.domain.statuses import LINES, StatusKind, Workflow
from tickets.domain.timeline import Fact

if TYPE_CHECKING:
    from tickets.domain.audit import Entry
    from tickets.domain.conditions import Happened


class Channel(IntEnum):
    """Channels that rules speak of; any other number of the contract passes through."""

    EMAIL = 1
    WEB_FORM = 3
    API = 5
    PHONE = 6
    IMPORT = 12


class Line(IntEnum):
    """A line of support; a ticket has a line and a status, independent of each other."""

    L1 = 1
    L2 = 2
    L3 = 3


class Priority(IntEnum):
    """How urgent a ticket is."""

    LOW = 1
    NORMAL = 2
    HIGH = 3
    CRITICAL = 4


class Tier(IntEnum):
    """Weight of a customer."""

    STANDARD = 1
    VIP = 2


class TicketType(IntEnum):
    """What the customer wants."""

    QUESTION = 1
    COMPLAINT = 2
    CHANGE_REQUEST = 3
    INCIDENT = 4
    WISH = 5


class Reason(IntEnum):
    """Why a ticket was escalated."""

    BY_AGENT = 1
    SLA_MARK = 2
    SLA_BREACH = 3
    SLA_OVERRUN = 4
    KEYWORD = 5
    THIRD_CONTACT = 6
    LOW_SCORE = 7
    VIP_CRITICAL = 8
    COMPENSATION = 9
    SECURITY = 10
    RULE = 11


class ActorKind(IntEnum):
    """The sort of actor."""

    CUSTOMER = 1
    AGENT = 2
    ROBOT = 3
    SERVICE = 4


class Visibility(IntEnum):
    """Who may read a message."""

    PUBLIC = 1
    INTERNAL = 2


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something."""

    kind: ActorKind
    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """An address of a customer on one channel, normalised."""

    channel: int
    address: str


@dataclass(slots=True)
class Customer:
    """A person or client who asks. What is not their own they have from their organisation."""

    id: str
    name: str
    created_time: datetime
    contacts: list[Contact] = field(default_factory=list)
    tier: Tier = Tier.STANDARD
    timezone: str = ""
    language: str = ""
    numbers: list[str] = field(default_factory=list)
    organisation: str = ""
    account_manager: str = ""
    own_tier: int = 0
    own_account_manager: str = ""
    organisation_key: str = ""
    merged_into: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a message; its bytes live with intake."""

    id: str
    filename: str
    media_type: str
    size_bytes: int
    sha256: str
    inline: bool = False
    content_id: str = ""


@dataclass(slots=True)
class Message:
    """One message or note of a ticket."""

    id: str
    ticket_id: str
    author: Actor
    visibility: Visibility
    text: str
    created_time: datetime
    full_text: str = ""
    html: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    channel: int = 0
    conversation_id: str = ""
    address: str = ""
    delivery_state: str = ""
    subject: str = ""
    cc: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody of the customer's side beside the customer; `wrote` is False for who was only in copy."""

    channel: int
    address: str
    name: str = ""
    wrote: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """A thread outside that belongs to a ticket, and who is on its other end."""

    id: str
    channel: int
    address: str
    account: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """What the next line needs so that it does not start from zero (CA-22)."""

    done: str = ""
    missing: str = ""
    ask: str = ""
    urgency: str = ""
    promises: str = ""
    checked: str = ""
    deadline: datetime | None = None


@dataclass(slots=True)
class Escalation:
    """The one open escalation of a ticket. Without a move `to_line` is `from_line`."""

    started_time: datetime
    from_line: Line
    to_line: Line
    reasons: list[Reason] = field(default_factory=list)
    management: bool = False
    form: Form | None = None
    criterion: str = ""

    @property
    def moved(self) -> bool:
        """Whether the ticket went to another line."""
        return self.to_line != self.from_line


@dataclass(frozen=True, slots=True)
class FinishedEscalation:
    """An escalation that is over, and the answer it was returned with, if it was."""

    escalation: Escalation
    ended_time: datetime
    answer: str = ""


@dataclass(slots=True)
class SlaClock:
    """One clock of a ticket, as last heard, with the versions of ticket and policy it was computed from."""

    clock: str
    state: str
    cycle: int
    version: int
    due_time: datetime | None = None
    met_time: datetime | None = None
    breached: bool = False
    last_mark: str = ""
    policy_version: int = 0


@dataclass(frozen=True, slots=True)
class Csat:
    """The customer's verdict on a cycle, `score` from 0 to 100 whatever the scale was."""

    score: int
    raw: int
    scale: int
    comment: str
    answered_time: datetime
    cycle: int


@dataclass(slots=True)
class Ticket:
    """A request of a customer and all that is known of it but its messages."""

    id: str
    queue: str
    number: int
    subject: str
    customer: Customer
    priority: Priority
    line: Line
    channel: int
    created_time: datetime
    updated_time: datetime
    status: str = "new"
    status_kind: StatusKind = StatusKind.NEW
    version: int = 0
    type: TicketType = TicketType.QUESTION
    category: str = ""
    component: str = ""
    edition: str = ""
    language: str = ""
    assignee: str = ""
    observers: list[str] = field(default_factory=list)
    customer_number: str = ""
    account: str = ""
    conversations: list[Conversation] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    fields: dict[str, Value] = field(default_factory=dict)
    resolved_time: datetime | None = None
    closed_time: datetime | None = None
    cycle: int = 1
    escalation: Escalation | None = None
    finished: list[FinishedEscalation] = field(default_factory=list)
    contacts: list[datetime] = field(default_factory=list)
    incident: bool = False
    clocks: list[SlaClock] = field(default_factory=list)
    csat: Csat | None = None
    message_count: int = 0
    timeline: list[Fact] = field(default_factory=list)
    parent_ticket_id: str = ""
    origin: str = ""
    from_robot: bool = False
    participants: list[Participant] = field(default_factory=list)
    merged_into_id: str = ""
    merged_into_key: str = ""
    setup_id: str = field(default="", compare=False)
    workflow: Workflow = field(default=LINES, repr=False, compare=False)
    stored: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Its state by name as it was when it was loaded or last told of: what the audit compares with."""
    told: list["Entry"] = field(default_factory=list, repr=False, compare=False)
    """Entries of the audit that are written when it is saved."""
    recorded: History = field(default=History(), repr=False, compare=False)
    """Its history as far as it is stored."""
    happened: list["Happened"] = field(default_factory=list, repr=False, compare=False)
    """What the rules of its queue have not seen yet."""
    steps: int = field(default=0, repr=False, compare=False)
    """How many rules did something to it in this unit of work."""
    first_message: Message | None = field(default=None, repr=False, compare=False)
    """What it begins with, as long as it is not stored."""

    @property
    def key(self) -> str:
        """What people say, "SUP-12"."""
        return f"{self.queue}-{self.number}"


@dataclass(slots=True)
class Queue:
    """A queue of tickets and its defaults."""

    key: str
    name: str
    addresses: list[str] = field(default_factory=list)
    default_priority: Priority = Priority.NORMAL
    default_language: str = "en"
    first_line: Line = Line.L1
    last_line: Line = Line.L3
    public_lines: list[Line] = field(default_factory=lambda: [Line.L1, Line.L2])
    version: int = 1
    setup_id: str = ""
    setup_version: int = 0


@dataclass(slots=True)
class Agent:
    """A person of the desk. No lines and no queues mean all of them."""

    id: str
    name: str
    email: str = ""
    language: str = "en"
    lines: list[Line] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)
    leads: list[Line] = field(default_factory=list)
    management: bool = False
    active: bool = True
    version: int = 1

    def works_on(self, line: Line) -> bool:
        """Whether tickets of the line are theirs to take."""
        return not self.lines or line in self.lines
