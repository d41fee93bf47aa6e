"""Reports as SQL: one statement a source, with the sums over each field and over all."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chassis.db import Tx
from tickets.domain.query.catalog import catalog
from tickets.domain.query.resolve import Search
from tickets.domain.reports import (
    MOST_ROWS,
    Figure,
    Group,
    Question,
    Table,
    complete,
    figure,
    too_large,
)
from tickets.domain.reports_metrics import TIMES, Metric, Source, Unit
from tickets.store import tables
from tickets.store.query import clauses
from tickets.store.reports_figures import EXPRESSIONS
from tickets.store.reports_sources import THINGS, Column, Things, backlog
from tickets.store.rights import visible
from tickets.store.search import bounded

_t, _c = tables.ticket, tables.customer
_COLUMNS: dict[str, Column] = {
    "queue": _t.c.queue,
    "category": _t.c.category,
    "component": _t.c.component,
    "edition": _t.c.edition,
    "priority": _t.c.priority,
    "tier": _c.c.tier,
    "channel": _t.c.channel,
    "type": _t.c.type,
}
_KNOWN = catalog()
_CHOICES = {
    each.key: each.choice_names()
    for name in ("line", "priority", "tier", "channel", "type")
    if (each := _KNOWN.find(name))
}
_CHOICES["level"] = _CHOICES["line"]
_ORDERS = {name: list(names.values()) for name, names in _CHOICES.items()}
_FORMATS = {"day": "YYYY-MM-DD", "week": "YYYY-MM-DD", "month": "YYYY-MM"}
_MOST_SUMMED = 4 * MOST_ROWS


async def report(tx: Tx, asked: Question, search: Search, own: str, *, staff: bool) -> Table:
    """The figures of tickets that a query finds and the caller may see.

    `own` bounds groups of operators to one agent. Raises InvalidInput (REPORT_TOO_LARGE), Exhausted
    (QUERY_TOO_COSTLY).
    """
    chosen = [*clauses(search, staff=staff), *await visible(tx)]
    table = Table(asked)
    for source, metrics in asked.sources.items():
        points = _points(asked, tx.now) if source is Source.BACKLOG else {}
        if source is Source.BACKLOG and not points:
            continue
        things = backlog(points, _unit(asked)) if points else THINGS[source]
        mine = [things.operator == own] if own and "operator" in asked.group_by else []
        async with bounded():
            rows = (await tx.execute(_statement(asked, things, metrics, [*chosen, *mine]))).all()
        if len(rows) > _MOST_SUMMED:
            raise too_large()
        for row in rows:
            _put(table, metrics, row)
        if points and _unit(asked):
            _keep_last(table, metrics[0], list(points)[-1])
    return complete(table, _ORDERS, tx.now)


def _statement(
    asked: Question, things: Things, metrics: Sequence[Metric], chosen: Sequence[sa.ColumnElement[bool]]
) -> sa.Select[Any]:
    axes = [_axis(asked, name, things).label(f"axis_{index}") for index, name in enumerate(asked.group_by)]
    values = [EXPRESSIONS[each.name].label(each.name) for each in metrics]
    # Whose customers nobody asks for are not read.
    source: sa.FromClause = _t.join(_c, _t.c.customer_id == _c.c.id) if "tier" in asked.group_by else _t
    if things.table is not None:
        source = source.join(things.table, things.ticket_id == _t.c.id)
    parts = () if things.each is None else (things.each.label("whole"),)
    found = (
        sa.select(*axes, *values, *parts)
        .select_from(source)
        .where(*things.within(asked.period), *chosen)
        .subquery()
    )
    whole = None if things.each is None else found.c.whole
    figures = [each for metric in metrics for each in _aggregates(found, metric, whole)]
    columns = [found.c[axis.name] for axis in axes]
    if not columns:
        alone: list[Column] = [sa.literal_column("0"), *figures]
        return sa.select(*alone)
    # Averages and medians of a whole cannot be made of those of its parts.
    sums = [*(sa.tuple_(each) for each in columns if len(columns) > 1), sa.tuple_()]
    sets = sa.func.grouping_sets(sa.tuple_(*columns), *sums)
    query: sa.Select[Any] = sa.select(sa.func.grouping(*columns), *columns, *figures)
    return query.group_by(sets).limit(_MOST_SUMMED + 1)


def _aggregates(found: sa.Subquery, metric: Metric, whole: Column | None) -> tuple[Column, Column]:
    """The value of a metric and of how many things it speaks: those of which its expression is not null."""
    value = found.c[metric.name]
    count: Column = sa.func.count(value)
    if metric.unit is Unit.COUNT:
        return count, count
    if whole is not None:
        count = sa.func.count(sa.distinct(whole)).filter(value.is_not(None))
        return sa.func.sum(value) / sa.func.nullif(count, 0), count
    if metric.name.endswith("_median"):
        return sa.func.percentile_cont(sa.literal_column("0.5")).within_group(value), count
    return sa.func.avg(value), count


def _axis(asked: Question, name: str, things: Things) -> Column:
    if name in things.fields:
        return things.fields[name]
    if name in TIMES:
        local = sa.func.timezone(asked.period.zone.key, things.time)
        return sa.func.to_char(sa.func.date_trunc(name, local), _FORMATS[name])
    if name == "line":
        return things.line
    return things.operator if name == "operator" else _COLUMNS[name]


def _put(table: Table, metrics: Sequence[Metric], row: sa.Row[Any]) -> None:
    """A row where it belongs: what it is the sum over is told in bits, the first field in the highest."""
    by = table.question.group_by
    summed, values = row[0], row[1 + len(by) :]
    names = [_name(field, row[index]) for index, field in enumerate(by, 1)]
    group: Group
    if summed == 2 ** len(by) - 1:
        group = table.total
    elif summed:
        part, name = (table.first_sums, names[0]) if summed == 1 else (table.second_sums, names[1])
        group = part.setdefault((name,), {})
    else:
        group = table.rows.setdefault(tuple(names), {})
    for metric, value, count in zip(metrics, values[::2], values[1::2], strict=True):
        group[metric] = figure(metric, None if value is None else float(value), count)


def _name(field: str, value: Any) -> str:
    """A value as queries write it; empty for none."""
    return "" if value is None else str(_CHOICES.get(field, {}).get(value, value))


def _unit(asked: Question) -> str:
    return next((each for each in asked.group_by if each in TIMES), "")


def _points(asked: Question, now: datetime) -> dict[str, datetime]:
    """When backlogs are counted: at the end of each day, week or month that has begun, or of the period."""
    unit = _unit(asked)
    buckets = asked.period.buckets(unit) if unit else {"": (asked.period.start, asked.period.end)}
    return {name: min(end, now) for name, (begin, end) in buckets.items() if begin <= now}


def _keep_last(table: Table, metric: Metric, last: str) -> None:
    """Backlogs do not add up over time: over all days it is that of the last."""
    nothing = Figure(0, 0)
    by = table.question.group_by
    if len(by) == 1:
        table.total[metric] = table.rows.get((last,), {}).get(metric, nothing)
        return
    first = by[0] in TIMES
    at_end, others = (table.first_sums, table.second_sums)[:: 1 if first else -1]
    table.total[metric] = at_end.get((last,), {}).get(metric, nothing)
    for (name,), group in others.items():
        group[metric] = table.rows.get((last, name) if first else (name, last), {}).get(metric, nothing)
