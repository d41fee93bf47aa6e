"""What a report asks for, its periods, and the tables that come of it."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from math import prod
from typing import TypeAlias
from zoneinfo import ZoneInfo

from chassis.errors import Denied, InvalidInput, Violation
from tickets.domain.query.faults import nearest
from tickets.domain.query.resolve import Search
from tickets.domain.reports_catalog import BY_NAME
from tickets.domain.reports_metrics import TIMES, Metric, Source, Unit

MOST_DAYS, MOST_ROWS = 366, 2000
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """Days from the first to the last, both included, as they are in a zone."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def start(self) -> datetime:
        """The instant at which it begins."""
        return _midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The instant at which it is over."""
        return _midnight(self.last + _DAY, self.zone)

    def buckets(self, unit: str) -> dict[str, tuple[datetime, datetime]]:
        """Its days, weeks or months by name, each with when it begins and ends within the period."""
        found: dict[str, tuple[datetime, datetime]] = {}
        for number in range((self.last - self.first).days + 1):
            day = self.first + number * _DAY
            name, end = bucket(day, unit), _midnight(day + _DAY, self.zone)
            begin = found[name][0] if name in found else _midnight(day, self.zone)
            found[name] = begin, end
        return found


@dataclass(frozen=True, slots=True)
class Question:
    """Metrics of a period by at most two fields."""

    period: Period
    metrics: tuple[Metric, ...]
    group_by: tuple[str, ...] = ()
    cumulative: bool = False

    @property
    def sources(self) -> dict[Source, list[Metric]]:
        """The metrics by where they are counted."""
        found: dict[Source, list[Metric]] = {}
        for each in self.metrics:
            found.setdefault(each.source, []).append(each)
        return found


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, if there is one, and of how many things it speaks."""

    value: float | None
    count: int
    off_goal: bool = False


Names: TypeAlias = tuple[str, ...]
"""Values of the fields of a group."""
Group: TypeAlias = dict[Metric, Figure]
"""Figures of a group; of a metric without one nothing happened there."""


@dataclass(slots=True)
class Table:
    """Figures of each group, of the sums over either field, and of all."""

    question: Question
    rows: dict[Names, Group] = field(default_factory=dict)
    first_sums: dict[Names, Group] = field(default_factory=dict)
    second_sums: dict[Names, Group] = field(default_factory=dict)
    total: Group = field(default_factory=dict)


def question(
    period: Period, metrics: Sequence[str], group_by: Sequence[str], *, cumulative: bool = False
) -> Question:
    """A question that can be answered.

    Raises InvalidInput: PERIOD_INVALID, METRIC_UNKNOWN, FIELD_NOT_GROUPED, NOT_CUMULATIVE.
    """
    if not _DAY <= period.last + _DAY - period.first <= MOST_DAYS * _DAY:
        raise _refused("last_day", f"must be 0 to {MOST_DAYS - 1} days after first_day", "PERIOD_INVALID")
    found = tuple(_metric(index, name) for index, name in enumerate(metrics))
    for index, name in enumerate(group_by):
        _require_grouped(index, name, found)
    if len(set(group_by) & set(TIMES)) > 1:
        raise _refused("group_by[1]", "must not be a second unit of time", "FIELD_NOT_GROUPED")
    if cumulative and not (len(group_by) == 1 and group_by[0] in TIMES and all(map(_adds_up, found))):
        told = "needs numbers that add up (no backlog), by day, week or month alone"
        raise _refused("cumulative", told, "NOT_CUMULATIVE")
    return Question(period, found, tuple(group_by), cumulative)


def period(first: str, last: str, zone: ZoneInfo) -> Period:
    """The period of two days as they are written. Raises InvalidInput (PERIOD_INVALID)."""
    days = []
    for name, text in (("first_day", first), ("last_day", last)):
        try:
            days.append(date.fromisoformat(text))
        except ValueError:
            raise _refused(name, 'must be a day such as "2026-11-30"', "PERIOD_INVALID") from None
        if not 1970 <= days[-1].year <= 9000:
            raise _refused(name, "must be in the years 1970 to 9000", "PERIOD_INVALID")
    return Period(days[0], days[1], zone)


def bucket(day: date, unit: str) -> str:
    """The name of the day, week or month that a day is in: its first day, or "2026-11"."""
    if unit == "month":
        return f"{day:%Y-%m}"
    return (day - day.weekday() * _DAY if unit == "week" else day).isoformat()


def require_own(search: Search, agent: str) -> None:
    """Raise Denied (OPERATOR_NOT_YOURS) when a query chooses tickets of other assignees (CA-28)."""
    for tests in search.tests.values():
        for test in tests:
            others = test.operator != "empty" and set(test.value) - {agent}
            if test.field.key == "assignee" and others:
                raise Denied(
                    "figures of operators are theirs: name no other assignee than yourself, or ask a lead",
                    reason="OPERATOR_NOT_YOURS",
                )


def figure(metric: Metric, value: float | None, count: int) -> Figure:
    """A value with what it means to the metric's goal."""
    return Figure(value, count, value is not None and count > 0 and metric.misses(value))


def complete(table: Table, choices: Mapping[str, Sequence[str]], now: datetime) -> Table:
    """Put groups in their order, and figures where nothing happened.

    `choices` are the values of fields that have an order. Raises InvalidInput (REPORT_TOO_LARGE).
    """
    asked = table.question
    axes = [
        _values(asked, name, {names[index] for names in table.rows}, choices)
        for index, name in enumerate(asked.group_by)
    ]
    timed = [name in TIMES for name in asked.group_by]
    if len(table.rows) > MOST_ROWS or (any(timed) and prod(map(len, axes)) > MOST_ROWS):
        raise too_large()
    ahead = _ahead(asked, now)
    table.total = _filled(asked, table.total, begun=asked.period.start <= now)
    table.rows = _ordered(asked, table.rows, axes, ahead) if axes else {}
    if len(axes) == 2:
        table.first_sums = _ordered(asked, table.first_sums, axes[:1], ahead)
        table.second_sums = _ordered(asked, table.second_sums, axes[1:], ahead)
    if asked.cumulative:
        _add_up(table.rows, ahead)
    return table


def too_large() -> InvalidInput:
    """There are more groups than a report tells."""
    told = f"makes more than {MOST_ROWS} groups: shorten the period or narrow the query"
    return _refused("group_by", told, "REPORT_TOO_LARGE")


def to_csv(table: Table) -> str:
    """The rows and then the whole; beside a share or a time stands of how many things it speaks."""
    asked, out = table.question, io.StringIO()
    writer = csv.writer(out)
    headers = (
        (each.name, f"{each.name}_count") if _divided(each) else (each.name,) for each in asked.metrics
    )
    writer.writerow([*asked.group_by, *(name for pair in headers for name in pair)])
    for names, group in (*table.rows.items(), (("total",) * len(asked.group_by), table.total)):
        writer.writerow([*map(_harmless, names), *_cells(group)])
    return out.getvalue()


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _cells(group: Group) -> Iterator[str]:
    for metric, told in group.items():
        yield "" if told.value is None else f"{round(told.value, 4):.10g}"
        if _divided(metric):
            yield str(told.count)


def _divided(metric: Metric) -> bool:
    return metric.unit is not Unit.COUNT


def _metric(index: int, name: str) -> Metric:
    found = BY_NAME.get(name)
    if found is None:
        raise _refused(f"metrics[{index}]", f'is unknown: "{name}"{nearest(name, BY_NAME)}', "METRIC_UNKNOWN")
    return found


def _require_grouped(index: int, name: str, metrics: Iterable[Metric]) -> None:
    for each in metrics:
        if name not in each.source.fields:
            able = ", ".join(each.source.fields)
            told = (
                f'must be one of {able} for {each.name}; "{name}" is none{nearest(name, each.source.fields)}'
            )
            raise _refused(f"group_by[{index}]", told, "FIELD_NOT_GROUPED")


def _adds_up(metric: Metric) -> bool:
    return metric.unit is Unit.COUNT and metric.source is not Source.BACKLOG


def _values(
    asked: Question, name: str, seen: Iterable[str], choices: Mapping[str, Sequence[str]]
) -> list[str]:
    """Values of a field in their order: all of a time, else those that there are, none last."""
    if name in TIMES:
        return list(asked.period.buckets(name))
    ranks = {each: rank for rank, each in enumerate(choices.get(name, ()))}
    return sorted(set(seen), key=lambda each: (each == "", ranks.get(each, len(ranks)), each))


def _ahead(asked: Question, now: datetime) -> set[str]:
    """Days, weeks or months that have not begun."""
    units = set(asked.group_by) & set(TIMES)
    return {name for unit in units for name, (begin, _) in asked.period.buckets(unit).items() if begin > now}


def _ordered(
    asked: Question, groups: Mapping[Names, Group], axes: Sequence[Sequence[str]], ahead: set[str]
) -> dict[Names, Group]:
    timed = bool(set(asked.group_by) & set(TIMES))
    if timed:
        wanted: Iterable[Names] = product(*axes)
    else:
        ranks = [{name: rank for rank, name in enumerate(axis)} for axis in axes]
        wanted = sorted(
            groups, key=lambda names: [rank[name] for rank, name in zip(ranks, names, strict=True)]
        )
    return {names: _filled(asked, groups.get(names, {}), begun=ahead.isdisjoint(names)) for names in wanted}


def _filled(asked: Question, group: Group, *, begun: bool) -> Group:
    """Numbers are 0 where nothing happened; of what has not begun, and of no things, there is no value."""
    none = {each: Figure(0 if begun and each.unit is Unit.COUNT else None, 0) for each in asked.metrics}
    return {each: group.get(each, none[each]) if begun else none[each] for each in asked.metrics}


def _add_up(rows: dict[Names, Group], ahead: set[str]) -> None:
    """Make each number the sum of itself and those before it."""
    sums: dict[Metric, int] = {}
    for names, group in rows.items():
        for metric, told in group.items():
            sums[metric] = sums.get(metric, 0) + told.count
            group[metric] = Figure(None if names[0] in ahead else sums[metric], sums[metric])


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _refused(place: str, told: str, reason: str) -> InvalidInput:
    return InvalidInput(f"{place} {told}", reason=reason, violations=[Violation(place, told)])
