"""Bulks have ends: of attempts at one ticket, and of their lives."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from chassis.errors import Unavailable
from services.tickets.tests.builders import Desk, furnish
from services.tickets.tests.component.test_bulk import (
    HIGH,
    SLOW,
    begin,
    create_many,
    failures,
    settled,
    these,
)
from services.tickets.tests.conftest import Start
from tickdesk.tickets.v1 import bulk_pb2
from tickdesk.tickets.v1.bulk_pb2 import BulkAction
from tickets.handlers import bulk
from tickets.store import bulk as store


@pytest.fixture
async def slow(start: Start) -> Desk:
    """A desk whose background has looked once, so that a test can take the steps itself."""
    desk = await start(**SLOW)
    await furnish(desk)
    return desk


async def test_a_ticket_that_somebody_holds_is_listed_and_holds_up_nobody(
    slow: Desk, monkeypatch: Any
) -> None:
    """YT-13: partial failure is listed, whatever its cause."""
    desk = slow
    held, free, other = await create_many(desk, 3)
    made = await begin(desk, HIGH, list=these(held, free))
    second = await begin(desk, BulkAction(take=bulk_pb2.BulkTake()), list=these(other))
    monkeypatch.setattr(bulk, "MAX_ATTEMPTS", 2)
    async with desk.db.tx() as tx:
        await tx.execute(sa.text("select 1 from ticket where id = :id for update"), {"id": held.id})
        with pytest.raises(Unavailable):
            await bulk.advance(desk.db)
        assert await bulk.advance(desk.db)
        assert await bulk.advance(desk.db)
        assert (await settled(desk, second.id)).done == 1
        assert (await desk.call("GetBulk", bulk_id=made.id)).bulk.done == 1
        with pytest.raises(Unavailable):
            await bulk.advance(desk.db)
        assert not await bulk.advance(desk.db)
        assert await failures(desk, made.id) == [(held.key, "UNAVAILABLE", "DATABASE_UNAVAILABLE")]
    await desk.call("ResumeBulk", bulk_id=made.id, failures=True)
    assert await bulk.advance(desk.db)
    assert (await settled(desk, made.id)).done == 2


async def test_bulks_are_forgotten_with_their_lists_once_they_are_over_for_long(slow: Desk) -> None:
    """Logs have a bounded life: what waits, and what ended lately, stays."""
    desk = slow
    ticket, *_ = await create_many(desk, 2)
    ended, late, waits = [await begin(desk, HIGH, list=these(ticket)) for _ in range(3)]
    for _ in range(2):
        assert await bulk.advance(desk.db)
    async with desk.db.tx() as tx:
        await tx.execute(sa.text("update bulk set created_time = created_time - interval '91 days'"))
        old = "update bulk_item set time = time - interval '91 days' where bulk_id = :id"
        await tx.execute(sa.text(old), {"id": ended.id})
    async with desk.db.tx() as tx:
        assert await store.forget(tx, tx.now - timedelta(days=90), 10) == 1
        left = (await tx.execute(sa.text("select distinct bulk_id::text from bulk_item"))).scalars().all()
    assert set(left) == {late.id, waits.id}
    assert {each.id for each in (await desk.call("ListBulks")).bulks} == {late.id, waits.id}
    assert (await desk.refusal("GetBulk", bulk_id=ended.id)).reason == "BULK_NOT_FOUND"
