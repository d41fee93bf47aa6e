"""The libraries that people schedule with: how each is driven, and what it promises."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis.asyncio as redis

from bench.clock import install
from bench.clock.plan import Figures, say
from bench.clock.site import Site
from bench.report import quantiles

_REPORT = struct.Struct("<dd")
_START_SECONDS = 3.0
_LEADS = 3


@dataclass(frozen=True, slots=True)
class Peer:
    """A library with one worker. `pace` jobs a second are handed over at the least."""

    name: str
    program: str
    pace: int
    install: Callable[[], None]
    promises: tuple[str, str, str, str]
    """Delivery; a worker killed at work; a record of what took effect; moving a job that waits."""


def _nothing() -> None:
    """It needs nothing that the project has not."""


OURS = (
    "at least once, with an id that consumers and the stream tell repetitions by",
    "taken over when its lease ends; the ledger lets each mark take effect once",
    "the ledger, one row a mark, in the transaction that moves the clock",
    "by every fact of the ticket, fenced by revision",
)
PEERS = (
    Peer("BullMQ", "with_bullmq.js", 9_000, install.node, (
        "at least once", "the stalled check hands the job on", "none", "changeDelay, remove")),
    Peer("bee-queue", "with_bee_queue.js", 15_000, install.node, (
        "at least once", "the stall check hands the job on", "none", "remove, then a new job")),
    Peer("NATS schedules", "with_nats.py", 15_000, _nothing, (
        "the server stores the message once", "no worker: the server fires", "the stream itself",
        "a new message on its subject; whole seconds; no state beside it")),
    Peer("APScheduler", "with_apscheduler.py", 2_500, install.python, (
        "at most once", "jobs that were handed to a thread are lost", "none", "reschedule_job")),
    Peer("huey", "with_huey.py", 6_000, install.python, (
        "at most once", "jobs that were taken from the queue are lost", "none",
        "reschedule: revoked, then a new one")),
    Peer("arq", "with_arq.py", 3_500, install.python, (
        "at least once", "run again after the job's time-out", "none", "abort, then a new job")),
    Peer("Celery", "with_celery.py", 800, install.python, (
        "at most once, unless acks_late", "waiting ones come back after the visibility time-out, an hour",
        "none", "revoke, then a new job")),
)  # fmt: skip


def versions() -> dict[str, str]:
    """What the locks pin, by the name of the peer, and Node's own."""
    modules = json.loads((install.PEERS / "package-lock.json").read_text())["packages"][""]["dependencies"]
    lines = (install.PEERS / "requirements.in").read_text().split()
    packages = dict(re.split(r"(?:\[.*\])?==", line) for line in lines)
    pinned = {name.lower(): version for name, version in (modules | packages).items()}
    found = {peer.name: pinned.get(peer.name.lower(), "") for peer in PEERS}
    if shutil.which("node"):
        asked = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
        found["Node"] = asked.stdout.strip()
    return {name: version for name, version in found.items() if version}


class CutOff(Exception):
    """A peer was not done within its time; the message says how far it was."""


async def available(peers: Sequence[Peer]) -> tuple[list[Peer], dict[str, str]]:
    """Install them; those that can run, and why the others cannot."""
    ready: list[Peer] = []
    skipped: dict[str, str] = {}
    for peer in peers:
        try:
            await asyncio.to_thread(peer.install)
            ready.append(peer)
        except (install.Missing, OSError) as error:
            skipped[peer.name] = str(error)
            say(f"{peer.name} is skipped: {error}")
    return ready, skipped


async def run(site: Site, peer: Peer, count: int, cut_off: float) -> Figures:
    """So many jobs due at one instant. Raises CutOff when they are not done so many seconds after it."""
    lead = 0.0
    for _ in range(_LEADS):
        lead += _START_SECONDS + count / peer.pace
        url = await _emptied(site, peer)
        with tempfile.TemporaryDirectory(prefix="tickdesk-peer-") as folder, site.aside():
            figures = await _attempt(peer, url, Path(folder) / "reports", (count, lead, cut_off))
        if figures is not None:
            return figures
        say(f"{peer.name} had not taken {count} jobs in {lead:.0f} s, again with more time")
    raise CutOff(f"{count} jobs were not handed over within {lead:.0f} s")


async def _emptied(site: Site, peer: Peer) -> str:
    """Where it works: a database of its own on our Valkey, or our NATS, without what the last run left."""
    if peer.program == "with_nats.py":
        for stream in await site.bus.js.streams_info():
            if stream.config.name == "BENCH":
                await site.bus.js.delete_stream("BENCH")
        return site.nats.url
    url = site.valkey.url.rpartition("/")[0] + "/1"
    link = redis.Redis.from_url(url)
    await link.flushdb()
    await link.aclose()
    return url


async def _attempt(peer: Peer, url: str, reports: Path, sizes: tuple[int, float, float]) -> Figures | None:
    count, lead, cut_off = sizes
    reports.touch()
    # Whole seconds, since NATS knows no others.
    instant = float(int(time.time() + lead) + 1)
    process = _start(peer, url, reports, (count, instant))
    try:
        told = await asyncio.to_thread(process.stdout.readline) if process.stdout else ""
        if not told.startswith("scheduled"):
            raise CutOff(f"it did not start, exit code {process.wait(10)}")
        if time.time() > instant - 0.5:
            return None
        while reports.stat().st_size < count * _REPORT.size and time.time() < instant + cut_off:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
    finally:
        # Its own session, so that children of its own go too.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)
    return _judge(reports, count, instant) | {"handed_over_in": float(told.split()[1])}


def _start(peer: Peer, url: str, reports: Path, job: tuple[int, float]) -> subprocess.Popen[str]:
    python = install.PYTHON if peer.install is install.python else sys.executable
    command = "node" if peer.program.endswith(".js") else str(python)
    return subprocess.Popen(
        [command, str(install.PEERS / peer.program), url, str(reports), *map(str, job)],
        env={**os.environ, "NODE_PATH": str(install.MODULES), "C_FORCE_ROOT": "1"},
        cwd=reports.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )


def _judge(reports: Path, count: int, instant: float) -> dict[str, float]:
    whole = reports.read_bytes()
    told = list(_REPORT.iter_unpack(whole[: len(whole) // _REPORT.size * _REPORT.size]))
    times = Counter(int(number) for number, _ in told)
    if len(times) < count:
        raise CutOff(f"{len(times)} of {count} jobs in time")
    late = [at - instant for _, at in told]
    return {
        **quantiles(late),
        "seconds": round(max(late), 6),
        "missing": count - len(times),
        "twice": len(told) - len(times),
        # Node tells whole milliseconds.
        "early": sum(one < -0.001 for one in late),
    }
