"""A throw-away desk to measure."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tickdesk_cli import seed
from tickdesk_cli.client import Client
from tickdesk_cli.desk import Desk

ROOT = Path(__file__).resolve().parents[1]


@asynccontextmanager
async def a_desk(**settings: str) -> AsyncIterator[tuple[Desk, Client]]:
    """A running desk with durable servers and the example queues; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tickdesk-bench-") as folder:
        desk = Desk(Path(folder), detached=False, settings=settings)
        try:
            await desk.start()
            async with desk.client() as client:
                await seed.plant(client, seed.read(ROOT / "examples" / "desk.yaml"))
                yield desk, client
        finally:
            await desk.stop()
