"""Search: when tickets are due, their words, saved filters."""

from alembic import op

revision = "0004"
down_revision = "0003"

UP = (
    "create extension if not exists pg_trgm",
    "alter table ticket add column due_time timestamptz default '9999-01-01T00:00:00Z' not null",
    """
    update ticket set due_time = running.due_time
    from (
        select ticket_id, min(due_time) as due_time from ticket_clock
        where state = 'running' and due_time is not null
        group by ticket_id
    ) running
    where running.ticket_id = ticket.id
    """,
    "create index ticket_mine on ticket (assignee, due_time, id) where status_kind < 5",
    "create index ticket_due on ticket (queue, due_time, id) where status_kind < 5",
    "create index ticket_component on ticket (component, created_time, id) where component <> ''",
    """
    create index ticket_category on ticket (split_part(category, '/', 1), created_time, id)
    where category <> ''
    """,
    "create index ticket_tags on ticket using gin (tags) where tags <> '{}'",
    "create index ticket_parent on ticket (parent_ticket_id) where parent_ticket_id <> ''",
    "create index ticket_clock_breached on ticket_clock (clock, ticket_id) where breached",
    "create index customer_name on customer using gin (name gin_trgm_ops)",
    "create index customer_organisation on customer (organisation) where organisation <> ''",
    """
    create table ticket_text (
        ticket_id uuid not null,
        document tsvector not null,
        primary key (ticket_id),
        foreign key (ticket_id) references ticket (id) on delete cascade
    )
    """,
    # As tickets.domain.query.words.searchable cuts texts.
    """
    insert into ticket_text (ticket_id, document)
    select t.id, strip(to_tsvector('russian', left(concat_ws(' ', t.subject, (
        select string_agg(regexp_replace(left(m.text, 10000), '\\S{41,}', ' ', 'g'), ' ')
        from message m where m.ticket_id = t.id
    )), 100000)))
    from ticket t
    """,
    "create index ticket_text_document on ticket_text using gin (document)",
    "create table word (word text not null, primary key (word))",
    """
    insert into word (word)
    select distinct found[1]
    from (select subject as line from ticket union all select name from customer) lines,
        regexp_matches(lower(line), '[a-zа-яё]{4,30}', 'g') found
    """,
    "create index word_trigrams on word using gin (word gin_trgm_ops)",
    """
    create table saved_filter (
        id uuid not null,
        owner text not null,
        name text not null,
        query text not null,
        queue text default '' not null,
        version bigint not null,
        updated_time timestamptz not null,
        primary key (id),
        unique (owner, name)
    )
    """,
    "create index saved_filter_queue on saved_filter (queue) where queue <> ''",
)
DOWN = (
    "drop table saved_filter",
    "drop table word",
    "drop table ticket_text",
    "drop index customer_organisation",
    "drop index customer_name",
    "drop index ticket_clock_breached",
    "drop index ticket_parent",
    "drop index ticket_tags",
    "drop index ticket_category",
    "drop index ticket_component",
    "alter table ticket drop column due_time",
    "drop extension pg_trgm",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
