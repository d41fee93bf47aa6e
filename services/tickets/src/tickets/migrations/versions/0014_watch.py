"""The order in which changes are watched: the transaction of each event."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    # In two steps, so that rows which are there are not written again: they come before all others.
    op.execute("alter table outbox add column xact xid8 not null default '0'")
    op.execute("alter table outbox alter column xact set default pg_current_xact_id()")
    op.create_index("outbox_order", "outbox", ["xact", "seq"])


def downgrade() -> None:
    op.drop_index("outbox_order", "outbox")
    op.drop_column("outbox", "xact")
