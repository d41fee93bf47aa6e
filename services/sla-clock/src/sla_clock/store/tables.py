"""Tables of sla-clock; the migrations say the same in their own words."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from chassis.db import chassis_tables

metadata = sa.MetaData()
chassis_tables(metadata)
INSTANT = sa.DateTime(timezone=True)

policy_table = sa.Table(
    "policy",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("yaml", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("applied_at", INSTANT, nullable=False),
)
ticket_table = sa.Table(
    "ticket_clock",
    metadata,
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
)
due_table = sa.Table(
    "due_clock",
    metadata,
    sa.Column("ticket_id", sa.Uuid, primary_key=True),
    sa.Column("clock", sa.Text, primary_key=True),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("due_at", INSTANT, nullable=False),
)
ledger_table = sa.Table(
    "mark_ledger",
    metadata,
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
