"""Customers: organisations, merges, changes on their way to open tickets."""

from alembic import op

revision = "0009"
down_revision = "0008"

UP = (
    "alter table customer add column own_tier smallint default '0' not null",
    "alter table customer add column own_account_manager text default '' not null",
    "alter table customer add column organisation_key text default '' not null",
    "alter table customer add column merged_into uuid",
    "update customer set own_tier = tier where tier <> 1",
    "create index customer_numbers on customer using gin (numbers) where numbers <> '{}'",
    "create index customer_member on customer (organisation_key, id) where organisation_key <> ''",
    "create index customer_manager on customer (account_manager) where account_manager <> ''",
    "create index contact_address on contact using gin (address gin_trgm_ops)",
    """
    create table organisation (
        key text not null,
        name text not null,
        tier smallint not null,
        account_manager text not null,
        version bigint not null,
        primary key (key)
    )
    """,
    "create index organisation_name on organisation using gin (name gin_trgm_ops)",
    """
    create table organisation_domain (
        domain text not null,
        organisation text not null,
        primary key (domain),
        foreign key (organisation) references organisation (key) on delete cascade
    )
    """,
    "create index organisation_domain_organisation on organisation_domain (organisation)",
    """
    create table organisation_spread (
        organisation text not null,
        actor jsonb not null,
        after_customer uuid,
        primary key (organisation),
        foreign key (organisation) references organisation (key)
    )
    """,
    """
    create table customer_spread (
        customer_id uuid not null,
        names text[] not null,
        actor jsonb not null,
        after_ticket uuid,
        primary key (customer_id),
        foreign key (customer_id) references customer (id)
    )
    """,
    """
    create table customer_merge (
        id uuid not null,
        source_id uuid not null,
        target_id uuid not null,
        author text not null,
        time timestamptz not null,
        contacts jsonb not null,
        numbers text[] not null,
        source_numbers text[] not null,
        ticket_count integer not null,
        undone_time timestamptz,
        primary key (id),
        foreign key (source_id) references customer (id),
        foreign key (target_id) references customer (id)
    )
    """,
    "create index customer_merge_source on customer_merge (source_id, id)",
    "create index customer_merge_target on customer_merge (target_id, id)",
    """
    create table customer_merge_ticket (
        merge_id uuid not null,
        ticket_id uuid not null,
        primary key (merge_id, ticket_id),
        foreign key (merge_id) references customer_merge (id),
        foreign key (ticket_id) references ticket (id)
    )
    """,
)
DOWN = (
    "drop table customer_merge_ticket, customer_merge, customer_spread, organisation_spread",
    "drop table organisation_domain, organisation",
    "drop index contact_address, customer_manager, customer_member, customer_numbers",
    "alter table customer drop column own_tier, drop column own_account_manager",
    "alter table customer drop column organisation_key, drop column merged_into",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
