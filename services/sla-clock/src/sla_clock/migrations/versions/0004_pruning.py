"""The ledger of tickets that are over is pruned; the ticket remembers until when."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("ticket_clock", sa.Column("pruned_until", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("ticket_clock", "pruned_until")
