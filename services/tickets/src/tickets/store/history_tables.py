"""Tables of what was: spans, cycles and results of clocks, which reports count (ADR 0021)."""

import sqlalchemy as sa

from tickets.store.tables import metadata

_TIME = sa.DateTime(timezone=True)


def _of_ticket() -> sa.Column[str]:
    return sa.Column("ticket_id", sa.ForeignKey("ticket.id", ondelete="CASCADE"), primary_key=True)


ticket_span = sa.Table(
    "ticket_span",
    metadata,
    _of_ticket(),
    sa.Column("to_time", _TIME, primary_key=True),
    sa.Column("from_time", _TIME, nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_kind", sa.SmallInteger, nullable=False),
    sa.Column("line", sa.SmallInteger, nullable=False),
    sa.Column("assignee", sa.Text, nullable=False),
    sa.Index(
        "ticket_span_open",
        sa.text("tstzrange(from_time, to_time)"),
        postgresql_using="gist",
        postgresql_where=sa.text("status_kind < 5"),
    ),
)
"""Times that are over in which a ticket had one status, line and assignee; the present one is in `ticket`."""

ticket_cycle = sa.Table(
    "ticket_cycle",
    metadata,
    _of_ticket(),
    sa.Column("cycle", sa.Integer, primary_key=True),
    sa.Column("began_time", _TIME, nullable=False),
    sa.Column("highest_line", sa.SmallInteger, nullable=False),
    sa.Column("taken_time", _TIME),
    sa.Column("taken_by", sa.Text),
    sa.Column("taken_line", sa.SmallInteger),
    sa.Column("replied_time", _TIME),
    sa.Column("replied_by", sa.Text),
    sa.Column("replied_line", sa.SmallInteger),
    sa.Column("resolved_time", _TIME),
    sa.Column("resolved_by", sa.Text),
    sa.Column("resolved_line", sa.SmallInteger),
    sa.Column("closed_time", _TIME),
    sa.Column("reopened_time", _TIME),
    sa.Column("rated_time", _TIME),
    sa.Column("score", sa.SmallInteger),
    sa.Column("escalated", sa.Boolean, nullable=False),
    sa.Column("came_back", sa.Boolean, nullable=False),
    *(
        sa.Index(f"ticket_cycle_{name}", f"{name}_time", postgresql_where=sa.text(f"{name}_time is not null"))
        for name in ("taken", "replied", "resolved", "reopened", "rated")
    ),
)
"""What each cycle of a ticket came to (`domain.history.Cycle`)."""

clock_result = sa.Table(
    "clock_result",
    metadata,
    _of_ticket(),
    sa.Column("clock", sa.Text, primary_key=True),
    sa.Column("cycle", sa.Integer, primary_key=True),
    sa.Column("met_time", _TIME, nullable=False),
    sa.Column("breached", sa.Boolean, nullable=False),
    sa.Column("elapsed_seconds", sa.Double),
    sa.Column("line", sa.SmallInteger, nullable=False),
    sa.Column("assignee", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("as_of_time", _TIME, nullable=False),
    sa.Index("clock_result_met", "met_time", "clock"),
)
"""Clocks that were met: whether in time, the business time they counted (not known of old ones), and on
which line and whose the ticket was."""
