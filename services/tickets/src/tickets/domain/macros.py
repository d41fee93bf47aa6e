"""Answers that are kept ready, and what is done with them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chassis.errors import Refused
from tickets.domain import templates
from tickets.domain.fields import Field, User, Value, value_faults
from tickets.domain.label import Label
from tickets.domain.model import Agent, Priority, Queue, Ticket
from tickets.domain.templates import TemplateFailed, Values

VARIABLES = (
    "ticket.key", "ticket.subject", "ticket.status", "ticket.priority", "ticket.category", "ticket.tags",
    "ticket.created", "customer.name", "customer.organisation", "customer.number", "agent.name",
    "agent.email", "queue.key", "queue.name", "due", "now",
)  # fmt: skip
"""What a text may speak of, beside `field.<key>`. Times are in the customer's zone; `due` may be empty."""


@dataclass(frozen=True, slots=True)
class Macro:
    """A text by language with what else is done when it is used."""

    key: str
    name: Label
    texts: tuple[tuple[str, str], ...] = ()
    internal: bool = False
    status: str = ""
    priority: Priority | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    fields: dict[str, Value] = field(default_factory=dict)


ERROR_FIXED = Macro(
    "error_fixed",
    Label("Ошибка исправлена", "The error is fixed"),
    (
        (
            "ru",
            "Здравствуйте, {{ customer.name }}!\n\n"
            "Ошибка, о которой вы написали в обращении {{ ticket.key }} «{{ ticket.subject }}», исправлена "
            "и проверена. Если она осталась, просто ответьте на это письмо.",
        ),
        (
            "en",
            "Hello {{ customer.name }},\n\n"
            'the error that you wrote of in {{ ticket.key }} "{{ ticket.subject }}" is fixed and tested. '
            "If it is still there, just reply to this letter.",
        ),
    ),
)
WISH_DELIVERED = Macro(
    "wish_delivered",
    Label("Пожелание выполнено", "The wish is delivered"),
    (
        (
            "ru",
            "Здравствуйте, {{ customer.name }}!\n\n"
            "То, о чём вы просили в обращении {{ ticket.key }} «{{ ticket.subject }}», готово. "
            "Спасибо за идею!",
        ),
        (
            "en",
            "Hello {{ customer.name }},\n\n"
            'what you wished for in {{ ticket.key }} "{{ ticket.subject }}" is there. '
            "Thank you for the idea!",
        ),
    ),
)
"""What customers are told when the tasks of their ticket are done (MP-20), unless the queue's setup says it
otherwise under the same key."""


def faults(
    macros: Sequence[Macro], fields: Sequence[Field], statuses: Collection[str]
) -> Iterator[tuple[str, str]]:
    """What is wrong with the macros of a setup: a path such as `macros[2].key`, and what is wanted there."""
    seen: set[str] = set()
    for index, macro in enumerate(macros):
        if macro.key in seen:
            yield f"macros[{index}].key", f"{macro.key} is the key of another macro too"
        seen.add(macro.key)
        if macro.status and macro.status not in statuses:
            yield f"macros[{index}].status", f"must be one of {', '.join(statuses)}"
        for path, text in [*_text_faults(macro, fields), *_value_faults(macro, fields)]:
            yield f"macros[{index}].{path}", text


def text_of(macro: Macro, language: str, values: Values) -> tuple[str, str]:
    """The text for a reader and its language: theirs, else English, else any; empty without texts.

    Raises Refused (MACRO_FAILED) when it cannot be made.
    """
    texts = dict(macro.texts)
    chosen = next((each for each in (language, "en", *texts) if each in texts), "")
    if not chosen:
        return "", ""
    try:
        return templates.render(texts[chosen], values), chosen
    except TemplateFailed as error:
        fault = error.fault
        raise Refused(
            f"macro {macro.key}, line {fault.line}: {fault.text}",
            reason="MACRO_FAILED",
            metadata={"macro": macro.key, "language": chosen, "line": str(fault.line)},
        ) from error


def values(ticket: Ticket, queue: Queue, agent: Agent | None, now: datetime) -> Values:
    """What the variables of a text are for a ticket; without an agent nobody has written it."""
    here, ru = _zone(ticket.customer.timezone), ticket.language == "ru"
    due = min(
        (each.due_time for each in ticket.clocks if each.due_time and each.state == "running"), default=None
    )
    return {
        "ticket": {
            "key": ticket.key,
            "subject": ticket.subject,
            "status": ticket.status,
            "priority": ticket.priority.name.lower(),
            "category": ticket.category,
            "tags": ", ".join(ticket.tags),
            "created": _time(ticket.created_time, here, ru=ru),
        },
        "customer": {
            "name": ticket.customer.name,
            "organisation": ticket.customer.organisation,
            "number": ticket.customer_number,
        },
        "agent": {"name": agent.name if agent else "", "email": agent.email if agent else ""},
        "queue": {"key": queue.key, "name": queue.name},
        "due": _time(due, here, ru=ru) if due else "",
        "now": _time(now, here, ru=ru),
        "field": {key: word(ticket, value) for key, value in ticket.fields.items()},
    }


def word(ticket: Ticket, value: Value) -> str:
    """A value of a custom field as the customer of a ticket would read it."""
    match value:
        case datetime():
            return _time(value, _zone(ticket.customer.timezone), ru=ticket.language == "ru")
        case tuple():
            return ", ".join(value)
        case User():
            return value.id
        case float():
            return f"{value:.15g}"
    return value


def _text_faults(macro: Macro, fields: Sequence[Field]) -> Iterator[tuple[str, str]]:
    variables = [*VARIABLES, *(f"field.{each.key}" for each in fields)]
    if len(dict(macro.texts)) < len(macro.texts):
        yield "texts", "must hold one text a language"
    for number, (_, text) in enumerate(macro.texts):
        for fault in templates.faults(text, variables):
            yield f"texts[{number}].text", f"line {fault.line}: {fault.text}"


def _value_faults(macro: Macro, fields: Sequence[Field]) -> Iterator[tuple[str, str]]:
    if set(macro.add_tags) & set(macro.remove_tags):
        yield "remove_tags", "must not hold what the macro adds"
    for fault in value_faults(fields, macro.fields):
        yield fault.field, fault.description


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _time(at: datetime, here: tzinfo, *, ru: bool) -> str:
    return at.astimezone(here).strftime("%d.%m.%Y %H:%M (%Z)" if ru else "%Y-%m-%d %H:%M (%Z)")
