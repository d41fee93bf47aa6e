"""Boards of a line in the order of their priorities, and how frequent each topic is."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.execute(
        "create index ticket_board on ticket (queue, line, priority, id) include (status, status_kind)"
        " where status_kind < 5"
    )
    # The planner does not use what it knows of a partial index, and took every topic to be as rare.
    op.execute("create statistics ticket_topic on split_part(category, '/', 1) from ticket")


def downgrade() -> None:
    op.execute("drop statistics ticket_topic")
    op.execute("drop index ticket_board")
