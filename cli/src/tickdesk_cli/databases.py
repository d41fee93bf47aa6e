"""The databases of a desk's services: made once, and their tables kept up to date."""

from collections.abc import Iterable

import asyncpg

from chassis.schema import migrate


async def create(url: str, names: Iterable[str]) -> None:
    """Make those databases of the server that are not there yet."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        known = {row["datname"] for row in await connection.fetch("select datname from pg_database")}
        for name in names:
            if name not in known:
                await connection.execute(f'create database "{name}"')
    finally:
        await connection.close()


async def bring_up_to_date(url: str, module: str) -> None:
    """Run what is left of a service's migrations on its database."""
    await migrate(url, f"{module}.migrations")
