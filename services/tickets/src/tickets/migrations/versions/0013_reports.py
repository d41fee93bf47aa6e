"""Spans, cycles and results of clocks, made of the timelines that there are."""

import sqlalchemy as sa
from alembic import op

from tickets.store import history

revision = "0013"
down_revision = "0012"

_BATCH = 1000
STATEMENTS = (
    """
    create table ticket_span (
        ticket_id uuid not null,
        to_time timestamptz not null,
        from_time timestamptz not null,
        cycle integer not null,
        status text not null,
        status_kind smallint not null,
        line smallint not null,
        assignee text not null,
        primary key (ticket_id, to_time),
        foreign key (ticket_id) references ticket (id) on delete cascade
    )
    """,
    """
    create index ticket_span_open on ticket_span using gist (tstzrange(from_time, to_time))
    where status_kind < 5
    """,
    """
    create table ticket_cycle (
        ticket_id uuid not null,
        cycle integer not null,
        began_time timestamptz not null,
        highest_line smallint not null,
        taken_time timestamptz,
        taken_by text,
        taken_line smallint,
        replied_time timestamptz,
        replied_by text,
        replied_line smallint,
        resolved_time timestamptz,
        resolved_by text,
        resolved_line smallint,
        closed_time timestamptz,
        reopened_time timestamptz,
        rated_time timestamptz,
        score smallint,
        escalated boolean not null,
        came_back boolean not null,
        primary key (ticket_id, cycle),
        foreign key (ticket_id) references ticket (id) on delete cascade
    )
    """,
    *(
        f"create index ticket_cycle_{name} on ticket_cycle ({name}_time) where {name}_time is not null"
        for name in ("taken", "replied", "resolved", "reopened", "rated")
    ),
    """
    create table clock_result (
        ticket_id uuid not null,
        clock text not null,
        cycle integer not null,
        met_time timestamptz not null,
        breached boolean not null,
        elapsed_seconds double precision,
        line smallint not null,
        assignee text not null,
        version bigint not null,
        as_of_time timestamptz not null,
        primary key (ticket_id, clock, cycle),
        foreign key (ticket_id) references ticket (id) on delete cascade
    )
    """,
    "create index clock_result_met on clock_result (met_time, clock)",
    # What is known of clocks that were met: not what they counted, and whose the ticket is now.
    """
    insert into clock_result
    select ticket_id, clock, k.cycle, met_time, breached, null, line, assignee, k.version, as_of_time
    from ticket_clock k join ticket t on t.id = k.ticket_id
    where state = 'met' and met_time is not null
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    _fill(op.get_bind())


def downgrade() -> None:
    for table in ("clock_result", "ticket_cycle", "ticket_span"):
        op.drop_table(table)


def _fill(connection: sa.Connection) -> None:
    # Written by the code of today: a migration that changes these tables takes the filling over.
    after = "00000000-0000-0000-0000-000000000000"
    batch = sa.text("select id, body from ticket where id > :after order by id limit :most")
    while found := connection.execute(batch, {"after": after, "most": _BATCH}).all():
        rows = [history.rebuilt(str(each.id), each.body) for each in found]
        for statement, name in ((history.CYCLES, "cycles"), (history.SPANS, "spans")):
            connection.execute(statement, {name: [row for each in rows for row in each[name]]})
        after = found[-1].id
