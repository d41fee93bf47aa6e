"""Conditions of rules and transitions: CEL over what is known of a ticket, its customer and a change.

The names are flat, so that an unknown one is found when a setup is put.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cel_expr_python import cel

from chassis.errors import Refused
from tickets.domain.audit import Change
from tickets.domain.fields import Field, FieldType, User, Value
from tickets.domain.model import Actor, ActorKind, Ticket
from tickets.domain.query.catalog import CHANNELS

MAX_TEXT = 4_000
"""Characters of a text that conditions see."""
_MAX_SEARCHES, _MAX_SEARCHING = 5, 500
_LOOP = re.compile(r"\b(?:all|exists|exists_one|map|filter)\b")
_SEARCH = re.compile(r"\bmatches\b")
_SEARCH_OF_NAME = re.compile(r"\b(?:ticket|customer|change)\.[\w.]+\.matches\(")
_TEXT, _TIME, _WORDS = cel.Type.STRING, cel.Type.TIMESTAMP, cel.Type.List(cel.Type.STRING)
_PAIRS = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)

_TICKET: dict[str, Any] = {
    **dict.fromkeys(
        (
            "key", "queue", "subject", "type", "category", "component", "edition", "priority", "status",
            "kind", "line", "assignee", "customer_number", "channel", "account", "language", "origin",
            "parent",
        ),
        _TEXT,
    ),
    **dict.fromkeys(("tags", "followers", "reasons", "breached"), _WORDS),
    **dict.fromkeys(("created", "updated", "resolved", "closed", "due"), _TIME),
    **dict.fromkeys(("escalated", "from_robot", "incident"), cel.Type.BOOL),
    **dict.fromkeys(("cycle", "messages", "score"), cel.Type.INT),
    "clocks": _PAIRS,
}  # fmt: skip
_CUSTOMER: dict[str, Any] = {
    **dict.fromkeys(("id", "name", "tier", "organisation", "manager", "language", "timezone"), _TEXT),
    **dict.fromkeys(("numbers", "addresses"), _WORDS),
}
_CHANGE: dict[str, Any] = {
    **dict.fromkeys(("event", "actor", "actor_id", "text", "clock", "mark"), _TEXT),
    "names": _WORDS,
    "old": _PAIRS,
    "new": _PAIRS,
}
_OF_FIELD: dict[FieldType, Any] = {
    # Whole numbers and fractions compare with each other.
    FieldType.NUMBER: cel.Type.DYN,
    FieldType.DATE: _TIME,
    FieldType.TIME: _TIME,
    FieldType.MANY_OF: _WORDS,
}
_MISSING = ("No value with name", "Key not found in map", "no such key")


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a ticket as rules see it; a mark of a clock is one, too."""

    event: str
    actor: Actor
    version: int = 0
    changes: tuple[Change, ...] = ()
    text: str = ""
    clock: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """An expression that was read: what is wrong with it, or what can be asked."""

    text: str = ""
    fault: str = ""
    language: "Language | None" = field(default=None, repr=False, compare=False)
    expression: cel.Expression | None = field(default=None, repr=False, compare=False)

    def holds(self, facts: "Facts") -> bool:
        """Whether it is true; what is not there makes it false. Raises Refused (CONDITION_FAILED)."""
        if not self.text:
            return True
        if self.expression is None or self.language is None:
            raise _failed(self.fault)
        try:
            result = self.expression.eval(facts.of(self.language))
        except RuntimeError as error:
            raise _failed(str(error)) from error
        if result.type() != cel.Type.ERROR:
            return result.value() is True
        told = str(result.value())
        if any(each in told for each in _MISSING):
            return False
        raise _failed(told)


ALWAYS = Condition()


class Language:
    """What conditions of one queue may name."""

    def __init__(self, fields: Iterable[Field], *, of_change: bool = False, of_time: bool = True) -> None:
        groups = {"ticket": _TICKET, "customer": _CUSTOMER, "change": _CHANGE if of_change else {}}
        names = {f"{group}.{name}": kind for group, part in groups.items() for name, kind in part.items()}
        names |= {f"ticket.fields.{each.key}": _OF_FIELD.get(each.type, _TEXT) for each in fields}
        self._env = cel.NewEnv(variables=names | ({"now": _TIME} if of_time else {}))

    def read(self, text: str) -> Condition:
        """Check and compile an expression."""
        if not text.strip():
            return ALWAYS
        if fault := _unbounded(text):
            return Condition(text, fault)
        try:
            expression = self._env.compile(text)
        except RuntimeError as error:
            return Condition(text, _cel_fault(str(error)))
        kind = expression.return_type()
        if kind not in (cel.Type.BOOL, cel.Type.DYN):
            return Condition(text, f"must be true or false, this is {kind.name().lower()}")
        return Condition(text, language=self, expression=expression)

    def activation(self, values: Mapping[str, Any]) -> cel.Activation:
        """Values by name, as expressions of this language take them."""
        return self._env.Activation(values)


class Facts:
    """What conditions are asked of: made when the first one asks, and again when the ticket has changed."""

    def __init__(self, ticket: Ticket, now: datetime | None, happened: Happened | None = None) -> None:
        self.happened = happened
        self._ticket, self._now = ticket, now
        self._version = -1
        self._made: cel.Activation | None = None

    def of(self, language: Language) -> cel.Activation:
        """The facts for conditions of a language; all that ask these are of one."""
        if self._made is None or self._version != self._ticket.version:
            values = {**_of_ticket(self._ticket), **_of_customer(self._ticket)}
            if self._now:
                values["now"] = self._now
            if self.happened:
                values |= _of_change(self.happened)
            self._version, self._made = self._ticket.version, language.activation(values)
        return self._made


def _unbounded(text: str) -> str:
    """Why an expression might take too long. The budget of CEL counts steps, not what a step costs.

    Looks at the whole text, strings too: what is hidden in them cannot be told apart from what is not.
    """
    searches = len(_SEARCH.findall(text))
    if _LOOP.search(text) and (searches or "+" in text):
        return "goes through a list and may not use matches or + beside that: make two rules of it"
    if searches > len(_SEARCH_OF_NAME.findall(text)):
        return "matches must stand right behind a name, as in change.text.matches(...)"
    if searches > _MAX_SEARCHES or (searches and len(text) > _MAX_SEARCHING):
        return f"with matches must have at most {_MAX_SEARCHING} characters and use it {_MAX_SEARCHES} times"
    return ""


def _of_ticket(ticket: Ticket) -> dict[str, Any]:
    escalation = ticket.escalation
    running = [each.due_time for each in ticket.clocks if each.due_time and each.state == "running"]
    times = {
        "resolved": ticket.resolved_time,
        "closed": ticket.closed_time,
        "due": min(running, default=None),
        "score": ticket.csat.score if ticket.csat else None,
    }
    plain = ("key", "queue", "subject", "category", "component", "edition", "status", "assignee", "account",
             "customer_number", "language", "origin", "tags", "cycle", "from_robot", "incident")  # fmt: skip
    values = {
        **{name: getattr(ticket, name) for name in plain},
        "type": ticket.type.name.lower(),
        "priority": ticket.priority.name.lower(),
        "kind": ticket.status_kind.name.lower(),
        "line": ticket.line.name,
        "channel": channel(ticket.channel),
        "parent": ticket.parent_ticket_id,
        "followers": ticket.observers,
        "reasons": [each.name.lower() for each in escalation.reasons] if escalation else [],
        "escalated": escalation is not None,
        "messages": ticket.message_count,
        "created": ticket.created_time,
        "updated": ticket.updated_time,
        "clocks": {each.clock: each.state for each in ticket.clocks},
        "breached": [each.clock for each in ticket.clocks if each.breached],
        **{name: value for name, value in times.items() if value is not None},
        **{f"fields.{key}": _plain(value) for key, value in ticket.fields.items()},
    }
    return {f"ticket.{name}": value for name, value in values.items()}


def _of_customer(ticket: Ticket) -> dict[str, Any]:
    customer = ticket.customer
    plain = ("id", "name", "organisation", "language", "timezone", "numbers")
    values = {
        **{name: getattr(customer, name) for name in plain},
        "tier": customer.tier.name.lower(),
        "manager": customer.account_manager,
        "addresses": [each.address for each in customer.contacts],
    }
    return {f"customer.{name}": value for name, value in values.items()}


def _of_change(happened: Happened) -> dict[str, Any]:
    words = {each.name: (_word(each.name, each.old), _word(each.name, each.new)) for each in happened.changes}
    values: Mapping[str, Any] = {
        "event": happened.event,
        "actor": ActorKind(happened.actor.kind).name.lower(),
        "actor_id": happened.actor.id,
        "text": happened.text[:MAX_TEXT],
        "clock": happened.clock,
        "mark": happened.mark,
        "names": list(words),
        "old": {name: old for name, (old, _) in words.items()},
        "new": {name: new for name, (_, new) in words.items()},
    }
    return {f"change.{name}": value for name, value in values.items()}


def channel(number: int) -> str:
    """A channel as queries call it."""
    return CHANNELS[number - 1] if 0 < number <= len(CHANNELS) else ""


def _plain(value: Value) -> Any:
    match value:
        case User():
            return value.id
        case tuple():
            return list(value)
        case str():
            return value[:MAX_TEXT]
    return value


def _word(name: str, told: str) -> str:
    """A value of the audit as the ticket shows it."""
    return told.upper() if name == "line" else told


def _failed(told: str) -> Refused:
    return Refused(f"condition: {_one_line(told)}", reason="CONDITION_FAILED")


def _cel_fault(report: str) -> str:
    """The first line of CEL's report, without its code, its made-up file name and its grammar."""
    first = report.splitlines()[0]
    _, _, fault = first.partition("<input>:")
    told = (fault.strip() or first).partition(" expecting {")[0].replace("'<EOF>'", "the end")
    return f"at {told.partition(' (in container ')[0]}" if fault else _one_line(told)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
