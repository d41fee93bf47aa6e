"""Setups of queues: every version, and which is in force."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    create table queue_setup (
        id uuid not null,
        queue text not null references queue (key),
        version bigint not null,
        actor_kind smallint not null,
        actor_id text default '' not null,
        actor_name text default '' not null,
        created_time timestamptz not null,
        document jsonb not null,
        primary key (id),
        unique (queue, version)
    )
    """,
    "alter table queue add column setup_id uuid references queue_setup (id)",
    "alter table queue add column setup_version bigint default 0 not null",
    "alter table queue add column confirmation_seconds bigint default 0 not null",
    "drop index ticket_resolved",
    "create index ticket_resolved on ticket (queue, resolved_time) where status_kind = 5",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop index ticket_resolved")
    op.execute("create index ticket_resolved on ticket (resolved_time) where status_kind = 5")
    op.execute(
        "alter table queue drop column setup_id, drop column setup_version, drop column confirmation_seconds"
    )
    op.execute("drop table queue_setup")
