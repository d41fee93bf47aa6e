"""What tickets were promised at a million of them, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.clock.goals import Row, at_least, at_most

_SECONDS = {"page of a ticket": 0.020, "mine by due": 0.050, "usual queries": 0.200, "full text": 0.300}
"""Seconds that 99 of 100 calls may take."""
_RATE, _P99, _TIMES = 800, 0.080, 15


def rows(told: Mapping[str, Any]) -> Iterator[Row]:
    """Every goal of a result, in order."""
    for name, goal in _SECONDS.items():
        yield at_most(f"{name}: p99", told["calls_of"][name]["p99"] * 1e3, goal * 1e3, "ms")
    created = told["create"]
    for callers, figures in created["ours"].items():
        one = figures["median"]
        yield at_least(f"CreateTicket, {callers} callers", one["per_second"], _RATE, "/s")
        yield at_most(f"CreateTicket, {callers} callers: p99", one["p99"] * 1e3, _P99 * 1e3, "ms")
        if "django-helpdesk" in created:
            times = one["per_second"] / created["django-helpdesk"][callers]["median"]["per_second"]
            yield at_least(f"against django-helpdesk, {callers} callers", times, _TIMES, "times")
