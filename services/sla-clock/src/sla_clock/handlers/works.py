"""What every handler of sla-clock works with: the database, the bus, the timers, the policies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import tzdata  # type: ignore[import-untyped]

from chassis.bus import Bus
from chassis.db import Database, Tx
from sla_clock import national
from sla_clock.policy import RULES, Policy
from sla_clock.policyfile import load
from sla_clock.store import policies
from sla_clock.store.ledger import Sent
from sla_clock.timers import Timers, Wake

NO_POLICY = Policy(name="", rows=(), rules=RULES, marks={}, calendars={})
"""Before the first policy: no ticket has a target."""

DATA = f"tzdata {tzdata.IANA_VERSION}, holidays {national.VERSION}"
"""What calendars are made from beside the policy, as this process has it."""

_KEPT = 32


class PolicyBook:
    """Versions of the policy, read once each."""

    def __init__(self) -> None:
        self._read: dict[int, Policy] = {0: NO_POLICY}

    async def in_force(self, tx: Tx) -> Policy:
        """The newest version, as this unit of work sees it."""
        return await self.version(tx, await policies.policy_version(tx))

    async def versions(self, db: Database, numbers: set[int]) -> Mapping[int, Policy]:
        """These versions, out of memory if they were read before. Raises NotFound."""
        found = {number: self._read[number] for number in numbers & self._read.keys()}
        # Reading one may put another out of memory, which is why they are gathered here.
        for number in numbers - found.keys():
            async with db.tx() as tx:
                found[number] = await self.version(tx, number)
        return found

    async def version(self, tx: Tx, number: int) -> Policy:
        """One version. Raises NotFound."""
        if number not in self._read:
            stored = await policies.find_policy(tx, number)
            # Reading YAML takes long enough to keep other work waiting.
            policy = await asyncio.to_thread(load, stored.yaml, file=stored.name, version=number)
            while len(self._read) >= _KEPT:
                self._read.pop(min(key for key in self._read if key))
            self._read[number] = policy
        return self._read[number]


class Bell:
    """Wakes everybody who waits for its next ring."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """What will be set by the next ring."""
        return self._next

    def ring(self) -> None:
        """Something happened."""
        self._next.set()
        self._next = asyncio.Event()


@dataclass
class Oversized:
    """Batches that the stream refused for their size, and the limit and connection of the last try."""

    batches: set[int] = field(default_factory=set)
    under: tuple[int | None, int] = (None, 0)

    def try_under(self, limit: int | None, connection: int) -> None:
        """Let all be tried again if the limit or the connection is another one."""
        if (limit, connection) != self.under:
            self.under = (limit, connection)
            self.batches.clear()


@dataclass
class Works:
    """The parts that the handlers share."""

    db: Database
    bus: Bus
    timers: Timers
    book: PolicyBook = field(default_factory=PolicyBook)
    batch: int = 1000
    wakes: list[Wake] = field(default_factory=list)
    to_arm: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[Sent] = field(default_factory=list)
    to_note: asyncio.Event = field(default_factory=asyncio.Event)
    compared: int = 0
    comparing: asyncio.Lock = field(default_factory=asyncio.Lock)
    oversized: Oversized = field(default_factory=Oversized)
    policy_changed: asyncio.Event = field(default_factory=asyncio.Event)
    replays: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    index_lost: asyncio.Event = field(default_factory=asyncio.Event)
    sweeping: asyncio.Lock = field(default_factory=asyncio.Lock)
    fired: Bell = field(default_factory=Bell)
    data: str = field(default_factory=lambda: DATA)

    def arm(self, wakes: Iterable[Wake]) -> None:
        """Hand timers to the loop that sets them; the database knows them already."""
        self.wakes.extend(wakes)
        self.to_arm.set()

    def note(self, sent: Sent) -> None:
        """Hand a batch that the stream has stored to the loop that notes it; unnoted it is sent again."""
        self.sent.append(sent)
        self.to_note.set()
