"""Tables of who may do what, and of who did it."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from tickets.store.tables import metadata

_ID, _TIME = sa.Uuid(as_uuid=False), sa.DateTime(timezone=True)

queue_rights = sa.Table(
    "queue_rights",
    metadata,
    sa.Column("queue", sa.ForeignKey("queue.key"), primary_key=True),
    sa.Column("grants", JSONB, nullable=False),
)
"""What the setups in force grant, where every call finds the rights of all queues at once."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("time", _TIME, nullable=False),
    sa.Column("actor_kind", sa.SmallInteger, nullable=False),
    sa.Column("actor_id", sa.Text, nullable=False),
    sa.Column("principal", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("ticket_id", _ID),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("changes", JSONB, nullable=False),
    sa.Index("audit_ticket", "ticket_id", "id"),
    sa.Index("audit_actor", "actor_id", "id"),
    sa.Index("audit_time", "time", postgresql_using="brin"),
)
"""Who did what: written with the change, never changed or removed (a trigger refuses it)."""
