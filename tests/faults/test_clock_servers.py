"""Redis, JetStream and PostgreSQL fail under sla-clock; marks come late perhaps, once in any case."""

import asyncio
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from chassis.clock import utcnow
from chassis.servers import Server, start_postgres
from chassis.testing import EventWatch, events, eventually
from tests.faults.clockwork import POLICY, SECONDS, SOAK, Clockwork, Servers, clockwork, paused, since
from tests.faults.story import Story, after, stories
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1.events_pb2 import ClockStarted, MarkReached
from tickdesk_cli.process import resident

pytestmark = [pytest.mark.timeout(3600 if SOAK else 240), pytest.mark.xdist_group("desk")]
ROUNDS, TICKETS = (20, 150) if SOAK else (1, 60)
HERD = 5000 if SOAK else 400
MEBIBYTE = 1024 * 1024


async def test_an_index_flushed_killed_and_empty_again_loses_no_mark(
    work: Clockwork, rng: random.Random
) -> None:
    """faults 7, 8: the server of the test keeps nothing on disk, so that a restart empties it."""
    valkey = work.servers.valkey
    for _ in range(ROUNDS):
        await work.tell(stories(rng, TICKETS, within=2))
        await asyncio.sleep(rng.uniform(0.5, 1.5))
        await flush(valkey.port)
        await work.tell(stories(rng, TICKETS, within=2))
        valkey.kill()
        await asyncio.sleep(rng.uniform(0.5, 1.5))
        valkey.start()
    await work.exactly_once()


async def flush(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"FLUSHALL\r\n")
    assert await reader.readline() == b"+OK\r\n"
    writer.close()
    await writer.wait_closed()


@pytest.mark.skipif(not SOAK, reason="the short run has the harder case below")
async def test_a_stream_that_loses_its_tail_often_is_filled_again(
    work: Clockwork, rng: random.Random
) -> None:
    """faults 10: what went out after the copy was acknowledged, and is gone when the copy is put back."""
    nats = work.servers.nats
    store, copy = nats.folder / "js", nats.folder / "copy"
    for _ in range(ROUNDS):
        await work.tell(stories(rng, TICKETS, within=2))
        await asyncio.sleep(rng.uniform(1, 2))
        nats.stop()
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(store, copy)
        nats.start()
        await work.tell(stories(rng, TICKETS, within=2))
        await eventually(lambda: work.wanted().keys() & work.witness.keys.keys())
        await asyncio.sleep(rng.uniform(2, 3))
        nats.kill()
        shutil.rmtree(store)
        copy.rename(store)
        nats.start()
    # As the outbox of tickets does when it finds the stream behind.
    await work.publish([story.event() for story in work.told])
    await work.exactly_once()
    await stream_holds_all(work)


async def test_a_lost_tail_is_found_though_newer_news_came_before_anybody_looked(
    servers: Servers, database: Callable[..., str], tmp_path: Path
) -> None:
    """faults 10: numbers of lost events are handed out again before the service compares the stream."""
    async with clockwork(servers, database(), tmp_path) as work:
        await work.start(2)
        nats = work.servers.nats
        store, copy = nats.folder / "js", nats.folder / "copy"
        nats.stop()
        shutil.copytree(store, copy)
        nats.start()
        await work.tell(Story(after(0), common.PRIORITY_CRITICAL) for _ in range(TICKETS // 2))
        soon = work.wanted().keys()
        await work.tell(Story(after(5)) for _ in range(3 * TICKETS))
        await eventually(lambda: soon <= work.witness.keys.keys(), SECONDS)
        nats.kill()
        shutil.rmtree(store)
        copy.rename(store)
        await work.apply(POLICY + "# The outbox has something to say as well, and backs off.\n")
        # Meanwhile the herd falls due: more marks wait than the stream has lost.
        last = since(max(work.wanted().values()))
        await asyncio.sleep((last - utcnow()).total_seconds())
        nats.start()
        await work.publish([story.event() for story in work.told])
        await work.exactly_once()
        await stream_holds_all(work)


async def stream_holds_all(work: Clockwork) -> None:
    """Fail unless a reader from the beginning of the stream sees each clock's start and each mark."""
    async with events(work.bus, ClockStarted, MarkReached) as watch:
        with suppress(AssertionError):
            await eventually(lambda: not lost(work, watch), SECONDS)
        missing = lost(work, watch)
    assert not missing, (
        f"the stream has lost {len(missing)} events, such as {missing[0]}\n{work.last_words()}"
    )


def lost(work: Clockwork, watch: EventWatch) -> list[tuple[str, ...]]:
    """Tickets whose start, and marks that the stream does not hold."""
    started = {event.ticket.id for event in watch.of(ClockStarted)}
    marks = {
        (event.ticket.id, event.clock, event.cycle, name)
        for event in watch.of(MarkReached)
        for name in (event.mark.name, *event.folded_marks)
    }
    starts = [("start", story.id) for story in work.told if story.id not in started]
    return starts + [(*map(str, key),) for key in work.wanted() if key not in marks]


async def test_a_slow_stream_pushes_back_and_memory_stays_bounded(work: Clockwork) -> None:
    """faults 18, 19: NATS hangs while a herd falls due at one instant, longer than a publisher waits."""
    herd = [Story(after(3)) for _ in range(HERD)]
    await work.tell(herd)
    before = [resident(one.pid) for one in work.replicas]
    await eventually(work.witness.keys.__len__)
    highest = before
    async with paused(work.servers.nats.pid):
        for _ in range(24):
            await asyncio.sleep(0.25)
            now = [resident(one.pid) for one in work.replicas]
            highest = [max(pair) for pair in zip(highest, now, strict=True)]
    await work.exactly_once()
    grown = [(most - least) // MEBIBYTE for most, least in zip(highest, before, strict=True)]
    assert max(grown) < 100, f"grown by {grown} MiB"


@pytest.fixture
async def with_own_postgres(
    servers: Servers, database: Callable[..., str], tmp_path: Path, tmp_server_folder: Path
) -> AsyncIterator[tuple[Clockwork, Server]]:
    """A clockwork whose PostgreSQL may be stopped: the witness' ledger is in another one."""
    postgres = start_postgres(tmp_server_folder / "postgres", durable=True)
    try:
        own = Servers(postgres.url, servers.nats, servers.valkey)
        async with clockwork(own, database(), tmp_path) as work:
            await work.start(2)
            yield work, postgres
    finally:
        postgres.kill()


async def test_a_database_that_stops_at_once_loses_no_mark(
    with_own_postgres: tuple[Clockwork, Server], rng: random.Random
) -> None:
    """faults 22: immediate stops, and a power cut, between any two statements; no replica dies of it."""
    work, postgres = with_own_postgres
    for turn in range(ROUNDS + 1):
        await work.tell(stories(rng, TICKETS, within=2))
        await asyncio.sleep(rng.uniform(0.5, 1.5))
        os.kill(postgres.pid, signal.SIGQUIT if turn % 2 else signal.SIGKILL)
        await eventually(lambda: not postgres.running)
        postgres.kill()
        await asyncio.sleep(rng.uniform(0, 1))
        postgres.start()
    await work.exactly_once()
    assert all(one.pid for one in work.replicas), work.last_words()
