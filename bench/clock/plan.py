"""How much is measured, and how a figure becomes a median."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.report import medians

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of one run. `rounds` of each figure, `slow_rounds` of what takes minutes a round."""

    name: str
    rounds: int
    slow_rounds: int
    load_seconds: int
    armed: tuple[int, ...]
    bursts: tuple[int, ...]
    beside: tuple[int, ...]
    cut_off: int
    resting: int
    idle_seconds: int
    sums: int
    rebuilt: int
    recomputed: int
    relayed: int


FULL = Plan(
    "clock",
    rounds=5,
    slow_rounds=3,
    load_seconds=4,
    armed=(1_000, 10_000, 100_000, 1_000_000),
    bursts=(10_000, 50_000, 100_000),
    beside=(10_000, 100_000),
    cut_off=50,
    resting=100_000,
    idle_seconds=15,
    sums=10_000,
    rebuilt=1_000_000,
    recomputed=100_000,
    relayed=100_000,
)
QUICK = Plan(
    "clock-quick",
    rounds=1,
    slow_rounds=1,
    load_seconds=2,
    armed=(1_000, 20_000),
    bursts=(2_000,),
    beside=(2_000,),
    cut_off=10,
    resting=20_000,
    idle_seconds=4,
    sums=1_000,
    rebuilt=20_000,
    recomputed=2_000,
    relayed=10_000,
)
LONG = Plan(
    "clock-soak",
    rounds=5,
    slow_rounds=3,
    load_seconds=60,
    armed=(1_000, 5_000_000),
    bursts=(100_000,),
    beside=(),
    cut_off=60,
    resting=1_000_000,
    idle_seconds=60,
    sums=10_000,
    rebuilt=5_000_000,
    recomputed=100_000,
    relayed=1_000_000,
)


def say(text: str) -> None:
    """A line of progress, with the load of the machine."""
    print(f"   {text}  [load {os.getloadavg()[0]:.1f}]", flush=True)


async def repeat(times: int, what: str, once: Callable[[], Awaitable[Figures]]) -> dict[str, Any]:
    """Every run and the medians over them."""
    runs: list[Figures] = []
    for number in range(times):
        runs.append(await once())
        shown = ", ".join(f"{name} {value:g}" for name, value in runs[-1].items())
        say(f"{what}, {number + 1} of {times}: {shown}")
    return summed(runs)


def summed(runs: list[Figures]) -> dict[str, Any]:
    """Every run and the medians over them."""
    return {"median": medians(runs), "runs": runs}
