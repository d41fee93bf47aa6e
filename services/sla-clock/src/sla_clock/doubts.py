"""Doubts about a policy: the form that every check of lint gives them, and the places it looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sla_clock.yamltree import Fault, Spot


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something that is allowed and probably not meant."""

    check: str
    fault: Fault


def doubt(check: str, spot: Spot, text: str) -> Doubt:
    """A doubt about what stands there."""
    return Doubt(check, spot.fault(text))


def entries(spot: Spot | None) -> Mapping[str, Spot]:
    """Values by key of a mapping; of anything else, and of nothing, none."""
    return {name: value for _, name, value in spot.entries()} if spot is not None and spot.is_map() else {}


def keys(spot: Spot | None) -> Mapping[str, Spot]:
    """The keys of a mapping as places."""
    return {name: key for key, name, _ in spot.entries()} if spot is not None and spot.is_map() else {}


def some(names: list[str]) -> str:
    """The first few names."""
    rest = len(names) - 3
    return ", ".join(names[:3]) + (f" and {rest} more" if rest > 0 else "")
