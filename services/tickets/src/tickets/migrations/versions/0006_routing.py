"""Whose turn it is, and how many open tickets an agent has."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(
        """
        create table agent_turn (
            agent_id text not null,
            turn_time timestamptz not null,
            primary key (agent_id),
            foreign key (agent_id) references agent (id) on delete cascade
        )
        """
    )
    op.execute("create index ticket_load on ticket (assignee) where assignee <> '' and status_kind <= 4")


def downgrade() -> None:
    op.execute("drop index ticket_load")
    op.drop_table("agent_turn")
