"""Replicas of sla-clock die, hang, come and go; every mark takes effect once, none early, none missing."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.clockwork import LEASE, SOAK, Clockwork, Servers, clockwork, paused
from tests.faults.history import judge
from tests.faults.story import Story, after, stories
from tickdesk.common.v1 import common_pb2 as common
from tickdesk_cli.process import Process

pytestmark = [pytest.mark.timeout(3600 if SOAK else 240), pytest.mark.xdist_group("desk")]
KILLS, OTHERS, TICKETS = (100, 20, 100) if SOAK else (8, 2, 40)


async def killed(work: Clockwork, rng: random.Random) -> None:
    """Kill -9, and start again."""
    victim = rng.choice(living(work))
    await victim.kill()
    victim.start()
    await victim.ready()


async def hung(work: Clockwork, rng: random.Random) -> None:
    """Stopped for longer than its lease, then it goes on as if nothing had happened."""
    async with paused(rng.choice(living(work)).pid):
        await asyncio.sleep(rng.uniform(1.2, 2.5) * LEASE)


async def replaced(work: Clockwork, rng: random.Random) -> None:
    """One more replica, then one fewer."""
    await work.replica().ready()
    await living(work)[0].stop()


def living(work: Clockwork) -> list[Process]:
    return [one for one in work.replicas if one.pid]


async def test_replicas_killed_hung_added_and_removed_lose_and_double_no_mark(
    work: Clockwork, rng: random.Random
) -> None:
    """faults 12, 13, 24: two replicas work the same shards; marks fall due all the while."""
    blows = [killed] * KILLS + [hung] * OTHERS + [replaced] * OTHERS
    for blow in rng.sample(blows, len(blows)):
        await work.tell(stories(rng, TICKETS, within=2))
        await asyncio.sleep(rng.uniform(0.1, 1.0))
        await blow(work, rng)
    effects = await work.exactly_once()
    assert len(effects) > len(blows) * TICKETS * 2


@pytest.mark.parametrize("broken", ["", "1"], ids=["ledger", "control"])
async def test_a_worker_that_freezes_between_reading_and_entering_comes_second(
    servers: Servers, database: Callable[..., str], tmp_path: Path, broken: str
) -> None:
    """faults 13: the ledger refuses what the other has told; the control has none, and tells marks twice."""
    async with clockwork(servers, database(), tmp_path) as work:
        # One of them: two that froze at the same time could not take from each other.
        for seconds in (2 * LEASE, 0):
            work.replica("tests.faults.frozen", FREEZE=str(seconds), BROKEN=broken)
        await work.ready()
        await work.tell(Story(after(0), common.PRIORITY_CRITICAL) for _ in range(TICKETS))
        effects = await work.complete(work.wanted().keys())
    verdict = judge(work.wanted(), effects)
    assert bool(verdict.doubled) == bool(broken), verdict
    assert broken or verdict.clean, verdict
