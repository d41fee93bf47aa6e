"""Tables the chassis keeps in each service's database, and alembic driven from code."""

import importlib.util
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from alembic import command, context, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from pydantic import SecretStr
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

_MIGRATION_LOCK = 0x7469636B


def outbox_table(metadata: sa.MetaData) -> sa.Table:
    """Events written with the state change they tell of; `seq` orders the relay and is never a cursor."""
    return sa.Table(
        "outbox",
        metadata,
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("headers", postgresql.JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.Column("stream_seq", sa.BigInteger),
        sa.Index("outbox_pending", "seq", postgresql_where=sa.text("published_at is null")),
        sa.Index("outbox_stream_seq", "stream_seq", postgresql_where=sa.text("stream_seq is not null")),
        sa.Index("outbox_published", "published_at", postgresql_where=sa.text("published_at is not null")),
    )


def inbox_table(metadata: sa.MetaData) -> sa.Table:
    """Events whose effect is in this database, one row per consumer."""
    return sa.Table(
        "inbox",
        metadata,
        sa.Column("event_id", sa.Text, primary_key=True),
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("inbox_at", "at"),
    )


def request_table(metadata: sa.MetaData) -> sa.Table:
    """Answers already given, by the caller's request_id."""
    return sa.Table(
        "request",
        metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("response", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Index("request_at", "at"),
    )


def chassis_tables(metadata: sa.MetaData) -> tuple[sa.Table, sa.Table, sa.Table]:
    """Add `outbox`, `inbox` and `request` to a service's metadata and return them."""
    return outbox_table(metadata), inbox_table(metadata), request_table(metadata)


def create_chassis_tables() -> None:
    """Create the three tables inside an alembic migration (call it in `upgrade()`)."""
    for table in chassis_tables(sa.MetaData()):
        table.create(op.get_bind())


def drop_chassis_tables() -> None:
    """Drop the three tables inside an alembic migration (call it in `downgrade()`)."""
    for name in ("request", "inbox", "outbox"):
        op.drop_table(name)


def asyncpg_url(url: str | SecretStr) -> sa.URL:
    """Return the URL with the driver the chassis uses. Raises ValueError when it is not PostgreSQL."""
    parsed = make_url(url.get_secret_value() if isinstance(url, SecretStr) else url)
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError("database_url must start with postgresql://")
    return parsed.set(drivername="postgresql+asyncpg")


def plain_engine(url: str | SecretStr, *, autocommit: bool = False) -> AsyncEngine:
    """Return an engine without a pool, for migrations and other rare work."""
    options = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
    return create_async_engine(
        asyncpg_url(url),
        poolclass=NullPool,
        connect_args={"timeout": 5, "server_settings": {"timezone": "UTC"}},
        **options,
    )


async def create_database(url: str | SecretStr, name: str) -> str:
    """Create a database on the server of `url` unless it is there, and return its URL."""
    if not name.isidentifier():
        raise ValueError(f"{name!r} is not a plain database name")
    engine = plain_engine(url, autocommit=True)
    try:
        async with engine.connect() as conn:
            found = await conn.execute(sa.text("select 1 from pg_database where datname = :n"), {"n": name})
            if found.first() is None:
                await conn.execute(sa.text(f'create database "{name}"'))
    finally:
        await engine.dispose()
    return asyncpg_url(url).set(drivername="postgresql", database=name).render_as_string(hide_password=False)


async def migrate(url: str | SecretStr, package: str) -> None:
    """Bring the database to the newest revision; replicas that start together wait for each other."""
    engine = plain_engine(url)
    try:
        async with engine.connect() as conn:
            await conn.execute(sa.text(f"select pg_advisory_lock({_MIGRATION_LOCK})"))
            # A waiting DDL statement blocks everybody behind it, so it gives up early.
            await conn.execute(sa.text("set lock_timeout = '10s'"))
            await conn.commit()
            await conn.run_sync(partial(_upgrade, _config(package)))
            await conn.commit()
    finally:
        await engine.dispose()


def run_migrations(metadata: sa.MetaData) -> None:
    """Run what `migrate` asked for: the whole of a service's `env.py`."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


def expected_head(package: str) -> str | None:
    """Return the newest revision in the package; None when it has none. Two heads are an error."""
    return ScriptDirectory.from_config(_config(package)).get_current_head()


async def lagging_revision(url: str | SecretStr, package: str) -> str | None:
    """Return the revision the database is at if this code needs a newer one, else None.

    A revision this code does not know was made by a newer version and is fine.
    """
    script = ScriptDirectory.from_config(_config(package))
    engine = plain_engine(url)
    try:
        async with engine.connect() as conn:
            current = await conn.run_sync(lambda c: MigrationContext.configure(c).get_current_revision())
    finally:
        await engine.dispose()
    if current is None:
        return "empty" if script.get_current_head() else None
    try:
        script.get_revision(current)
    except CommandError:
        return None
    return None if current == script.get_current_head() else current


def _upgrade(config: Config, connection: sa.Connection) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config(package: str) -> Config:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"{package} is not a package with migrations")
    config = Config()
    folder = Path(next(iter(spec.submodule_search_locations)))
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
