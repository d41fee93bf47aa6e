"""Reads the marks and ladders of a policy file: where something happens on the way, and whom it is for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sla_clock.domain import Action, MarkRule
from sla_clock.policy import default_marks
from sla_clock.rulefile import read_name
from sla_clock.yamltree import Faults, Spot

WHOM = ("assignee", "line", "line_lead", "management", "duty")
"""Whom a mark may be for."""

MAX_MARKS = 200
"""Marks of one list."""

Marks = tuple[MarkRule, ...]
Measure = Callable[[str], int]
"""Reads a duration with the policy's business day."""

_SHARE = re.compile(r"(\d{1,5})(?:\.(\d{1,4}))?%", re.ASCII)
_MARK_KEYS = ("name", "at", "before", "after", "action", "tell")


@dataclass(frozen=True, slots=True)
class Ladders:
    """What the file says of marks: a ladder's rungs come after those of its section `marks`."""

    faults: Faults
    measure: Measure
    clocks: Sequence[str]
    named: Mapping[str, Marks]
    section: Mapping[str, Marks] | None

    def marks(self, clock: str, rungs: Marks | None, spot: Spot | None) -> Marks:
        """The marks of a clock on that ladder, or the default ones where the file names none."""
        if self.section is None and rungs is None:
            return default_marks(clock)
        marks = (*(self.section or {}).get(clock, ()), *(rungs or ()))
        names = Counter(mark.name for mark in marks)
        if spot is not None and len(names) < len(marks):
            twice = next(name for name, count in names.items() if count > 1)
            self.faults.note(spot, f"two marks of {clock} are called {twice!r}")
        return marks

    def chosen(self, spot: Spot) -> dict[str, Marks]:
        """The rungs by clock of a `ladder:`, which is a name, a list of rungs, or either for each clock."""
        if not spot.is_map():
            return dict.fromkeys(self.clocks, self._rungs(spot))
        return {name: self._rungs(value) for name, value in spot.keys(known=self.clocks).items()}

    def _rungs(self, spot: Spot) -> Marks:
        if spot.items() != [spot]:
            return tuple(_marks(spot, self.faults, self.measure))
        name = spot.text()
        if name not in self.named:
            known = f"known: {', '.join(self.named)}" if self.named else "write it under ladders"
            spot.wrong(f"there is no ladder {name!r} ({known})")
        return self.named[name]


def read_ladders(
    keys: Mapping[str, Spot], faults: Faults, measure: Measure, clocks: Sequence[str]
) -> Ladders:
    """The sections `ladders` and `marks` of a policy."""
    named: dict[str, Marks] = {}
    if "ladders" in keys:
        for key, name, spot in faults.attempt(Spot.entries, keys["ladders"]) or []:
            faults.attempt(read_name, key)
            named[name] = tuple(_marks(spot, faults, measure))
            if not spot.items():
                faults.note(spot, "a ladder has at least one rung")
    section = _section(keys["marks"], faults, measure, clocks) if "marks" in keys else None
    return Ladders(faults, measure, clocks, named, section)


def _section(spot: Spot, faults: Faults, measure: Measure, clocks: Sequence[str]) -> dict[str, Marks]:
    marks: dict[str, dict[str, MarkRule]] = {name: {} for name in clocks}
    for item in faults.attempt(_items, spot) or ():
        read = faults.attempt(lambda at: (_mark(at, measure, "clocks"), _clocks(at, clocks)), item)
        if read is None:
            continue
        mark, names = read
        for name in names:
            if mark.name in marks[name]:
                faults.note(item, f"two marks of {name} are called {mark.name!r}")
            marks[name][mark.name] = mark
    return {name: tuple(found.values()) for name, found in marks.items()}


def _items(spot: Spot) -> list[Spot]:
    items = spot.items()
    if len(items) > MAX_MARKS:
        spot.wrong(f"a list of marks has at most {MAX_MARKS}")
    return items


def _clocks(spot: Spot, clocks: Sequence[str]) -> tuple[str, ...]:
    named = next((value for _, key, value in spot.entries() if key == "clocks"), None)
    return tuple(dict.fromkeys(item.one_of(clocks) for item in named.items())) if named else tuple(clocks)


def _marks(spot: Spot, faults: Faults, measure: Measure) -> Iterator[MarkRule]:
    for item in faults.attempt(_items, spot) or ():
        mark = faults.attempt(lambda at: _mark(at, measure), item)
        if mark is not None:
            yield mark


def _mark(spot: Spot, measure: Measure, *more: str) -> MarkRule:
    keys = spot.keys(known=(*_MARK_KEYS, *more), required=("action",))
    places = [name for name in ("at", "before", "after") if name in keys]
    if len(places) != 1:
        spot.wrong("say once where the mark stands: at: 70%, at: 1h, before: 30m or after: 2h")
    place = keys[places[0]]
    share, extra = _place(places[0], place, measure)
    sign = {"at": "", "before": "-", "after": "+"}[places[0]]
    name = keys["name"].text() if "name" in keys else sign + place.text().replace(" ", "")
    if len(name) > 40:
        keys.get("name", place).wrong("a mark's name has at most 40 characters")
    action = Action(keys["action"].one_of([action.value for action in Action]))
    tell = tuple(dict.fromkeys(item.one_of(WHOM) for item in keys["tell"].items())) if "tell" in keys else ()
    if action is Action.OVERRUN and not tell:
        keys["action"].wrong("an overrun says whom it is for: tell: management")
    return MarkRule(name, action, share, extra, tell)


def _place(kind: str, spot: Spot, measure: Measure) -> tuple[int, int]:
    """Share of the target in millionths, and working microseconds on top of it."""
    share = _SHARE.fullmatch(spot.text())
    if share and kind == "at":
        parts = int(share[1]) * 10_000 + int((share[2] or "").ljust(4, "0"))
        if not 0 < parts <= 10_000_000:
            spot.wrong("a share is above 0% and at most 1000%")
        return parts, 0
    if kind == "at":
        return 0, spot.via(measure)
    return 1_000_000, spot.via(measure) * (-1 if kind == "before" else 1)
