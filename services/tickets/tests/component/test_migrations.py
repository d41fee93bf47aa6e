"""The schema that migrations make is the one the code uses."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade, upgrade
from alembic.migration import MigrationContext
from sqlalchemy.dialects.postgresql.base import ischema_names

from chassis.schema import _config, plain_engine
from tickets import main
from tickets.store.tables import metadata
from tickets.store.watch import TransactionId

ischema_names["xid8"] = TransactionId
assert main.build.__doc__, "reading it adds the tables of every capability"


async def test_migrations_make_the_tables_of_the_code(database: Callable[..., str]) -> None:
    engine = plain_engine(str(database("tickets.migrations")))
    async with engine.connect() as conn:
        differences = await conn.run_sync(lambda c: compare_metadata(MigrationContext.configure(c), metadata))
    await engine.dispose()
    assert differences == []


async def test_migrations_can_be_undone(database: Callable[..., str]) -> None:
    engine = plain_engine(str(database("tickets.migrations")))
    config = _config("tickets.migrations")

    def undo(connection: sa.Connection) -> list[str]:
        connection.execute(sa.text("create sequence ticket_number_sup"))
        config.attributes["connection"] = connection
        downgrade(config, "base")
        left = sa.text("select relname from pg_class where relnamespace = 'public'::regnamespace")
        return list(connection.execute(left).scalars())

    async with engine.connect() as conn:
        left = await conn.run_sync(undo)
    await engine.dispose()
    assert [name for name in left if not name.startswith("alembic")] == []


async def test_values_of_fields_move_from_the_body_into_their_column_and_back(
    database: Callable[..., str],
) -> None:
    """YT-15: what tickets held before the column was there is found in it."""
    engine = plain_engine(str(database("tickets.migrations")))
    config = _config("tickets.migrations")
    seen = sa.text("select to_jsonb(ticket) -> 'fields' as fields, body from ticket order by number")

    def go_back_and_forth(connection: sa.Connection) -> list[list[tuple[object, object]]]:
        config.attributes["connection"] = connection
        downgrade(config, "0001")
        for statement in _TWO_TICKETS:
            connection.execute(sa.text(statement))
        states = []
        for step, revision in ((upgrade, "head"), (downgrade, "0001")):
            step(config, revision)
            states.append([(row.fields, row.body) for row in connection.execute(seen)])
        return states

    async with engine.connect() as conn:
        after, before = await conn.run_sync(go_back_and_forth)
    await engine.dispose()
    device = {"device": {"text": "LP-1"}}
    assert after == [(device, {"observers": ["olga"]}), ({}, {})]
    assert before == [(None, {"observers": ["olga"], "fields": device}), (None, {})]


_TICKET = """
    insert into ticket (id, queue, number, version, customer_id, subject, type, priority, status, status_kind,
        line, channel, tags, cycle, message_count, created_time, updated_time, body)
    select gen_random_uuid(), 'SUP', {number}, 1, id, 's', 1, 2, 'new', 1, 1, 1, '{{}}', 1, 1, now(), now(),
        '{body}' from customer
"""
_TWO_TICKETS = (
    "insert into customer (id, created_time) values (gen_random_uuid(), now())",
    """
    insert into queue (key, name, default_priority, default_language, first_line, last_line, public_lines,
        version)
    values ('SUP', 'Support', 2, 'en', 1, 3, '{1}', 1)
    """,
    _TICKET.format(number=1, body='{"observers": ["olga"], "fields": {"device": {"text": "LP-1"}}}'),
    _TICKET.format(number=2, body="{}"),
)
