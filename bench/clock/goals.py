"""The numbers that were promised, beside those that were measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Parts = Mapping[str, Any]

BULL, SCHEDULER, SLOW = 2.0, 3.0, 6.0
TIMES = {"BullMQ": BULL, "APScheduler": SCHEDULER, "huey": SLOW, "arq": SLOW, "Celery": SLOW}
FAULTS = ("missing", "twice", "early", "disordered", "not_in_ledger")
SECONDS_AT_ONCE = {10_000: 1.0, 50_000: 4.0, 100_000: 8.0}
FLATNESS = {1_000_000: 1.5, 5_000_000: 2.0}


@dataclass(frozen=True, slots=True)
class Row:
    """A goal: `share` is how much of what is allowed was used, or None; `met` is None when nothing says."""

    what: str
    goal: str
    reached: str
    share: float | None = None
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """In words."""
        if self.met is None:
            return "stated" if self.goal == "stated" else "not known"
        return "reached" if self.met else f"not reached: {self.reached} instead of {self.goal}"


def rows(parts: Parts) -> list[Row]:
    """Every goal that the measured parts speak of, in order."""
    told = {"spread": _spread, "burst": _burst, "synced": _synced, "rest": _rest}
    told |= {"sums": _sums, "rebuild": _rebuild, "recompute": _recompute, "relay": _relay}
    return [row for name, say in told.items() if name in parts for row in say(parts[name])]


def _spread(part: Any) -> Iterator[Row]:
    rate, armed = part["rate"], {int(count): figures for count, figures in part["armed"].items()}
    for count, figures in armed.items():
        what = f"{rate:,} marks/s, {count:,} armed"
        yield at_most(f"{what}: p99", figures["median"]["p99"] * 1e3, 25, "ms")
        yield at_most(f"{what}: max of all runs", max(run["max"] for run in figures["runs"]) * 1e3, 250, "ms")
    few = min(armed)
    for count, times in FLATNESS.items():
        if count in armed and few != count:
            ratio = armed[count]["median"]["p99"] / armed[few]["median"]["p99"]
            yield at_most(f"p99 at {count:,} armed against {few:,}", ratio, times, "times")
    yield _faultless("spread load", [run for each in armed.values() for run in each["runs"]])


def _burst(part: Any) -> Iterator[Row]:
    sizes = {int(count): figures for count, figures in part["sizes"].items()}
    for count, figures in sizes.items():
        seconds = figures["ours"]["median"]["seconds"]
        if count in SECONDS_AT_ONCE:
            yield at_most(f"{count:,} at one instant, all stored", seconds, SECONDS_AT_ONCE[count], "s")
        for name, times in TIMES.items():
            yield from _beside(name, count, times, figures)
    most = max(sizes)
    yield Row(f"processor time of a mark, {most:,} at once", "stated", cost(sizes[most]["ours"]["median"]))
    yield _faultless("bursts", [run for each in sizes.values() for run in each["ours"]["runs"]])


def cost(figures: Mapping[str, float]) -> str:
    """Processor time by process, in words."""
    named = [name for name in figures if name.endswith("_us") and name != "cpu_us"]
    parts = ", ".join(f"{name.removesuffix('_us')} {figures[name]:.0f}" for name in named)
    return f"{sum(figures[name] for name in named):.0f} us ({parts})"


def _beside(name: str, count: int, times: float, figures: Any) -> Iterator[Row]:
    what, ours = f"{count:,} at once against {name}", figures["ours"]["median"]["seconds"]
    if name in figures:
        yield at_least(what, figures[name]["median"]["seconds"] / ours, times, "times")
    elif name in figures.get("cut_off", {}):
        floor = figures["cut_off_after"] / ours
        met = True if floor >= times and "in time" in figures["cut_off"][name] else None
        yield Row(
            what, f"at least {times:g} times", f"more than {floor:.1f} times" if met else "-", None, met
        )


def _synced(part: Any) -> Iterator[Row]:
    took = f"{part['median']['seconds']:.2f} s"
    yield Row(f"{part['marks']:,} at one instant, each message synced to the disk", "stated", took)


def _rest(part: Any) -> Iterator[Row]:
    yield at_most("Redis for a clock with its state", part["redis_bytes_each"], 200, "bytes")
    idle = part["mean"]["worker_percent"]
    yield at_most(f"idle with {part['armed']:,} armed: worker", idle, 2, "% of a core")
    names = [name for name in part["mean"] if name != "worker_percent"]
    told = ", ".join(f"{name.removesuffix('_percent')} {part['mean'][name]:.2g}" for name in names)
    yield Row(f"idle with {part['armed']:,} armed: servers", "stated", f"{told} % of a core")


def _sums(part: Any) -> Iterator[Row]:
    for name, times in (("businesstimedelta", 100), ("pandas", 50)):
        yield at_least(f"add against {name}", part["median"][f"{name}_times"], times, "times")
        other = part["compared"][name]["otherwise"]
        what = f"answers other than {name}'s, the convention aside"
        yield Row(what, "0", str(other), None, other == 0)


def _rebuild(part: Any) -> Iterator[Row]:
    yield at_most(f"{part['timers']:,} timers rebuilt from SQL", part["median"]["seconds"], 60, "s")


def _recompute(part: Any) -> Iterator[Row]:
    took = part["median"]["seconds"]
    yield Row(f"{part['tickets']:,} tickets recomputed after an edit", "stated", f"{took:.0f} s")
    worst = max(run["others_max"] for run in part["runs"])
    yield at_most("another ticket's mark meanwhile, max of all runs", worst, 1, "s")
    yield _faultless("recalculation", [_others(run) for run in part["runs"]])


def _others(run: Mapping[str, float]) -> dict[str, float]:
    return {name: run.get(f"others_{name}", 0) for name in (*FAULTS, "marks")}


def _relay(part: Any) -> Iterator[Row]:
    yield at_least("relay of one process", part["median"]["events_per_second"], 20_000, "events/s")


def at_most(what: str, value: float, goal: float, unit: str) -> Row:
    """A value that must not be above its goal."""
    return Row(what, f"at most {goal:g} {unit}", f"{_short(value)} {unit}", value / goal, value <= goal)


def at_least(what: str, value: float, goal: float, unit: str) -> Row:
    """A value that must not be below its goal."""
    reached = f"{_short(value)} {unit}"
    return Row(what, f"at least {goal:,g} {unit}", reached, goal / value if value else None, value >= goal)


def _faultless(what: str, runs: list[Mapping[str, float]]) -> Row:
    counted = {name: int(sum(run[name] for run in runs)) for name in FAULTS}
    wrong = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counted.items() if count)
    marks = int(sum(run.get("marks", 0) for run in runs))
    good = "none" if not marks else f"none in {marks:,}"
    title = f"{what}: marks missing, twice, early, out of order, not in the ledger"
    return Row(title, "none", wrong or good, None, not wrong)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
