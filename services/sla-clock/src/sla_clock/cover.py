"""Which tickets rows catch between them, told by boxes of attribute values instead of ticket by ticket.

Every attribute that rows look at is a dimension of a few values; a row is one box or several. A condition
is a dimension of its own, true or false: what is covered then is covered whatever the condition means.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sla_clock.conditions import TEXTS
from sla_clock.domain import Attributes
from sla_clock.policy import Row
from sla_clock.policyfile import KNOWN

OTHER = "\x00other"
"""Stands for every value that no row names."""

Box = Mapping[str, int]
"""Bits of the values that are within, by dimension; a dimension that is left out is whole."""


class Exhausted(Exception):
    """The question is too large to be answered in reasonable time."""


@dataclass(slots=True)
class Budget:
    """How many boxes may be compared in all, and for one question."""

    left: int
    each: int

    def spend(self, boxes: int, already: int = 0) -> int:
        """What one question has cost so far; raises Exhausted when that, or all of them, is too much."""
        self.left -= boxes
        if self.left < 0 or already + boxes > self.each:
            raise Exhausted
        return already + boxes


class Space:
    """The dimensions of some rows."""

    def __init__(self, rows: Sequence[Row], budget: Budget) -> None:
        self.budget = budget
        self.values: dict[str, list[str]] = {}
        for name in TEXTS:
            named = {value for row in rows for value in row.equals.get(name, ())}
            if named:
                self.values[name] = _values(name, named)
        if any(row.robot is not None for row in rows):
            self.values["robot"] = ["no", "yes"]
        for tag in sorted({tag for row in rows for tag in row.tags}):
            self.values[f"tag {tag}"] = ["no", "yes"]
        for text in dict.fromkeys(row.when.text for row in rows if row.when):
            self.values[f"when {text}"] = ["no", "yes"]
        self.whole = {name: (1 << len(values)) - 1 for name, values in self.values.items()}

    def boxes(self, row: Row) -> list[Box]:
        """The boxes of a row: one, or one for each of its tags."""
        box = {name: self._mask(name, row.equals[name]) for name in row.equals}
        if row.robot is not None:
            box["robot"] = 2 if row.robot else 1
        if row.when is not None:
            box[f"when {row.when.text}"] = 2
        return [box | {f"tag {tag}": 2} for tag in sorted(row.tags)] or [box]

    def _mask(self, name: str, wanted: Collection[str]) -> int:
        def fits(value: str) -> bool:
            return value in wanted or (name == "category" and value.partition("/")[0] in wanted)

        return sum(1 << at for at, value in enumerate(self.values[name]) if fits(value))

    def uncovered(self, box: Box, boxes: Iterable[Box]) -> Box | None:
        """A part of the box that none of the boxes has; None when they cover it. May raise Exhausted."""
        stack, cost = [(box, list(boxes))], 0
        while stack:
            box, near = stack.pop()
            cost = self.budget.spend(len(near) + 1, cost)
            met = [(beyond, one) for one in near if (beyond := self.beyond(one, box)) >= 0]
            if not met:
                return box
            least, best = min(met, key=_first)
            if least:
                rest = [one for _, one in met if one is not best]
                stack += [(part, rest) for part in self._without(box, best)]
        return None

    def beyond(self, one: Box, box: Box) -> int:
        """In how many dimensions the box goes beyond the one; -1 when they do not meet."""
        count = 0
        for name, mask in one.items():
            have = box.get(name) or self.whole[name]
            within = have & mask
            if not within:
                return -1
            count += within != have
        return count

    def widened(self, box: Box, boxes: Sequence[Box]) -> Box:
        """The box with as few dimensions and as many values as it can have without meeting any other."""
        for name in list(box):
            rest = {other: mask for other, mask in box.items() if other != name}
            if not self._meets_any(rest, boxes):
                box = rest
        for name in box:
            for at in range(len(self.values[name])):
                wider = {**box, name: box[name] | 1 << at}
                if not self._meets_any(wider, boxes):
                    box = wider
        return box

    def told(self, box: Box) -> Iterator[tuple[str, list[str]]]:
        """The dimensions of a box with the values that are within."""
        for name, values in self.values.items():
            if name in box:
                yield name, [value for at, value in enumerate(values) if box[name] >> at & 1]

    def example(self, box: Box) -> Attributes:
        """A ticket within the box; conditions are not looked at."""
        found: dict[str, str] = {name: values[0] for name, values in KNOWN.items()}
        tags, robot = [], False
        for name, values in self.told(box):
            if name.startswith("tag ") and values == ["yes"]:
                tags.append(name.removeprefix("tag "))
            elif name == "robot":
                robot = values == ["yes"]
            elif name in TEXTS:
                found[name] = "other" if values[0] == OTHER else values[0]
        return Attributes(**found, tags=tuple(tags), from_robot=robot)  # type: ignore[arg-type]

    def _without(self, box: Box, other: Box) -> Iterator[Box]:
        """Disjoint boxes that together are the box without the other."""
        for name, mask in other.items():
            have = box.get(name) or self.whole[name]
            if have & ~mask:
                yield {**box, name: have & ~mask}
            box = {**box, name: have & mask}

    def _meets_any(self, box: Box, boxes: Sequence[Box]) -> bool:
        self.budget.spend(len(boxes))
        return any(self.beyond(one, box) >= 0 for one in boxes)


def _first(pair: tuple[int, Box]) -> int:
    return pair[0]


def _values(name: str, named: set[str]) -> list[str]:
    """The values of an attribute that rows tell apart."""
    if name == "type":
        return [*KNOWN[name], ""]
    if name in KNOWN:
        return list(KNOWN[name])
    return [*sorted(named), OTHER]
