"""`make demo` in a fresh clone: cold, with the environment to make, and warm."""

import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path

from bench.desks import ROOT
from bench.report import machine, save

WARM_RUNS = 3


async def measure() -> Path:
    """Clone what is committed and run the README's command there."""
    about = machine()
    with tempfile.TemporaryDirectory(prefix="tickdesk-bench-") as folder:
        clone = Path(folder) / "tickdesk"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        cold = await asyncio.to_thread(demo, clone)
        warm = sorted([await asyncio.to_thread(demo, clone) for _ in range(WARM_RUNS)])
    figures = {"cold": cold, "warm": warm[len(warm) // 2], "warm_runs": warm}
    print(
        f"   cold {cold:.1f} s (the package cache of the machine may be warm), warm {figures['warm']:.1f} s"
    )
    return save("demo", {"unit": "seconds", **figures}, about)


def demo(clone: Path) -> float:
    """Run it once; fails when it does. Returns its seconds."""
    began = time.perf_counter()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TICKDESK_", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        ["make", "demo"], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(
            f"make demo ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return round(time.perf_counter() - began, 1)
