"""`python -m tests.faults.stepped`: sla-clock on a machine whose wall clock is wrong, and steps.

$STEP names a file with the seconds by which it is wrong. The product reads the wall clock in `chassis.clock`
only, so it is put wrong there; the clock that sleeps and deadlines go by is right, as on a real machine.
"""

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from chassis import clock

STEP = Path(os.environ.get("STEP", os.devnull))


def error() -> float:
    """By how many seconds the clock is wrong now."""
    return float(STEP.read_text() or 0)


def utcnow() -> datetime:
    """In place of the chassis' own."""
    return datetime.fromtimestamp(time.time(), UTC) + timedelta(seconds=error())


def step() -> None:
    """Put the wrong clock in place of the right one, before anything has taken a reference to it."""
    assert "sla_clock" not in sys.modules
    clock.utcnow = utcnow
    vars(clock)["time"] = SimpleNamespace(time_ns=lambda: time.time_ns() + int(error() * 1e9))


if __name__ == "__main__":
    step()
    if sys.argv[1:] == ["now"]:
        sys.stdout.write(clock.utcnow().isoformat())
        sys.exit()
    from sla_clock.main import main

    main()
