"""What is known of a ticket before it exists, and what its queue's setup makes of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chassis.errors import Violation
from tickets.domain.answers import read_answers
from tickets.domain.attributes import MAX_TAGS, refuse
from tickets.domain.fields import Value, all_fault, missing, value_faults
from tickets.domain.model import Attachment, Contact, Participant, Priority, Ticket, TicketType
from tickets.domain.routing import priority_by_answers
from tickets.domain.setup import Setup
from tickets.domain.topics import TicketTemplate, unfilled


@dataclass(frozen=True, slots=True)
class Opening:
    """What is empty takes what setup and queue say. `topic` and `answers` come from a form, not read yet."""

    queue: str
    sender: Contact
    subject: str
    text: str
    at: datetime
    sender_name: str = ""
    ticket_id: str = ""
    message_id: str = ""
    conversation_id: str = ""
    account: str = ""
    template: str = ""
    type: TicketType | None = None
    priority: Priority | None = None
    category: str = ""
    component: str = ""
    edition: str = ""
    language: str = ""
    customer_number: str = ""
    tags: list[str] = field(default_factory=list)
    fields: Mapping[str, Value] = field(default_factory=dict)
    topic: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    full_text: str = ""
    html: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    parent_ticket_id: str = ""
    origin: str = ""
    by_robot: bool = False
    answered: bool = True
    asked: bool = False
    people: list[Participant] = field(default_factory=list)


def complete(opening: Opening, setup: Setup) -> Opening:
    """With the values of its template, of its category, and of its answers in this order, what is said first.

    Raises InvalidInput where somebody asks for it (CreateTicket) and the setup does not allow it.
    """
    template = _template(opening, setup)
    filled = _with_template(opening, template) if template else opening
    if opening.asked:
        _check(filled, setup)
    route = setup.topics.route_of(filled.category)
    by_answers = None if opening.priority else priority_by_answers(setup.routing, filled.fields)
    usual = setup.types[0] if setup.types else TicketType.QUESTION
    return replace(
        filled,
        type=filled.type or route.type or usual,
        priority=by_answers or filled.priority or route.priority,
        component=filled.component or route.component,
    )


def check_filled(opening: Opening, ticket: Ticket, setup: Setup) -> None:
    """Raises InvalidInput for what queue and template require and the ticket does not have (CP-04)."""
    template = setup.topics.template(opening.template)
    required = [f"fields.{key}" for key in missing(setup.fields, ticket.fields)]
    also = unfilled(ticket, template.required if template else ())
    refuse([Violation(name, "must be filled in") for name in dict.fromkeys([*required, *also])])


def understand(opening: Opening, setup: Setup, timezone: str) -> tuple[Opening, dict[str, str]]:
    """With the answers of a form as values (YT-11), and the words that the setup has no place for."""
    values, left = read_answers(setup.fields, opening.answers, _zone(timezone))
    category = opening.category or opening.topic
    if opening.topic and setup.topics.category_fault(opening.topic):
        left, category = {"topic": opening.topic, **left}, opening.category
    return replace(opening, category=category, fields={**opening.fields, **values}), left


def _template(opening: Opening, setup: Setup) -> TicketTemplate | None:
    found = setup.topics.template(opening.template)
    if opening.template and found is None:
        refuse([Violation("template", "must be a ticket template of the queue")])
    return found


def _with_template(opening: Opening, template: TicketTemplate) -> Opening:
    return replace(
        opening,
        subject=opening.subject or template.subject,
        text=opening.text or template.text,
        type=opening.type or template.type,
        category=opening.category or template.category,
        component=opening.component or template.component,
        edition=opening.edition or template.edition,
        priority=opening.priority or template.priority,
        tags=list(dict.fromkeys([*opening.tags, *template.tags])),
        fields={**template.fields, **opening.fields},
    )


def _check(opening: Opening, setup: Setup) -> None:
    told = (
        ("subject", "" if opening.subject else "must not be empty"),
        ("text", "" if opening.text else "must not be empty"),
        ("type", setup.type_fault(opening.type) if opening.type else ""),
        ("category", setup.topics.category_fault(opening.category)),
        ("component", setup.topics.component_fault(opening.component)),
        ("fields", all_fault(opening.fields)),
        ("tags", "" if len(opening.tags) <= MAX_TAGS else f"must be at most {MAX_TAGS} with the template's"),
    )
    faults = [Violation(path, text) for path, text in told if text]
    refuse([*faults, *value_faults(setup.fields, opening.fields)])


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
