"""Follows the ledger: every mark that fires, from a cursor on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from chassis.errors import Exhausted, InvalidInput, Violation
from chassis.going import going
from sla_clock.handlers.works import Works
from sla_clock.metrics import WATCHES
from sla_clock.store.ledger import LedgerRow
from sla_clock.store.watching import OLDEST, Place, present, read_marks
from tickdesk.sla.v1.events_pb2 import MarkReached

_PAGE = 500
_SOON_SECONDS, _LOOK_SECONDS, _BEAT_SECONDS = 0.02, 0.25, 5.0
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})-([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Watched:
    """Which marks; what is empty filters nothing."""

    ticket_id: UUID | None = None
    action: str = ""
    queue: str = ""

    def fits(self, row: LedgerRow) -> bool:
        """Whether the mark is one of them; its queue is that of its instant."""
        if self.ticket_id not in (None, row.ticket_id) or self.action not in ("", row.action):
            return False
        return not self.queue or MarkReached.FromString(row.payload).ticket.queue == self.queue


class Watches:
    """How many watches are open here. None ends by itself: without a bound they would take every call."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Room for one more. Raises Exhausted."""
        if self._open >= self._most:
            raise Exhausted(
                f"this replica serves {self._most} watches, as many as it may: end one, watch at another "
                "replica, or raise max_watches",
                reason="WATCHES_EXHAUSTED",
            )
        self._open += 1
        try:
            with WATCHES.track_inprogress():
                yield
        finally:
            self._open -= 1


async def watch_marks(
    works: Works, cursor: str, wanted: Watched, is_over: Callable[[], bool]
) -> AsyncIterator[tuple[LedgerRow | None, str]]:
    """Marks with the cursor after each until it is over; without a mark it is a heartbeat, the first at once.

    Never more than a page is held: for who reads slowly nothing is read ahead. Raises InvalidInput.
    """
    place, clock = await _start(works, cursor), asyncio.get_running_loop().time
    beat_at, pause = 0.0, _LOOK_SECONDS
    while going() and not is_over():
        rung = works.fired.next()
        async with works.db.tx() as tx:
            page = await read_marks(tx, place, _PAGE)
        place = page.after
        for row, after in page.marks:
            if wanted.fits(row):
                beat_at = clock() + _BEAT_SECONDS
                yield row, _told(after)
        if clock() >= beat_at:
            beat_at = clock() + _BEAT_SECONDS
            yield None, _told(place)
        if len(page.marks) < _PAGE:
            # What is held back comes as soon as an older transaction ends, which rings no bell here.
            pause = min(_LOOK_SECONDS, _SOON_SECONDS if page.marks or not page.held else 2 * pause)
            await _rest(rung, pause if page.held else _LOOK_SECONDS)


async def _rest(rung: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await rung.wait()


async def _start(works: Works, cursor: str) -> Place:
    if cursor == "0":
        return OLDEST
    found = _CURSOR.fullmatch(cursor)
    if cursor and found is None:
        raise _bad('must be one that WatchMarks gave, "0" for the oldest mark kept, or empty for now on')
    async with works.db.tx() as tx:
        here, following = await present(tx)
    if found is None:
        return here
    place = Place(*(int(part) for part in found.groups()))
    if place.xact > following:
        raise _bad('is ahead of this database, which was restored since: begin anew with "0" or empty')
    return place


def _told(place: Place) -> str:
    return "-".join(str(part) for part in place)


def _bad(text: str) -> InvalidInput:
    return InvalidInput(f"cursor {text}", reason="CURSOR_INVALID", violations=[Violation("cursor", text)])
