"""Links, tasks, votes, drafts, teams, keys of before; copies and subjects of letters."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    "alter table message add column subject text default '' not null",
    "alter table message add column cc text[] default '{}' not null",
    "create index ticket_wish on ticket (queue) where type = 5 and status_kind < 5",
    """
    create table ticket_alias (
        queue text not null,
        number bigint not null,
        ticket_id uuid not null,
        primary key (queue, number),
        foreign key (ticket_id) references ticket (id)
    )
    """,
    "create index ticket_alias_ticket on ticket_alias (ticket_id)",
    """
    create table ticket_link (
        kind smallint not null,
        from_id uuid not null,
        to_id uuid not null,
        created_time timestamptz not null,
        primary key (kind, from_id, to_id),
        foreign key (from_id) references ticket (id),
        foreign key (to_id) references ticket (id)
    )
    """,
    "create index ticket_link_from on ticket_link (from_id)",
    "create index ticket_link_to on ticket_link (to_id)",
    """
    create table external_link (
        ticket_id uuid not null,
        url text not null,
        title text default '' not null,
        kind smallint not null,
        state smallint not null,
        created_time timestamptz not null,
        updated_time timestamptz not null,
        primary key (ticket_id, url),
        foreign key (ticket_id) references ticket (id)
    )
    """,
    "create index external_link_url on external_link (url)",
    """
    create table vote (
        ticket_id uuid not null,
        customer_id uuid not null,
        created_time timestamptz not null,
        primary key (ticket_id, customer_id),
        foreign key (ticket_id) references ticket (id),
        foreign key (customer_id) references customer (id)
    )
    """,
    "create index vote_customer on vote (customer_id)",
    """
    create table draft (
        ticket_id uuid not null,
        agent_id text not null,
        text text default '' not null,
        "to" text default '' not null,
        cc text[] not null,
        subject text default '' not null,
        attachment_ids text[] not null,
        saved_time timestamptz not null,
        primary key (ticket_id, agent_id),
        foreign key (ticket_id) references ticket (id)
    )
    """,
    """
    create table upload (
        id uuid not null,
        filename text not null,
        media_type text not null,
        size_bytes bigint not null,
        sha256 text not null,
        uploader text not null,
        primary key (id)
    )
    """,
    """
    create table team (
        key text not null,
        name text not null,
        members text[] not null,
        email text default '' not null,
        version bigint not null,
        primary key (key)
    )
    """,
)
TABLES = ("team", "upload", "draft", "vote", "external_link", "ticket_link", "ticket_alias")


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for name in TABLES:
        op.drop_table(name)
    op.drop_index("ticket_wish", "ticket")
    op.drop_column("message", "cc")
    op.drop_column("message", "subject")
