"""The schema that migrations make is the one the code uses."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade
from alembic.migration import MigrationContext

from chassis.schema import _config, plain_engine
from tickets import main
from tickets.store.tables import metadata

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
