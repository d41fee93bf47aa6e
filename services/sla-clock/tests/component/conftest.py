"""A desk per test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from .desk import Desk, a_desk


@pytest.fixture
async def desk(
    database: Callable[[str], str], nats_url: str, valkey_url: str, tmp_path: Path
) -> AsyncIterator[Desk]:
    async with a_desk(database("sla_clock.migrations"), nats_url, valkey_url, tmp_path) as opened:
        yield opened
