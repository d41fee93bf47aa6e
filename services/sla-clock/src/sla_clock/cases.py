"""Golden timelines beside a policy: what happens to a ticket, and what its clocks should say then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from chassis.errors import InvalidInput
from sla_clock.calendar import MICROS, micros, wall_instant
from sla_clock.conditions import TEXTS
from sla_clock.domain import Attributes, Clock, State, Timeline
from sla_clock.durations import duration, said
from sla_clock.hours import DAY, zone
from sla_clock.policy import Policy, clocks
from sla_clock.policyfile import KNOWN, NONE
from sla_clock.steps import Story
from sla_clock.walltime import When, read_when, shown
from sla_clock.yamltree import Faults, Spot, parse

MAX_CASES = 1000
MAX_STEPS = 500
FIRST_DAY = datetime(2026, 11, 16)  # noqa: DTZ001 - read in the zone of each case
"""A Monday: the weekday of a creation without a date is the first one from here on."""

MAX_YEARS = 10
"""From the creation to the last instant that is looked at: calendars are compiled for all of them."""

LATEST = micros(datetime(2200, 1, 1, tzinfo=UTC))
TICKET = Attributes(priority="normal", tier="standard", channel="email", line="l1")
"""What a case's ticket is where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Want:
    """One thing that is expected of a clock: what was written, and what to compare it with."""

    line: int
    key: str
    text: str
    when: When | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of one clock: in its newest cycle or a numbered one, at the end or at an instant."""

    clock: str
    line: int
    wants: tuple[Want, ...]
    cycle: int | None = None
    at: When | None = None
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A ticket's life and what is expected of its clocks."""

    name: str
    line: int
    timeline: Timeline
    zone: ZoneInfo
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True)
class Unmet:
    """An expectation that did not hold."""

    line: int
    what: str
    wanted: str
    got: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a case: passed when nothing is unmet."""

    name: str
    line: int
    unmet: tuple[Unmet, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.unmet


def run(policy: Policy, cases: Iterable[Case]) -> list[CaseResult]:
    """Every case under the policy."""
    return [CaseResult(case.name, case.line, tuple(_unmet(policy, case))) for case in cases]


def _unmet(policy: Policy, case: Case) -> Iterator[Unmet]:
    first, last = case.timeline.facts[0].at, case.timeline.facts[-1].at
    for expected in case.expectations:
        now = expected.at.after(first, case.zone) if expected.at else last
        until = replace(case.timeline, facts=tuple(fact for fact in case.timeline.facts if fact.at <= now))
        found = next((one for one in clocks(until, policy) if one.name == expected.clock), None)
        if found is None or expected.absent:
            yield from _presence(expected, found)
            continue
        cycles = {one.cycle: one for one in (*found.past, found)}
        clock = cycles.get(found.cycle if expected.cycle is None else expected.cycle)
        if clock is None:
            yield Unmet(
                expected.line, f"{found.name}.cycle", str(expected.cycle), f"the newest is {found.cycle}"
            )
            continue
        yield from _compared(clock, expected, View(case.zone, first, now, len(cycles)))


def _presence(expected: Expectation, found: Clock | None) -> Iterator[Unmet]:
    if found is not None:
        yield Unmet(expected.line, found.name, NONE, f"{found.state}, by row {found.terms.row}")
    elif not expected.absent:
        yield Unmet(expected.line, expected.clock, "a clock", "none: no row gives it a target")


@dataclass(frozen=True, slots=True)
class View:
    """What a clock is looked at with."""

    zone: ZoneInfo
    first: int
    now: int
    cycles: int

    def time(self, instant: int | None) -> str:
        """An instant in words."""
        return NONE if instant is None else shown(instant, self.zone)


Look = Callable[[Clock, View], str]

LOOKS: Mapping[str, Look] = {
    "state": lambda clock, view: clock.state.value,
    "row": lambda clock, view: clock.terms.row,
    "cycles": lambda clock, view: str(view.cycles),
    "target": lambda clock, view: said(clock.target),
    "elapsed": lambda clock, view: said(clock.elapsed_at(view.now)),
    "remaining": lambda clock, view: said(clock.remaining_at(view.now)),
    "breached": lambda clock, view: "yes" if clock.breached_at(view.now) else "no",
    "started": lambda clock, view: view.time(clock.started),
    "due": lambda clock, view: view.time(clock.due),
    "met": lambda clock, view: view.time(clock.met_at),
}
"""What may be expected of a clock, besides its marks."""


def _compared(clock: Clock, expected: Expectation, view: View) -> Iterator[Unmet]:
    marks = {mark.name: mark for mark in clock.marks}
    base = view.first if clock.started is None else clock.started
    for want in expected.wants:
        wanted = view.time(want.when.after(base, view.zone)) if want.when else want.text
        if want.key in LOOKS:
            what, got = f"{clock.name}.{want.key}", LOOKS[want.key](clock, view)
        else:
            what, mark = f"{clock.name}.marks.{want.key}", marks.get(want.key)
            known = ", ".join(marks) or "there is no mark at all"
            got = view.time(mark.at) if mark else f"no such mark; there are {known}"
        if got != wanted:
            yield Unmet(want.line, what, wanted, got)


def read(text: str, policy: Policy, file: str = "tests") -> tuple[Case, ...]:
    """The cases that the text describes; raises InvalidInput with a violation for each fault."""
    faults = Faults(file, "TESTS_INVALID")
    root = parse(text, faults)
    found = faults.attempt(lambda spot: _cases(spot, policy, faults), root)
    faults.settle()
    return tuple(found or ())


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a case is read against."""

    policy: Policy
    zone: ZoneInfo
    ticket: Attributes


def _cases(root: Spot, policy: Policy, faults: Faults) -> list[Case]:
    keys = root.keys(known=("zone", "ticket", "cases"), required=("cases",))
    tz, ticket = policy.calendars[policy.calendar].zone, TICKET
    if "zone" in keys:
        tz = faults.attempt(lambda spot: spot.via(zone), keys["zone"]) or tz
    if "ticket" in keys:
        ticket = faults.attempt(lambda spot: _ticket(spot, TICKET), keys["ticket"]) or ticket
    items = keys["cases"].items()
    if not 0 < len(items) <= MAX_CASES:
        keys["cases"].wrong(f"a file has between 1 and {MAX_CASES} cases")
    read_one = partial(_case, frame=_Frame(policy, tz, ticket))
    cases = [faults.attempt(read_one, item) for item in items]
    return [case for case in cases if case]


def _case(spot: Spot, frame: _Frame) -> Case:
    known = ("name", "zone", "ticket", "created", "then", "expect")
    keys = spot.keys(known=known, required=("name", "created", "expect"))
    tz = keys["zone"].via(zone) if "zone" in keys else frame.zone
    ticket = _ticket(keys["ticket"], frame.ticket) if "ticket" in keys else frame.ticket
    story = Story()
    story.begin(keys["created"].via(read_when).after(wall_instant(tz, FIRST_DAY), tz), ticket)
    if "then" in keys:
        _steps(keys["then"], story, tz)
    told = replace(ticket, priority=story.situation.priority, line=story.situation.line)
    asked = _Asked(frame.policy, story.facts[0].at, tz)
    expected = tuple(_expectations(keys["expect"], asked))
    if not expected:
        keys["expect"].wrong("say what is expected of at least one clock")
    return Case(keys["name"].text(), spot.line, Timeline(tuple(story.facts), told), tz, expected)


def _ticket(spot: Spot, ticket: Attributes) -> Attributes:
    """The ticket with what stands there."""
    keys = spot.keys(known=(*TEXTS, "tags", "fields", "robot"))
    told: dict[str, Any] = {
        name: keys[name].one_of(KNOWN[name]) if name in KNOWN else keys[name].text()
        for name in TEXTS
        if name in keys
    }
    if "tags" in keys:
        told["tags"] = tuple(item.text() for item in keys["tags"].items())
    if "fields" in keys:
        told["fields"] = {name: value.text() for _, name, value in keys["fields"].entries()}
    if "robot" in keys:
        told["from_robot"] = keys["robot"].yes()
    return replace(ticket, **told)


def _steps(spot: Spot, story: Story, tz: ZoneInfo) -> None:
    for item in spot.items():
        for key, _, value in item.entries():
            before = story.facts[-1].at
            at = value.via(read_when).after(before, tz)
            if at < before:
                value.wrong(f"{shown(at, tz)} lies before the step above it ({shown(before, tz)})")
            _bounded(value, at, story.facts[0].at, tz)
            if at >= LATEST or len(story.facts) > MAX_STEPS:
                value.wrong(f"a case has at most {MAX_STEPS} steps and ends before 2200")
            key.via(partial(story.step, at=at))


def _bounded(spot: Spot, at: int, created: int, tz: ZoneInfo) -> None:
    if at - created > MAX_YEARS * 366 * DAY * MICROS:
        spot.wrong(
            f"{shown(at, tz)} is more than {MAX_YEARS} years after the case was created "
            f"({shown(created, tz)}); write a nearer time, or create the case later"
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What expectations are read against."""

    policy: Policy
    created: int
    zone: ZoneInfo


def _expectations(spot: Spot, asked: _Asked) -> Iterator[Expectation]:
    for name, value in spot.keys(known=[rule.name for rule in asked.policy.rules]).items():
        for item in value.items():
            yield _expectation(name, item, asked)


def _expectation(name: str, spot: Spot, asked: _Asked) -> Expectation:
    if not spot.is_map():
        state = spot.one_of((NONE, *State))
        only = Want(spot.line, "state", state)
        return Expectation(name, spot.line, (only,), absent=state == NONE)
    keys = spot.keys(known=("at", "cycle", "marks", *LOOKS))
    cycle = keys.pop("cycle").via(_number) if "cycle" in keys else None
    at = _moment(keys.pop("at"), asked) if "at" in keys else None
    marks = keys.pop("marks").entries() if "marks" in keys else []
    wants = [_want(key, value, asked.policy) for key, value in keys.items()]
    wants += [_instant(mark, value) for _, mark, value in marks]
    return Expectation(name, spot.line, tuple(wants), cycle, at)


def _moment(spot: Spot, asked: _Asked) -> When:
    when = spot.via(read_when)
    _bounded(spot, when.after(asked.created, asked.zone), asked.created, asked.zone)
    return when


def _want(key: str, spot: Spot, policy: Policy) -> Want:
    match key:
        case "state":
            text = spot.one_of(tuple(State))
        case "breached":
            text = "yes" if spot.yes() else "no"
        case "cycles":
            text = str(spot.via(_number))
        case "target" | "elapsed" | "remaining":
            text = said(spot.via(partial(_length, business_day=policy.business_day)))
        case "row":
            text = spot.text()
        case _:
            return _instant(key, spot)
    return Want(spot.line, key, text)


def _instant(key: str, spot: Spot) -> Want:
    text = spot.text()
    if text.casefold() == NONE:
        return Want(spot.line, key, NONE)
    return Want(spot.line, key, text, spot.via(read_when))


def _length(text: str, business_day: int) -> int:
    """A duration that may be nothing, or below it."""
    if text in ("0", "0s", "0m", "0h"):
        return 0
    sign = -1 if text.startswith("-") else 1
    return sign * duration(text.removeprefix("-"), business_day)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 4):
        raise InvalidInput(f"{text!r} is not a number of cycles; write 2", reason="TESTS_INVALID")
    return int(text)
