"""Reads a policy with its calendars from YAML. Everything that is wrong is told at once, with its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal, cast

from sla_clock.calendar import HORIZON_YEARS, Calendar, NoWorkingTime, micros
from sla_clock.calendarfile import read_calendar
from sla_clock.conditions import TEXTS, Condition
from sla_clock.domain import MarkRule, Rule
from sla_clock.durations import HOUR, duration, said
from sla_clock.hours import ALWAYS, zone
from sla_clock.ladderfile import Ladders, read_ladders
from sla_clock.policy import Policy, Row
from sla_clock.rulefile import LINES, PRIORITIES, read_name, read_rules
from sla_clock.yamltree import Faults, Spot, parse

TIERS = ("standard", "vip")
CHANNELS = (
    *("email", "telegram", "web_form", "webhook", "api", "phone", "chat"),
    *("whatsapp", "max", "vk", "ok", "import"),
)
TYPES = ("question", "complaint", "change_request", "incident", "wish")
KNOWN: Mapping[str, tuple[str, ...]] = {
    "priority": PRIORITIES,
    "tier": TIERS,
    "line": LINES,
    "channel": CHANNELS,
    "type": TYPES,
}
"""Attributes whose values are a closed list: a misspelt one is a fault, not a row that never wins."""

NONE = "none"
"""Instead of a target: such tickets do not have the clock."""

MAX_ROWS = 1000
MAX_CALENDARS = 100

_ANY_MONDAY = micros(datetime(2026, 1, 5, tzinfo=UTC))
_ROW_KEYS = ("name", "targets", "calendar", "when", "tags", "robot", "ladder", *TEXTS)
_TOP = (
    *("name", "mode", "business_day", "calendar", "calendars", "clocks"),
    *("ladders", "ladder", "marks", "targets"),
)


def load(text: str, *, file: str = "policy", version: int = 0) -> Policy:
    """The policy that the text describes; raises InvalidInput with a violation for each fault."""
    return replace(read(text, file)[0], version=version)


def read(text: str, file: str) -> tuple[Policy, Spot]:
    """The policy, and the tree that it was read from."""
    faults = Faults(file, "POLICY_INVALID")
    root = parse(text, faults)
    policy = faults.attempt(lambda spot: _policy(spot, faults), root)
    faults.settle()
    if policy is None:
        raise AssertionError("a policy without faults was not read")
    return policy, root


@dataclass(frozen=True, slots=True)
class _Frame:
    """What rows are read against."""

    faults: Faults
    clocks: tuple[str, ...]
    calendars: Mapping[str, Calendar]
    calendar: Calendar
    ladders: Ladders
    business_day: int


def _policy(root: Spot, faults: Faults) -> Policy | None:
    keys = root.keys(known=_TOP, required=("name", "calendars", "targets"))
    name = faults.attempt(read_name, keys["name"]) or ""
    mode = "first"
    if "mode" in keys:
        mode = faults.attempt(lambda spot: spot.one_of(("first", "strictest")), keys["mode"]) or mode
    rules, ladder_spots = read_rules(keys.get("clocks"), faults)
    frame = _frame(keys, rules, faults)
    if frame is None:
        return None
    marks = _marks(keys.get("ladder"), ladder_spots, frame)
    if not 0 < len(keys["targets"].items()) <= MAX_ROWS:
        keys["targets"].wrong(f"a policy has between 1 and {MAX_ROWS} rows")
    rows = [faults.attempt(partial(_row, frame=frame, marks=marks), spot) for spot in keys["targets"].items()]
    found = tuple(row for row in rows if row)
    _names(keys["targets"], [row.name for row in found], faults)
    taken = cast(Literal["first", "strictest"], mode)
    return Policy(
        name,
        found,
        rules,
        marks,
        frame.calendars,
        taken,
        calendar=frame.calendar.name,
        business_day=frame.business_day,
    )


def _frame(keys: Mapping[str, Spot], rules: tuple[Rule, ...], faults: Faults) -> _Frame | None:
    calendars: dict[str, Calendar] = {}
    entries = faults.attempt(Spot.entries, keys["calendars"]) or []
    if len(entries) > MAX_CALENDARS:
        keys["calendars"].wrong(f"a policy has at most {MAX_CALENDARS} calendars")
    for key, name, spot in entries:
        faults.attempt(read_name, key)
        calendar = faults.attempt(partial(read_calendar, name), spot)
        # A calendar that is wrong is told above; a stand-in lets the rest of the file be checked too.
        calendars[name] = calendar or Calendar(name, zone("UTC"), ALWAYS)
    day = 8 * HOUR
    if "business_day" in keys:
        day = faults.attempt(lambda spot: spot.via(duration), keys["business_day"]) or day
    if "calendar" not in keys:
        if len(calendars) != 1 and not faults.found:
            faults.note(keys["calendars"], "say which of them is used: calendar: NAME")
        default = next(iter(calendars.values()), None)
    else:
        default = faults.attempt(lambda spot: _calendar(spot, calendars), keys["calendar"])
    clocks = tuple(rule.name for rule in rules)
    ladders = read_ladders(keys, faults, partial(duration, business_day=day), clocks)
    return _Frame(faults, clocks, calendars, default, ladders, day) if default else None


def _calendar(spot: Spot, calendars: Mapping[str, Calendar]) -> Calendar:
    found = calendars.get(spot.text())
    return found or spot.wrong(f"there is no calendar {spot.text()!r} (known: {', '.join(calendars)})")


def _names(spot: Spot, names: list[str], faults: Faults) -> None:
    for twice in sorted(name for name, count in Counter(names).items() if count > 1):
        faults.note(spot, f"two rows are called {twice!r}")


def _marks(spot: Spot | None, beside: Mapping[str, Spot], frame: _Frame) -> dict[str, tuple[MarkRule, ...]]:
    """The marks of every clock: on the ladder beside it, else on the policy's."""
    rungs = (frame.faults.attempt(frame.ladders.chosen, spot) or {}) if spot else {}
    for name, place in beside.items():
        if place.is_map():
            frame.faults.note(place, "beside a clock stands the name of a ladder, or a list of marks")
            continue
        chosen = frame.faults.attempt(frame.ladders.chosen, place) or {}
        if name in chosen:
            rungs[name] = chosen[name]
    return {name: frame.ladders.marks(name, rungs.get(name), beside.get(name, spot)) for name in frame.clocks}


def _row(spot: Spot, frame: _Frame, marks: Mapping[str, tuple[MarkRule, ...]]) -> Row:
    keys = spot.keys(known=_ROW_KEYS, required=("name", "targets"))
    equals = {name: _wanted(name, keys[name]) for name in TEXTS if name in keys}
    calendar = _calendar(keys["calendar"], frame.calendars) if "calendar" in keys else frame.calendar
    targets, without = _targets(keys["targets"], frame)
    own = _row_marks(keys["ladder"], targets, frame) if "ladder" in keys else {}
    _reach(keys["targets"], targets, calendar, {**marks, **own})
    return Row(
        name=keys["name"].text(),
        targets=targets,
        calendar=calendar,
        equals=equals,
        tags=frozenset(item.text() for item in keys["tags"].items()) if "tags" in keys else frozenset(),
        when=keys["when"].via(Condition) if "when" in keys else None,
        robot=keys["robot"].yes() if "robot" in keys else None,
        without=without,
        marks=own,
    )


def _wanted(name: str, spot: Spot) -> frozenset[str]:
    known = KNOWN.get(name)
    found = frozenset(item.one_of(known) if known else item.text() for item in spot.items())
    return found or spot.wrong(f"an empty list fits no ticket; leave {name} out to fit every one")


def _row_marks(spot: Spot, targets: Mapping[str, int], frame: _Frame) -> dict[str, tuple[MarkRule, ...]]:
    return {
        name: frame.ladders.marks(name, rungs, spot)
        for name, rungs in frame.ladders.chosen(spot).items()
        if name in targets
    }


def _targets(spot: Spot, frame: _Frame) -> tuple[dict[str, int], frozenset[str]]:
    """The targets of a row, and the clocks that its tickets do not have."""
    if not spot.is_map():
        if spot.text().casefold() != NONE:
            spot.wrong("targets are clocks with durations, or none for tickets without clocks")
        return {}, frozenset(frame.clocks)
    named = spot.keys(known=frame.clocks)
    if not named:
        spot.wrong("a row gives at least one target; tickets without clocks have targets: none")
    without = frozenset(name for name, value in named.items() if value.text().casefold() == NONE)
    read = {
        name: frame.faults.attempt(lambda at: at.via(frame.ladders.measure), value)
        for name, value in named.items()
        if name not in without
    }
    return {name: target for name, target in read.items() if target is not None}, without


def _reach(
    spot: Spot, targets: Mapping[str, int], calendar: Calendar, marks: Mapping[str, tuple[MarkRule, ...]]
) -> None:
    """Refused here, a target or mark that its calendar never reaches cannot stop a ticket later."""
    for name, target in targets.items():
        farthest = max([target, *(mark.offset(target) for mark in marks[name])])
        try:
            calendar.add(_ANY_MONDAY, 2 * farthest)
        except NoWorkingTime:
            text = f"calendar {calendar.name} has not {said(target)} and its marks in {HORIZON_YEARS} years"
            value = next(value for _, key, value in spot.entries() if key == name)
            value.wrong(f"{text}; give it more hours")
