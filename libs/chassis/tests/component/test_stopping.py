"""A relay that is cancelled in the middle of anything stops."""

import asyncio
import random
from collections.abc import Callable

from chassis.bus import Bus
from chassis.db import Database
from chassis.outbox import Relay
from chassis.testing import DatabaseUrl
from libs.chassis.tests.probe import Happened, create_tables

ROUNDS = 120
"""About one cancellation in fifteen met an answer of the broker; without the mending none of these ended."""


async def test_a_relay_ends_whenever_it_is_cancelled(database: Callable[..., DatabaseUrl], bus: Bus) -> None:
    url = database()
    await create_tables(url)
    chance = random.Random(7)
    async with Database(url, "test") as db:
        for number in range(ROUNDS):
            async with db.tx() as tx:
                tx.emit(Happened(n=number), "k")
            # Another connection makes the relay look at the stream first, as after a start.
            bus.connections += 1
            task = asyncio.get_running_loop().create_task(Relay(db, bus).run())
            await asyncio.sleep(chance.random() * 0.03)
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=5)
            assert done, f"still running in round {number}"
