"""Tables of sla-clock; the migrations say the same in their own words."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from chassis.schema import chassis_tables

metadata = sa.MetaData()
chassis_tables(metadata)
INSTANT = sa.DateTime(timezone=True)


def integer(value: int | str, bits: int) -> int:
    """The number, when a column of so many bits takes it. Raises ValueError."""
    number = int(value)
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise ValueError(f"{number} does not fit into {bits} bits")
    return number


class TransactionId(sa.types.UserDefinedType[int]):
    """PostgreSQL's xid8: the number of a transaction, which never comes again."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The type's name."""
        return "xid8"


policy_table = sa.Table(
    "policy",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("yaml", sa.Text, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("applied_at", INSTANT, nullable=False),
)
ticket_table = sa.Table(
    "ticket_clock",
    metadata,
    sa.Column("ticket_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("policy_version", sa.Integer, nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("ref", sa.LargeBinary, nullable=False),
    sa.Column("timeline", sa.LargeBinary, nullable=False),
    sa.Column("attributes", JSONB, nullable=False),
    sa.Column("standings", JSONB, nullable=False),
    # The marks that wait (sla_clock.ahead); null: to be computed anew before anything fires.
    sa.Column("ahead", sa.LargeBinary),
    sa.Column("trace", sa.Text, nullable=False),
    # What lists filter, group and order by; the same as in `ref`.
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("line", sa.Text, nullable=False),
    sa.Column("assignee", sa.Text, nullable=False),
    sa.Column("tier", sa.Text, nullable=False),
    sa.Column("customer_timezone", sa.Text, nullable=False),
    # Versions of time zones and holidays that it was computed with.
    sa.Column("data", sa.Text, nullable=False),
    # When it was over and rows of its ledger were deleted: marks at or before that instant do not fire.
    sa.Column("pruned_until", INSTANT),
)
wake_table = sa.Table(
    "wake",
    metadata,
    sa.Column("ticket_id", sa.Uuid, primary_key=True),
    # Grows with every write of the ticket and with every firing.
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("next_wake_at", INSTANT),
    # All marks that waited at this instant or before have fired; null when the standings say it themselves.
    sa.Column("fired_until", INSTANT),
)
due_table = sa.Table(
    "due_clock",
    metadata,
    sa.Column("ticket_id", sa.Uuid, primary_key=True),
    sa.Column("clock", sa.Text, primary_key=True),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("due_at", INSTANT, nullable=False),
    # Microseconds of working time: allowed, and counted before `since`, from which on it runs.
    sa.Column("target", sa.BigInteger, nullable=False),
    sa.Column("elapsed", sa.BigInteger, nullable=False),
    sa.Column("since", INSTANT, nullable=False),
    sa.Column("calendar", sa.Text, nullable=False),
    # What the calendar's own count shows at `due_at` (serving.counted).
    sa.Column("due_count", sa.BigInteger, nullable=False),
)
batch_table = sa.Table(
    "mark_batch",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    # Readers follow the order of transactions that are over: an id may become visible after a higher one.
    sa.Column("xact", TransactionId, nullable=False),
    sa.Column("fired_at", INSTANT, nullable=False),
    sa.Column("marks", sa.Integer, nullable=False),
    sa.Column("published_at", INSTANT),
    sa.Column("first_seq", sa.BigInteger),
    sa.Column("last_seq", sa.BigInteger),
)
ledger_table = sa.Table(
    "mark_ledger",
    metadata,
    sa.Column("ticket_id", sa.Uuid, primary_key=True),
    sa.Column("clock", sa.Text, primary_key=True),
    sa.Column("cycle", sa.Integer, primary_key=True),
    sa.Column("mark", sa.Text, primary_key=True),
    sa.Column("generation", sa.BigInteger, primary_key=True),
    sa.Column("batch", sa.BigInteger, nullable=False),
    # Within the batch, in the order in which its events are sent.
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("due_at", INSTANT, nullable=False),
    sa.Column("fired_at", INSTANT, nullable=False),
    sa.Column("folded", sa.Boolean, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("trace", sa.Text, nullable=False),
)
recalculation_table = sa.Table(
    "recalculation",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("started_at", INSTANT, nullable=False),
    sa.Column("finished_at", INSTANT),
    # Tickets that it touches, once counted, and those done; clocks that moved; microseconds of work.
    sa.Column("total", sa.BigInteger),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in ("done", "earlier", "later", "added", "dropped", "took")
    ),
)
