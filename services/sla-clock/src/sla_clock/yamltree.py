"""YAML read as a tree that knows where each value stands, so that every complaint names line and column."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from chassis.errors import DeskError, InvalidInput, Violation

T = TypeVar("T")

_SAID = {"but found another document": "another document begins here; a file holds one"}
"""What the parser says in half a sentence."""

MAX_LENGTH = 131_072
"""Characters of the longest file that is read."""

MAX_TEXT = 4096
"""Characters of the longest value."""

MAX_DEPTH = 50
"""Brackets within brackets; a parser takes seconds over thousands of them."""

MAX_VALUES = 100_000
"""Values of a file, those that its aliases repeat counted each time."""


MAX_FAULTS = 100
"""Faults of a file that are told: a few aliases repeat one more often than anybody reads."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where (1-based)."""

    line: int
    column: int
    path: str
    text: str


class Malformed(InvalidInput):
    """A file with faults, in the order of the file."""

    def __init__(self, file: str, reason: str, faults: Sequence[Fault]) -> None:
        told = [f"{file}:{f.line}:{f.column}: {f.path + ': ' if f.path else ''}{f.text}" for f in faults]
        super().__init__(
            "\n".join(told),
            reason=reason,
            violations=tuple(Violation(f"{f.line}:{f.column} {f.path}".strip(), f.text) for f in faults),
        )
        self.file = file
        self.faults = tuple(faults)

    def __reduce__(self) -> tuple[type[Malformed], tuple[str, str, Sequence[Fault]]]:
        """Whole again in another process."""
        return Malformed, (self.file, self.reason, self.faults)


class Wrong(Exception):
    """A fault on its way up to the nearest `Faults.attempt`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.text)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Spot:
    """A value in the file and the path that leads to it."""

    node: Node
    path: str = ""

    def fault(self, text: str) -> Fault:
        """A complaint about this value."""
        mark = self.node.start_mark
        return Fault(mark.line + 1, mark.column + 1, self.path, text)

    def wrong(self, text: str) -> NoReturn:
        """Complain about this value."""
        raise Wrong(self.fault(text))

    @property
    def line(self) -> int:
        """Line of the file, from 1 on."""
        return int(self.node.start_mark.line) + 1

    def via(self, parse: Callable[[str], T]) -> T:
        """What `parse` makes of the text; its error is told with this place."""
        text = self.text()
        try:
            return parse(text)
        except DeskError as error:
            self.wrong(str(error))

    def yes(self) -> bool:
        """Whether true or yes stands here rather than false or no."""
        return self.one_of(("yes", "no", "true", "false")) in ("yes", "true")

    def text(self) -> str:
        """The scalar as written; it may not be empty."""
        if not isinstance(self.node, ScalarNode):
            self.wrong("one value is wanted here, not a list or a mapping")
        value = str(self.node.value).strip()
        # Complaints repeat it, and aliases repeat complaints.
        if len(value) > MAX_TEXT:
            self.wrong(f"the value is longer than {MAX_TEXT} characters")
        return value or self.wrong("a value is missing here")

    def is_map(self) -> bool:
        """Whether keys and values stand here."""
        return isinstance(self.node, MappingNode)

    def items(self) -> list[Spot]:
        """The elements of a list; a single value counts as a list of one."""
        if not isinstance(self.node, SequenceNode):
            return [self]
        return [Spot(node, f"{self.path}[{at}]") for at, node in enumerate(self.node.value)]

    def entries(self) -> list[tuple[Spot, str, Spot]]:
        """Keys with their values; a repeated key is a fault."""
        if not isinstance(self.node, MappingNode):
            self.wrong("keys with values are wanted here")
        seen: set[str] = set()
        found = []
        for key_node, node in self.node.value:
            key = Spot(key_node, self.path)
            name = key.text()
            if name in seen:
                key.wrong(f"{name!r} stands here twice")
            seen.add(name)
            path = f"{self.path}.{name}" if self.path else name
            found.append((Spot(key_node, path), name, Spot(node, path)))
        return found

    def keys(self, *, known: Collection[str], required: Collection[str] = ()) -> dict[str, Spot]:
        """The values by key, when every key is known and none is missing."""
        found = {}
        for key, name, value in self.entries():
            if name not in known:
                there = f" (known: {', '.join(known)})"
                key.wrong(f"{name!r} is not known here{_meant(name, known) or there}")
            found[name] = value
        for name in required:
            if name not in found:
                self.wrong(f"{name!r} is missing")
        return found

    def one_of(self, known: Collection[str]) -> str:
        """The text in lower case, when it is one of these."""
        value = self.text().casefold()
        if value not in known:
            self.wrong(f"{self.text()!r} is not one of {', '.join(known)}{_meant(value, known)}")
        return value


def _meant(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


class Faults:
    """Collects what is wrong with one file, so that all of it is told at once."""

    def __init__(self, file: str, reason: str) -> None:
        self.file = file
        self.reason = reason
        self.found: list[Fault] = []

    def attempt(self, read: Callable[[Spot], T], spot: Spot) -> T | None:
        """What `read` makes of the spot; None, with the fault noted, when it is wrong."""
        try:
            return read(spot)
        except Wrong as wrong:
            self.found.append(wrong.fault)
            return None

    def note(self, spot: Spot, text: str) -> None:
        """Complain about a value and go on."""
        self.found.append(spot.fault(text))

    def settle(self) -> None:
        """Raise Malformed with one violation a fault, the first MAX_FAULTS of them, if there is any."""
        if self.found:
            faults = sorted(self.found, key=lambda fault: (fault.line, fault.column))
            if len(faults) > MAX_FAULTS:
                rest, first = len(faults) - MAX_FAULTS, faults[MAX_FAULTS]
                text = f"from here on there are {rest} more faults: mend those before first"
                faults[MAX_FAULTS:] = [Fault(first.line, first.column, "", text)]
            raise Malformed(self.file, self.reason, faults)


def parse(text: str, faults: Faults) -> Spot:
    """The root of the file; raises Malformed when it is not YAML or too large."""
    if len(text) > MAX_LENGTH:
        faults.found.append(Fault(1, 1, "", f"the file is longer than {MAX_LENGTH} characters"))
        faults.settle()
    fault = Fault(1, 1, "", "the file is empty")
    try:
        if _depth(text) > MAX_DEPTH:
            raise RecursionError
        node = YAML().compose(text)
        if node is not None and _weight(node, {}) <= MAX_VALUES:
            return Spot(node)
        if node is not None:
            fault = Fault(1, 1, "", f"the file has more than {MAX_VALUES} values, its aliases followed")
    except MarkedYAMLError as error:
        mark, text = error.problem_mark or error.context_mark, str(error.problem or "not YAML")
        text = _SAID.get(text, text)
        fault = Fault(mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, "", text)
    except YAMLError as error:
        fault = Fault(1, 1, "", str(error).splitlines()[0])
    except RecursionError:
        fault = Fault(1, 1, "", "the file is nested too deeply")
    faults.found.append(fault)
    faults.settle()
    raise AssertionError("a fault was settled above")


def _weight(node: Node, known: dict[int, int]) -> int:
    """How many values stand there with all aliases followed; without end when one contains itself."""
    if id(node) not in known:
        known[id(node)] = MAX_VALUES
        parts = node.value if isinstance(node, SequenceNode | MappingNode) else ()
        flat = (part for pair in parts for part in (pair if isinstance(pair, tuple) else (pair,)))
        known[id(node)] = 1 + sum(_weight(part, known) for part in flat)
    return known[id(node)]


def _depth(text: str) -> int:
    """How deep the brackets go, whether they are quoted or not: more than enough for any honest file."""
    depth = deepest = 0
    for char in text:
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    return deepest
