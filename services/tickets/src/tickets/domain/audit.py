"""What changed, by name, for the audit: short values, and never what somebody wrote."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from tickets.domain.model import Actor, Line, Priority, Reason, TicketType, Tier

_LENGTH = 100
_UNTOLD = frozenset(
    ("id", "number", "version", "created_time", "updated_time", "status_kind", "timeline", "body")
)
"""What changes with everything, or is told by another name."""
_TOLD = frozenset((
    "queue", "type", "category", "component", "edition", "language", "priority", "status", "line", "assignee",
    "observers", "followers", "customer_id", "customer_number", "channel", "account", "tags", "cycle",
    "message_count", "parent_ticket_id", "resolved_time", "closed_time", "from_robot", "fields",
    "escalation.from_line", "escalation.to_line", "escalation.reasons", "escalation.management", "csat.score",
    "tier", "timezone", "numbers", "organisation", "account_manager",
    "default_priority", "default_language", "first_line", "last_line", "public_lines",
    "lines", "queues", "leads", "management", "active",
))  # fmt: skip
"""Names whose values are shown. Anything else, above all texts, is named without them."""
_ENUMS: Mapping[str, type[IntEnum]] = {
    "type": TicketType,
    "priority": Priority,
    "default_priority": Priority,
    "tier": Tier,
    **dict.fromkeys(("line", "first_line", "last_line", "public_lines", "lines", "leads"), Line),
    **dict.fromkeys(("escalation.from_line", "escalation.to_line"), Line),
    "escalation.reasons": Reason,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One value that became different; `old` and `new` are empty where values are not told."""

    name: str
    old: str = ""
    new: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of a ticket (`ticket_id`) or of something else (`about`), and through what it came."""

    id: str
    time: datetime
    actor: Actor
    event: str
    ticket_id: str | None = None
    about: str = ""
    version: int = 0
    principal: str = ""
    source: str = ""
    request_id: str = ""
    changes: tuple[Change, ...] = ()


def state(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a thing is, by name, out of its row; the parts of a ticket's body stand beside its columns."""
    parts = {**row, **row.get("body", {})}
    flat = (each for name, value in parts.items() if name not in _UNTOLD for each in _flat(name, value))
    return {name: tuple(value) if isinstance(value, list) else value for name, value in flat}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """What is different between two states; none before means that the thing is new."""
    pairs = ((name, before.get(name), after.get(name)) for name in {**before, **after})
    # Of most things there is nothing, before and after.
    found = [_change(name, old, new) for name, old, new in pairs if (old or new) and old != new]
    return tuple(change for change in found if change.old != change.new or not _told(change.name))


def _change(name: str, old: Any, new: Any) -> Change:
    return Change(name, _short(name, old), _short(name, new)) if _told(name) else Change(name)


def _told(name: str) -> bool:
    return name in _TOLD or name.startswith("fields.")


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Dotted names for what is nested; a custom field is one value whatever it is made of."""
    if not isinstance(value, dict):
        yield name, value
    elif name.startswith("fields."):
        yield name, [each for key in value for _, each in _flat("", value[key])]
    else:
        for key, part in value.items():
            yield from _flat(f"{name}.{key}", part)


def _short(name: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        text = ", ".join(_short(name, each) for each in value)
    elif value in (None, "", False):
        text = ""
    elif isinstance(value, datetime):
        text = value.isoformat(timespec="seconds")
    elif name in _ENUMS:
        text = _ENUMS[name](value).name.lower()
    else:
        text = str(value)
    return text if len(text) <= _LENGTH else text[: _LENGTH - 3] + "..."
