"""Tries policies: on the open tickets (plan), on history (simulate). Nothing is changed by either."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

from chassis.errors import DeskError, InvalidInput, Violation
from sla_clock import convert
from sla_clock.calendar import micros
from sla_clock.domain import Timeline
from sla_clock.handlers.follow import timeline_of
from sla_clock.handlers.policies import check_policy
from sla_clock.handlers.works import Works
from sla_clock.history import Skipped, read
from sla_clock.hours import zone
from sla_clock.plan import Change, Summary, compare
from sla_clock.policy import Policy, clocks
from sla_clock.simulate import Report, Tally, days_in
from sla_clock.store import tickets
from sla_clock.store.lives import count_tickets, read_lives
from sla_clock.store.tickets import TicketRow
from tickdesk.tickets.v1.timeline_pb2 import Timeline as TimelineMessage

_PAGE = 200
_SLICE_SECONDS = 0.003
_LONG = 40
"""Facts from which on a ticket takes longer than a slice, and goes to a thread."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Tickets looked at, of so many."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A change of a live ticket's clock, as of an instant."""

    ref: bytes
    change: Change
    as_of: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What to simulate. Instants are microseconds; an empty base is the policy in force."""

    candidate: str
    base: str = ""
    since: int = 0
    until: int | None = None
    queue: str = ""
    csv: str = ""
    timezone: str = ""


class _Turns:
    """Gives the loop to others after each few milliseconds of work: calls are answered meanwhile."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()

    async def give(self) -> None:
        if self._clock() - self._since > _SLICE_SECONDS:
            await asyncio.sleep(0)
            self._since = self._clock()


async def plan(
    works: Works, text: str, queue: str = "", most: int = 1000
) -> AsyncIterator[Progress | Planned | Summary]:
    """What would change for open tickets under a policy; at most so many changes, then the summary."""
    candidate = await check_policy(text)
    summary, turns = Summary(), _Turns()
    async with works.db.tx() as tx:
        total = await count_tickets(tx, queue, open_only=True)
    yield Progress(0, total)
    now, rows = await _page(works, None, queue)
    while rows:
        for row, policy in rows:
            told = timeline_of(row)
            changes = compare(clocks(told, policy), clocks(told, candidate), row.standings, now)
            room = max(0, most - sum(summary.kinds.values()))
            summary.add(changes)
            summary.left_out += len(changes[room:])
            for change in changes[:room]:
                yield Planned(row.ref, change, now)
            await turns.give()
        yield Progress(summary.tickets, max(total, summary.tickets))
        now, rows = await _page(works, rows[-1][0].ticket_id, queue)
    yield summary


async def _page(works: Works, after: UUID | None, queue: str) -> tuple[int, list[tuple[TicketRow, Policy]]]:
    """The instant, and the next open tickets with the policies they are counted by."""
    async with works.db.tx() as tx:
        rows = await tickets.open_tickets(tx, after, _PAGE, queue)
        return micros(tx.now), [(row, await works.book.version(tx, row.policy_version)) for row in rows]


async def simulate(works: Works, trial: Trial) -> AsyncIterator[Progress | Report]:
    """History replayed under the base and the candidate; the report comes last."""
    report, tz = await _report(works, trial)
    turns, done = _Turns(), 0
    lives, total = await _lives(works, trial, tz)
    yield Progress(0, total)
    async for life in lives:
        if isinstance(life, Skipped) or len(life[1].facts) < _LONG:
            _count(report, life)
        else:
            await asyncio.to_thread(_count, report, life)
        done += 1
        if done % _PAGE == 0:
            yield Progress(done, max(total, done))
        await turns.give()
    yield Progress(done, done)
    yield report


async def _report(works: Works, trial: Trial) -> tuple[Report, ZoneInfo]:
    """An empty report under the policies that are to be compared, and its zone."""
    candidate = await check_policy(trial.candidate)
    tz = _zone(trial.timezone) if trial.timezone else candidate.calendars[candidate.calendar].zone
    async with works.db.tx() as tx:
        base = None if trial.base else await works.book.in_force(tx)
    base = base or await check_policy(trial.base, file="base.yaml")
    until = micros(tx.now) if trial.until is None else trial.until
    if until < trial.since:
        raise _invalid("until_time", "must not lie before from_time")
    return Report(Tally(base), Tally(candidate), until, days_in(tz), trial.since), tz


def _zone(name: str) -> ZoneInfo:
    try:
        return zone(name)
    except InvalidInput as error:
        raise _invalid("timezone", str(error)) from None


def _invalid(field: str, text: str) -> InvalidInput:
    return InvalidInput(f"{field}: {text}", violations=[Violation(field, text)])


Life = tuple[str, Timeline] | Skipped
"""A name to complain under with a timeline, or what cannot be used."""


async def _lives(works: Works, trial: Trial, tz: ZoneInfo) -> tuple[AsyncIterator[Life], int]:
    """The histories, and about how many they are."""
    if trial.csv:
        rows = read(io.StringIO(trial.csv, newline=""), tz)
        return _each(rows, trial.queue), max(0, trial.csv.count("\n") - 1)
    async with works.db.tx() as tx:
        total = await count_tickets(tx, trial.queue)
    return _stored(works, trial.queue), total


async def _each(rows: Iterator[Life], queue: str) -> AsyncIterator[Life]:
    for life in rows:
        if isinstance(life, Skipped) or queue in ("", life[1].attributes.queue):
            yield life


async def _stored(works: Works, queue: str) -> AsyncIterator[Life]:
    after: UUID | None = None
    while True:
        async with works.db.tx() as tx:
            page = await read_lives(tx, after, _PAGE, queue)
        for one in page:
            told = TimelineMessage.FromString(one.timeline)
            yield f"ticket {one.ticket_id}", convert.timeline(told, convert.load_attributes(one.attributes))
        if len(page) < _PAGE:
            return
        after = page[-1].ticket_id


def _count(report: Report, life: Life) -> None:
    if isinstance(life, Skipped):
        report.skip(str(life))
        return
    name, timeline = life
    try:
        report.add(timeline)
    except DeskError as error:
        report.skip(f"{name}: {error}")
