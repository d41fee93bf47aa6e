"""The client of the guide, run as its reader would."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.desks import ROOT, a_desk

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
