"""A database with the chassis' tables."""

from collections.abc import AsyncIterator, Callable

import pytest

from chassis.db import Database
from libs.chassis.tests.probe import create_tables


@pytest.fixture
async def db(database: Callable[..., str]) -> AsyncIterator[Database]:
    url = database()
    await create_tables(url)
    async with Database(url, "test") as opened:
        yield opened
