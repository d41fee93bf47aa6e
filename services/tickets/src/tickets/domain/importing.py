"""Tickets that lived at another desk: what is wrong with them, and what they are here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from chassis.errors import Violation
from tickets.domain import rules, workflow
from tickets.domain import timeline as facts
from tickets.domain.attributes import MAX_TAGS
from tickets.domain.fields import Value, all_fault, value_faults
from tickets.domain.model import (
    ActorKind,
    Contact,
    Conversation,
    Customer,
    Line,
    Message,
    Priority,
    Queue,
    Ticket,
    TicketType,
    Visibility,
)
from tickets.domain.setup import Setup
from tickets.domain.statuses import Status, StatusKind

ORIGIN = "import"
_OVER = (StatusKind.RESOLVED, StatusKind.CLOSED)
_SIDES = {
    ActorKind.CUSTOMER: facts.CustomerMessages,
    ActorKind.AGENT: facts.StaffReplies,
    ActorKind.ROBOT: facts.RobotReplies,
}


@dataclass(frozen=True, slots=True)
class Imported:
    """A ticket as another desk knew it; its messages belong to no ticket yet."""

    external_id: str
    queue: str
    subject: str
    sender: Contact
    created_time: datetime
    messages: Sequence[Message]
    customer_name: str = ""
    status: str = ""
    status_kind: StatusKind = StatusKind.NEW
    type: TicketType | None = None
    priority: Priority | None = None
    line: Line | None = None
    assignee: str = ""
    category: str = ""
    component: str = ""
    edition: str = ""
    customer_number: str = ""
    language: str = ""
    tags: Sequence[str] = ()
    fields: Mapping[str, Value] = field(default_factory=dict)
    updated_time: datetime | None = None
    resolved_time: datetime | None = None
    closed_time: datetime | None = None

    @property
    def last_time(self) -> datetime:
        """When something last happened to it."""
        return self.updated_time or max(each.created_time for each in self.messages)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ticket comes to: its queue with the setup, its customer, its number and conversation."""

    queue: Queue
    setup: Setup
    customer: Customer
    number: int
    conversation_id: str


def faults(told: Imported, queue: Queue, setup: Setup, now: datetime) -> list[Violation]:
    """Everything that is wrong with a ticket but whom it names."""
    found = [Violation(path, text) for path, text in _faults(told, setup) if text]
    lines = f"{queue.first_line.name} to {queue.last_line.name}"
    if told.line and not queue.first_line <= told.line <= queue.last_line:
        found.append(Violation("line", f"must be one of the queue's lines, {lines}"))
    return [*found, *_wrong_times(told, now), *value_faults(setup.fields, told.fields)]


def build(ticket_id: str, told: Imported, place: Place, now: datetime) -> tuple[Ticket, list[Message]]:
    """The ticket with its messages, the oldest first.

    The timeline of one that is over is its history. That of an open one begins now: what another desk
    promised or missed is no business of this one's clocks.
    """
    queue, setup = place.queue, place.setup
    status = _status(told, setup)
    ticket = Ticket(
        id=ticket_id,
        queue=queue.key,
        number=place.number,
        subject=" ".join(told.subject.split()),
        customer=place.customer,
        priority=told.priority or queue.default_priority,
        line=told.line or queue.first_line,
        channel=told.sender.channel,
        created_time=told.created_time if status.kind == StatusKind.CLOSED else now,
        updated_time=now,
        type=told.type or (setup.types[0] if setup.types else TicketType.QUESTION),
        category=told.category,
        component=told.component,
        edition=told.edition,
        language=rules.language_of(told.language, place.customer, queue),
        customer_number=told.customer_number,
        assignee=told.assignee,
        account=next(iter(queue.addresses), ""),
        tags=list(told.tags),
        fields=dict(told.fields),
        origin=ORIGIN,
        workflow=setup.workflow,
    )
    address, account = told.sender.address, ticket.account
    ticket.conversations = [Conversation(place.conversation_id, told.sender.channel, address, account)]
    messages = [_message(each, ticket) for each in sorted(told.messages, key=lambda each: each.created_time)]
    ticket.message_count = len(messages)
    if status.kind == StatusKind.CLOSED:
        ticket.resolved_time = told.resolved_time or told.closed_time or told.last_time
        ticket.closed_time = max(ticket.resolved_time, told.closed_time or ticket.resolved_time)
        _tell(ticket, messages, status)
    else:
        _tell(ticket, [replace(each, created_time=now) for each in messages], status)
        ticket.created_time = told.created_time
    return ticket, messages


def _faults(told: Imported, setup: Setup) -> Iterator[tuple[str, str]]:
    known = [each.key for each in setup.workflow.statuses]
    if told.status and told.status not in known:
        yield "status", f"must be one of {', '.join(known)}"
    yield "subject", "" if told.subject.strip() else "must not be empty"
    yield "type", setup.type_fault(told.type) if told.type else ""
    yield "category", setup.topics.category_fault(told.category)
    yield "component", setup.topics.component_fault(told.component)
    yield "fields", all_fault(told.fields)
    yield "tags", "" if len(told.tags) <= MAX_TAGS else f"must be at most {MAX_TAGS}"


def _wrong_times(told: Imported, now: datetime) -> Iterator[Violation]:
    """Instants that lie ahead, or before the ticket came to be."""
    times = {name: getattr(told, name) for name in ("updated_time", "resolved_time", "closed_time")}
    said = {f"messages[{at}].created_time": each.created_time for at, each in enumerate(told.messages)}
    if told.created_time > now:
        yield Violation("created_time", "must not be in the future")
    for name, time in {**times, **said}.items():
        if time and time > now:
            yield Violation(name, "must not be in the future")
        elif time and time < told.created_time:
            yield Violation(name, "must not be before created_time")


def _status(told: Imported, setup: Setup) -> Status:
    """The status that it has here."""
    flow, line = setup.workflow, told.line or 0
    kind = next((each.kind for each in flow.statuses if each.key == told.status), told.status_kind)
    if kind in _OVER:
        over = next((each for each in flow.statuses if each.key == told.status), None)
        return over if over and over.kind == StatusKind.CLOSED else flow.first(StatusKind.CLOSED, line)
    if kind == StatusKind.ESCALATED or (kind == StatusKind.OPEN and not told.assignee):
        return flow.first(StatusKind.NEW, line)
    return flow.status(told.status, kind)


def _message(told: Message, ticket: Ticket) -> Message:
    author, conversation = told.author, ticket.conversations[0]
    if author.kind == ActorKind.CUSTOMER and not author.id:
        author = replace(author, id=ticket.customer.id, name=author.name or ticket.customer.name)
    if told.visibility == Visibility.INTERNAL:
        return replace(told, ticket_id=ticket.id, author=author)
    return replace(
        told,
        ticket_id=ticket.id,
        author=author,
        channel=conversation.channel,
        conversation_id=conversation.id,
        address=conversation.address,
    )


def _tell(ticket: Ticket, messages: Sequence[Message], status: Status) -> None:
    """Its timeline, from its birth into its status."""
    workflow.opened(ticket)
    for each in messages:
        if each.visibility == Visibility.PUBLIC and each.author.kind in _SIDES:
            agent = each.author.id if each.author.kind == ActorKind.AGENT else ""
            facts.record_message(ticket.timeline, _SIDES[each.author.kind], each.created_time, agent)
    at = ticket.resolved_time or ticket.timeline[-1].end
    if ticket.assignee:
        facts.record(ticket.timeline, facts.Taken(time=at, agent_id=ticket.assignee))
    if status.key != ticket.status:
        change = facts.StatusChanged(
            time=at, from_=ticket.status, to=status.key, from_kind=ticket.status_kind, to_kind=status.kind
        )
        facts.record(ticket.timeline, change)
    ticket.status, ticket.status_kind = status.key, status.kind
    if ticket.closed_time:
        facts.record(ticket.timeline, facts.Resolved(time=at, agent_id=ticket.assignee))
        facts.record(ticket.timeline, facts.Closed(time=ticket.closed_time, confirmed=False))
