"""Rows that never win, conditions that never change anything, tickets that no row catches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, product
from typing import Any

from sla_clock.conditions import TEXTS
from sla_clock.cover import OTHER, Box, Budget, Exhausted, Space
from sla_clock.domain import Attributes
from sla_clock.doubts import Doubt, doubt, entries, keys, some
from sla_clock.policy import Policy, Row
from sla_clock.policyfile import KNOWN
from sla_clock.yamltree import Spot

MOST_BOXES = 2_000_000
"""Boxes that are compared before a check gives up: seconds."""

MOST_EACH = 20_000
"""The same for one question, so that a hard one leaves something for the others."""

MOST_TICKETS = 20_000
"""Tickets that conditions are tried on."""

MOST_EXAMPLES = 20
"""Places without a row among which the simplest is told."""

MOST_TRIED = 20
"""Rows among which as few as possible are looked for to be named."""

EXPECTED = ("first_response", "resolution")
"""Clocks that every ticket should have, if any ticket has them."""


def row_doubts(policy: Policy, root: Spot) -> Iterator[Doubt]:
    """Everything doubtful about the rows of the matrix."""
    spots = entries(root)["targets"].items()
    never = _never_true(policy.rows)
    for number, always in never.items():
        text = "is true for every ticket that the row fits: leave it out" if always else "is never true"
        check = "CONDITION_ALWAYS_TRUE" if always else "CONDITION_NEVER_TRUE"
        yield doubt(check, entries(spots[number])["when"], f"the condition {text}")
    live = [n for n in range(len(policy.rows)) if never.get(n, True)]
    matrix = _Matrix(policy, spots, live)
    yield from matrix.losers()
    if matrix.undecided:
        text = f"rows overlap in too many ways to tell whether these ever win: {some(matrix.undecided)}"
        yield doubt("ROWS_UNDECIDED", keys(root)["targets"], text)
    yield from _uncaught(policy, keys(root)["targets"])


def _never_true(rows: Sequence[Row]) -> dict[int, bool]:
    """Rows whose condition is always true, or always false, for the tickets that they fit."""
    found, left = {}, MOST_TICKETS
    for number, row in enumerate(rows):
        if row.when is None or left <= 0:
            continue
        tickets = list(islice(_tickets(row), left + 1))
        if not tickets or len(tickets) > left:
            continue
        left -= len(tickets)
        held = {row.when.holds(ticket) for ticket in tickets}
        if len(held) == 1:
            found[number] = held.pop()
    return found


def _tickets(row: Row) -> Iterator[Attributes]:
    """Every ticket that the row's condition can tell apart; none when there is no end of them."""
    names = sorted(row.when.names()) if row.when else []
    fields = ["from_robot" if name == "robot" else name for name in names]
    choices: list[Sequence[Any]] = []
    for name in names:
        if name == "robot":
            choices.append((False, True) if row.robot is None else (row.robot,))
        elif name in row.equals and name != "category":
            choices.append(sorted(row.equals[name]))
        elif name in KNOWN:
            choices.append((*KNOWN[name], "") if name == "type" else KNOWN[name])
        else:
            return
    for values in product(*choices):
        yield replace(Attributes(), **dict(zip(fields, values, strict=True)))


class _Matrix:
    """The rows that can fit a ticket, as boxes."""

    def __init__(self, policy: Policy, spots: list[Spot], live: list[int]) -> None:
        self.policy = policy
        self.spots = spots
        self.live = live
        self.space = Space(policy.rows, Budget(MOST_BOXES, MOST_EACH))
        self.boxes = [self.space.boxes(row) for row in policy.rows]
        self.given = {name for row in policy.rows for name in row.targets}
        self.undecided: list[str] = []

    def losers(self) -> Iterator[Doubt]:
        """Rows, or targets of rows, that never hold because others always do."""
        for number in self.live:
            row = self.policy.rows[number]
            spoken = [*row.targets, *sorted(row.without & (self.given or row.without))]
            lost = self._lost(number, spoken)
            if lost and len(lost) == len(spoken):
                names = list(dict.fromkeys(name for winners in lost.values() for name in winners))
                yield doubt("ROW_NEVER_WINS", entries(self.spots[number])["name"], self._says("row", names))
                continue
            place = entries(self.spots[number])["targets"]
            for name, winners in lost.items():
                at = entries(place).get(name, place)
                yield doubt("TARGET_NEVER_HOLDS", at, self._says("target", winners))

    def _lost(self, number: int, clocks: Sequence[str]) -> dict[str, list[str]]:
        """Clocks that other rows always win, with the names of these."""
        known: dict[tuple[int, ...], list[str]] = {}
        lost: dict[str, list[str]] = {}
        try:
            for clock in clocks:
                stronger = tuple(n for n in self.live if self._beats(n, number, clock))
                if stronger not in known:
                    known[stronger] = self._winners(number, stronger)
                if known[stronger]:
                    lost[clock] = known[stronger]
        except Exhausted:
            self.undecided.append(self.policy.rows[number].name)
        return lost

    def _says(self, what: str, winners: list[str]) -> str:
        if self.policy.mode == "first":
            way = f"is caught above it by {some(winners)}; move it up, or take it out"
        else:
            way = f"has a target at least as strict from {some(winners)}"
        return f"this {what} never holds: every ticket that it fits {way}"

    def _winners(self, number: int, stronger: Sequence[int]) -> list[str]:
        """Rows that between them win every ticket of this one; none when it may win itself."""
        near = [n for n in stronger if self._meets(n, number)]
        alone = next((n for n in near if self._covers([n], number)), None)
        if alone is None and not self._covers(near, number):
            return []
        needed = near if alone is None else [alone]
        if len(needed) <= MOST_TRIED:
            for n in reversed(needed[:]):
                rest = [other for other in needed if other != n]
                needed = rest if rest and self._covers(rest, number) else needed
        return [self.policy.rows[n].name for n in needed]

    def _covers(self, rows: Sequence[int], number: int) -> bool:
        """Whether the rows have every ticket of that one."""
        against = [box for n in rows for box in self.boxes[n]]
        return all(self.space.uncovered(box, against) is None for box in self.boxes[number])

    def _meets(self, one: int, other: int) -> bool:
        return any(self.space.beyond(its, box) >= 0 for box in self.boxes[other] for its in self.boxes[one])

    def _beats(self, one: int, other: int, clock: str) -> bool:
        row, against = self.policy.rows[one], self.policy.rows[other]
        if one == other or not row.speaks(clock):
            return False
        if self.policy.mode == "first":
            return one < other
        mine, its = row.targets.get(clock, 0), against.targets.get(clock, 0)
        return mine < its or (mine == its and one < other)


def _uncaught(policy: Policy, spot: Spot) -> Iterator[Doubt]:
    given = {name for row in policy.rows for name in row.targets}
    found = _example(policy, "")
    if found is not None:
        text = f"no row catches {_words(found)}; add a row, with targets: none if such tickets have no clocks"
        yield doubt("TICKETS_UNCAUGHT", spot, text)
    for name in EXPECTED:
        example = _example(policy, name) if name in given else None
        if example is not None and example != found:
            text = f"no row gives {name} to {_words(example)}; add a row, with {name}: none if that is meant"
            yield doubt("CLOCK_UNCAUGHT", spot, text)


Told = list[tuple[str, list[str]]]


def _example(policy: Policy, clock: str) -> Told | None:
    """The simplest tickets that have no row at all, or no row that speaks of the clock."""
    rows = [row for row in policy.rows if not clock or row.speaks(clock)]
    space = Space(rows, Budget(MOST_BOXES, MOST_BOXES))
    boxes = [box for row in rows for box in space.boxes(row)]
    seen: list[Box] = []
    found: list[Told] = []
    try:
        for _ in range(MOST_EXAMPLES):
            part = space.uncovered({}, [*boxes, *seen])
            if part is None:
                break
            # A condition may mean more than its box says, so a ticket is tried on the rows themselves.
            ticket = space.example(part)
            if not any(row.fits(ticket) for row in rows):
                part = space.widened(part, boxes)
                found.append(list(space.told(part)))
            seen.append(part)
    except Exhausted:
        pass
    return min(found, key=len, default=None)


def _words(told: Told) -> str:
    """The tickets in words."""
    parts = [_part(name, values) for name, values in told]
    return f"tickets {' and '.join(parts)}" if parts else "any ticket"


def _part(name: str, values: list[str]) -> str:
    if name in TEXTS:
        known = [value or "none" for value in values if value != OTHER]
        return f"with {name} {' or '.join(known)}" if known else f"with a {name} that no row names"
    kind, _, what = name.partition(" ")
    if kind == "robot":
        return "opened by a robot" if values == ["yes"] else "opened by a person"
    if kind == "tag":
        return f"with the tag {what}" if values == ["yes"] else f"without the tag {what}"
    return f"for which {what} is {'true' if values == ['yes'] else 'false'}"
