"""A relay that is cancelled in the middle of anything stops."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from chassis.bus import Bus
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.outbox import Relay
from chassis.testing import eventually
from libs.chassis.tests.probe import Happened, create_tables, emit, rows

ROUNDS = 120
"""About one cancellation in fifteen met an answer of the broker; without the mending none of these ended."""


async def test_a_relay_ends_whenever_it_is_cancelled(database: Callable[..., str], bus: Bus) -> None:
    url = database()
    await create_tables(url)
    chance = random.Random(7)
    async with Database(url, "test") as db:
        for number in range(ROUNDS):
            async with db.tx() as tx:
                tx.emit(Happened(n=number), "k")
            # Another connection makes the relay look at the stream first, as after a start.
            bus.client.stats["reconnects"] += 1
            task = asyncio.get_running_loop().create_task(Relay(db, bus).run())
            await asyncio.sleep(chance.random() * 0.03)
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=5)
            assert done, f"still running in round {number}"


async def test_a_relay_goes_on_after_its_database_failed_in_the_middle_of_a_batch(
    database: Callable[..., str], bus: Bus
) -> None:
    url = database()
    await create_tables(url)
    async with Database(url, "test") as db:
        relay = Relay(db, bus)
        settle, failures = relay._settle, iter([Unavailable("away")])

        async def failing(*asked: Any) -> None:
            for error in failures:
                raise error
            await settle(*asked)

        setattr(relay, "_settle", failing)  # noqa: B010 - a method on purpose
        await emit(db, Happened(n=1))
        task = asyncio.get_running_loop().create_task(relay.run())

        async def published() -> bool:
            return not await rows(db, "select 1 from outbox where published_at is null")

        await eventually(published)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task], timeout=5)
