"""Builders for timelines: a story is a list of (wall time, fact)."""

from __future__ import annotations

from sla_clock.domain import Attributes, Clock, Fact, Timeline
from sla_clock.policy import Policy, clocks

from .times import at


def created(**values: str) -> Fact:
    return Fact(
        "created", 0, {"priority": "normal", "line": "l1", "status": "new", "status_kind": "new"} | values
    )


def status(kind: str) -> Fact:
    return Fact("status_changed", 0, {"to": kind, "to_kind": kind})


def taken(agent: str = "anna") -> Fact:
    return Fact("taken", 0, {"agent": agent})


def priority(to: str) -> Fact:
    return Fact("priority_changed", 0, {"to": to})


def plain(kind: str) -> Fact:
    return Fact(kind, 0)


REPLY, ROBOT, MESSAGE = plain("staff_replies"), plain("robot_replies"), plain("customer_messages")
RESOLVED, REOPENED, CLOSED, MERGED = plain("resolved"), plain("reopened"), plain("closed"), plain("merged")


def story(*told: tuple[str, Fact], zone: str = "UTC", attributes: Attributes | None = None) -> Timeline:
    facts = tuple(Fact(fact.kind, at(when, zone), fact.values) for when, fact in told)
    return Timeline(facts, attributes or Attributes(priority="normal", line="l1"))


def only(timeline: Timeline, policy: Policy, name: str) -> Clock:
    """The one clock of that name."""
    return next(clock for clock in clocks(timeline, policy) if clock.name == name)
