"""How many tickets a query finds, by one field or by two, with the sums of both."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from chassis.db import Tx
from tickets.domain.query.catalog import Field, Kind
from tickets.domain.query.found import Cell, Counts
from tickets.domain.query.resolve import Search
from tickets.store import tables
from tickets.store.query import COLUMNS, OF_CUSTOMER, clauses, custom_value
from tickets.store.rights import visible
from tickets.store.search import bounded

MOST = 1000
"""Numbers that are told, sums among them."""
_t, _c = tables.ticket, tables.customer
_COLUMNS: dict[str, sa.ColumnElement[Any]] = {
    **COLUMNS,
    **OF_CUSTOMER,
    "status": _t.c.status,
    "category": _t.c.category,
    "due": _t.c.due_time,
}
_NOT_COUNTED = ("score", "messages", "cycle", "due")
_SINGLE = (Kind.WORD, Kind.CHOICE, Kind.USER)
"""Custom fields that tickets are counted by: those of one word."""


def counted(field: Field) -> bool:
    """Whether tickets can be counted by a field."""
    if field.key == "field":
        return field.kind in _SINGLE
    return field.key == "tag" or (field.key in _COLUMNS and field.key not in _NOT_COUNTED)


async def count_tickets(
    tx: Tx, search: Search, by: Sequence[Field], zone: ZoneInfo, *, staff: bool
) -> Counts:
    """Count by at most two fields, in one statement. Raises Exhausted (QUERY_TOO_COSTLY)."""
    axes = [_axis(each, zone).label(f"axis_{index}") for index, each in enumerate(by)]
    found = (
        sa.select(_t.c.id, *axes)
        .join_from(_t, _c, _t.c.customer_id == _c.c.id)
        .where(*clauses(search, staff=staff), *await visible(tx))
        .subquery()
    )
    columns = [found.c[axis.name] for axis in axes]
    # A ticket has a row for each of its tags.
    several = any(each.key == "tag" for each in by)
    count = sa.func.count(found.c.id.distinct() if several else sa.text("*")).label("tickets")
    query = sa.select(count, *columns).select_from(found)
    if columns:
        summed = sa.func.grouping(*columns)
        sums = [sa.tuple_(*columns), *(sa.tuple_(each) for each in columns if len(columns) > 1), sa.tuple_()]
        query = query.add_columns(summed).group_by(sa.func.grouping_sets(*sums))
        query = query.order_by(summed.desc(), count.desc(), *columns).limit(MOST + 1)
    async with bounded():
        rows = (await tx.execute(query)).all()
    return _counts(by, rows)


def _axis(field: Field, zone: ZoneInfo) -> sa.ColumnElement[Any]:
    if field.key == "tag":
        none = sa.literal_column("array['']::text[]", ARRAY(sa.Text))
        tags = sa.case((_t.c.tags == sa.literal_column("'{}'"), none), else_=_t.c.tags)
        return sa.func.unnest(tags, type_=sa.Text)
    if field.key == "field":
        return custom_value(field)
    column = _COLUMNS[field.key]
    if field.kind is Kind.TIME:
        return sa.cast(sa.func.timezone(zone.key, column), sa.Date)
    return column


def _counts(by: Sequence[Field], rows: Sequence[sa.Row[Any]]) -> Counts:
    counts = Counts(truncated=len(rows) > MOST)
    if not by:
        counts.total = rows[0][0]
        return counts
    # What a row is the sum over is told in bits, the first field in the highest.
    places = [counts.cells, counts.groups, counts.splits] if len(by) > 1 else [counts.groups]
    for row in rows[:MOST]:
        count, summed = row[0], row[-1]
        names = [_name(field, row[index]) for index, field in enumerate(by, 1)]
        group, split = [*names, ""][:2]
        if summed < len(places):
            places[summed].append(Cell(group, split, count))
        else:
            counts.total = count
    counts.groups.sort(key=lambda cell: _rank(by[0], cell.group))
    counts.splits.sort(key=lambda cell: _rank(by[-1], cell.split))
    return counts


def _name(field: Field, value: Any) -> str:
    """A value as queries write it; empty for none, and for what is summed over."""
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    return field.choice_names().get(value, str(value))


def _rank(field: Field, name: str) -> tuple[int, str]:
    """Days and choices have an order of their own; the rest stays as it came, the largest first."""
    if field.kind is Kind.TIME:
        return 0, name
    names = list(field.choice_names().values())
    return (names.index(name) if name in names else len(names)), ""
