"""Which processes work for this one."""

from __future__ import annotations

from pathlib import Path


def replays() -> list[int]:
    """Those that replay histories or check policies."""
    children = [pid for task in Path("/proc/self/task").iterdir() for pid in _words(task / "children")]
    return [int(pid) for pid in children if "sla_clock.replay" in _words(Path(f"/proc/{pid}/cmdline"))]


def _words(path: Path) -> list[str]:
    """What stands there; nothing when the thread or the process is over by now."""
    try:
        return path.read_text().replace("\0", " ").split()
    except OSError:
        return []
