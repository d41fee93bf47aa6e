"""What reports count: cycles by their moments, clocks that were met, times spent, and backlogs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tickets.domain.reports import Period
from tickets.domain.reports_metrics import Source
from tickets.store import tables
from tickets.store.history_tables import clock_result, ticket_cycle, ticket_span

_t = tables.ticket
_cycle, _result, _span = ticket_cycle.c, clock_result.c, ticket_span.c
Column = sa.ColumnElement[Any]
_OPEN: Column = sa.literal_column("5")


@dataclass(frozen=True, slots=True)
class Things:
    """Rows beside their ticket: the moment of each, whose and on which line it was, and other fields.

    What `lasted` belongs to no moment of the period. Averages are over distinct values of `each` where
    there are several rows of one.
    """

    time: Column
    line: Column
    operator: Column
    table: sa.FromClause | None = None
    ticket_id: Column = _t.c.id
    only: tuple[sa.ColumnElement[bool], ...] = ()
    fields: Mapping[str, Column] = field(default_factory=dict)
    each: Column | None = None
    lasted: bool = False

    def within(self, period: Period) -> list[sa.ColumnElement[bool]]:
        """Conditions that leave what belongs to a period."""
        moment = () if self.lasted else (self.time >= period.start, self.time < period.end)
        return [*moment, *self.only]


def _cycles(name: str, *only: sa.ColumnElement[bool], by: str = "", **fields: Column) -> Things:
    """Cycles by one of their moments; who and on which line may be those of another."""
    return Things(
        _cycle[f"{name}_time"],
        _cycle[f"{by or name}_line"],
        _cycle[f"{by or name}_by"],
        ticket_cycle,
        _cycle.ticket_id,
        only,
        fields,
    )


_UNTIL_RESOLVED = sa.and_(
    _span.ticket_id == _cycle.ticket_id, _span.cycle == _cycle.cycle, _span.to_time <= _cycle.resolved_time
)
# One value: pairs take ten times as long to be told apart.
_ONE_CYCLE = sa.func.uuid_send(_cycle.ticket_id).op("||")(sa.func.int4send(_cycle.cycle))
THINGS = {
    Source.OPENED: Things(_t.c.created_time, _t.c.line, _t.c.assignee),
    Source.TAKEN: _cycles("taken", _cycle.cycle == 1),
    Source.ANSWERED: _cycles("replied", _cycle.cycle == 1),
    Source.RESOLVED: _cycles("resolved", level=_cycle.highest_line),
    Source.REOPENED: _cycles("reopened", by="resolved"),
    Source.RATED: _cycles("rated", by="resolved"),
    Source.CLOCK: Things(
        _result.met_time,
        _result.line,
        _result.assignee,
        clock_result,
        _result.ticket_id,
        fields={"clock": _result.clock},
    ),
    Source.SPENT: Things(
        _cycle.resolved_time,
        _span.line,
        _span.assignee,
        ticket_cycle.join(ticket_span, _UNTIL_RESOLVED),
        _cycle.ticket_id,
        fields={"status": _span.status},
        each=_ONE_CYCLE,
    ),
}
"""All but the backlog, whose times are asked for."""


def backlog(points: Mapping[str, datetime], unit: str) -> Things:
    """Tickets that were not resolved at some instants, which are values of the field `unit`."""
    first, last = min(points.values()), max(points.values())
    at = sa.values(
        sa.column("name", sa.Text), sa.column("at", sa.DateTime(timezone=True)), name="point"
    ).data(list(points.items()))
    stretch = sa.func.tstzrange
    past = sa.select(_span.ticket_id, _span.from_time, _span.to_time, _span.line, _span.assignee).where(
        _span.status_kind < _OPEN,
        stretch(_span.from_time, _span.to_time).bool_op("&&")(stretch(first, last, "[]")),
    )
    present = _t.alias("present")
    since = sa.select(sa.func.max(_span.to_time)).where(_span.ticket_id == present.c.id).scalar_subquery()
    going_on = sa.select(
        present.c.id,
        sa.func.coalesce(since, present.c.created_time),
        sa.literal(tables.NEVER),
        present.c.line,
        present.c.assignee,
    ).where(present.c.status_kind < _OPEN, present.c.created_time <= last)
    held = sa.union_all(past, going_on).subquery("held")
    there = sa.and_(held.c.from_time <= at.c.at, held.c.to_time > at.c.at)
    return Things(
        at.c.at,
        held.c.line,
        held.c.assignee,
        held.join(at, there),
        held.c.ticket_id,
        fields={unit: at.c.name},
        lasted=True,
    )
