"""Rights of queues, and the audit that nothing changes or removes."""

from alembic import op

revision = "0011"
down_revision = "0010"

STATEMENTS = (
    """
    create table queue_rights (
        queue text not null,
        grants jsonb not null,
        primary key (queue),
        foreign key (queue) references queue (key)
    )
    """,
    """
    create table audit (
        id uuid not null,
        time timestamptz not null,
        actor_kind smallint not null,
        actor_id text not null,
        principal text not null,
        source text not null,
        request_id text not null,
        ticket_id uuid,
        about text not null,
        event text not null,
        version bigint not null,
        changes jsonb not null,
        primary key (id)
    )
    """,
    "create index audit_ticket on audit (ticket_id, id)",
    "create index audit_actor on audit (actor_id, id)",
    "create index audit_time on audit using brin (time)",
    # The service owns its tables, and an owner's rights cannot be revoked for good: a trigger refuses.
    """
    create function refuse_change() returns trigger language plpgsql as $$
    begin
        raise exception 'rows of % are only added', tg_table_name using errcode = 'insufficient_privilege';
    end
    $$
    """,
    """
    create trigger audit_only_added before update or delete or truncate on audit
    for each statement execute function refuse_change()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("audit")
    op.execute("drop function refuse_change()")
    op.drop_table("queue_rights")
