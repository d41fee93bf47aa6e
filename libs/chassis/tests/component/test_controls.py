"""Controls: what goes wrong without the flag of the outbox and without the inbox."""

from collections.abc import Callable

import sqlalchemy as sa

from chassis.bus import Bus
from chassis.db import Database, Delivery
from chassis.outbox import Relay
from libs.chassis.tests.probe import Happened, create_tables, effect, rows


async def test_a_cursor_over_numbers_loses_what_commits_late_and_the_flag_does_not(
    database: Callable[..., str], bus: Bus
) -> None:
    """faults 4: two transactions commit in the other order than they took their numbers."""
    url = database()
    await create_tables(url)
    async with Database(url, "test") as db:
        seen: list[int] = []

        async def poll() -> None:
            found = await rows(db, f"select seq from outbox where seq > {max(seen, default=0)} order by seq")
            seen.extend(row.seq for row in found)

        async with db.tx() as early:
            early.emit(Happened(n=1), "a")
            await early.flush()
            async with db.tx() as late:
                late.emit(Happened(n=2), "b")
            await poll()
            await Relay(db, bus).step()
        await poll()
        await Relay(db, bus).step()
        assert len(seen) == 1, "the control must lose the event that committed late"
    assert (await bus.js.stream_info("PROBE")).state.messages == 2


async def test_without_its_inbox_row_a_redelivered_event_would_have_its_effect_twice(
    database: Callable[..., str], bus: Bus
) -> None:
    """faults 3: the effect is the same statement both times; only the inbox tells the deliveries apart."""
    url = database()
    await create_tables(url)
    async with Database(url, "test") as db:

        async def deliver(*, forget: bool) -> None:
            async with db.tx(Delivery("event-1", early, "test")) as tx:
                if forget:
                    await tx.execute(sa.text("delete from inbox"))
                if await tx.first_time():
                    await tx.execute(sa.insert(effect), {"n": 1, "id": "x"})

        async with db.tx() as tx:
            early = tx.now
        await deliver(forget=False)
        await deliver(forget=False)
        assert len(await rows(db, "select n from effect")) == 1
        await deliver(forget=True)
        assert len(await rows(db, "select n from effect")) == 2, "the control must double the effect"
