"""Histories of other desks out of a CSV file: one row a ticket becomes one timeline."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from chassis.errors import InvalidInput, Violation
from sla_clock.calendar import micros, wall_instant
from sla_clock.conditions import TEXTS
from sla_clock.domain import Attributes, Timeline
from sla_clock.policyfile import KNOWN
from sla_clock.steps import Story

if TYPE_CHECKING:
    import _csv

REQUIRED = ("id", "created")
MOMENTS = ("taken", "first_reply", "replies", "customer_messages", "resolved", "reopened", "closed")
"""Columns of instants; all but the first two may hold several, parted by `|`."""

FIELD = "fields."
"""Columns named `fields.KEY` hold values of the ticket's own fields."""

MAX_EVENTS = 1000
"""Times that one row may hold."""

MAX_DOUBTS = 10
"""Columns that are named when they cannot be used; of more only the number is told."""

_DEFAULTS = {"priority": "normal", "tier": "standard", "line": "l1"}
_ALONE = ("taken", "first_reply")
_COLUMNS = (*REQUIRED, *MOMENTS, "waiting", "tags", *TEXTS)
_PARTS = re.compile(r"[|\n]")
_STEPS = {
    "taken": "taken",
    "first_reply": "replied",
    "replies": "replied",
    "customer_messages": "customer",
    "resolved": "resolved",
    "reopened": "reopened",
    "closed": "closed",
}
_ORDER = ("reopened", "taken", "customer", "replied", "resumed", "waiting", "resolved", "closed")
"""What comes first of things that happened at one instant."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A row that cannot be used, and why."""

    line: int
    column: str
    text: str

    def __str__(self) -> str:
        """As it is reported."""
        return f"line {self.line}, column {self.column}: {self.text}"


class _Bad(Exception):
    """A cell that cannot be read."""

    def __init__(self, column: str, text: str) -> None:
        super().__init__(text)
        self.column = column


def read(lines: Iterable[str], tz: ZoneInfo) -> Iterator[tuple[str, Timeline] | Skipped]:
    """Timelines of the rows, one at a time, under names to complain by.

    Times without an offset are wall times of that zone. Raises InvalidInput (HISTORY_INVALID) for a header
    that cannot be used, before the first row.
    """
    lines = iter(lines)
    header = next(lines, "").lstrip("\ufeff")
    parted = max(",;\t", key=header.count)
    columns = [name.strip().casefold() for name in next(csv.reader([header], delimiter=parted), [])]
    _check(columns)
    return _rows(csv.reader(lines, delimiter=parted), columns, tz)


def _rows(rows: _csv.Reader, columns: list[str], tz: ZoneInfo) -> Iterator[tuple[str, Timeline] | Skipped]:
    cells: list[str] | None = []
    while cells is not None:
        begin = rows.line_num + 2
        try:
            cells = next(rows, None)
            if cells and any(cells):
                told = _told(cells, columns)
                yield f"line {begin}, ticket {told['id']}", _timeline(told, tz)
        except csv.Error as error:
            yield Skipped(begin, columns[0], f"the row is not CSV: {error}")
        except _Bad as bad:
            yield Skipped(begin, bad.column, str(bad))


def _check(columns: list[str]) -> None:
    """Refuse a header that lacks what is needed, or says what is not known."""
    wrong = [(1, f"{name!r} is missing: each row needs it") for name in REQUIRED if name not in columns]
    seen: set[str] = set()
    odd: list[tuple[int, str, bool]] = []
    for at, name in enumerate(columns, 1):
        if name in seen or (name not in _COLUMNS and not name.startswith(FIELD)):
            odd.append((at, name, name in seen))
        seen.add(name)
    wrong += [(at, _doubt(name, twice=twice)) for at, name, twice in odd[:MAX_DOUBTS]]
    if len(odd) > MAX_DOUBTS:
        wrong.append((odd[MAX_DOUBTS][0], f"from here on {len(odd) - MAX_DOUBTS} more cannot be used"))
    if wrong:
        violations = [Violation(f"1:{at} header", text) for at, text in wrong]
        told = "\n".join(f"line 1, column {at}: {text}" for at, text in wrong)
        raise InvalidInput(told, reason="HISTORY_INVALID", violations=violations)


def _doubt(name: str, *, twice: bool) -> str:
    """Why a column cannot be used."""
    if twice:
        return f"{name!r} stands here twice"
    close = difflib.get_close_matches(name, _COLUMNS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"leave it out, or call it {FIELD}{name or 'NAME'}"
    return f"{name!r} is not known; {hint}"


def _told(cells: list[str], columns: list[str]) -> dict[str, str]:
    if len(cells) != len(columns):
        raise _Bad(columns[0], f"the row has {len(cells)} cells, the header {len(columns)}")
    told = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
    for name in REQUIRED:
        if not told[name]:
            raise _Bad(name, "is empty")
    return {name: cell for name, cell in told.items() if cell}


def _timeline(told: Mapping[str, str], tz: ZoneInfo) -> Timeline:
    attributes = _attributes(told)
    created = _instant("created", told["created"], tz)
    happened = [*_moments(told, tz), *_waits(told, tz)]
    if len(happened) > MAX_EVENTS:
        raise _Bad(REQUIRED[0], f"the ticket has more than {MAX_EVENTS} times")
    for column, _, at in happened:
        if at < created:
            raise _Bad(column, "happened before the ticket was created")
    story = Story()
    story.begin(created, attributes)
    for _, step, at in sorted(happened, key=lambda one: (one[2], _ORDER.index(one[1]))):
        # Resolved or closed while it waited: the end of the wait says nothing more.
        if step != "resumed" or story.situation.status_kind == "waiting":
            story.step(step, at)
    return Timeline(tuple(story.facts), attributes)


def _moments(told: Mapping[str, str], tz: ZoneInfo) -> Iterator[tuple[str, str, int]]:
    """Column, step, and when."""
    for column in MOMENTS:
        parts = _parts(told.get(column, ""))
        if column in _ALONE and len(parts) > 1:
            raise _Bad(column, "holds one time only")
        for part in parts:
            yield column, _STEPS[column], _instant(column, part, tz)


def _waits(told: Mapping[str, str], tz: ZoneInfo) -> Iterator[tuple[str, str, int]]:
    """Beginnings and ends of `FROM/TO` in the column `waiting`; without TO it waits still."""
    for part in _parts(told.get("waiting", "")):
        begin, slash, end = part.partition("/")
        if not slash:
            raise _Bad("waiting", f"{part!r} is not FROM/TO")
        since = _instant("waiting", begin, tz)
        yield "waiting", "waiting", since
        if end.strip():
            until = _instant("waiting", end, tz)
            if until < since:
                raise _Bad("waiting", f"{part!r} ends before it begins")
            yield "waiting", "resumed", until


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in _PARTS.split(cell) if part.strip()]


def _instant(column: str, text: str, tz: ZoneInfo) -> int:
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _Bad(
            column, f"{text.strip()!r} is not a time; write 2026-11-20 18:50 or 2026-11-20T18:50+03:00"
        ) from None
    if not 1970 <= read.year < 9000:
        raise _Bad(column, f"{text.strip()!r} is not within the years 1970 to 8999")
    return wall_instant(tz, read) if read.tzinfo is None else micros(read)


def _attributes(told: Mapping[str, str]) -> Attributes:
    texts = {name: told[name] for name in TEXTS if name in told}
    for name, known in KNOWN.items():
        value = texts.get(name, "").casefold()
        if value and value not in known:
            raise _Bad(name, f"{texts[name]!r} is not one of {', '.join(known)}")
        if value:
            texts[name] = value
    fields = {name.removeprefix(FIELD): cell for name, cell in told.items() if name.startswith(FIELD)}
    tags = tuple(_parts(told.get("tags", "")))
    values: dict[str, Any] = _DEFAULTS | texts
    return Attributes(**values, tags=tags, fields=fields)
