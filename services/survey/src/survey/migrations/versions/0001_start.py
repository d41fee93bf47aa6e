"""Surveys, and the tickets that robots opened."""

import sqlalchemy as sa
from alembic import op

from chassis.schema import create_chassis_tables, drop_chassis_tables

revision = "0001"
down_revision = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_chassis_tables()
    op.create_table("robot", sa.Column("ticket_id", sa.Text, primary_key=True))
    op.create_table(
        "survey",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("ticket_id", sa.Text, nullable=False),
        sa.Column("ticket_key", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("scale", sa.SmallInteger, nullable=False),
        sa.Column("threshold", sa.SmallInteger, nullable=False),
        sa.Column("ask_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("recipient_name", sa.Text, nullable=False),
        sa.Column("ticket_subject", sa.Text, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("raw", sa.SmallInteger, nullable=False),
        sa.Column("score", sa.SmallInteger, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("answered_at", INSTANT),
        sa.Column("expires_at", INSTANT),
        sa.Column("token_hash", sa.LargeBinary, unique=True),
    )
    op.create_index("survey_planned", "survey", ["ask_at"], postgresql_where=sa.text("state = 'planned'"))
    op.create_index("survey_asked", "survey", ["expires_at"], postgresql_where=sa.text("state = 'asked'"))
    op.create_index("survey_ticket", "survey", ["ticket_id", "created_at"])
    op.create_index("survey_newest", "survey", ["created_at", "id"])


def downgrade() -> None:
    op.drop_table("survey")
    op.drop_table("robot")
    drop_chassis_tables()
