"""`python -m bench.clock [PART...]` measures the clock; `--quick` in minutes, `--soak` for long."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.clock import burst, rebuild, recompute, relay, rest, spread, sums, synced
from bench.clock.goals import rows
from bench.clock.plan import FULL, LONG, QUICK, Plan
from bench.clock.processes import busy
from bench.report import RESULTS, machine, merge
from chassis import telemetry

PARTS = {
    "sums": sums.measure,
    "spread": spread.measure,
    "burst": burst.measure,
    "synced": synced.measure,
    "rest": rest.measure,
    "rebuild": rebuild.measure,
    "recompute": recompute.measure,
    "relay": relay.measure,
}
LOADED = 0.15


def main() -> int:
    """Measure the named parts, all of them by default; a part that fails leaves the others alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.clock", description="Measure the clock.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes, written beside the real figures")
    size.add_argument("--soak", action="store_true", help="five million armed, half an hour of load")
    parser.add_argument("--rounds", type=int, help="runs of each figure instead of the plan's")
    asked = parser.parse_args()
    names = asked.parts or (["spread"] if asked.soak else list(PARTS))
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"no part named {', '.join(unknown)}; there are {', '.join(PARTS)}")
    telemetry.setup_logs("bench", "error")
    plan = QUICK if asked.quick else LONG if asked.soak else FULL
    if asked.rounds:
        plan = replace(plan, rounds=asked.rounds, slow_rounds=min(asked.rounds, plan.slow_rounds))
    failed = [name for name in names if not measure(plan, name)]
    show(RESULTS / f"{plan.name}.json")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def measure(plan: Plan, name: str) -> bool:
    """One part into the file of the plan; False when it failed."""
    share = busy(2.0)
    loaded = share > LOADED
    about = {**machine(), "busy_before": round(share, 2), "loaded": loaded}
    began = time.monotonic()
    print(f"== {name}" + (f": OTHERS USE {share:.0%} OF THIS MACHINE" if loaded else ""), flush=True)
    try:
        figures = asyncio.run(PARTS[name](plan))
    except Exception:  # noqa: BLE001 - what a part may fail by is anything, and the others are worth their time
        traceback.print_exc()
        return False
    took = time.monotonic() - began
    path = merge(plan.name, name, {"took": round(took), **figures}, about)
    print(f"   {took:.0f} s, written to {path}", flush=True)
    return True


def show(path: Path) -> None:
    """The goals and what was reached, as a table."""
    if not path.exists():
        return
    table = Table("what", "goal", "reached", "verdict", title=path.name)
    for row in rows(json.loads(path.read_text())["parts"]):
        style = {True: "green", False: "red"}.get(row.met, "dim") if row.met is not None else "dim"
        table.add_row(row.what, row.goal, row.reached, row.verdict.partition(":")[0], style=style)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


if __name__ == "__main__":
    sys.exit(main())
