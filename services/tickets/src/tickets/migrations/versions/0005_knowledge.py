"""The knowledge base: articles, their versions, words, uses and votes."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    """
    create table article (
        id uuid not null,
        key text not null,
        state smallint not null,
        kind smallint not null,
        language text not null,
        title text not null,
        body text not null,
        owner text not null,
        review_date date,
        tags text[] not null,
        queues text[] not null,
        categories text[] not null,
        components text[] not null,
        visibility smallint not null,
        version bigint not null,
        author text not null,
        comment text not null,
        created_time timestamptz not null,
        updated_time timestamptz not null,
        published_time timestamptz,
        use_count integer not null,
        last_used_time timestamptz,
        helpful_count integer not null,
        unhelpful_count integer not null,
        search tsvector not null,
        primary key (id),
        unique (key)
    )
    """,
    # Written rarely, searched often: no list of pending entries that each search would have to read.
    "create index article_search on article using gin (search) with (fastupdate = off)",
    """
    create table article_version (
        article_id uuid not null,
        version bigint not null,
        state smallint not null,
        author text not null,
        comment text not null,
        time timestamptz not null,
        content jsonb not null,
        primary key (article_id, version),
        foreign key (article_id) references article (id)
    )
    """,
    "create table article_word (word text not null, primary key (word))",
    "create index article_word_near on article_word using gist (word gist_trgm_ops)",
    """
    create table article_use (
        ticket_id uuid not null,
        article_id uuid not null,
        article_version bigint not null,
        author text not null,
        sent boolean not null,
        time timestamptz not null,
        primary key (ticket_id, article_id),
        foreign key (ticket_id) references ticket (id),
        foreign key (article_id) references article (id)
    )
    """,
    "create index article_use_article on article_use (article_id, time, ticket_id)",
    """
    create table article_missing (
        ticket_id uuid not null,
        words text not null,
        author text not null,
        time timestamptz not null,
        primary key (ticket_id),
        foreign key (ticket_id) references ticket (id)
    )
    """,
    "create index article_missing_time on article_missing (time, ticket_id)",
    """
    create table article_vote (
        article_id uuid not null,
        agent text not null,
        helpful boolean not null,
        primary key (article_id, agent),
        foreign key (article_id) references article (id)
    )
    """,
)
TABLES = ("article_vote", "article_missing", "article_use", "article_word", "article_version", "article")


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for name in TABLES:
        op.drop_table(name)
