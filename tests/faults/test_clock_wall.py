"""The wall clock of a worker is wrong and steps; what is due is for the server's clock to say."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.clock import utcnow
from chassis.testing import eventually
from sla_clock.calendar import micros
from sla_clock.policyfile import load
from tests.faults.clockwork import POLICY, PYTHONPATH, SECONDS, SOAK, Clockwork, Servers, clockwork
from tests.faults.history import Effect, expected, judge
from tests.faults.story import Story, after, stories
from tickdesk.common.v1 import common_pb2 as common

pytestmark = [pytest.mark.timeout(3600 if SOAK else 240), pytest.mark.xdist_group("desk")]
ROUNDS, TICKETS = (20, 150) if SOAK else (2, 60)
MINUTES_5 = 300
TRIES = 10


async def test_a_wall_clock_that_steps_makes_no_mark_early_and_loses_none(
    servers: Servers, database: Callable[..., str], tmp_path: Path, rng: random.Random
) -> None:
    """faults 14: one worker five minutes ahead, one behind, and both stepped to the other side and back."""
    async with clockwork(servers, database(), tmp_path) as work:
        steps = [tmp_path / "step-0", tmp_path / "step-1"]
        for path, error in zip(steps, (MINUTES_5, -MINUTES_5), strict=True):
            path.write_text(str(error))
            work.replica("tests.faults.stepped", STEP=str(path))
        await work.ready()
        for turn in range(ROUNDS):
            await work.tell(stories(rng, TICKETS, within=2))
            await asyncio.sleep(rng.uniform(0.5, 1.5))
            for path, sign in zip(steps, (1, -1), strict=True):
                path.write_text(str(sign * (-1) ** turn * MINUTES_5))
        await work.exactly_once()


async def test_whether_a_moved_mark_lies_ahead_is_not_for_a_wrong_clock_to_say(
    servers: Servers, database: Callable[..., str], tmp_path: Path
) -> None:
    """A mark that was told is told again when it was moved and lies ahead, and not when it lies behind."""
    step = tmp_path / "step"
    step.write_text(str(MINUTES_5))
    async with clockwork(servers, database(), tmp_path) as work:
        work.replica("tests.faults.stepped", STEP=str(step))
        await work.ready()
        sooner = await told(work, common.PRIORITY_NORMAL)
        later = await moved_ahead(work)
        # From 1 s to 0.5 s after the creation: to a clock that is behind this is to come.
        step.write_text(str(-MINUTES_5))
        await work.publish([sooner.reprioritised("critical", after(0)).event()])
        await work.heard([sooner])
        await eventually(lambda: times(work, later, "25%") == 2, SECONDS)
        await work.complete({(sooner.id, "resolution", 1, "150%")})
        assert times(work, sooner, "25%") == 1


async def told(work: Clockwork, priority: Any) -> Story:
    """A ticket whose first mark has been told."""
    story = Story(after(0), priority)
    await work.tell([story])
    await eventually(lambda: times(work, story, "25%") == 1, SECONDS)
    return story


async def moved_ahead(work: Clockwork) -> Story:
    """A ticket whose first mark was told and moved from 1.25 s to 7 s after its creation.

    To a clock that is ahead this has passed. Where it truly has, on a slow machine, another ticket is needed.
    """
    for _ in range(TRIES):
        story = await told(work, common.PRIORITY_HIGH)
        await work.publish([story.reprioritised("low", after(0)).event()])
        await work.heard([story])
        if utcnow() <= story.created + timedelta(seconds=7):
            return story
    raise AssertionError(f"no ticket of {TRIES} was followed within 7 s: this machine is too slow")


def times(work: Clockwork, story: Story, mark: str) -> int:
    """How often a mark of the ticket's resolution has been told."""
    return work.witness.keys[story.id, "resolution", 1, mark]


async def test_the_control_a_worker_that_went_by_its_own_clock_would_be_early(
    tmp_path: Path, rng: random.Random
) -> None:
    """What the worker above takes for now, when its clock is ahead, is no instant to fire by."""
    path = tmp_path / "step"
    path.write_text(str(MINUTES_5))
    # First, however slow this machine is: all that the tickets owe lies ahead of it.
    now = micros(utcnow())
    told = stories(rng, 10, within=60)
    wanted = {key: at for story in told for key, at in expected(story.ticket(), load(POLICY)).items()}
    own = micros(ask_for_now(path))
    fired = [Effect(*key, due=at, reached=own, lateness=own - at, seen=now) for key, at in wanted.items()]
    assert len(judge(wanted, fired).early) == len(wanted)


def ask_for_now(path: Path) -> datetime:
    """What a worker takes for now."""
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "STEP": str(path)}
    command = [sys.executable, "-m", "tests.faults.stepped", "now"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    return datetime.fromisoformat(done.stdout)
