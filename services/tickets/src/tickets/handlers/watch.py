"""Following tickets: every change that a caller may see, from a cursor on."""

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile

from chassis.bus import Bus
from chassis.db import Database, Tx
from chassis.errors import Exhausted, InvalidInput, Refused, Unavailable, Violation
from chassis.going import going
from chassis.principal import Principal
from chassis.telemetry import logger
from tickdesk.tickets.v1.watch_service_pb2 import TicketChange
from tickets.convert import watch as convert
from tickets.domain.rights import Person
from tickets.domain.watch import Sight, Spot, View
from tickets.metrics import WATCHES
from tickets.store import desk, rights
from tickets.store import watch as store
from tickets.store.watch import Place

log = logger(__name__)

_PAGE, _KEPT = 100, 1000
_SHARE = 8
"""One person has this part of all watches at most: nobody shuts the others out."""
_SOON_SECONDS, _HELD_SECONDS, _LOOK_SECONDS, _BEAT_SECONDS = 0.02, 0.25, 1.0, 5.0
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})-([0-9]{1,12})-([0-9a-f]{1,8})")
# Events are kept for seven days after they were published.
_GOOD_SECONDS = 6 * 86400


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a ticket, where it stands in the order, and where the ticket was before and after."""

    place: Place
    told: TicketChange
    before: Spot
    after: Spot


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes behind a place, the place after them, and whether more are there already."""

    changes: list[Change]
    after: Place
    more: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """Who watches, which queues (none: all), and from where."""

    principal: Principal
    queues: tuple[str, ...]
    cursor: str


class Feed:
    """The last changes, read once for all who watch here; who is behind them reads the database."""

    def __init__(self, db: Database, bus: Bus, most: int) -> None:
        self._db = db
        self._bus = bus
        self._most = most
        self._watchers: Counter[Principal] = Counter()
        self._people: dict[Principal, Person | None] = {}
        self._recent: deque[Change] = deque()
        self._since: Place | None = None
        self._edge = Place(0, 0)
        self._away = False
        self._rung = asyncio.Event()
        self._woken = asyncio.Event()

    @contextmanager
    def one(self, principal: Principal) -> Iterator[None]:
        """Room for one more watch: none ends by itself, so they need a bound. Raises Exhausted."""
        share = max(1, self._most // _SHARE)
        if principal.role in rights.PEOPLE and self._watchers[principal] >= share:
            text = f"you have {share} watches open at this replica, as many as one person may: end one"
            raise Exhausted(text, reason="WATCHES_EXHAUSTED")
        if self._watchers.total() >= self._most:
            raise Exhausted(
                f"this replica serves {self._most} watches, as many as it may: end one, watch at another "
                "replica, or raise max_watches",
                reason="WATCHES_EXHAUSTED",
            )
        self._watchers[principal] += 1
        self._woken.set()
        try:
            with WATCHES.track_inprogress():
                yield
        finally:
            self._watchers[principal] -= 1
            if not self._watchers[principal]:
                del self._watchers[principal]
                self._people.pop(principal, None)

    async def run(self) -> None:
        """Read what is new while anybody watches: woken by what any replica publishes, and once a second."""
        while going():
            if not self._watchers:
                self._woken.clear()
                await self._woken.wait()
            published = await self._bus.client.subscribe("tickdesk.tickets.>", cb=self._hear)
            pause = _SOON_SECONDS
            while going() and self._watchers:
                self._woken.clear()
                held = await self._look()
                # However much is published, the database is asked fifty times a second at most.
                await asyncio.sleep(_SOON_SECONDS)
                pause = min(2 * pause, _HELD_SECONDS) if held else _SOON_SECONDS
                await _rest(self._woken, pause if held else _LOOK_SECONDS)
            await published.unsubscribe()
            self._recent.clear()
            self._since = None

    def next(self) -> asyncio.Event:
        """What is set when the feed has looked again."""
        return self._rung

    async def after(self, place: Place) -> Batch:
        """What comes behind a place, out of memory where it reaches so far back. Raises Unavailable."""
        if self._away:
            raise Unavailable("the database does not answer, go on elsewhere", reason="DATABASE_UNAVAILABLE")
        if self._since is None or place < self._since:
            async with self._db.tx() as tx:
                return (await self._read(tx, place))[0]
        fresh = list(takewhile(lambda each: each.place > place, reversed(self._recent)))[::-1]
        if len(fresh) > _PAGE:
            return Batch(fresh[:_PAGE], fresh[_PAGE - 1].place, more=True)
        return Batch(fresh, max(place, self._edge), more=False)

    async def view(self, asked: Asked, known: View | None) -> View:
        """What a watcher may see now: the `known` one while nothing else is true.

        Raises NotFound (AGENT_NOT_FOUND), Unavailable.
        """
        if asked.principal.role not in rights.PEOPLE:
            return known or View(None, asked.queues)
        if asked.principal not in self._people:
            async with self._db.tx() as tx:
                await self._know(tx, [asked.principal])
        person = self._people[asked.principal]
        if person is None:
            raise rights.unknown(asked.principal)
        return known if known and known.person is person else View(person, asked.queues)

    async def _look(self) -> bool:
        """Read on and wake all watchers; whether something is held back."""
        held = False
        try:
            held = await self._step()
            self._away = False
        except Unavailable as error:
            log.warning("watching waits", error=error.message)
            self._away = True
        self._rung.set()
        self._rung = asyncio.Event()
        return held

    async def _step(self) -> bool:
        """Read one page on from the edge; whether something is held back."""
        async with self._db.tx() as tx:
            if self._since is None:
                self._edge, _ = await store.present(tx)
                self._since = self._edge
            batch, held = await self._read(tx, self._edge)
        self._edge = batch.after
        for change in batch.changes:
            if len(self._recent) == _KEPT:
                self._since = self._recent.popleft().place
            self._recent.append(change)
        if batch.more:
            self._woken.set()
        return held

    async def _read(self, tx: Tx, place: Place) -> tuple[Batch, bool]:
        """A page behind a place, and the rights of all watchers as they are then."""
        page = await store.read_events(tx, place, convert.TYPES, _PAGE)
        told = [convert.to_change(each.type, each.payload, each.time) for each in page.events]
        moved = await store.moved(tx, list({each.ticket.id for each in told})) if told else {}
        changes = []
        for event, change in zip(page.events, told, strict=True):
            after = convert.spot(change.ticket)
            was = moved.get((change.ticket.id, change.ticket.version), {})
            changes.append(Change(event.place, change, after._replace(**was), after))
        await self._know(tx, [each for each in self._watchers if each.role in rights.PEOPLE])
        return Batch(changes, page.after, more=len(changes) == _PAGE), page.held

    async def _know(self, tx: Tx, watchers: list[Principal]) -> None:
        found = await rights.people_of(tx, watchers) if watchers else {}
        for each in watchers:
            person = found.get(each)
            # Whose rights stay the same stays the same object: views are made of it. Who has gone meanwhile
            # is forgotten: their rights would be those of now when they come again.
            if each in self._watchers and (each not in self._people or self._people[each] != person):
                self._people[each] = person

    async def _hear(self, _: object) -> None:
        self._woken.set()


async def watch(
    db: Database, feed: Feed, asked: Asked, is_over: Callable[[], bool]
) -> AsyncIterator[tuple[TicketChange | None, str, bool]]:
    """Changes, the cursor after each and whether the view is another one now, until it is over.

    Without a change it is a heartbeat, the first at once. Never more than a page is held: for who reads
    slowly nothing is read ahead. Raises InvalidInput, Refused, NotFound, Unavailable.
    """
    place, digest = await _start(db, asked)
    clock = asyncio.get_running_loop().time
    beat_at = 0.0
    view: View | None = None
    while going() and not is_over():
        rung = feed.next()
        batch = await feed.after(place)
        view = await feed.view(asked, view)
        if digest not in ("", view.digest):
            yield None, _cursor(place, view.digest), True
        digest = view.digest
        for change in batch.changes:
            told = _told(view, change)
            if told:
                beat_at = clock() + _BEAT_SECONDS
                yield told, _cursor(change.place, digest), False
        place = batch.after
        if clock() >= beat_at:
            beat_at = clock() + _BEAT_SECONDS
            yield None, _cursor(place, digest), False
        if not batch.more:
            await _rest(rung, _HELD_SECONDS)


def _told(view: View, change: Change) -> TicketChange | None:
    sight = view.sight(change.before, change.after)
    if sight is Sight.SEEN:
        return change.told
    return convert.to_departure(change.told) if sight is Sight.LEFT else None


async def _start(db: Database, asked: Asked) -> tuple[Place, str]:
    """Where to begin, and the view that the caller had there."""
    found = _CURSOR.fullmatch(asked.cursor)
    if asked.cursor and found is None:
        raise _bad("must be one that WatchQueue gave, or empty for now on")
    async with db.tx() as tx:
        for queue in asked.queues:
            await desk.load_queue(tx, queue)
        here, following = await store.present(tx)
    if found is None:
        return here, ""
    xact, seq, given = (int(part) for part in found.groups()[:3])
    if xact > following:
        raise _bad("is ahead of this database, which was restored since: read the list and begin without one")
    if given < time.time() - _GOOD_SECONDS:
        text = "the cursor is more than six days old: read the list again and begin without one"
        raise Refused(text, reason="CURSOR_EXPIRED")
    return Place(xact, seq), found.group(4)


def _cursor(place: Place, digest: str) -> str:
    return f"{place.xact}-{place.seq}-{int(time.time())}-{digest}"


def _bad(text: str) -> InvalidInput:
    return InvalidInput(f"cursor {text}", reason="CURSOR_INVALID", violations=[Violation("cursor", text)])


async def _rest(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
