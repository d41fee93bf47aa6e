"""What processes cost, read from /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time of a process with all its descendants, those that have ended included."""
    try:
        # The name may hold spaces. Fields 14 to 17 are user, system, and those of ended children.
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    return sum(map(int, stat[11:15])) / _TICK + sum(cpu_seconds(int(child)) for child in children)


class Meter:
    """Processor time that processes use while it runs."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._before = {name: cpu_seconds(pid) for name, pid in self._pids.items()}

    def used(self) -> dict[str, float]:
        """Seconds by name since the start."""
        return {name: cpu_seconds(pid) - self._before[name] for name, pid in self._pids.items()}


def busy(seconds: float) -> float:
    """The share of all processors that is in use now. The load average still tells of what has ended."""
    idle, total = _jiffies()
    time.sleep(seconds)
    idle_after, total_after = _jiffies()
    return 1 - (idle_after - idle) / max(1, total_after - total)


def _jiffies() -> tuple[int, int]:
    values = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return values[3] + values[4], sum(values)
