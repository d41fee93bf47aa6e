"""`python -m tests.faults.stepped`: sla-clock on a machine whose wall clock is wrong, and steps.

$STEP names a file with the seconds by which it is wrong. Other clocks, such as the one that sleeps go by,
are right, as on a real machine whose clock is set.
"""

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chassis import clock

STEP = Path(os.environ.get("STEP", os.devnull))
_ns, _seconds = time.time_ns, time.time


def error() -> float:
    """By how many seconds the clock is wrong now."""
    return float(STEP.read_text() or 0)


def utcnow() -> datetime:
    """In place of the chassis' own."""
    return datetime.fromtimestamp(_seconds(), UTC) + timedelta(seconds=error())


def step() -> None:
    """Put the wrong clock in place of the right one, before anything has taken a reference to it."""
    assert "sla_clock" not in sys.modules
    time.time_ns = lambda: _ns() + int(error() * 1e9)
    time.time = lambda: _seconds() + error()
    clock.utcnow = utcnow


if __name__ == "__main__":
    step()
    if sys.argv[1:] == ["now"]:
        sys.stdout.write(clock.utcnow().isoformat())
        sys.exit()
    from sla_clock.main import main

    main()
