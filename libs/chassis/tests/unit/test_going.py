"""A loop ends when it is asked to, also when a library has swallowed the cancellation."""

import asyncio
import sys

import pytest

from chassis.going import going


async def loop(answers: list[asyncio.Future[None]], *, asks: bool) -> int:
    """Wait for one answer after another, as a client of a broker does; returns how many came."""
    came = 0
    while came < len(answers) and (going() or not asks):
        await asyncio.wait_for(answers[came], 5)
        came += 1
    return came


@pytest.mark.parametrize(("asks", "came"), [(True, 1), pytest.param(False, 2, id="control")])
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="wait_for swallows nothing from Python 3.12 on")
async def test_a_swallowed_cancellation_still_ends_the_loop(*, asks: bool, came: int) -> None:
    answers = [asyncio.get_running_loop().create_future() for _ in range(2)]
    task = asyncio.get_running_loop().create_task(loop(answers, asks=asks))
    await asyncio.sleep(0)
    answers[0].set_result(None)
    answers[1].set_result(None)
    task.cancel()
    assert await task == came


async def test_a_running_task_goes_on() -> None:
    assert going()
