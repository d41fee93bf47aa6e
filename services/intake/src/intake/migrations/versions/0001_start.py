"""Messages, conversations, their participants, files, and the tally of duplicates."""

import sqlalchemy as sa
from alembic import op

from chassis.schema import create_chassis_tables, drop_chassis_tables

revision = "0001"
down_revision = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_chassis_tables()
    op.create_table(
        "conversation",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
    )
    op.create_table(
        "participant",
        sa.Column("conversation_id", sa.Text, sa.ForeignKey("conversation.id"), primary_key=True),
        sa.Column("address", sa.Text, primary_key=True),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("channel", sa.SmallInteger, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, sa.ForeignKey("conversation.id"), nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("author_kind", sa.SmallInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("message_digest", "message", ["digest", "received_at"])
    named = sa.text("external_id <> ''")
    op.create_index("message_external", "message", ["external_id"], postgresql_where=named)
    op.create_index("message_conversation", "message", ["conversation_id", "id"])
    op.create_index("message_sender", "message", ["sender", "id"])
    op.create_table(
        "attachment",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("message_id", sa.Uuid, sa.ForeignKey("message.id"), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
    )
    op.create_index("attachment_message", "attachment", ["message_id"])
    op.create_table(
        "tally",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("tally", "attachment", "message", "participant", "conversation"):
        op.drop_table(table)
    drop_chassis_tables()
