"""What is known of a ticket beside its state: which values it may get, and what a change of them comes to."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from chassis.errors import InvalidInput, Violation
from tickets.domain import timeline as facts
from tickets.domain.fields import Value, all_fault, size_of, value_faults
from tickets.domain.model import Ticket, TicketType

if TYPE_CHECKING:
    from tickets.domain.setup import Setup

MAX_TAGS = 50
PLAIN = ("subject", "type", "category", "component", "edition", "customer_number")
POLICY = ("type", "category", "component", "edition", "tags", "fields")
"""Attributes that a policy of the clocks may look at."""


@dataclass(frozen=True, slots=True)
class Change:
    """New values; None leaves what is there, an empty text takes it away."""

    subject: str | None = None
    type: TicketType | None = None
    category: str | None = None
    component: str | None = None
    edition: str | None = None
    customer_number: str | None = None
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    set_fields: Mapping[str, Value] = field(default_factory=dict)
    clear_fields: Sequence[str] = ()


def check(ticket: Ticket, change: Change, setup: "Setup") -> None:
    """Raises InvalidInput with every value that the setup of the queue does not allow."""
    # What the ticket has already may stay, though the setup has moved on.
    news = {key: value for key, value in change.set_fields.items() if ticket.fields.get(key) != value}
    told = (Violation(path, text) for path, text in _faults(ticket, change, setup) if text)
    refuse([*value_faults(setup.fields, news), *told])


def refuse(violations: Sequence[Violation]) -> None:
    """Raises InvalidInput when there is any."""
    if violations:
        text = "; ".join(f"{each.field} {each.description}" for each in violations)
        raise InvalidInput(text, violations=violations)


def apply(ticket: Ticket, change: Change, at: datetime) -> list[str]:
    """Change the ticket and tell what changed: names of attributes, and `fields.<key>`."""
    changed = [name for name in PLAIN if _replace(ticket, name, getattr(change, name))]
    tags = _tags(ticket, change)
    if tags != ticket.tags:
        ticket.tags = tags
        changed.append("tags")
    values = _values(ticket, change)
    keys = sorted(ticket.fields.keys() | values.keys())
    changed += [f"fields.{key}" for key in keys if ticket.fields.get(key) != values.get(key)]
    ticket.fields = values
    seen = dict.fromkeys(each.partition(".")[0] for each in changed)
    names = tuple(name for name in seen if name in POLICY)
    if names:
        facts.record(ticket.timeline, facts.AttributesChanged(time=at, names=names))
    return changed


def _faults(ticket: Ticket, change: Change, setup: "Setup") -> Iterator[tuple[str, str]]:
    """Paths and what is wanted there, which is empty where nothing is wrong."""
    if change.subject is not None and not change.subject:
        yield "subject", "must not be empty"
    if change.type and change.type != ticket.type:
        yield "type", setup.type_fault(change.type)
    if change.category not in (None, ticket.category):
        yield "category", setup.topics.category_fault(change.category or "")
    if change.component not in (None, ticket.component):
        yield "component", setup.topics.component_fault(change.component or "")
    yield from _list_faults(ticket, change, setup)


def _list_faults(ticket: Ticket, change: Change, setup: "Setup") -> Iterator[tuple[str, str]]:
    if len(_tags(ticket, change)) > max(MAX_TAGS, len(ticket.tags)):
        yield "add_tags", f"would make more than {MAX_TAGS} tags"
    if size_of(values := _values(ticket, change)) > size_of(ticket.fields):
        yield "set_fields", all_fault(values)
    known = {each.key for each in setup.fields} | ticket.fields.keys()
    for key in change.clear_fields:
        if key not in known:
            yield f"fields.{key}", "is no field of the queue"
        elif key in change.set_fields:
            yield f"fields.{key}", "cannot be set and cleared at once"


def _values(ticket: Ticket, change: Change) -> dict[str, Value]:
    kept = {key: value for key, value in ticket.fields.items() if key not in change.clear_fields}
    return {**kept, **change.set_fields}


def _tags(ticket: Ticket, change: Change) -> list[str]:
    kept = [tag for tag in ticket.tags if tag not in change.remove_tags]
    return list(dict.fromkeys([*kept, *change.add_tags]))


def _replace(ticket: Ticket, name: str, value: object) -> bool:
    if value is None or value == getattr(ticket, name):
        return False
    setattr(ticket, name, value)
    return True
