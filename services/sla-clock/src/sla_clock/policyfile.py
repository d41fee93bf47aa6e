"""Reads a policy with its calendars from YAML. Everything that is wrong is told at once, with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Literal, cast

from chassis.errors import DeskError, InvalidInput, Violation
from sla_clock.calendar import MICROS, Calendar, micros
from sla_clock.calendarfile import read_calendar
from sla_clock.domain import FACTS, Action, MarkRule, Rule, Trigger, While
from sla_clock.hours import ALWAYS, zone
from sla_clock.policy import RULES, TEXTS, Condition, Policy, Row, default_marks
from sla_clock.yamltree import Faults, Spot, parse

PRIORITIES = ("low", "normal", "high", "critical")
TIERS = ("standard", "vip")
LINES = ("l1", "l2", "l3")
CHANNELS = (
    *("email", "telegram", "web_form", "webhook", "api", "phone", "chat"),
    *("whatsapp", "max", "vk", "ok", "import"),
)
TYPES = ("question", "complaint", "change_request", "incident", "wish")
STATUS_KINDS = ("new", "open", "waiting", "escalated", "resolved", "closed")
KNOWN: Mapping[str, tuple[str, ...]] = {
    "priority": PRIORITIES,
    "tier": TIERS,
    "line": LINES,
    "channel": CHANNELS,
    "type": TYPES,
}
"""Attributes whose values are a closed list: a misspelt one is a fault, not a row that never wins."""

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

SITUATIONS = ("status", "status_kind", "line", "priority", "assignee")
MAX_CLOCKS = 32
MAX_TARGET = 10 * 366 * 86_400 * MICROS
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_DURATION = re.compile(r"(?:\d{1,9}(?:bd|h|m|s)\s*)+", re.ASCII)
_PART = re.compile(r"(\d+)(bd|h|m|s)", re.ASCII)
_SHARE = re.compile(r"(\d{1,5})(?:\.(\d{1,4}))?%", re.ASCII)
_ANY_MONDAY = micros(datetime(2026, 1, 5, tzinfo=UTC))


def load(text: str, *, file: str = "policy", version: int = 0) -> Policy:
    """The policy that the text describes; raises InvalidInput with a violation for each fault."""
    faults = Faults(file, "POLICY_INVALID")
    root = parse(text, faults)
    policy = faults.attempt(lambda spot: _policy(spot, faults), root)
    faults.settle()
    if policy is None:
        raise AssertionError("a policy without faults was not read")
    return replace(policy, version=version)


def duration(text: str, business_day: int = 8 * 3600 * MICROS) -> int:
    """Microseconds of `2h 30m`, `90s` or `3bd`, where a business day is that long."""
    if not _DURATION.fullmatch(text.strip()):
        hint = " (a day is 24h, or 1bd for a business day)" if re.search(r"\d\s*d\b", text) else ""
        raise _bad_duration(f"{text!r} is not a duration; write 2h 30m, 90s or 3bd{hint}")
    units = {"bd": business_day, "h": 3600 * MICROS, "m": 60 * MICROS, "s": MICROS}
    total = sum(int(count) * units[unit] for count, unit in _PART.findall(text))
    if not 0 < total <= MAX_TARGET:
        raise _bad_duration(f"{text!r} is not between 1s and ten years")
    return total


def _bad_duration(message: str) -> InvalidInput:
    return InvalidInput(message, reason="DURATION_INVALID", violations=(Violation("duration", message),))


@dataclass(frozen=True, slots=True)
class _Frame:
    """What rows and marks are read against."""

    faults: Faults
    clocks: tuple[str, ...]
    calendars: Mapping[str, Calendar]
    calendar: Calendar
    business_day: int

    def duration(self, text: str) -> int:
        """Parse with this policy's business day."""
        return duration(text, self.business_day)


_ROW_KEYS = ("name", "targets", "calendar", "when", "tags", *TEXTS)
_TOP = ("name", "mode", "business_day", "calendar", "calendars", "clocks", "marks", "targets")


def _policy(root: Spot, faults: Faults) -> Policy | None:
    keys = root.keys(known=_TOP, required=("name", "calendars", "targets"))
    name = faults.attempt(_name, keys["name"]) or ""
    mode = "first"
    if "mode" in keys:
        mode = faults.attempt(lambda spot: spot.one_of(("first", "strictest")), keys["mode"]) or mode
    rules = _rules(keys["clocks"], faults) if "clocks" in keys else RULES
    frame = _frame(keys, rules, faults)
    if frame is None:
        return None
    marks = _marks(keys.get("marks"), frame)
    rows = [faults.attempt(lambda spot: _row(spot, frame), spot) for spot in keys["targets"].items()]
    _names(keys["targets"], [row.name for row in rows if row], faults)
    found = tuple(row for row in rows if row)
    return Policy(name, found, rules, marks, frame.calendars, cast(Literal["first", "strictest"], mode))


def _frame(keys: Mapping[str, Spot], rules: tuple[Rule, ...], faults: Faults) -> _Frame | None:
    calendars: dict[str, Calendar] = {}
    for key, name, spot in faults.attempt(Spot.entries, keys["calendars"]) or []:
        faults.attempt(_name, key)
        calendar = faults.attempt(partial(read_calendar, name), spot)
        # A calendar that is wrong is told above; a stand-in lets the rest of the file be checked too.
        calendars[name] = calendar or Calendar(name, zone("UTC"), ALWAYS)
    day = 8 * 3600 * MICROS
    if "business_day" in keys:
        day = faults.attempt(lambda spot: spot.via(duration), keys["business_day"]) or day
    if "calendar" not in keys:
        if len(calendars) != 1 and not faults.found:
            faults.note(keys["calendars"], "say which of them is used: calendar: NAME")
        default = next(iter(calendars.values()), None)
    else:
        default = faults.attempt(lambda spot: _calendar(spot, calendars), keys["calendar"])
    if default is None:
        return None
    return _Frame(faults, tuple(rule.name for rule in rules), calendars, default, day)


def _calendar(spot: Spot, calendars: Mapping[str, Calendar]) -> Calendar:
    found = calendars.get(spot.text())
    return found or spot.wrong(f"there is no calendar {spot.text()!r} (known: {', '.join(calendars)})")


def _name(spot: Spot) -> str:
    name = str(spot.node.value)
    if not _NAME.fullmatch(name):
        spot.wrong(f"{name!r} is not a name; use small letters, digits and _, at most 40")
    return name


def _names(spot: Spot, names: list[str], faults: Faults) -> None:
    for twice in sorted({name for name in names if names.count(name) > 1}):
        faults.note(spot, f"two rows are called {twice!r}")


_RULE_KEYS = ("start", "stop", "pause", "restart", "revive", "cancel", "after")


def _rules(spot: Spot, faults: Faults) -> tuple[Rule, ...]:
    rules = {rule.name: rule for rule in RULES}
    for key, name, value in faults.attempt(Spot.entries, spot) or []:
        faults.attempt(_name, key)
        rule = faults.attempt(partial(_rule, rules.get(name) or Rule(name, start=(), stop=())), value)
        if rule:
            rules[name] = rule
    if len(rules) > MAX_CLOCKS:
        faults.note(spot, f"there are more than {MAX_CLOCKS} clocks")
    return tuple(rules.values())


def _rule(base: Rule, spot: Spot) -> Rule:
    keys = spot.keys(known=_RULE_KEYS, required=() if base.start else ("start", "stop"))

    def triggers(key: str, known: tuple[Trigger, ...]) -> tuple[Trigger, ...]:
        return tuple(_trigger(item) for item in keys[key].items()) if key in keys else known

    return Rule(
        base.name,
        start=triggers("start", base.start),
        stop=triggers("stop", base.stop),
        pause=_pauses(keys["pause"]) if "pause" in keys else base.pause,
        restart=triggers("restart", base.restart),
        revive=triggers("revive", base.revive),
        cancel=triggers("cancel", base.cancel),
        after=triggers("after", base.after),
    )


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


def _row(spot: Spot, frame: _Frame) -> Row:
    keys = spot.keys(known=_ROW_KEYS, required=("name", "targets"))
    equals = {
        name: frozenset(
            item.one_of(KNOWN[name]) if name in KNOWN else item.text() for item in keys[name].items()
        )
        for name in TEXTS
        if name in keys
    }
    calendar = _calendar(keys["calendar"], frame.calendars) if "calendar" in keys else frame.calendar
    return Row(
        name=keys["name"].text(),
        targets=_targets(keys["targets"], calendar, frame),
        calendar=calendar,
        equals=equals,
        tags=frozenset(item.text() for item in keys["tags"].items()) if "tags" in keys else frozenset(),
        when=keys["when"].via(Condition) if "when" in keys else None,
    )


def _targets(spot: Spot, calendar: Calendar, frame: _Frame) -> dict[str, int]:
    targets: dict[str, int] = {}
    named = spot.keys(known=frame.clocks)
    if not named:
        spot.wrong("a row gives at least one target")
    for name, value in named.items():
        target = frame.faults.attempt(lambda at: at.via(frame.duration), value)
        if target is None:
            continue
        targets[name] = target
        try:
            # Refused here, a target that the calendar can never reach cannot stop a ticket later.
            calendar.add(_ANY_MONDAY, 2 * target)
        except DeskError as error:
            value.wrong(str(error))
    return targets


def _marks(spot: Spot | None, frame: _Frame) -> dict[str, tuple[MarkRule, ...]]:
    if spot is None:
        return {name: default_marks(name) for name in frame.clocks}
    marks: dict[str, tuple[MarkRule, ...]] = dict.fromkeys(frame.clocks, ())
    for item in spot.items():
        read = frame.faults.attempt(lambda at: _mark(at, frame), item)
        if read is None:
            continue
        mark, names = read
        for name in names:
            if any(other.name == mark.name for other in marks[name]):
                frame.faults.note(item, f"two marks of {name} are called {mark.name!r}")
            marks[name] += (mark,)
    return marks


def _mark(spot: Spot, frame: _Frame) -> tuple[MarkRule, tuple[str, ...]]:
    keys = spot.keys(known=("name", "at", "before", "after", "action", "clocks"), required=("action",))
    places = [name for name in ("at", "before", "after") if name in keys]
    if len(places) != 1:
        spot.wrong("say once where the mark stands: at: 70%, at: 1h, before: 30m or after: 2h")
    place = keys[places[0]]
    share, extra = _place(places[0], place, frame)
    sign = {"at": "", "before": "-", "after": "+"}[places[0]]
    name = keys["name"].text() if "name" in keys else sign + place.text().replace(" ", "")
    if len(name) > 40:
        keys.get("name", place).wrong("a mark's name has at most 40 characters")
    action = Action(keys["action"].one_of([action.value for action in Action]))
    clocks = tuple(item.one_of(frame.clocks) for item in keys["clocks"].items()) if "clocks" in keys else ()
    return MarkRule(name, action, share, extra), clocks or frame.clocks


def _place(kind: str, spot: Spot, frame: _Frame) -> tuple[int, int]:
    """Share of the target in millionths, and working microseconds on top of it."""
    share = _SHARE.fullmatch(spot.text())
    if share and kind == "at":
        parts = int(share[1]) * 10_000 + int((share[2] or "").ljust(4, "0"))
        if not 0 < parts <= 10_000_000:
            spot.wrong("a share is above 0% and at most 1000%")
        return parts, 0
    if kind == "at":
        return 0, spot.via(frame.duration)
    return 1_000_000, spot.via(frame.duration) * (-1 if kind == "before" else 1)
