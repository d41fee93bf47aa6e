"""Time and time-ordered ids: the only module that reads the wall clock."""

import secrets
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

_lock = threading.Lock()
_last = 0
_RANDOM_BITS = 62


def utcnow() -> datetime:
    """Return this instant as an aware UTC datetime with microseconds."""
    return datetime.now(UTC)


def uuid7() -> UUID:
    """Return a version 7 UUID; ids made by one process are strictly increasing."""
    global _last
    chance = secrets.randbits(8 + _RANDOM_BITS)
    with _lock:
        # 48 bits of milliseconds and a 12-bit counter; a full counter borrows from the next millisecond.
        _last = max(_last + 1, (time.time_ns() // 1_000_000) << 12 | chance >> _RANDOM_BITS)
        tick = _last
    millis, counter = tick >> 12, tick & 0xFFF
    low = chance & (1 << _RANDOM_BITS) - 1
    value = millis << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | low
    return UUID(int=value)
