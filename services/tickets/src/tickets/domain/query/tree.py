"""A query as a tree: what was written and where, and back to text."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

WORD = r"\w+(?:[-./@+]\w+)*"
"""What needs no quotes."""
KEYWORDS = ("and", "or", "not", "и", "или", "не", "asc", "desc")
_PLAIN = re.compile(WORD)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the text, by offsets of characters; `end` is behind the last one."""

    start: int
    end: int


NOWHERE = Span(0, 0)
_AT = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A word, or a call such as `now()`, moved by shifts such as "-30d"."""

    text: str
    call: bool = False
    shifts: tuple[str, ...] = ()
    span: Span = _AT


@dataclass(frozen=True, slots=True)
class Item:
    """One of the values of a condition: equal, compared, or with `high` a range that holds both ends."""

    value: Value
    operator: str = "="
    high: Value | None = None
    span: Span = _AT


@dataclass(frozen=True, slots=True)
class Condition:
    """A field and what it may be: one of the items must hold."""

    name: str
    items: tuple[Item, ...]
    span: Span = _AT
    """Where the name stands."""


@dataclass(frozen=True, slots=True)
class Not:
    """The part must not hold."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class All:
    """Every part must hold; two or more, none of them an All."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Any:
    """One part must hold; two or more, none of them an Any."""

    parts: "tuple[Node, ...]"


Node: TypeAlias = Condition | Not | All | Any


@dataclass(frozen=True, slots=True)
class Order:
    """A field to sort by."""

    name: str
    descending: bool = False
    span: Span = _AT


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query; without `where` it is every ticket."""

    where: Node | None = None
    order: tuple[Order, ...] = ()


def all_of(parts: Iterable[Node]) -> Node:
    """The parts joined by AND; a single part is itself."""
    flat = tuple(inner for each in parts for inner in (each.parts if isinstance(each, All) else (each,)))
    return flat[0] if len(flat) == 1 else All(flat)


def any_of(parts: Iterable[Node]) -> Node:
    """The parts joined by OR; a single part is itself."""
    flat = tuple(inner for each in parts for inner in (each.parts if isinstance(each, Any) else (each,)))
    return flat[0] if len(flat) == 1 else Any(flat)


def negated(part: Node) -> Node:
    """The opposite."""
    return part.part if isinstance(part, Not) else Not(part)


def conditions(node: Node | None) -> Iterator[Condition]:
    """Every condition in the order of the text."""
    match node:
        case Condition():
            yield node
        case Not(part):
            yield from conditions(part)
        case All(parts) | Any(parts):
            for each in parts:
                yield from conditions(each)


def to_text(query: Query) -> str:
    """The query written out; parsing it gives the same tree."""
    parts = [_node(query.where)] if query.where else []
    if query.order:
        keys = (quoted(each.name) + (" DESC" if each.descending else "") for each in query.order)
        parts.append(f"ORDER BY {', '.join(keys)}")
    return " ".join(parts)


def quoted(text: str) -> str:
    """A word as it has to be written: in quotes where the language would not take it for one."""
    if _PLAIN.fullmatch(text) and text.lower() not in KEYWORDS:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _node(node: Node) -> str:
    match node:
        case Condition(name, items):
            return f"{quoted(name)}: {', '.join(_item(each) for each in items)}"
        case Not(part):
            return f"NOT {_operand(part, All | Any)}"
        case All(parts):
            return " AND ".join(_operand(each, Any) for each in parts)
        case Any(parts):
            return " OR ".join(_node(each) for each in parts)


def _operand(node: Node, weaker: object) -> str:
    text = _node(node)
    return f"({text})" if isinstance(node, weaker) else text  # type: ignore[arg-type]


def _item(item: Item) -> str:
    if item.high:
        return f"{_value(item.value)} .. {_value(item.high)}"
    return _value(item.value) if item.operator == "=" else f"{item.operator} {_value(item.value)}"


def _value(value: Value) -> str:
    base = f"{value.text}()" if value.call else quoted(value.text)
    return " ".join([base, *(f"{each[0]} {each[1:]}" for each in value.shifts)])
