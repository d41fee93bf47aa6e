"""Reads the clocks of a policy file: what starts, pauses and stops them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from sla_clock.domain import FACTS, Rule, Trigger, While
from sla_clock.policy import RULES
from sla_clock.yamltree import Faults, Spot

PRIORITIES = ("low", "normal", "high", "critical")
LINES = ("l1", "l2", "l3")
STATUS_KINDS = ("new", "open", "waiting", "escalated", "resolved", "closed")
SITUATIONS = ("status", "status_kind", "line", "priority", "assignee")
MAX_CLOCKS = 32

TRIGGER_VALUES: Mapping[str, tuple[str, ...]] = {
    "priority_changed.from": PRIORITIES,
    "priority_changed.to": PRIORITIES,
    "line_changed.from": LINES,
    "line_changed.to": LINES,
    "status_changed.from_kind": STATUS_KINDS,
    "status_changed.to_kind": STATUS_KINDS,
    "created.priority": PRIORITIES,
    "created.line": LINES,
    "created.status_kind": STATUS_KINDS,
    "status_kind": STATUS_KINDS,
    "priority": PRIORITIES,
    "line": LINES,
}
"""Values that are a closed list: a misspelt one is a fault, not a clock that never starts."""

_RULE_KEYS = ("start", "stop", "pause", "restart", "revive", "cancel", "after", "ladder")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


def read_name(spot: Spot) -> str:
    """A name of a policy, calendar, clock or ladder."""
    name = spot.text()
    # Read from a node, so that no blank around it is taken away.
    if not _NAME.fullmatch(str(spot.node.value)):
        spot.wrong(f"{name!r} is not a name; use small letters, digits and _, at most 40")
    return name


def read_rules(spot: Spot | None, faults: Faults) -> tuple[tuple[Rule, ...], dict[str, Spot]]:
    """The rules of all clocks, and the ladder that stands beside a clock."""
    rules = {rule.name: rule for rule in RULES}
    ladders: dict[str, Spot] = {}
    if spot is None:
        return RULES, ladders
    for key, name, value in faults.attempt(Spot.entries, spot) or []:
        faults.attempt(read_name, key)
        read = faults.attempt(partial(_rule, rules.get(name) or Rule(name, start=(), stop=())), value)
        if read is None:
            continue
        rules[name], ladder = read
        if ladder is not None:
            ladders[name] = ladder
    if len(rules) > MAX_CLOCKS:
        faults.note(spot, f"there are more than {MAX_CLOCKS} clocks")
    return tuple(rules.values()), ladders


def _rule(base: Rule, spot: Spot) -> tuple[Rule, Spot | None]:
    keys = spot.keys(known=_RULE_KEYS, required=() if base.start else ("start", "stop"))

    def triggers(key: str, known: tuple[Trigger, ...]) -> tuple[Trigger, ...]:
        return tuple(_trigger(item) for item in keys[key].items()) if key in keys else known

    rule = Rule(
        base.name,
        start=triggers("start", base.start),
        stop=triggers("stop", base.stop),
        pause=_pauses(keys["pause"]) if "pause" in keys else base.pause,
        restart=triggers("restart", base.restart),
        revive=triggers("revive", base.revive),
        cancel=triggers("cancel", base.cancel),
        after=triggers("after", base.after),
    )
    return rule, keys.get("ladder")


def _trigger(spot: Spot) -> Trigger:
    if not spot.is_map():
        return Trigger(spot.one_of(FACTS))
    entries = spot.entries()
    if len(entries) != 1:
        spot.wrong("one fact is wanted here, such as status_changed: {to: in_progress}")
    key, fact, narrowed = entries[0]
    if fact not in FACTS:
        Spot(key.node, spot.path).one_of(FACTS)
    where = [
        (name, frozenset(_values(f"{fact}.{name}", value)))
        for name, value in narrowed.keys(known=sorted(FACTS[fact])).items()
    ]
    return Trigger(fact, tuple(where))


def _pauses(spot: Spot) -> tuple[While, ...]:
    return tuple(
        While(name, frozenset(_values(name, value)))
        for item in spot.items()
        for name, value in item.keys(known=SITUATIONS).items()
    )


def _values(name: str, spot: Spot) -> list[str]:
    known = TRIGGER_VALUES.get(name)
    return [item.one_of(known) if known else item.text() for item in spot.items()]
