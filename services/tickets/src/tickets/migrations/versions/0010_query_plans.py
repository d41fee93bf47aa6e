"""What the planner needs to know of searches: how frequent words are, and what was resolved when."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute(
        "create index ticket_finished on ticket (queue, resolved_time, id) where resolved_time is not null"
    )
    # Without it every word beyond the thousand most frequent would look alike.
    op.execute("alter table ticket_text alter column document set statistics 1000")


def downgrade() -> None:
    op.execute("alter table ticket_text alter column document set statistics -1")
    op.execute("drop index ticket_finished")
