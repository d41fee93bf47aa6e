"""Stub."""

from pathlib import Path


async def play(folder: Path | None, *, keep: bool) -> int:
    """Stub."""
    return 0
