"""Tables of notifier; the migrations say the same in their own words."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chassis.schema import chassis_tables

metadata = sa.MetaData()
chassis_tables(metadata)
_INSTANT = sa.DateTime(timezone=True)

ticket_table = sa.Table(
    "ticket",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
agent_table = sa.Table(
    "agent",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("lines", ARRAY(sa.SmallInteger), nullable=False),
    sa.Column("leads", ARRAY(sa.SmallInteger), nullable=False),
    sa.Column("queues", ARRAY(sa.Text), nullable=False),
    sa.Column("management", sa.Boolean, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
)
queue_table = sa.Table(
    "queue",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("addresses", ARRAY(sa.Text), nullable=False),
    sa.Column("language", sa.Text, nullable=False),
)
promise_table = sa.Table(
    "promise",
    metadata,
    sa.Column("ticket_id", sa.Text, primary_key=True),
    sa.Column("due_at", _INSTANT, nullable=False),
)
# What the customer's last mail called itself, so that a mail program shows our answer under it.
conversation_table = sa.Table(
    "conversation",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("last_external_id", sa.Text, nullable=False),
    sa.Column("received_at", _INSTANT, nullable=False),
)
OPEN_ROW = "state in ('pending', 'sending')"
"""Spelt out rather than bound, so that the planner sees the partial indexes."""
delivery_table = sa.Table(
    "delivery",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("audience", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("ticket_id", sa.Text, nullable=False),
    sa.Column("ticket_key", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    # When the next attempt is due; while one is under way, when its lease ends.
    sa.Column("next_at", _INSTANT),
    sa.Column("give_up_at", _INSTANT, nullable=False),
    sa.Column("sent_at", _INSTANT),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("digest", sa.Boolean, nullable=False),
    sa.Column("context", JSONB, nullable=False),
    sa.Index("delivery_due", "channel", "next_at", postgresql_where=sa.text(f"{OPEN_ROW} and not digest")),
    sa.Index("delivery_digest", "next_at", postgresql_where=sa.text(f"{OPEN_ROW} and digest")),
    sa.Index(
        "delivery_digested",
        "recipient",
        "sent_at",
        postgresql_where=sa.text("digest and sent_at is not null"),
    ),
    sa.Index("delivery_recipient", "recipient", "created_at"),
    sa.Index("delivery_ticket", "ticket_id", "created_at"),
    sa.Index("delivery_newest", "created_at", "id"),
    sa.Index("delivery_auto_reply", "created_at", postgresql_where=sa.text("template = 'auto_reply'")),
)
