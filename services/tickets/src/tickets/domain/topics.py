"""What tickets are about: components, two levels of categories, templates of typical requests."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

from tickets.domain.fields import Field, Value, read_value, value_faults
from tickets.domain.label import Label
from tickets.domain.model import Line, Priority, Ticket, TicketType

REQUIRABLE = ("category", "component", "customer_number", "edition")
"""What may have to be filled in beside custom fields, which are named `fields.<key>`."""


@dataclass(frozen=True, slots=True)
class Component:
    """A topic with an owner."""

    key: str
    name: Label
    owner: str = ""
    assign_by_default: bool = False
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where a new ticket begins, as far as its category says."""

    line: Line | None = None
    queue: str = ""
    component: str = ""
    priority: Priority | None = None
    type: TicketType | None = None
    assignee: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    """One entry of the two levels, "payment" or "payment/refund"."""

    key: str
    name: Label
    route: Route = Route()
    archived: bool = False


@dataclass(frozen=True, slots=True)
class TicketTemplate:
    """A prepared ticket for a typical request (CP-05)."""

    key: str
    name: Label
    subject: str = ""
    text: str = ""
    type: TicketType | None = None
    category: str = ""
    component: str = ""
    edition: str = ""
    priority: Priority | None = None
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Value] = field(default_factory=dict)
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topics:
    """Components, categories and templates of a queue."""

    components: tuple[Component, ...] = ()
    categories: tuple[Category, ...] = ()
    templates: tuple[TicketTemplate, ...] = ()

    def component(self, key: str) -> Component | None:
        """The component of a key."""
        return next((each for each in self.components if each.key == key), None)

    def category(self, key: str) -> Category | None:
        """The category of a key."""
        return next((each for each in self.categories if each.key == key), None)

    def template(self, key: str) -> TicketTemplate | None:
        """The template of a key."""
        return next((each for each in self.templates if each.key == key), None)

    def route_of(self, category: str) -> Route:
        """Where tickets of a category begin: what its own level leaves open, the first level says."""
        if not self.categories:
            return _NO_ROUTE
        own, first = self.category(category), self.category(category.partition("/")[0])
        levels = [each.route for each in (own, first) if each]
        told = {name: next(filter(None, (getattr(each, name) for each in levels)), None) for name in _ROUTE}
        return Route(**{name: value for name, value in told.items() if value})

    def category_fault(self, key: str) -> str:
        """Why a ticket may not get this category; empty when it may. Any will do where none are defined."""
        found = self.category(key)
        if not key or not self.categories or (found and not found.archived):
            return ""
        return "is archived" if found else "must be a category of the queue"

    def component_fault(self, key: str) -> str:
        """Why a ticket may not get this component; empty when it may. Any will do where none are defined."""
        found = self.component(key)
        if not key or not self.components or (found and not found.archived):
            return ""
        return "is archived" if found else "must be a component of the queue"


_ROUTE, _NO_ROUTE = tuple(each.name for each in fields(Route)), Route()
_ENUMS: dict[str, tuple[type[IntEnum], str]] = {
    "line": (Line, "LINE_"),
    "priority": (Priority, "PRIORITY_"),
    "type": (TicketType, "TICKET_TYPE_"),
}


def read_topics(document: Mapping[str, Any]) -> Topics:
    """What the tickets of a queue are about, out of a setup document that follows the contract."""
    return Topics(
        components=tuple(Component(**_named(each)) for each in document.get("components", ())),
        categories=tuple(
            Category(**{**_named(each), "route": Route(**_coded(each.get("route", {})))})
            for each in document.get("categories", ())
        ),
        templates=tuple(_read_template(each) for each in document.get("templates", ())),
    )


def unfilled(ticket: Ticket, names: Iterable[str]) -> list[str]:
    """Those of the names that the ticket has no value for: of REQUIRABLE, or `fields.<key>`."""
    return [name for name in names if not _is_filled(ticket, name)]


def required_faults(names: Sequence[str], field_keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names that nothing can be filled in for: neither of REQUIRABLE, nor `fields.` and a key of these."""
    known = [*REQUIRABLE, *(f"fields.{key}" for key in sorted(field_keys))]
    for index, name in enumerate(names):
        if name not in known:
            yield f"required[{index}]", f"must be one of {', '.join(known)}"


def definition_faults(topics: Topics, custom: Sequence[Field]) -> Iterator[tuple[str, str]]:
    """What is wrong with the topics of a setup: paths such as `categories[1].key`, and what is wanted."""
    for name in ("components", "categories", "templates"):
        yield from _repeated_keys(name, [each.key for each in getattr(topics, name)])
    for index, component in enumerate(topics.components):
        if component.assign_by_default and not component.owner:
            yield f"components[{index}].owner", "must be set, as the component is assigned by default"
    for index, category in enumerate(topics.categories):
        yield from _within(f"categories[{index}]", _category_faults(category, topics))
    for index, template in enumerate(topics.templates):
        yield from _within(f"templates[{index}]", _template_faults(template, topics, custom))


def _read_template(document: Mapping[str, Any]) -> TicketTemplate:
    lists = {name: tuple(document[name]) for name in ("tags", "required") if name in document}
    values = {key: read_value(value) for key, value in document.get("fields", {}).items()}
    return TicketTemplate(**{**_coded(_named(document)), **lists, "fields": values})


def _named(document: Mapping[str, Any]) -> dict[str, Any]:
    return {**document, "name": Label(**document.get("name", {}))}


def _coded(document: Mapping[str, Any]) -> dict[str, Any]:
    """A part of a document with the numbers of its enums."""
    coded = {
        name: kind[document[name].removeprefix(prefix)]
        for name, (kind, prefix) in _ENUMS.items()
        if name in document
    }
    return {**document, **coded}


def _category_faults(category: Category, topics: Topics) -> Iterator[tuple[str, str]]:
    first, slash, _ = category.key.partition("/")
    if slash and not topics.category(first):
        yield "key", f"needs a category {first} above it"
    if text := topics.component_fault(category.route.component):
        yield "route.component", text


def _template_faults(
    template: TicketTemplate, topics: Topics, custom: Sequence[Field]
) -> Iterator[tuple[str, str]]:
    if text := topics.category_fault(template.category):
        yield "category", text
    if text := topics.component_fault(template.component):
        yield "component", text
    for violation in value_faults(custom, template.fields):
        yield violation.field, violation.description
    yield from required_faults(template.required, [each.key for each in custom if not each.archived])


def _within(path: str, faults: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((f"{path}.{name}", text) for name, text in faults)


def _repeated_keys(name: str, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    counts = Counter(keys)
    for index, key in enumerate(keys):
        if counts[key] > 1:
            yield f"{name}[{index}].key", f"{key} must stand there once"


def _is_filled(ticket: Ticket, name: str) -> bool:
    if name.startswith("fields."):
        return name.removeprefix("fields.") in ticket.fields
    return bool(getattr(ticket, name))
