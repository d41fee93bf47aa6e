"""`python -m sla_clock.replay`: replays histories in a process of its own, for the service that started it.

The loop that fires marks has no part in this work. Both speak in pickles with their length before them: an
order first; then to each page of tickets comes how many were looked at so far, and to an empty one the
report. When the order brings its own CSV, every page is empty, and the report comes after the last row.
An order may be a check as well: then its answer, or the error that it raises, comes to the first page.
"""

from __future__ import annotations

import io
import pickle
import sys
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

from chassis.errors import DeskError
from sla_clock import convert
from sla_clock.checks import Check
from sla_clock.history import Skipped, read
from sla_clock.hours import zone
from sla_clock.policy import RULES, Policy
from sla_clock.policyfile import load
from sla_clock.simulate import Replay, Report
from tickdesk.tickets.v1.timeline_pb2 import Timeline

LENGTH = 8
"""Bytes that tell how long a pickle is."""

_ROWS = 200

Life = tuple[str, bytes, Mapping[str, Any]]
"""A ticket's name, its timeline on the wire, its attributes."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to replay: policies as text (no base: no targets), instants in microseconds, a zone's name."""

    base: str
    candidate: str
    since: int
    until: int
    timezone: str
    queue: str = ""
    csv: str = ""


def main() -> None:
    """Serve one order."""
    zoneinfo.reset_tzpath(to=())
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    order: Order | Check = _read(source)
    answer = _check(order) if isinstance(order, Check) else _replay(order)
    while (page := _read(source)) is not None:
        sink.write(framed(answer(page)))
        sink.flush()


def framed(message: object) -> bytes:
    """A message with its length before it."""
    told = pickle.dumps(message)
    return len(told).to_bytes(LENGTH) + told


def _read(source: BinaryIO) -> Any:
    head = source.read(LENGTH)
    return pickle.loads(source.read(int.from_bytes(head))) if head else None


def _check(check: Check) -> Callable[[Sequence[Life]], object]:
    def answer(_: Sequence[Life]) -> object:
        try:
            return check.answer()
        except DeskError as error:
            return error

    return answer


def _replay(order: Order) -> Callable[[Sequence[Life]], object]:
    replay, done = _begin(order), 0
    rows = read(io.StringIO(order.csv, newline=""), replay.tz) if order.csv else None

    def answer(page: Sequence[Life]) -> object:
        nonlocal done
        looked = _count_rows(replay, rows, order.queue) if rows else _count(replay, page)
        done += looked
        return done if looked else replay.report

    return answer


def _begin(order: Order) -> Replay:
    base = load(order.base) if order.base else Policy("", (), RULES, {}, {})
    report = Report(order.until)
    return Replay(base, load(order.candidate), zone(order.timezone), report, order.since)


def _count(replay: Replay, page: Sequence[Life]) -> int:
    for name, timeline, attributes in page:
        told = convert.timeline(Timeline.FromString(timeline), convert.load_attributes(attributes))
        replay.take(name, told)
    return len(page)


def _count_rows(replay: Replay, rows: Iterator[Any], queue: str) -> int:
    looked = 0
    for row in islice(rows, _ROWS):
        looked += 1
        if isinstance(row, Skipped):
            replay.report.skip(str(row))
        elif queue in ("", row[1].attributes.queue):
            replay.take(*row)
    return looked


if __name__ == "__main__":
    main()
