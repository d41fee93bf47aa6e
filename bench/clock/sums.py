"""`add` on a compiled calendar beside the libraries that people use, on the same inputs."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bench.clock import install
from bench.clock.plan import Figures, Plan, repeat
from sla_clock.calendar import MICROS, Calendar
from sla_clock.policyfile import load

POLICY = """\
name: bench
calendars:
  office: {zone: Europe/Moscow, hours: {mon-fri: 09:00-18:00}, holidays: RU}
targets:
  - {name: all, targets: {resolution: 8h}}
"""
ZONE, OPENS, CLOSES, HOURS = "Europe/Moscow", 9, 18, 72
FIRST, LAST = date(2026, 1, 1), date(2027, 12, 31)
HOUR = 3600


async def measure(plan: Plan) -> dict[str, Any]:
    """Each round: ours, businesstimedelta, pandas. Answers are compared once."""
    await asyncio.to_thread(install.python)
    calendar = load(POLICY).calendars["office"]
    inputs = sums(plan.sums)
    mine = [(start * MICROS, hours * HOUR * MICROS) for start, hours in inputs]
    answers = [calendar.add(*each) for each in mine]
    peers: dict[str, Any] = {}

    async def once() -> Figures:
        began = time.perf_counter()
        for start, duration in mine:
            calendar.add(start, duration)
        took = {"ours_us": time.perf_counter() - began}
        peers.update(await asyncio.to_thread(_peers, calendar, inputs))
        took |= {f"{name}_us": seconds for name, (seconds, _) in peers.items()}
        told = {name: round(1e6 * seconds / len(inputs), 3) for name, seconds in took.items()}
        ratios = {f"{name}_times": round(took[f"{name}_us"] / took["ours_us"], 1) for name in peers}
        return told | ratios

    figures = await repeat(plan.rounds, f"{len(inputs)} sums", once)
    compared = {name: compare(calendar, answers, theirs) for name, (_, theirs) in peers.items()}
    return {"inputs": len(inputs), "compared": compared, **figures}


def sums(count: int) -> list[tuple[int, int]]:
    """Starts in seconds at whole minutes of two years, at any hour and day, and 1 to 72 working hours."""
    rng = random.Random(3)
    begin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    return [(begin + 60 * rng.randrange(60 * 24 * 365), rng.randint(1, HOURS)) for _ in range(count)]


def compare(calendar: Calendar, answers: Sequence[int], theirs: Sequence[float]) -> dict[str, int]:
    """Equal answers, those that differ by the convention only, and others.

    The convention: time that runs out exactly at closing is due at that closing. They say the opening that
    follows: no working time lies between the two, ours ends working hours and theirs begins them.
    """
    counted = {"equal": 0, "by_convention": 0, "otherwise": 0}
    for ours, told in zip(answers, theirs, strict=True):
        their = round(told * MICROS)
        if ours == their:
            counted["equal"] += 1
        elif (
            ours < their
            and _closing(calendar, ours)
            and _opening(calendar, their)
            and not calendar.between(ours, their)
        ):
            counted["by_convention"] += 1
        else:
            counted["otherwise"] += 1
    return counted


def _closing(calendar: Calendar, at: int) -> bool:
    return calendar.between(at - 1, at) == 1 and calendar.between(at, at + 1) == 0


def _opening(calendar: Calendar, at: int) -> bool:
    return calendar.between(at - 1, at) == 0 and calendar.between(at, at + 1) == 1


def _peers(calendar: Calendar, inputs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    closed = [on.isoformat() for on in days if calendar.day(on).name]
    told = {"zone": ZONE, "opens": OPENS, "closes": CLOSES, "holidays": closed, "sums": inputs}
    done = subprocess.run(
        [install.PYTHON, install.PEERS / "calendars.py"],
        input=json.dumps(told), capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers
