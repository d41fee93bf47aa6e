"""Tickets, their messages and clocks; customers; queues and agents."""

from alembic import op

from chassis.schema import create_chassis_tables, drop_chassis_tables

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    create table agent (
        id text not null,
        name text not null,
        email text default '' not null,
        language text not null,
        lines smallint[] not null,
        queues text[] not null,
        leads smallint[] not null,
        management boolean not null,
        active boolean not null,
        version bigint not null,
        primary key (id)
    )
    """,
    """
    create table customer (
        id uuid not null,
        name text default '' not null,
        tier smallint default '1' not null,
        timezone text default '' not null,
        language text default '' not null,
        numbers text[] default '{}' not null,
        organisation text default '' not null,
        account_manager text default '' not null,
        created_time timestamptz not null,
        primary key (id)
    )
    """,
    """
    create table queue (
        key text not null,
        name text not null,
        default_priority smallint not null,
        default_language text not null,
        first_line smallint not null,
        last_line smallint not null,
        public_lines smallint[] not null,
        version bigint not null,
        primary key (key)
    )
    """,
    """
    create table contact (
        channel smallint not null,
        address text not null,
        customer_id uuid not null,
        primary key (channel, address),
        foreign key (customer_id) references customer (id)
    )
    """,
    "create index contact_customer on contact (customer_id)",
    """
    create table queue_address (
        address text not null,
        queue text not null,
        position smallint not null,
        primary key (address),
        foreign key (queue) references queue (key) on delete cascade
    )
    """,
    "create index queue_address_queue on queue_address (queue)",
    """
    create table ticket (
        id uuid not null,
        queue text not null,
        number bigint not null,
        version bigint not null,
        customer_id uuid not null,
        subject text not null,
        type smallint not null,
        category text default '' not null,
        component text default '' not null,
        edition text default '' not null,
        language text default '' not null,
        priority smallint not null,
        status text not null,
        status_kind smallint not null,
        line smallint not null,
        assignee text default '' not null,
        customer_number text default '' not null,
        channel smallint not null,
        account text default '' not null,
        tags text[] not null,
        cycle integer not null,
        message_count integer not null,
        parent_ticket_id text default '' not null,
        origin text default '' not null,
        created_time timestamptz not null,
        updated_time timestamptz not null,
        resolved_time timestamptz,
        closed_time timestamptz,
        body jsonb not null,
        primary key (id),
        unique (queue, number),
        foreign key (queue) references queue (key),
        foreign key (customer_id) references customer (id)
    )
    """,
    "create index ticket_assignee on ticket (assignee, created_time, id) where assignee <> ''",
    "create index ticket_created on ticket (created_time, id)",
    "create index ticket_customer on ticket (customer_id, created_time, id)",
    "create index ticket_queue on ticket (queue, status_kind, created_time, id)",
    "create index ticket_resolved on ticket (resolved_time) where status_kind = 5",
    "create index ticket_updated on ticket (updated_time, id)",
    """
    create table conversation (
        id text not null,
        ticket_id uuid not null,
        created_time timestamptz not null,
        primary key (id),
        foreign key (ticket_id) references ticket (id)
    )
    """,
    "create index conversation_ticket on conversation (ticket_id)",
    """
    create table message (
        id uuid not null,
        ticket_id uuid not null,
        author_kind smallint not null,
        author_id text default '' not null,
        author_name text default '' not null,
        visibility smallint not null,
        text text not null,
        full_text text default '' not null,
        html text default '' not null,
        attachments jsonb not null,
        channel smallint not null,
        conversation_id text default '' not null,
        address text default '' not null,
        delivery_state text default '' not null,
        created_time timestamptz not null,
        primary key (id),
        foreign key (ticket_id) references ticket (id)
    )
    """,
    "create index message_ticket on message (ticket_id, created_time, id)",
    """
    create table ticket_clock (
        ticket_id uuid not null,
        clock text not null,
        position bigint generated by default as identity,
        cycle integer not null,
        state text not null,
        due_time timestamptz,
        met_time timestamptz,
        breached boolean not null,
        last_mark text not null,
        version bigint not null,
        as_of_time timestamptz not null,
        primary key (ticket_id, clock),
        foreign key (ticket_id) references ticket (id) on delete cascade
    )
    """,
)
TABLES = (
    "ticket_clock",
    "message",
    "conversation",
    "ticket",
    "queue_address",
    "contact",
    "queue",
    "customer",
    "agent",
)


def upgrade() -> None:
    create_chassis_tables()
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute(
        """
        do $$ declare name text; begin
            for name in select sequencename from pg_sequences where sequencename like 'ticket_number_%' loop
                execute format('drop sequence %I', name);
            end loop;
        end $$
        """
    )
    for name in TABLES:
        op.drop_table(name)
    drop_chassis_tables()
