"""Statements that every ticket takes: put together once, carried out by the driver itself.

The layer above the driver takes more processor time for each execution than PostgreSQL does.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg

from chassis.db import Tx, to_json

Row = Mapping[Any, Any]
"""A row as the driver has it: ids are UUIDs."""


class Prepared:
    """A statement whose values all are named parameters."""

    def __init__(self, statement: sa.Executable) -> None:
        compiled = statement.compile(dialect=asyncpg.dialect())  # type: ignore[attr-defined, no-untyped-call]
        self._text = compiled.string
        self._names: list[str] = compiled.positiontup
        self._json = [name for name in self._names if isinstance(compiled.binds[name].type, sa.JSON)]

    async def rows(self, tx: Tx, values: Mapping[str, Any]) -> list[Row]:
        """Execute it with these values in a unit of work."""
        values = {**values, **{name: to_json(values[name]) for name in self._json}}
        found: list[Row] = await tx.driver.fetch(self._text, *[values[name] for name in self._names])
        return found
