"""What is entered and not in the stream, or no longer, is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from chassis.bus import Bus
from chassis.servers import Server
from chassis.testing import events, eventually
from sla_clock.handlers.fire import fire_claimed
from sla_clock.handlers.publish import (
    Batch,
    check_notes,
    check_stream,
    deliver,
    let_refused_try,
    resend,
    send,
)
from sla_clock.handlers.works import Works
from sla_clock.store import ledger
from sla_clock.store.ledger import Sent
from sla_clock.store.tables import batch_table
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import events_pb2 as sla

from .desk import Case, ago, followed, some_works

CRITICAL = common.PRIORITY_CRITICAL


@pytest.fixture
async def works(database: Callable[[str], str], nats_url: str, valkey_url: str) -> AsyncIterator[Works]:
    async with some_works(database, nats_url, valkey_url) as works:
        yield works


async def _fired(works: Works) -> Batch:
    """What is due, entered but not sent; its timers are settled, or their shards would be held."""
    lane = works.timers.lane()
    claims = await lane.claim(10)
    batch, wakes = await fire_claimed(works, claims)
    assert await lane.settle(claims, wakes) == len(wakes) > 0
    return batch


async def _delivered(works: Works, batch: Batch) -> None:
    sent = await send(works, batch)
    assert sent is not None
    await _note(works, sent)


async def test_marks_wait_in_the_ledger_while_the_stream_is_away(works: Works, nats_server: Server) -> None:
    """faults 9."""
    case = Case(ago(11), CRITICAL)
    await followed(works, case)
    nats_server.kill()
    await eventually(lambda: not works.bus.client.is_connected)
    assert await send(works, await _fired(works)) is None
    nats_server.start()
    await eventually(lambda: works.bus.client.is_connected, 10)
    async with events(works.bus, sla.MarkReached) as watch:
        assert await resend(works, timedelta(0)) == 1
        assert await resend(works, timedelta(0)) == 0
        assert (await watch.next()).ticket.id == case.id


async def test_marks_that_the_stream_has_lost_are_sent_again(works: Works) -> None:
    """faults 10: an acknowledged tail may go; sequence numbers are then given out twice."""
    first, lost = Case(ago(11), CRITICAL), Case(ago(11), CRITICAL)
    for case in (first, lost):
        await followed(works, case)
        await _delivered(works, await _fired(works))
    assert await check_stream(works) == 0
    state = (await works.bus.js.stream_info("SLA")).state
    assert state.last_seq == 4
    await _emptied(works)
    assert await check_stream(works) == 2
    async with events(works.bus, sla.MarkReached) as watch:
        assert await resend(works, timedelta(0)) == 2
        await eventually(lambda: len(watch.seen) == 4)
        assert {one.ticket.id for one in watch.of(sla.MarkReached)} == {first.id, lost.id}
    assert await check_stream(works) == 0


async def _sent(works: Works, tickets: int) -> Sent:
    """A batch of so many tickets that the stream has stored and nobody has noted."""
    for _ in range(tickets):
        await followed(works, Case(ago(11), CRITICAL))
    sent = await send(works, await _fired(works))
    assert sent is not None
    return sent


async def _note(works: Works, *sent: Sent) -> None:
    async with works.db.tx() as tx:
        await ledger.batches_sent(tx, list(sent), tx.now)


async def _emptied(works: Works) -> None:
    """The stream goes back to its beginning."""
    await works.bus.js.delete_stream("SLA")
    works.bus._known.clear()
    await works.bus.ensure_stream("SLA")


class Overtaken(Bus):
    """While it looks into the stream, another replica finds what is lost and takes it back."""

    other: Works | None = None

    async def stored(self, stream: str, number: int) -> str | None:
        found = await super().stored(stream, number)
        if self.other:
            other, self.other = self.other, None
            assert await check_stream(other) == 2
        return found


async def test_two_replicas_that_find_the_same_loss_both_go_on(works: Works, nats_url: str) -> None:
    """faults 10: nothing is left of the tail in which the slower one looks for the first lost batch."""
    await _note(works, await _sent(works, 1), await _sent(works, 1))
    await _emptied(works)
    async with Overtaken(nats_url, "sla-clock") as bus:
        bus.other = works
        assert await check_stream(replace(works, bus=bus)) == 0
    assert await resend(works, timedelta(0)) == 2
    assert await check_stream(works) == 0


async def test_a_note_that_is_written_behind_the_comparison_does_not_hide_a_loss(works: Works) -> None:
    """faults 10: one replica notes what the stream has lost, the other has sent more since."""
    late = await _sent(works, 1)
    await _emptied(works)
    await _note(works, late, await _sent(works, 2))
    assert await check_stream(works) == 0, "the newest number looks well"
    assert await check_notes(works, timedelta(minutes=1)) == 1
    assert await resend(works, timedelta(0)) == 1
    assert await check_notes(works, timedelta(minutes=1)) == 0
    assert (await works.bus.js.stream_info("SLA")).state.messages == 6


async def test_of_two_batches_under_one_number_one_was_lost(works: Works) -> None:
    """faults 10."""
    late = await _sent(works, 1)
    await _emptied(works)
    await _note(works, late, await _sent(works, 1))
    assert await check_stream(works) == 2
    assert await resend(works, timedelta(0)) == 2
    assert (await works.bus.js.stream_info("SLA")).state.messages == 4


async def test_a_batch_that_the_stream_refuses_keeps_no_other_waiting(works: Works) -> None:
    """faults 9: an operator's limit is too low for one; once it is raised the batch goes out."""
    await works.bus.ensure_stream("SLA")
    config = (await works.bus.js.stream_info("SLA")).config
    await works.bus.js.update_stream(config.evolve(max_msg_size=2000))
    batches = []
    for case in (Case(ago(11), CRITICAL, assignee="x" * 3000), Case(ago(11), CRITICAL)):
        await followed(works, case)
        batch = await _fired(works)
        async with asyncio.timeout(10):
            await deliver(works, batch)
        batches.append(batch.number)
    assert [one.batch for one in works.sent] == batches[1:]
    assert await resend(works, timedelta(0), limit=1) == 1, "the refused one"
    assert await resend(works, timedelta(0), limit=1) == 1, "the one that was not noted"
    await let_refused_try(works)
    assert await resend(works, timedelta(0)) == 1, "nobody knows under which limit it was refused"
    await let_refused_try(works)
    assert await resend(works, timedelta(0)) == 0
    await works.bus.js.update_stream(config)
    await let_refused_try(works)
    assert await resend(works, timedelta(0)) == 1
    assert not works.oversized.batches
    assert (await works.bus.js.stream_info("SLA")).state.messages == 4


async def _aged(works: Works, batch: int, days: int) -> None:
    age = timedelta(days=days)
    values = {name: batch_table.c[name] - age for name in ("fired_at", "published_at")}
    async with works.db.tx() as tx:
        await tx.execute(sa.update(batch_table).where(batch_table.c.id == batch).values(values))


async def test_of_a_stream_made_anew_what_it_would_still_keep_is_sent_again(works: Works) -> None:
    """faults 10: it keeps seven days; what is older nobody could read any more, and is not told twice."""
    old, young = await _sent(works, 1), await _sent(works, 1)
    await _note(works, old, young)
    await _aged(works, old.batch, 8)
    await _aged(works, young.batch, 6)
    await _emptied(works)
    assert await check_stream(works) == 1
    async with works.db.tx() as tx:
        unsent = await ledger.lock_unsent(tx, tx.now, (), 10)
    assert [number for number, _ in unsent] == [young.batch]


async def test_a_number_that_was_given_out_long_ago_too_hides_and_loses_nothing(works: Works) -> None:
    """faults 10: a batch of eight days ago ended with the number that a new one ends with now."""
    old = await _sent(works, 1)
    await _note(works, old)
    await _aged(works, old.batch, 8)
    await _emptied(works)
    new = await _sent(works, 1)
    await _note(works, new)
    assert new.last == old.last
    assert await check_stream(works) == 0
