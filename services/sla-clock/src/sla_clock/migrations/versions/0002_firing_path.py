"""Firing reads and writes little: wake-ups in rows of their own, the ledger in batches."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INSTANT = sa.DateTime(timezone=True)
FACETS = ("queue", "line", "assignee", "tier", "customer_timezone")


def upgrade() -> None:
    _wakes()
    _tickets()
    _due()
    _batches()


def _wakes() -> None:
    op.create_table(
        "wake",
        sa.Column("ticket_id", sa.Uuid, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("next_wake_at", INSTANT),
        sa.Column("fired_until", INSTANT),
        # Every firing rewrites its row: room on the page spares the index of keys a new entry.
        postgresql_with={"fillfactor": "50"},
    )
    op.execute(
        "insert into wake (ticket_id, revision, next_wake_at)"
        " select ticket_id, revision, next_wake_at from ticket_clock"
    )
    armed = sa.text("next_wake_at is not null")
    op.create_index("wake_next", "wake", ["next_wake_at"], postgresql_where=armed)


def _tickets() -> None:
    op.drop_index("ticket_clock_wake", "ticket_clock")
    op.drop_column("ticket_clock", "next_wake_at")
    op.drop_column("ticket_clock", "revision")
    op.execute(
        "alter table ticket_clock alter column trace type text using coalesce(trace->>'traceparent', '')"
    )
    # Empty: what waits is computed anew when the ticket is next written, or else before it fires.
    op.add_column("ticket_clock", sa.Column("ahead", sa.LargeBinary))
    for name in FACETS:
        op.add_column("ticket_clock", sa.Column(name, sa.Text, nullable=False, server_default=""))
        op.alter_column("ticket_clock", name, server_default=None)
    op.execute(
        "update ticket_clock set queue = coalesce(attributes->>'queue', ''),"
        " line = coalesce(attributes->>'line', ''), tier = coalesce(attributes->>'tier', '')"
    )
    # Firing reads these two; what else makes a row too long for its page goes out of it first.
    op.execute("alter table ticket_clock alter column ahead set storage main")
    op.execute("alter table ticket_clock alter column ref set storage main")


def _due() -> None:
    for name in ("target", "elapsed"):
        op.add_column("due_clock", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
        op.alter_column("due_clock", name, server_default=None)
    op.add_column("due_clock", sa.Column("since", INSTANT))
    op.execute("update due_clock set since = due_at")
    op.alter_column("due_clock", "since", nullable=False)
    op.add_column("due_clock", sa.Column("calendar", sa.Text, nullable=False, server_default=""))
    op.alter_column("due_clock", "calendar", server_default=None)


def _batches() -> None:
    op.execute(
        "create table mark_batch ("
        " id bigint generated always as identity primary key,"
        " xact xid8 not null default pg_current_xact_id(),"
        " fired_at timestamptz not null,"
        " marks integer not null,"
        " published_at timestamptz,"
        " first_seq bigint,"
        " last_seq bigint)"
    )
    # Marks that were entered at one instant were entered together.
    op.execute(
        "insert into mark_batch (fired_at, marks, published_at, first_seq, last_seq)"
        " select fired_at, count(*),"
        " case when bool_and(published_at is not null or folded)"
        " then coalesce(max(published_at), fired_at) end,"
        " min(stream_seq), max(stream_seq)"
        " from mark_ledger group by fired_at order by fired_at"
    )
    op.add_column("mark_ledger", sa.Column("batch", sa.BigInteger))
    op.add_column("mark_ledger", sa.Column("place", sa.Integer))
    op.execute(
        "update mark_ledger set batch = numbered.batch, place = numbered.place from ("
        " select ticket_id, clock, cycle, mark, generation, b.id as batch,"
        " row_number() over (partition by b.id order by due_at, event_id) as place"
        " from mark_ledger join mark_batch b using (fired_at)) as numbered"
        " where (mark_ledger.ticket_id, mark_ledger.clock, mark_ledger.cycle, mark_ledger.mark,"
        " mark_ledger.generation) = (numbered.ticket_id, numbered.clock, numbered.cycle, numbered.mark,"
        " numbered.generation)"
    )
    op.alter_column("mark_ledger", "batch", nullable=False)
    op.alter_column("mark_ledger", "place", nullable=False)
    op.execute("alter table mark_ledger rename column headers to trace")
    op.execute(
        "alter table mark_ledger alter column trace type text using coalesce(trace->>'traceparent', '')"
    )
    # The columns' indexes go with them.
    for name in ("published_at", "stream_seq", "event_id"):
        op.drop_column("mark_ledger", name)
    op.create_index("mark_ledger_batch", "mark_ledger", ["batch", "place"])
    unsent = sa.text("published_at is null")
    op.create_index("mark_batch_unsent", "mark_batch", ["id"], postgresql_where=unsent)
    op.create_index("mark_batch_order", "mark_batch", ["xact", "id"])
    numbered = sa.text("last_seq is not null")
    op.create_index("mark_batch_stream", "mark_batch", ["last_seq"], postgresql_where=numbered)


def downgrade() -> None:
    raise NotImplementedError("yesterday's code cannot read batches: restore a backup")
