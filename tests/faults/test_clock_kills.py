"""Replicas of sla-clock die, hang, come and go; every mark takes effect once, none early, none missing."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from chassis.testing import DatabaseUrl
from tests.faults.clockwork import LEASE, SOAK, Clockwork, Servers, clockwork, paused
from tests.faults.history import judge
from tests.faults.story import Story, after, stories
from tickdesk.common.v1 import common_pb2 as common
from tickdesk_cli.process import Process

pytestmark = [pytest.mark.timeout(3600 if SOAK else 240), pytest.mark.xdist_group("desk")]
KILLS, TICKETS = (100, 150) if SOAK else (8, 40)


async def test_kill_9_in_a_loop_loses_and_doubles_no_mark(work: Clockwork, rng: random.Random) -> None:
    """faults 12, 24: two replicas, one of them killed again and again while new marks fall due."""
    for _ in range(KILLS):
        await work.tell(stories(rng, TICKETS, within=2))
        victim = rng.choice(work.replicas)
        await asyncio.sleep(rng.uniform(0.1, 1.0))
        await victim.kill()
        victim.start()
        await victim.ready()
    effects = await work.exactly_once()
    assert len(effects) >= KILLS * TICKETS * 2


async def test_replicas_may_be_added_and_removed_under_load(work: Clockwork, rng: random.Random) -> None:
    for _ in range(20 if SOAK else 2):
        await work.tell(stories(rng, TICKETS, within=2))
        added = work.replica()
        await asyncio.sleep(rng.uniform(0.1, 1.0))
        await added.ready()
        oldest = next(one for one in work.replicas if one.pid)
        await oldest.stop()
    await work.exactly_once()


async def test_a_worker_paused_beyond_its_lease_doubles_no_mark(work: Clockwork, rng: random.Random) -> None:
    """faults 13; what happens without the ledger is shown by its control."""
    for _ in range(30 if SOAK else 3):
        await work.tell(stories(rng, TICKETS, within=2))
        zombie: Process = rng.choice(work.replicas)
        await asyncio.sleep(rng.uniform(0.1, 1.0))
        async with paused(zombie.pid):
            await asyncio.sleep(rng.uniform(1.2, 2) * LEASE)
    await work.exactly_once()


@pytest.mark.parametrize("broken", ["", "1"], ids=["ledger", "control"])
async def test_a_worker_that_freezes_between_reading_and_entering_comes_second(
    servers: Servers, database: Callable[..., DatabaseUrl], tmp_path: Path, broken: str
) -> None:
    """faults 13: the ledger refuses what the other has told; the control has none, and tells marks twice."""
    async with clockwork(servers, database(), tmp_path) as work:
        for _ in range(2):
            work.replica("tests.faults.frozen", FREEZE=str(2 * LEASE), BROKEN=broken)
        await work.ready()
        await work.tell(Story(after(0), common.PRIORITY_CRITICAL) for _ in range(TICKETS))
        effects = await work.complete(work.wanted().keys())
    verdict = judge(work.wanted(), effects)
    assert bool(verdict.doubled) == bool(broken), verdict
    assert broken or verdict.clean, verdict
