"""Policies, what is known of each ticket's clocks, and the ledger of marks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from chassis.schema import create_chassis_tables, drop_chassis_tables

revision = "0001"
down_revision = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_chassis_tables()
    op.create_table(
        "policy",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("yaml", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("applied_at", INSTANT, nullable=False),
    )
    _tickets()
    _ledger()


def _tickets() -> None:
    op.create_table(
        "ticket_clock",
        sa.Column("ticket_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("policy_version", sa.Integer, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("ref", sa.LargeBinary, nullable=False),
        sa.Column("timeline", sa.LargeBinary, nullable=False),
        sa.Column("attributes", JSONB, nullable=False),
        sa.Column("standings", JSONB, nullable=False),
        sa.Column("trace", JSONB, nullable=False),
        sa.Column("next_wake_at", INSTANT),
        # Rows are rewritten with every fact; room on the page keeps those updates off the indexes.
        postgresql_with={"fillfactor": "70"},
    )
    armed = sa.text("next_wake_at is not null")
    op.create_index("ticket_clock_wake", "ticket_clock", ["next_wake_at"], postgresql_where=armed)
    opened = sa.text("open")
    op.create_index("ticket_clock_policy", "ticket_clock", ["policy_version"], postgresql_where=opened)
    op.create_table(
        "due_clock",
        sa.Column("ticket_id", sa.Uuid, primary_key=True),
        sa.Column("clock", sa.Text, primary_key=True),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
    )
    op.create_index("due_clock_order", "due_clock", ["due_at", "ticket_id", "clock"])
    op.create_index("due_clock_queue", "due_clock", ["queue", "due_at", "ticket_id", "clock"])


def _ledger() -> None:
    op.create_table(
        "mark_ledger",
        sa.Column("ticket_id", sa.Uuid, primary_key=True),
        sa.Column("clock", sa.Text, primary_key=True),
        sa.Column("cycle", sa.Integer, primary_key=True),
        sa.Column("mark", sa.Text, primary_key=True),
        sa.Column("generation", sa.BigInteger, primary_key=True),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("fired_at", INSTANT, nullable=False),
        sa.Column("folded", sa.Boolean, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("published_at", INSTANT),
        sa.Column("stream_seq", sa.BigInteger),
    )
    unsent = sa.text("published_at is null and not folded")
    op.create_index("mark_ledger_unsent", "mark_ledger", ["fired_at"], postgresql_where=unsent)
    op.create_index("mark_ledger_order", "mark_ledger", ["fired_at", "event_id"])
    numbered = sa.text("stream_seq is not null")
    op.create_index("mark_ledger_stream", "mark_ledger", ["stream_seq"], postgresql_where=numbered)


def downgrade() -> None:
    for table in ("mark_ledger", "due_clock", "ticket_clock", "policy"):
        op.drop_table(table)
    drop_chassis_tables()
