"""When scheduled rules run next, and which tickets they are done with."""

from alembic import op

revision = "0017"
down_revision = "0016"

STATEMENTS = (
    """
    create table rule_schedule (
        queue text not null,
        rule text not null,
        next_time timestamptz not null,
        position uuid,
        primary key (queue, rule),
        foreign key (queue) references queue (key)
    )
    """,
    "create index rule_schedule_due on rule_schedule (next_time)",
    """
    create table rule_mark (
        queue text not null,
        rule text not null,
        ticket_id uuid not null,
        time timestamptz not null,
        primary key (queue, rule, ticket_id),
        foreign key (ticket_id) references ticket (id) on delete cascade,
        foreign key (queue, rule) references rule_schedule (queue, rule) on delete cascade
    )
    """,
    "create index rule_mark_ticket on rule_mark (ticket_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("rule_mark")
    op.drop_table("rule_schedule")
