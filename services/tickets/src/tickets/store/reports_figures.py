"""What each metric takes from a thing; null where the thing is not spoken of."""

from typing import Any

import sqlalchemy as sa

from tickets.domain.statuses import StatusKind
from tickets.store import tables
from tickets.store.history_tables import clock_result, ticket_cycle, ticket_span

_cycle, _result, _span, _child = ticket_cycle.c, clock_result.c, ticket_span.c, tables.incident_child.c
Expression = sa.ColumnElement[Any]
_ONE = sa.literal_column("1", sa.Integer)
_SATISFIED = 75
"""Scores of 100 that are 4 and 5 of 5."""
_LONG_SECONDS, _SOON_SECONDS = 7200, 600
_OF_INCIDENT = (
    sa.exists().where(_child.ticket_id == tables.ticket.c.id, _child.follows).correlate(tables.ticket)
)


def _share(holds: Expression, of: Expression | None = None) -> Expression:
    """1 where it holds, 0 where not, of those that are spoken of."""
    told = sa.cast(holds, sa.Integer)
    return told if of is None else sa.case((of, told))


def _seconds(from_: Expression, to: Expression) -> Expression:
    return sa.cast(sa.extract("epoch", to - from_), sa.Double)


def _clock(name: str) -> Expression:
    return sa.case((_result.clock == name, _result.elapsed_seconds))


def _in_time(clock: str) -> Expression:
    return _share(~_result.breached, _result.clock == clock)


def _with_medians(found: dict[str, Expression]) -> dict[str, Expression]:
    return found | {f"{name}_median": each for name, each in found.items()}


_BY_HAND = sa.case((~_OF_INCIDENT, _ONE))
_FIRST_CONTACT = sa.and_(~_cycle.escalated, ~_cycle.came_back, _cycle.reopened_time.is_(None))
_SPENT = _seconds(_span.from_time, _span.to_time)
_TIMES = {
    "first_response": _clock("first_response"),
    "first_response_wall": _seconds(_cycle.began_time, _cycle.replied_time),
    "resolution": _clock("resolution"),
    "resolution_wall": _seconds(_cycle.began_time, _cycle.resolved_time),
    "idle": _clock("pickup"),
    "idle_wall": _seconds(_cycle.began_time, _cycle.taken_time),
    "reaction": _clock("accepted_response"),
    "reaction_wall": sa.case(
        (_cycle.taken_time <= _cycle.replied_time, _seconds(_cycle.taken_time, _cycle.replied_time))
    ),
}
EXPRESSIONS: dict[str, Expression] = {
    "created": _ONE,
    "resolved": _ONE,
    "backlog": _ONE,
    **_with_medians(_TIMES),
    "waited_long": sa.case(
        (_result.clock == "pickup", sa.cast(_result.elapsed_seconds > _LONG_SECONDS, sa.Integer))
    ),
    "answered_soon": sa.case(
        (_result.clock == "accepted_response", sa.cast(_result.elapsed_seconds <= _SOON_SECONDS, sa.Integer))
    ),
    "sla": _in_time("resolution"),
    "sla_first_response": _in_time("first_response"),
    "sla_all": _share(~_result.breached),
    "fcr": _share(_FIRST_CONTACT, sa.and_(_cycle.cycle == 1, ~_OF_INCIDENT)),
    "reopened_share": _share(_cycle.reopened_time.is_not(None)),
    "reopened": _ONE,
    "reopened_closed": sa.case((_cycle.closed_time.is_not(None), _ONE)),
    "escalation_rate": _share(_cycle.escalated),
    **{f"solved_on_l{line}": _share(_cycle.highest_line == line) for line in (1, 2, 3)},
    "reached_l2": _share(_cycle.highest_line >= 2),
    "csat": _share(_cycle.score >= _SATISFIED),
    "ratings": _ONE,
    "handled": _BY_HAND,
    "handle_time": sa.case((sa.and_(_span.status_kind == StatusKind.OPEN, ~_OF_INCIDENT), _SPENT)),
    "time_spent": _SPENT,
}
