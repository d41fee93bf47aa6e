"""The true wiring of tickets on real servers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import cast

import grpc.aio
import pytest
from pydantic import SecretStr

from chassis.channel import channel
from chassis.db import Database
from chassis.run import running
from chassis.testing import events, open_bus
from services.tickets.tests.builders import EVENTS, ROLES, Desk, furnish_database
from tickets.main import build
from tickets.settings import Settings

Start = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def start(database: Callable[..., str], nats_url: str) -> AsyncIterator[Start]:
    """Start a desk with other settings than the usual ones."""
    async with AsyncExitStack() as stack:

        async def begin(**fields: object) -> Desk:
            url = str(fields.pop("url", "") or database("tickets.migrations"))
            callers = cast("tuple[str, ...]", fields.pop("callers", ROLES))
            settings = Settings(
                database_url=SecretStr(url),
                nats_url=nats_url,
                tokens={who: SecretStr(f"token-of-{who}") for who in callers},
                drain_pause_seconds=0,
                drain_seconds=2,
                **fields,  # type: ignore[arg-type]
            )
            app = await stack.enter_async_context(running("tickets", settings, build))
            bus = await stack.enter_async_context(open_bus(nats_url))
            db = await stack.enter_async_context(Database(settings.database_url, "tickets"))
            watch = await stack.enter_async_context(events(bus, *EVENTS))

            target = f"127.0.0.1:{app.grpc_port}"

            async def connect(who: str) -> grpc.aio.Channel:
                return await stack.enter_async_context(channel(target, f"token-of-{who}"))

            return Desk(bus, db, watch, connect, url, target)

        yield begin


@pytest.fixture
async def desk(start: Start, database: Callable[..., str]) -> Desk:
    """A desk with the queue SUP and four agents: anna and boris (L1), dina (L2), olga who leads L1."""
    return await start(url=database("tickets.migrations", furnish_database))
