"""The demo as its reader runs it: it checks itself, and ends with 0 only when every count is as expected."""

import os
import subprocess
import sys

import pytest

from tests.desks import ROOT

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("desk")]


def test_the_demo_tells_the_life_of_a_ticket_and_every_count_is_as_expected() -> None:
    """YT-08, CA-15, CA-16, CA-20, CA-21, MP-12, CA-23, MP-18: from a mail to the follow-up of a low score."""
    done = subprocess.run(
        [sys.executable, "-c", "from tickdesk_cli.main import app; app()", "demo"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    assert "Traceback" not in done.stdout + done.stderr
