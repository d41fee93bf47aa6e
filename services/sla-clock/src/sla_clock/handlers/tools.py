"""Tries policies: on the open tickets (plan), on history (simulate). Nothing is changed by either."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from chassis.errors import InvalidInput, Violation
from sla_clock.calendar import micros
from sla_clock.handlers.follow import timeline_of
from sla_clock.handlers.policies import check_policy
from sla_clock.handlers.replaying import replaying
from sla_clock.handlers.works import Works
from sla_clock.history import read
from sla_clock.hours import zone
from sla_clock.plan import Change, Summary, compare
from sla_clock.policy import Policy, clocks
from sla_clock.replay import Life, Order
from sla_clock.simulate import Report
from sla_clock.store import ledger, policies, tickets
from sla_clock.store.lives import count_tickets, read_lives
from sla_clock.store.tickets import TicketRow

_PAGE = 200
_SLICE_SECONDS = 0.001


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
    """What to simulate: policies that were read and found good; an empty base is the one in force.

    Instants are microseconds; times of the CSV without an offset are of that zone.
    """

    candidate: str
    timezone: str
    base: str = ""
    since: int = 0
    until: int | None = None
    queue: str = ""
    csv: str = ""


class _Turns:
    """Gives the loop to others after each millisecond of work: marks fire, calls are answered meanwhile."""

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
    """What would change for open tickets under a policy that was read and found good.

    At most so many changes, then the summary.
    """
    # Read once more, in a thread: a policy holds compiled conditions, which do not travel.
    candidate = await check_policy(text)
    summary, turns = Summary(), _Turns()
    async with works.db.tx() as tx:
        total = await count_tickets(tx, queue, open_only=True)
    yield Progress(0, total)
    now, rows = await _open_tickets(works, None, queue)
    while rows:
        for row, policy in rows:
            told = timeline_of(row)
            before = clocks(told, policy)
            await turns.give()
            changes = compare(before, clocks(told, candidate), row.standings, now, row.record)
            room = max(0, most - sum(summary.kinds.values()))
            summary.add(changes)
            summary.left_out += len(changes[room:])
            for change in changes[:room]:
                yield Planned(row.ref, change, now)
            await turns.give()
        yield Progress(summary.tickets, max(total, summary.tickets))
        now, rows = await _open_tickets(works, rows[-1][0].ticket_id, queue)
    yield summary


async def _open_tickets(
    works: Works, after: UUID | None, queue: str
) -> tuple[int, list[tuple[TicketRow, Policy]]]:
    """The instant, and the next open tickets with the policies they are counted by."""
    async with works.db.tx() as tx:
        rows = await ledger.with_told(tx, await tickets.open_tickets(tx, after, _PAGE, queue))
        return micros(tx.now), [(row, await works.book.version(tx, row.policy_version)) for row in rows]


async def simulate(works: Works, trial: Trial) -> AsyncGenerator[Progress | Report, None]:
    """History replayed under the base and the candidate; the report comes last."""
    order, total = await _order(works, trial)
    yield Progress(0, total)
    # One at a time: each takes a whole core while it lasts.
    async with works.replays, replaying(order) as ask:
        after: UUID | None = None
        while True:
            page = [] if order.csv else await _lives(works, after, order.queue)
            told = await ask(page)
            if isinstance(told, Report):
                break
            after = UUID(page[-1][0].removeprefix(_TICKET)) if page else None
            yield Progress(told, max(total, told))
    yield Progress(total, total)
    yield told


_TICKET = "ticket "


async def _lives(works: Works, after: UUID | None, queue: str) -> Sequence[Life]:
    async with works.db.tx() as tx:
        found = await read_lives(tx, after, _PAGE, queue)
    return [(f"{_TICKET}{one.ticket_id}", one.timeline, one.attributes) for one in found]


async def _order(works: Works, trial: Trial) -> tuple[Order, int]:
    """The order, once the rest of it was found good, and about how many tickets it is for."""
    base = trial.base
    tz = _zone(trial.timezone)
    async with works.db.tx() as tx:
        if not base and (version := await policies.policy_version(tx)):
            base = (await policies.find_policy(tx, version)).yaml
        total = trial.csv.count("\n") if trial.csv else await count_tickets(tx, trial.queue)
    until = micros(tx.now) if trial.until is None else trial.until
    if until < trial.since:
        raise _invalid("until_time", "must not lie before from_time")
    if trial.csv:
        read(io.StringIO(trial.csv, newline=""), tz)  # refuses a header that cannot be used
    return Order(base, trial.candidate, trial.since, until, tz.key, trial.queue, trial.csv), total


def _zone(name: str) -> Any:
    try:
        return zone(name)
    except InvalidInput as error:
        raise _invalid("timezone", str(error)) from None


def _invalid(field: str, text: str) -> InvalidInput:
    return InvalidInput(f"{field}: {text}", violations=[Violation(field, text)])
