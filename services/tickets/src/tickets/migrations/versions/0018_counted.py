"""Which policy counted the cycles of a ticket's clocks."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("alter table ticket_clock add column policy_version integer not null default 0")


def downgrade() -> None:
    op.drop_column("ticket_clock", "policy_version")
