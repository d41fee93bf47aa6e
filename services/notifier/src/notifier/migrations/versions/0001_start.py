"""Deliveries, and what notifier knows of tickets, people, queues and conversations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from chassis.schema import create_chassis_tables, drop_chassis_tables

revision = "0001"
down_revision = None

INSTANT = sa.DateTime(timezone=True)
OPEN = "state in ('pending', 'sending')"


def upgrade() -> None:
    create_chassis_tables()
    _projections()
    op.create_table(
        "delivery",
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
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("next_at", INSTANT),
        sa.Column("give_up_at", INSTANT, nullable=False),
        sa.Column("sent_at", INSTANT),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("digest", sa.Boolean, nullable=False),
        sa.Column("context", JSONB, nullable=False),
    )
    due = sa.text(f"{OPEN} and not digest")
    op.create_index("delivery_due", "delivery", ["channel", "next_at"], postgresql_where=due)
    op.create_index(
        "delivery_digest", "delivery", ["next_at"], postgresql_where=sa.text(f"{OPEN} and digest")
    )
    digested = sa.text("digest and sent_at is not null")
    op.create_index("delivery_digested", "delivery", ["recipient", "sent_at"], postgresql_where=digested)
    op.create_index("delivery_recipient", "delivery", ["recipient", "created_at"])
    op.create_index("delivery_ticket", "delivery", ["ticket_id", "created_at"])
    op.create_index("delivery_newest", "delivery", ["created_at", "id"])
    replies = sa.text("template = 'auto_reply'")
    op.create_index("delivery_auto_reply", "delivery", ["created_at"], postgresql_where=replies)


def _projections() -> None:
    op.create_table(
        "ticket",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "agent",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("leads", ARRAY(sa.SmallInteger), nullable=False),
        sa.Column("queues", ARRAY(sa.Text), nullable=False),
        sa.Column("management", sa.Boolean, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
    )
    op.create_table(
        "queue",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("addresses", ARRAY(sa.Text), nullable=False),
        sa.Column("language", sa.Text, nullable=False),
    )
    op.create_table(
        "promise",
        sa.Column("ticket_id", sa.Text, primary_key=True),
        sa.Column("due_at", INSTANT, nullable=False),
    )
    op.create_table(
        "conversation",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("last_external_id", sa.Text, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
    )


def downgrade() -> None:
    for name in ("delivery", "conversation", "promise", "queue", "agent", "ticket"):
        op.drop_table(name)
    drop_chassis_tables()
