"""Bulks: one action on a list of tickets."""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = (
    """
    create table bulk (
        id uuid not null,
        principal text not null,
        agent_id text not null,
        query text not null,
        action jsonb not null,
        dry_run boolean not null,
        created_time timestamptz not null,
        primary key (id)
    )
    """,
    "create index bulk_principal on bulk (principal, id)",
    """
    create table bulk_item (
        bulk_id uuid not null,
        position integer not null,
        ticket_id uuid not null,
        state smallint not null default 1,
        code text not null default '',
        reason text not null default '',
        field text not null default '',
        message text not null default '',
        time timestamptz,
        primary key (bulk_id, position),
        foreign key (bulk_id) references bulk (id) on delete cascade,
        foreign key (ticket_id) references ticket (id)
    )
    """,
    "create index bulk_item_waiting on bulk_item (position, bulk_id) where state = 1",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("bulk_item")
    op.drop_table("bulk")
