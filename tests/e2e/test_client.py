"""The client of the guide, run as its reader would."""

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chassis.testing import eventually
from tests.desks import ROOT, a_desk
from tickdesk.client import Desk as Client
from tickdesk.client import DeskError

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("desk")]


async def test_the_example_client_works_on_a_running_desk(tmp_path: Path) -> None:
    """YT-36: another program opens tickets and works on them."""
    async with a_desk(tmp_path) as (desk, _):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "examples" / "client.py"),
            desk.addresses["tickets"],
            desk.token,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    lines = out.decode().splitlines()
    assert lines[:4] == [
        "opened SUP-1, version 1",
        "sent again: still SUP-1",
        "SUP-1 is in_progress, anna has it",
        "refused: STALE_VERSION",
    ]
    assert lines[4].split() == ["SUP-1", "in_progress", "Export", "hangs", "at", "99", "%"]


async def opened(client: Client, number: int) -> str:
    """The key of a ticket; empty while nobody answers. The same number gives the same ticket."""
    fields: Any = {
        "contact": {"channel": "CHANNEL_EMAIL", "address": "kim@client.example.com"},
        "request_id": f"request-{number}",
    }
    try:
        return (await client.tickets.create("SUP", subject="x", text="x", **fields)).key
    except DeskError as error:
        if error.code != "UNAVAILABLE":
            raise
        return ""


async def follow(client: Client, seen: list[str]) -> None:
    async for news in client.tickets.watch("SUP"):
        if news.change.event == "TicketOpened":
            seen.append(news.change.ticket.key)


async def test_a_watch_goes_on_by_itself_when_its_server_is_killed(tmp_path: Path) -> None:
    """YT-31: nothing is missed and nothing comes twice."""
    seen: list[str] = []
    made: list[str] = []
    async with a_desk(tmp_path) as (desk, _), Client(desk.addresses["tickets"], key=desk.token) as client:
        reading = asyncio.get_running_loop().create_task(follow(client, seen))
        while not seen:
            made.append(await opened(client, len(made)))
            await asyncio.wait([reading], timeout=0.1)
        for _ in range(2):
            service = desk.service("tickets")
            await service.kill()
            service.start()
            for _ in range(3):
                made.append(await eventually(partial(opened, client, len(made)), 60))
        await eventually(lambda: seen[-1] == made[-1], 60)
        reading.cancel()
        await asyncio.wait([reading])
    assert seen == made[made.index(seen[0]) :]
