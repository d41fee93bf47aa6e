"""Lists in the order to serve, and recalculations that tell how far they are."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Filled by the recalculation that the first start after this migration begins.
    op.add_column("due_clock", sa.Column("due_count", sa.BigInteger, nullable=False, server_default="0"))
    op.alter_column("due_clock", "due_count", server_default=None)
    op.add_column("ticket_clock", sa.Column("data", sa.Text, nullable=False, server_default=""))
    op.alter_column("ticket_clock", "data", server_default=None)
    opened = sa.text("open")
    op.create_index("ticket_clock_data", "ticket_clock", ["data"], postgresql_where=opened)
    taken = sa.text("open and assignee <> ''")
    op.create_index("ticket_clock_assignee", "ticket_clock", ["assignee"], postgresql_where=taken)
    op.create_table(
        "recalculation",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT),
        sa.Column("total", sa.BigInteger),
        *(
            sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
            for name in ("done", "earlier", "later", "added", "dropped", "took")
        ),
    )


def downgrade() -> None:
    op.drop_table("recalculation")
    for index in ("ticket_clock_assignee", "ticket_clock_data"):
        op.drop_index(index, "ticket_clock")
    op.drop_column("ticket_clock", "data")
    op.drop_column("due_clock", "due_count")
