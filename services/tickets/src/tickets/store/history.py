"""Spans and cycles are written in the statement that saves their ticket."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert

from tickets.domain.history import Cycle, History, Span, history
from tickets.domain.model import Ticket
from tickets.store import body
from tickets.store.history_tables import ticket_cycle, ticket_span

_KEY = ("ticket_id", "cycle")
_EITHER = ("escalated", "came_back")
_FIRST = ("taken", "replied", "resolved", "closed", "reopened")
"""Moments that are for good: a timeline that was folded may have lost them."""
_LATEST = ("rated_time", "score")
"""What a ticket knows of its cycle rated last alone: earlier cycles keep theirs."""


def _rows(table: sa.Table, name: str) -> sa.Select[Any]:
    records = (
        sa.func.jsonb_to_recordset(sa.bindparam(name, type_=JSONB))
        .table_valued(*(sa.column(each.name, each.type) for each in table.c), name=name)
        .render_derived(with_types=True)
    )
    return sa.select(records)


def _changed(news: Any) -> dict[str, Any]:
    """What a known cycle becomes."""
    known, changed = ticket_cycle.c, dict[str, Any]()
    for each in known:
        if each.name.partition("_")[0] in _FIRST:
            changed[each.name] = sa.func.coalesce(each, news[each.name])
        elif each.name in _LATEST:
            changed[each.name] = sa.func.coalesce(news[each.name], each)
        elif each.name in _EITHER:
            changed[each.name] = each | news[each.name]
        elif each.name not in _KEY:
            changed[each.name] = news[each.name]
    changed["highest_line"] = sa.func.greatest(known.highest_line, news.highest_line)
    return changed


_NEW_CYCLES = insert(ticket_cycle).from_select(
    [each.name for each in ticket_cycle.c], _rows(ticket_cycle, "cycles")
)
_NEW_SPANS = insert(ticket_span).from_select(
    [each.name for each in ticket_span.c], _rows(ticket_span, "spans")
)
CYCLES = _NEW_CYCLES.on_conflict_do_update(index_elements=_KEY, set_=_changed(_NEW_CYCLES.excluded))
SPANS = _NEW_SPANS.on_conflict_do_nothing()
WRITTEN = (CYCLES.cte("cycled"), SPANS.cte("spanned"))
"""Add the rows of the parameters `cycles` and `spans` within another statement."""


def of_ticket(ticket: Ticket) -> History:
    """The history of a ticket as it is."""
    csat = ticket.csat
    return history(ticket.timeline, (csat.cycle, csat.score, csat.answered_time) if csat else None)


def take(ticket: Ticket) -> dict[str, list[dict[str, Any]]]:
    """The parameters of WRITTEN: what is new since the ticket was loaded or this was last asked."""
    present = of_ticket(ticket)
    news = present.since(ticket.recorded)
    ticket.recorded = present
    return rows(ticket.id, news)


def rows(ticket_id: str, news: History) -> dict[str, list[dict[str, Any]]]:
    """Spans and cycles as rows of JSON."""
    return {
        "cycles": [_row(ticket_id, each) for each in news.cycles],
        "spans": [_row(ticket_id, each) for each in news.spans],
    }


def rebuilt(ticket_id: str, document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of a ticket out of its column `body` alone."""
    parts = body.from_body({name: document[name] for name in ("timeline", "csat") if name in document})
    csat = parts["csat"]
    rated = (csat.cycle, csat.score, csat.answered_time) if csat else None
    return rows(ticket_id, history(parts["timeline"], rated))


def _row(ticket_id: str, told: Cycle | Span) -> dict[str, Any]:
    values = ((name, value) for name, value in asdict(told).items())
    return {
        "ticket_id": ticket_id,
        **{name: value.isoformat() if isinstance(value, datetime) else value for name, value in values},
    }
