"""What the Python peers share: their command line and the file that their jobs report to.

A job writes 16 bytes, its number and the instant it ran. A peer says `scheduled SECONDS` when it has handed
over all jobs, then works until it is killed.
"""

import os
import struct
import sys
import time
from urllib.parse import urlsplit

URL, FILE, COUNT, INSTANT = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
_reports = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(number: int) -> None:
    """The job: it does nothing but report."""
    os.write(_reports, struct.pack("<dd", number, time.time()))


def scheduled(since: float) -> None:
    """Tell the bench that all jobs are handed over."""
    print(f"scheduled {time.time() - since:.3f}", flush=True)


def redis_arguments() -> dict[str, object]:
    """The URL in parts, for clients that take no URL."""
    url = urlsplit(URL)
    return {"host": url.hostname, "port": url.port, "password": url.password, "db": int(url.path[1:])}
