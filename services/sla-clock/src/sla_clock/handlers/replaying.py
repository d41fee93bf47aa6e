"""Speaks with a process that works on policies (sla_clock.replay), so that firing never waits for it."""

from __future__ import annotations

import asyncio
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from chassis.errors import DeskError, Unavailable
from sla_clock.checks import Check
from sla_clock.replay import LENGTH, Life, Order, framed

Ask = Callable[[Sequence[Life]], Awaitable[Any]]
"""Takes a page of tickets, none for a check; gives the answer or raises the DeskError that is one."""


@asynccontextmanager
async def replaying(order: Order | Check) -> AsyncIterator[Ask]:
    """A process for this order; it ends with this block, however that is left."""
    command = (sys.executable, "-m", "sla_clock.replay")
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)

    async def ask(page: Sequence[Life]) -> Any:
        await _send(process, page)
        told = await _answer(process)
        if isinstance(told, DeskError):
            raise told
        return told

    try:
        await _send(process, order)
        yield ask
    finally:
        if process.returncode is None:
            process.kill()
        # Waiting alone would never end while flow control holds back what nobody reads any more.
        await process.communicate()


async def _send(process: Process, message: object) -> None:
    assert process.stdin
    process.stdin.write(framed(message))
    try:
        await process.stdin.drain()
    except ConnectionError as error:
        raise _ended() from error


async def _answer(process: Process) -> Any:
    assert process.stdout
    try:
        head = await process.stdout.readexactly(LENGTH)
        return pickle.loads(await process.stdout.readexactly(int.from_bytes(head)))
    except asyncio.IncompleteReadError as error:
        raise _ended() from error


def _ended() -> Unavailable:
    return Unavailable("the replay ended before its report, try again", reason="REPLAY_ENDED")
