"""Tables of the service."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

from chassis.schema import chassis_tables

metadata = sa.MetaData()
outbox, inbox, request = chassis_tables(metadata)

_TIME = sa.DateTime(timezone=True)
_ID = sa.Uuid(as_uuid=False)
_OPEN = sa.text("status_kind < 5")
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""When a ticket is due of which no clock runs. A time rather than null, so that rows can be compared."""


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


queue = sa.Table(
    "queue",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("default_priority", sa.SmallInteger, nullable=False),
    sa.Column("default_language", sa.Text, nullable=False),
    sa.Column("first_line", sa.SmallInteger, nullable=False),
    sa.Column("last_line", sa.SmallInteger, nullable=False),
    sa.Column("public_lines", ARRAY(sa.SmallInteger), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("setup_id", sa.ForeignKey("queue_setup.id", use_alter=True)),
    sa.Column("setup_version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("confirmation_seconds", sa.BigInteger, nullable=False, server_default="0"),
)
"""Its numbers come from a sequence of its own, `ticket_number_<key>`: no row is locked to number a ticket."""

queue_setup = sa.Table(
    "queue_setup",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("queue", sa.ForeignKey("queue.key"), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("actor_kind", sa.SmallInteger, nullable=False),
    _text("actor_id"),
    _text("actor_name"),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Column("document", JSONB, nullable=False),
    sa.UniqueConstraint("queue", "version"),
)
"""Every version of every setup; `queue.setup_id` says which is in force."""

queue_address = sa.Table(
    "queue_address",
    metadata,
    sa.Column("address", sa.Text, primary_key=True),
    sa.Column("queue", sa.ForeignKey("queue.key", ondelete="CASCADE"), nullable=False),
    sa.Column("position", sa.SmallInteger, nullable=False),
    sa.Index("queue_address_queue", "queue"),
)

agent = sa.Table(
    "agent",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    _text("email"),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("lines", ARRAY(sa.SmallInteger), nullable=False),
    sa.Column("queues", ARRAY(sa.Text), nullable=False),
    sa.Column("leads", ARRAY(sa.SmallInteger), nullable=False),
    sa.Column("management", sa.Boolean, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
)

agent_turn = sa.Table(
    "agent_turn",
    metadata,
    sa.Column("agent_id", sa.ForeignKey("agent.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("turn_time", _TIME, nullable=False),
)
"""When a strategy last gave an agent a ticket."""

customer = sa.Table(
    "customer",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    _text("name"),
    sa.Column("tier", sa.SmallInteger, nullable=False, server_default="1"),
    _text("timezone"),
    _text("language"),
    sa.Column("numbers", ARRAY(sa.Text), nullable=False, server_default="{}"),
    _text("organisation"),
    _text("account_manager"),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Column("own_tier", sa.SmallInteger, nullable=False, server_default="0"),
    _text("own_account_manager"),
    _text("organisation_key"),
    sa.Column("merged_into", _ID),
    sa.Index(
        "customer_numbers", "numbers", postgresql_using="gin", postgresql_where=sa.text("numbers <> '{}'")
    ),
    sa.Index("customer_member", "organisation_key", "id", postgresql_where=sa.text("organisation_key <> ''")),
    sa.Index("customer_manager", "account_manager", postgresql_where=sa.text("account_manager <> ''")),
    sa.Index("customer_name", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
    sa.Index("customer_organisation", "organisation", postgresql_where=sa.text("organisation <> ''")),
)

contact = sa.Table(
    "contact",
    metadata,
    sa.Column("channel", sa.SmallInteger, primary_key=True),
    sa.Column("address", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.ForeignKey("customer.id"), nullable=False),
    sa.Index("contact_customer", "customer_id"),
    sa.Index(
        "contact_address", "address", postgresql_using="gin", postgresql_ops={"address": "gin_trgm_ops"}
    ),
)

OF_AGENT_AND_OPEN = sa.text("assignee <> '' and status_kind <= 4")
"""Tickets that an agent has to work on; in these words, or the index of them is not used."""

ticket = sa.Table(
    "ticket",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("queue", sa.ForeignKey("queue.key"), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("customer_id", sa.ForeignKey("customer.id"), nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("type", sa.SmallInteger, nullable=False),
    _text("category"),
    _text("component"),
    _text("edition"),
    _text("language"),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_kind", sa.SmallInteger, nullable=False),
    sa.Column("line", sa.SmallInteger, nullable=False),
    _text("assignee"),
    _text("customer_number"),
    sa.Column("channel", sa.SmallInteger, nullable=False),
    _text("account"),
    sa.Column("tags", ARRAY(sa.Text), nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("message_count", sa.Integer, nullable=False),
    _text("parent_ticket_id"),
    _text("origin"),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Column("updated_time", _TIME, nullable=False),
    sa.Column("resolved_time", _TIME),
    sa.Column("closed_time", _TIME),
    sa.Column("fields", JSONB, nullable=False, server_default="{}"),
    sa.Column("due_time", _TIME, nullable=False, server_default="9999-01-01T00:00:00Z"),
    sa.Column("body", JSONB, nullable=False),
    sa.UniqueConstraint("queue", "number"),
    sa.Index("ticket_created", "created_time", "id"),
    sa.Index("ticket_updated", "updated_time", "id"),
    sa.Index("ticket_queue", "queue", "status_kind", "created_time", "id"),
    sa.Index("ticket_customer", "customer_id", "created_time", "id"),
    sa.Index("ticket_assignee", "assignee", "created_time", "id", postgresql_where=sa.text("assignee <> ''")),
    sa.Index(
        "ticket_finished",
        "queue",
        "resolved_time",
        "id",
        postgresql_where=sa.text("resolved_time is not null"),
    ),
    sa.Index("ticket_mine", "assignee", "due_time", "id", postgresql_where=_OPEN),
    sa.Index("ticket_due", "queue", "due_time", "id", postgresql_where=_OPEN),
    sa.Index(
        "ticket_board",
        "queue",
        "line",
        "priority",
        "id",
        postgresql_include=["status", "status_kind"],
        postgresql_where=_OPEN,
    ),
    sa.Index(
        "ticket_component", "component", "created_time", "id", postgresql_where=sa.text("component <> ''")
    ),
    sa.Index(
        "ticket_category",
        sa.text("split_part(category, '/', 1)"),
        "created_time",
        "id",
        postgresql_where=sa.text("category <> ''"),
    ),
    sa.Index("ticket_tags", "tags", postgresql_using="gin", postgresql_where=sa.text("tags <> '{}'")),
    sa.Index("ticket_parent", "parent_ticket_id", postgresql_where=sa.text("parent_ticket_id <> ''")),
    sa.Index("ticket_resolved", "queue", "resolved_time", postgresql_where=sa.text("status_kind = 5")),
    sa.Index("ticket_load", "assignee", postgresql_where=OF_AGENT_AND_OPEN),
    sa.Index("ticket_fields", "fields", postgresql_using="gin", postgresql_ops={"fields": "jsonb_path_ops"}),
    sa.Index("ticket_wish", "queue", postgresql_where=sa.text("type = 5 and status_kind < 5")),
)
"""Scalars are columns, so that lists can filter by them; `body` holds what is only read with its ticket:
observers, conversations, escalation, csat, the timeline, whether a robot wrote it (`store.body`). `fields`
holds values of custom fields by key and kind, `{"sum": {"number": 9.5}, "parts": {"choices": ["a"]}}`, times
as microseconds: its index finds what `@>` asks for. `due_time` is when the first of its running clocks
runs out; `store.clocks` keeps it."""

ticket_clock = sa.Table(
    "ticket_clock",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("ticket.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("clock", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, sa.Identity(), nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("due_time", _TIME),
    sa.Column("met_time", _TIME),
    sa.Column("breached", sa.Boolean, nullable=False),
    sa.Column("last_mark", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    # 0: heard before it was kept.
    sa.Column("policy_version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("as_of_time", _TIME, nullable=False),
    sa.Index("ticket_clock_breached", "clock", "ticket_id", postgresql_where=sa.text("breached")),
)
"""What the clocks say. Apart from `ticket`: hearing it changes no version and makes no event, else the
clocks and the tickets would answer each other for ever."""

conversation = sa.Table(
    "conversation",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), nullable=False),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Index("conversation_ticket", "ticket_id"),
)

message = sa.Table(
    "message",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), nullable=False),
    sa.Column("author_kind", sa.SmallInteger, nullable=False),
    _text("author_id"),
    _text("author_name"),
    sa.Column("visibility", sa.SmallInteger, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    _text("full_text"),
    _text("html"),
    sa.Column("attachments", JSONB, nullable=False),
    sa.Column("channel", sa.SmallInteger, nullable=False),
    _text("conversation_id"),
    _text("address"),
    _text("delivery_state"),
    sa.Column("created_time", _TIME, nullable=False),
    _text("subject"),
    sa.Column("cc", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Index("message_ticket", "ticket_id", "created_time", "id"),
)

ticket_text = sa.Table(
    "ticket_text",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("ticket.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("document", TSVECTOR, nullable=False),
    sa.Index("ticket_text_document", "document", postgresql_using="gin"),
)
"""The words of a ticket (`store.texts`). Apart from `ticket`, whose every change would enter them again."""

word = sa.Table(
    "word",
    metadata,
    sa.Column("word", sa.Text, primary_key=True),
    sa.Index("word_trigrams", "word", postgresql_using="gin", postgresql_ops={"word": "gin_trgm_ops"}),
)
"""Words of subjects and of customers' names, for queries that are misspelt."""

incident = sa.Table(
    "incident",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), primary_key=True),
    sa.Column("queue", sa.ForeignKey("queue.key"), nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    _text("topic"),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Index("incident_created", "created_time", "ticket_id"),
)
"""Mass incidents by their parents."""

incident_child = sa.Table(
    "incident_child",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), primary_key=True),
    sa.Column("incident_id", sa.ForeignKey("incident.ticket_id"), nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("follows", sa.Boolean, nullable=False),
    sa.Index("incident_child_position", "incident_id", "follows", "position"),
)
"""Tickets that follow a parent, and those that only seem to belong to it. Positions come from the sequence
`incident_position`: a task is done to those that followed when it was asked for, wherever it stopped."""

incident_task = sa.Table(
    "incident_task",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("incident_id", sa.ForeignKey("incident.ticket_id"), nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("actor", JSONB, nullable=False),
    _text("message_id"),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("last_position", sa.BigInteger, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("failures", JSONB, nullable=False),
    sa.Column("finished_time", _TIME),
    sa.Index("incident_task_incident", "incident_id", "id"),
    sa.Index("incident_task_left", "id", postgresql_where=sa.text("finished_time is null")),
)
"""What is done to the children; ids are in the order in which it was asked for."""

ticket_alias = sa.Table(
    "ticket_alias",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), nullable=False),
    sa.Index("ticket_alias_ticket", "ticket_id"),
)
"""Keys that tickets had before they moved to another queue."""

ticket_link = sa.Table(
    "ticket_link",
    metadata,
    sa.Column("kind", sa.SmallInteger, primary_key=True),
    sa.Column("from_id", sa.ForeignKey("ticket.id"), primary_key=True),
    sa.Column("to_id", sa.ForeignKey("ticket.id"), primary_key=True),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Index("ticket_link_from", "from_id"),
    sa.Index("ticket_link_to", "to_id"),
)
"""One row a link, whichever end it was made from."""

external_link = sa.Table(
    "external_link",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), primary_key=True),
    sa.Column("url", sa.Text, primary_key=True),
    _text("title"),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Column("updated_time", _TIME, nullable=False),
    sa.Index("external_link_url", "url"),
)

vote = sa.Table(
    "vote",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), primary_key=True),
    sa.Column("customer_id", sa.ForeignKey("customer.id"), primary_key=True),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Index("vote_customer", "customer_id"),
)
"""Who wants a wish beside its author."""

draft = sa.Table(
    "draft",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), primary_key=True),
    sa.Column("agent_id", sa.Text, primary_key=True),
    _text("text"),
    _text("to"),
    sa.Column("cc", ARRAY(sa.Text), nullable=False),
    _text("subject"),
    sa.Column("attachment_ids", ARRAY(sa.Text), nullable=False),
    sa.Column("saved_time", _TIME, nullable=False),
)

upload = sa.Table(
    "upload",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("uploader", sa.Text, nullable=False),
)

team = sa.Table(
    "team",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("members", ARRAY(sa.Text), nullable=False),
    _text("email"),
    sa.Column("version", sa.BigInteger, nullable=False),
)
