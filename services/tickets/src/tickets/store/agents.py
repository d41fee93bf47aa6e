"""Agents out of their rows."""

from collections.abc import Mapping
from typing import Any

from tickets.domain.model import Agent, Line
from tickets.store import tables

_a = tables.agent


def to_agent(row: Mapping[Any, Any]) -> Agent:
    """An agent out of their row."""
    values: dict[str, Any] = {each.name: row[each.name] for each in _a.c}
    for name in ("lines", "leads"):
        values[name] = [Line(each) for each in values[name]]
    return Agent(**values)
