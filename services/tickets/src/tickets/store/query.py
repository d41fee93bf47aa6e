"""A query as SQL: conditions and order of tickets. What people wrote is bound, never spliced."""

import operator as operators
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any as Anything
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from tickets.domain.query.catalog import Field, Kind
from tickets.domain.query.resolve import Search, Test
from tickets.domain.query.tree import All, Any, Condition, Node, Not
from tickets.store import tables, texts
from tickets.store.body import micros
from tickets.store.tables import NEVER

Clause = sa.ColumnElement[bool]
_t, _c, _k = tables.ticket, tables.customer, tables.ticket_clock
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_CHANNELS = range(1, 13)
_NO_TEXT = sa.literal_column("''", sa.Text)

OPEN: Clause = _t.c.status_kind < sa.literal_column("5")
"""Not resolved, as the partial indexes say it."""


def clauses(search: Search, *, staff: bool) -> list[Clause]:
    """What must hold of a ticket; who is not staff finds nothing by the words of internal notes."""
    if search.where is None:
        return []
    parts = search.where.parts if isinstance(search.where, All) else (search.where,)
    return [_clause(each, search, staff) for each in parts]


def _clause(node: Node, search: Search, staff: bool) -> Clause:  # noqa: FBT001 - its own recursion only
    match node:
        case Condition():
            return sa.or_(*(_test(each, staff=staff) for each in search.tests[node]))
        case Not(part):
            # What is not known is not so: an unset time is neither before nor after another.
            return _clause(part, search, staff).is_not(sa.true())
        case All(parts):
            return sa.and_(*(_clause(each, search, staff) for each in parts))
        case Any(parts):
            return sa.or_(*(_clause(each, search, staff) for each in parts))


def _test(test: Test, *, staff: bool) -> Clause:
    if test.field.key == "text":
        return texts.says(test.value, staff=staff)
    if special := _SPECIAL.get(test.field.key):
        return special(test)
    if test.field.key in OF_CUSTOMER:
        return _t.c.customer_id.in_(sa.select(_c.c.id).where(_compared(OF_CUSTOMER[test.field.key], test)))
    return _compared(COLUMNS[test.field.key], test)


def _compared(column: sa.ColumnElement[Anything], test: Test) -> Clause:
    match test.operator:
        case "in":
            return column == test.value[0] if len(test.value) == 1 else column.in_(test.value)
        case "within":
            return sa.and_(column >= test.value[0], column < test.value[1])
        case "between":
            return column.between(*test.value)
        case "empty":
            return column == _NO_TEXT if isinstance(column.type, sa.Text) else column.is_(None)
        case _:
            compared: Clause = _OPERATORS[test.operator](column, test.value)
            return compared


def _status(test: Test) -> Clause:
    keys = {key for each in test.value for key in each.keys}
    kinds = {kind for each in test.value for kind in each.kinds}
    # Said twice so that indexes by kind serve.
    return sa.and_(_t.c.status.in_(sorted(keys)), _t.c.status_kind.in_(sorted(kinds)))


def _resolution(test: Test) -> Clause:
    return OPEN if test.operator == "empty" else _compared(_t.c.status_kind, test)


def _category(test: Test) -> Clause:
    if test.operator == "empty":
        return _t.c.category == _NO_TEXT
    whole = [each for each in test.value if "/" in each]
    tops = [each for each in test.value if "/" not in each]
    below = sa.and_(_top(whole), _t.c.category.in_(whole))
    return sa.or_(*([_top(tops)] if tops else []), *([below] if whole else []))


def _top(categories: list[str]) -> Clause:
    top = sa.func.split_part(_t.c.category, sa.literal_column("'/'"), sa.literal_column("1"))
    filled = _t.c.category != _NO_TEXT
    return sa.and_(top.in_(sorted({each.partition("/")[0] for each in categories})), filled)


def _tags(test: Test) -> Clause:
    tagged = _t.c.tags != sa.literal_column("'{}'")
    return sa.not_(tagged) if test.operator == "empty" else sa.and_(_t.c.tags.overlap(test.value), tagged)


def _observers(test: Test) -> Clause:
    known = _has(_t.c.body, "observers")
    if test.operator == "empty":
        return sa.not_(known)
    observers = _t.c.body[sa.literal_column("'observers'")]
    return sa.and_(known, sa.or_(*(observers.contains(_json([each])) for each in test.value)))


def _tickets(test: Test) -> Clause:
    keys = [each for each in test.value if not isinstance(each, str)]
    ids = [each for each in test.value if isinstance(each, str)]
    by_key = sa.tuple_(_t.c.queue, _t.c.number).in_(keys)
    return sa.or_(*([by_key] if keys else []), *([_t.c.id.in_(ids)] if ids else []))


def _parent(test: Test) -> Clause:
    if test.operator == "empty":
        return _t.c.parent_ticket_id == _NO_TEXT
    parent = tables.ticket.alias("parent")
    keys = [each for each in test.value if not isinstance(each, str)]
    ids = [each for each in test.value if isinstance(each, str)]
    named = sa.select(sa.cast(parent.c.id, sa.Text)).where(
        sa.tuple_(parent.c.queue, parent.c.number).in_(keys)
    )
    filled = _t.c.parent_ticket_id != _NO_TEXT
    either = (
        *([_t.c.parent_ticket_id.in_(named)] if keys else []),
        *([_t.c.parent_ticket_id.in_(ids)] if ids else []),
    )
    return sa.and_(filled, sa.or_(*either))


def _customer(test: Test) -> Clause:
    words = test.value
    try:
        return _t.c.customer_id == str(UUID(words))
    except ValueError:
        pass
    named = sa.select(_c.c.id).where(_c.c.name.icontains(words, autoescape=True))
    contact = tables.contact
    # Channels are listed because the index begins with them.
    reached = sa.select(contact.c.customer_id).where(
        contact.c.address == words.lower(), contact.c.channel.in_(_CHANNELS)
    )
    return _t.c.customer_id.in_(sa.union_all(named, reached))


def _due(test: Test) -> Clause:
    if test.operator == "empty":
        return _t.c.due_time == NEVER
    compared = _compared(_t.c.due_time, test)
    return sa.and_(compared, _t.c.due_time < NEVER) if test.operator in (">", ">=") else compared


def _clock(test: Test) -> Clause:
    clock = sa.select(_k.c.ticket_id).where(_k.c.ticket_id == _t.c.id).correlate(_t)
    if test.field.argument:
        clock = clock.where(_k.c.clock == test.field.argument)
    if test.operator == "empty":
        return sa.not_(sa.exists(clock))
    if test.operator == "state":
        wanted: Clause = _k.c.breached if test.value == "breached" else _k.c.state == test.value
        return sa.exists(clock.where(wanted))
    running = _k.c.state == sa.literal_column("'running'")
    return sa.exists(clock.where(running, _compared(_k.c.due_time, test)))


def _escalation(test: Test) -> Clause:
    if test.operator == "empty":
        return sa.not_(_has(_t.c.body, "escalation"))
    reasons = ({"escalation": {"reasons": [int(each)]}} for each in test.value)
    return sa.or_(*(_t.c.body.contains(_json(each)) for each in reasons))


def _custom(test: Test) -> Clause:
    key, kind = test.field.argument, _CUSTOM[test.field.kind]
    if test.operator == "empty":
        return sa.not_(_has(_t.c.fields, key))
    if test.operator == "in":
        wanted = ({key: {kind: [each] if kind == "choices" else each}} for each in test.value)
        return sa.or_(*(_t.c.fields.contains(_json(each)) for each in wanted))
    value = custom_value(test.field)
    if kind == "number":
        return _compared(sa.cast(value, sa.Double), test)
    within = [micros(each) for each in test.value] if isinstance(test.value, tuple) else micros(test.value)
    return _compared(sa.cast(value, sa.BigInteger), replace(test, value=within))


def custom_value(field: Field) -> sa.ColumnElement[str]:
    """What a ticket has in a custom field, as text; null for nothing."""
    value: sa.ColumnElement[str] = _t.c.fields[field.argument][_CUSTOM[field.kind]].astext
    return value


def _has(column: sa.ColumnElement[Anything], key: str) -> Clause:
    return column.bool_op("?")(key)


def _json(value: object) -> sa.ColumnElement[Anything]:
    return sa.literal(value, JSONB)


_OPERATORS: dict[str, Callable[[Anything, Anything], Anything]] = {
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}
COLUMNS: dict[str, sa.ColumnElement[Anything]] = {
    "queue": _t.c.queue,
    "type": _t.c.type,
    "component": _t.c.component,
    "edition": _t.c.edition,
    "priority": _t.c.priority,
    "kind": _t.c.status_kind,
    "line": _t.c.line,
    "assignee": _t.c.assignee,
    "cabinet": _t.c.customer_number,
    "channel": _t.c.channel,
    "account": _t.c.account,
    "language": _t.c.language,
    "origin": _t.c.origin,
    "created": _t.c.created_time,
    "updated": _t.c.updated_time,
    "resolved": _t.c.resolved_time,
    "closed": _t.c.closed_time,
    "score": sa.cast(_t.c.body[sa.literal_column("'csat'")][sa.literal_column("'score'")].astext, sa.Double),
    "messages": sa.cast(_t.c.message_count, sa.Double),
    "cycle": sa.cast(_t.c.cycle, sa.Double),
}
OF_CUSTOMER: dict[str, sa.ColumnElement[Anything]] = {
    "tier": _c.c.tier,
    "organisation": _c.c.organisation,
    "manager": _c.c.account_manager,
}
_SPECIAL: dict[str, Callable[[Test], Clause]] = {
    "key": _tickets,
    "subject": lambda test: texts.titled(test.value),
    "status": _status,
    "resolution": _resolution,
    "category": _category,
    "observer": _observers,
    "customer": _customer,
    "tag": _tags,
    "parent": _parent,
    "due": _due,
    "sla": _clock,
    "escalation": _escalation,
    "field": _custom,
}
_CUSTOM = {
    Kind.WORD: "text",
    Kind.CHOICE: "text",
    Kind.NUMBER: "number",
    Kind.TIME: "time",
    Kind.DAY: "time",
    Kind.SET: "choices",
    Kind.USER: "user",
}
"""Under which name the column `fields` holds a value."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """An expression that is never null, so that a row can be compared with where a page ended."""

    column: sa.ColumnElement[Anything]
    descending: bool


def sort_keys(order: tuple[tuple[Field, bool], ...]) -> list[SortKey]:
    """The order of a list: newest first when nothing is said; the id makes it total."""
    found = [key for field, descending in order for key in _sort(field, descending)]
    found = found or [SortKey(_t.c.created_time, descending=True)]
    return [*found, SortKey(_t.c.id, found[-1].descending)]


def ordering(keys: list[SortKey]) -> list[sa.ColumnElement[Anything]]:
    """For ORDER BY."""
    return [key.column.desc() if key.descending else key.column.asc() for key in keys]


def after(keys: list[SortKey], place: list[Anything]) -> Clause:
    """Behind a place in the order."""
    bound = [sa.literal(value, key.column.type) for key, value in zip(keys, place, strict=True)]
    if len({key.descending for key in keys}) == 1:
        row, there = sa.tuple_(*(key.column for key in keys)), sa.tuple_(*bound)
        return row < there if keys[0].descending else row > there
    steps = []
    for index, key in enumerate(keys):
        same = (one.column == value for one, value in zip(keys[:index], bound, strict=False))
        beyond = key.column < bound[index] if key.descending else key.column > bound[index]
        steps.append(sa.and_(*same, beyond))
    return sa.or_(*steps)


def _sort(field: Field, descending: bool) -> list[SortKey]:  # noqa: FBT001 - a direction, not a switch
    if field.key == "key":
        return [SortKey(_t.c.queue, descending), SortKey(_t.c.number, descending)]
    if field.key == "status":
        return [SortKey(_t.c.status_kind, descending)]
    column = _t.c.due_time if field.key == "due" else COLUMNS[field.key]
    if field.key == "due" and descending:
        column = sa.func.nullif(column, NEVER, type_=column.type)
    if field.key in ("resolved", "closed") or (field.key == "due" and descending):
        # What has no time comes last, whichever way.
        column = sa.func.coalesce(column, _EARLIEST if descending else NEVER, type_=_t.c.created_time.type)
    return [SortKey(column, descending)]
