"""The timers: an index over Redis sorted sets that may be lost at any time and is rebuilt from the database.

One member per ticket (its 16 bytes), scored with the millisecond of its next mark, in one of 16 sets whose
name carries the shard as hash tag. A hash beside each set holds the revision of the row that set the score,
so that writes that overtake each other do no harm. What is due is decided by the server's own clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

import redis.asyncio as redis
from redis.exceptions import NoScriptError

from chassis import telemetry
from chassis.db import DriverUUID
from chassis.going import going
from sla_clock.calendar import MICROS
from sla_clock.redisnodes import AWAY, SECONDS, ask, client, or_raise
from sla_clock.timerscripts import SCRIPTS

__all__ = ["AWAY", "SHARDS", "Claim", "Lane", "Timers", "Wake"]

log = telemetry.logger(__name__)

SHARDS = 16
"""Fixed at install: another number would leave timers in sets that nobody looks at."""

_CHANNEL = "sla:sooner"
# Every process looks again by itself within this time, so later timers need not be told to others.
_NEAR_SECONDS = 10.0
_FAR = 1 << 62
_SCANNED = 500
_WAKE = Struct(">16sQQ")
# Timers of one script call, in bytes: a server that runs a script does nothing else.
_PACKED = 350 * _WAKE.size
_LISTEN_AGAIN_SECONDS = 1.0


class Wake(NamedTuple):
    """When a ticket is to be looked at next (microseconds; None: never), by which revision of its row."""

    ticket_id: UUID
    revision: int
    at: int | None

    def packed(self) -> bytes:
        """For a script. Rounded up: a timer that rings a moment late is right, one early is not."""
        at = 0 if self.at is None else max(1, -(-self.at // 1000))
        return _WAKE.pack(self.ticket_id.bytes, self.revision, at)


@dataclass(frozen=True, slots=True)
class Claim:
    """Timers of one shard that this worker may fire until the lease ends; `now` by the server's clock.

    Beyond `horizon` there may be marks of tickets that were not claimed: they come first.
    """

    shard: int
    lease: bytes
    now: int
    horizon: int
    tickets: tuple[UUID, ...]


def shard_of(ticket_id: UUID) -> int:
    """The shard of a ticket: the last byte of a UUID is random."""
    return ticket_id.bytes[-1] % SHARDS


class Timers:
    """The index, at redis://, or in a cluster at redis+cluster://. Methods raise AWAY while it is away."""

    def __init__(self, url: str, *, lease_seconds: float) -> None:
        self._redis = client(url)
        self._lease_ms = int(lease_seconds * 1000)
        self.filling = True
        self._shas: dict[str, str] = {}
        self._lanes: list[Lane] = []

    async def __aenter__(self) -> Timers:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._redis.aclose()

    def lane(self, number: int = 0, of: int = 1, *, poll_seconds: float = 1.0) -> Lane:
        """One of so many lanes: what claims and fires the timers of its part of the shards."""
        lane = Lane(self, range(number, SHARDS, of), self._lease_ms, poll_seconds)
        self._lanes.append(lane)
        return lane

    async def apply(self, wakes: Iterable[Wake]) -> None:
        """Set, move or remove timers; older revisions than the known ones change nothing."""
        wakes = tuple(wakes)
        nows = or_raise(await self.run("apply", _calls(wakes)))
        await self._tell(wakes, max(map(int, nows), default=0))

    async def repair(self, wakes: Sequence[Wake]) -> tuple[int, int]:
        """Set timers that are missing or stand where they should not; returns how many of each."""
        found = or_raise(await self.run("repair", _calls(wakes)))
        await self._tell(wakes, max((one[2] for one in found), default=0))
        return sum(one[0] for one in found), sum(one[1] for one in found)

    async def _tell(self, wakes: Sequence[Wake], now: int) -> None:
        """Wake who rests beyond the first of these, here and in other processes."""
        first = _FAR
        for wake in wakes:
            if wake.at is not None:
                first = min(first, wake.at)
                self._sooner(wake.at, shard_of(wake.ticket_id))
        if first < now * 1000 + _NEAR_SECONDS * MICROS:
            async with asyncio.timeout(SECONDS):
                await self._redis.publish(_CHANNEL, str(first))

    def _sooner(self, at: int, shard: int | None = None) -> None:
        for lane in self._lanes:
            if shard is None or shard in lane.shards:
                lane.sooner(at, shard)

    async def listen(self) -> None:
        """Hear of timers that other processes set, for ever."""
        while going():
            try:
                await self._listen()
            except AWAY as error:
                log.warning("not listening for timers", error=type(error).__name__)
                await asyncio.sleep(_LISTEN_AGAIN_SECONDS)

    async def _listen(self) -> None:
        # A subscription does not ask a cluster for its nodes by itself.
        async with asyncio.timeout(SECONDS):
            await self._redis.initialize()
        async with self._redis.pubsub() as heard:
            await heard.subscribe(_CHANNEL)
            async for message in heard.listen():
                if message["type"] == "message":
                    self._sooner(int(message["data"]))

    async def scan(self, shard: int) -> AsyncIterator[list[UUID]]:
        """All tickets that have a timer in the shard, page by page; one may come twice."""
        cursor = 0
        while going():
            async with asyncio.timeout(SECONDS):
                answer: Any = await self._redis.zscan(_due(shard), cursor, count=_SCANNED)
            cursor, found = answer
            if found:
                yield [UUID(bytes=one) for one, _ in found]
            if not cursor:
                return

    async def remove(self, shard: int, tickets: Sequence[UUID]) -> None:
        """Take timers away that belong to nothing."""
        if tickets:
            members = [one.bytes for one in tickets]
            or_raise(
                await ask(self._redis, [("ZREM", _due(shard), *members), ("HDEL", _rev(shard), *members)])
            )

    async def armed(self) -> int:
        """How many timers there are."""
        return sum(or_raise(await ask(self._redis, [("ZCARD", _due(shard)) for shard in range(SHARDS)])))

    async def known(self) -> bool:
        """Whether this index was filled; False after a flush, on another server or with a node lost."""
        asked = [("HEXISTS", _rev(shard), "epoch") for shard in range(SHARDS)]
        return all(or_raise(await ask(self._redis, asked)))

    async def filled(self) -> bool:
        """Whether this process has seen the index filled since it started, or since it was lost."""
        return not self.filling

    async def note_filling(self) -> None:
        """Note that the index is being filled."""
        or_raise(await ask(self._redis, [("HSET", _rev(shard), "epoch", 1) for shard in range(SHARDS)]))

    async def run(self, name: str, calls: Sequence[tuple[int, list[Any]]]) -> list[Any]:
        """Run a script on many shards in one round trip; the answer, or error, of each call."""
        if not calls:
            return []
        if name not in self._shas:
            await self._load()
        packs = list(self._packs(calls))
        answers = await self._run(name, packs)
        forgotten = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if forgotten:
            # By a restarted server; the other nodes of a cluster have done their part, which is not lost.
            await self._load()
            again = await self._run(name, [packs[place] for place in forgotten])
            answers = [again.pop(0) if place in forgotten else one for place, one in enumerate(answers)]
        return [
            one
            for pack, answer in zip(packs, answers, strict=True)
            for one in ([answer] * len(pack) if isinstance(answer, Exception) else answer)
        ]

    async def _load(self) -> None:
        for name, source in SCRIPTS.items():
            async with asyncio.timeout(SECONDS):
                self._shas[name] = await self._redis.script_load(source)

    async def _run(self, name: str, packs: Iterable[Sequence[tuple[int, list[Any]]]]) -> list[Any]:
        sha, commands = self._shas[name], []
        for pack in packs:
            keys = [key for shard, _ in pack for key in (_due(shard), _rev(shard))]
            args = [each for _, given in pack for each in (len(given), *given)]
            commands.append(("EVALSHA", sha, len(keys), *keys, *args))
        return await ask(self._redis, commands)

    def _packs(self, calls: Sequence[tuple[int, list[Any]]]) -> Iterable[Sequence[tuple[int, list[Any]]]]:
        """Calls that go together: each alone in a cluster, else so many that the server is not held up."""
        pack: list[tuple[int, list[Any]]] = []
        size = 0
        for call in calls:
            if pack and (isinstance(self._redis, redis.RedisCluster) or size + len(call[1][-1]) > _PACKED):
                yield pack
                pack, size = [], 0
            pack.append(call)
            size += len(call[1][-1])
        yield pack


class Lane:
    """Claims and settles the timers of some shards, and sleeps until the next of them rings.

    It knows when the first timer of each shard rings and looks no sooner; at all of them once a poll, for
    what it was not told. Instants are microseconds by the server's clock.
    """

    def __init__(self, timers: Timers, shards: Sequence[int], lease_ms: int, poll_seconds: float) -> None:
        self.shards = shards
        self._timers = timers
        self._lease_ms = lease_ms
        self._poll_seconds = poll_seconds
        self._heads = dict.fromkeys(shards, 0)
        self._looks_at_all = 0.0
        self._behind = 0
        self._rests_until = _FAR
        self._failure: Exception | None = None
        # Leases by shard that are being given back; what is not answered goes with the next turn.
        self._owed: dict[int, bytes] = {}
        self._news = asyncio.Event()

    async def claim(self, limit: int) -> list[Claim]:
        """Lease what is due, at most `limit` a shard, in the shards that nobody else is firing.

        When only a part of a cluster answers, it is the next call that raises AWAY.
        """
        return (await self.turn((), (), limit))[1]

    async def settle(self, claims: Sequence[Claim], wakes: Sequence[Wake]) -> int:
        """Put claimed timers where they belong next unless a newer revision did; how many were put.

        Others may claim from these shards again.
        """
        return (await self.turn(claims, wakes, 0))[0]

    async def turn(
        self, claims: Sequence[Claim], wakes: Sequence[Wake], limit: int
    ) -> tuple[int, list[Claim]]:
        """Settle and claim in one round trip."""
        if not claims:
            self._fail()
        if self._failure is not None:
            # A part is away: what is held is given back, and then told.
            limit = 0
        self._rests_until = _FAR
        self._news.clear()
        given = _by_shard(wakes)
        owed = self._owed
        owed.update((claim.shard, claim.lease) for claim in claims)
        shards = [*owed, *(shard for shard in self._due_shards(limit) if shard not in owed)]
        for shard in shards:
            # What is set from here on, perhaps behind the look, is told and lowers this again.
            self._heads[shard] = _FAR
        calls = [(one, [limit, self._lease_ms, owed.get(one, b""), given.get(one, b"")]) for one in shards]
        try:
            replies = await self._timers.run("turn", calls)
        except BaseException:
            self.sooner(0)
            raise
        settled = 0
        claimed: list[Claim] = []
        for shard, reply in zip(shards, replies, strict=True):
            if isinstance(reply, Exception):
                self._failure = reply
                self.sooner(0, shard)
            else:
                owed.pop(shard, None)
                put, found = self._taken(shard, *reply)
                settled, claimed = settled + put, claimed + found
        if not claimed:
            self._fail()
        return settled, claimed

    def _taken(self, shard: int, put: int, now: bytes, head: bytes, *claim: Any) -> tuple[int, list[Claim]]:
        self._behind = int(now) - _monotonic()
        self._lower(int(head), shard)
        if not claim:
            return put, []
        lease, horizon, ids = claim
        return put, [Claim(shard, lease, int(now), int(horizon), tuple(map(DriverUUID, ids)))]

    def _fail(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _due_shards(self, limit: int) -> Sequence[int]:
        if not limit:
            return ()
        if time.monotonic() >= self._looks_at_all:
            self._looks_at_all = time.monotonic() + self._poll_seconds
            return self.shards
        now = _monotonic() + self._behind
        return [shard for shard in self.shards if self._heads[shard] <= now]

    async def rest(self) -> None:
        """Sleep until the next timer rings, one is set that rings sooner, or it is time to look at all."""
        self._rests_until = min(self._heads.values())
        seconds = (self._rests_until - self._behind - _monotonic()) / MICROS
        seconds = min(seconds, self._looks_at_all - time.monotonic())
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._news.wait()
        except TimeoutError:
            pass

    def sooner(self, at: int, shard: int | None = None) -> None:
        """A timer was set that rings at that instant; in which shard, if that is known."""
        for each in self.shards if shard is None else (shard,):
            self._lower(at, each)
        if at < self._rests_until:
            self._news.set()

    def _lower(self, at: int, shard: int) -> None:
        if at < self._heads.get(shard, 0):
            self._heads[shard] = at


def _monotonic() -> int:
    return time.monotonic_ns() // 1000


def _by_shard(wakes: Iterable[Wake]) -> dict[int, bytes]:
    shards: dict[int, list[bytes]] = {}
    for wake in wakes:
        shards.setdefault(shard_of(wake.ticket_id), []).append(wake.packed())
    return {shard: b"".join(packed) for shard, packed in shards.items()}


def _calls(wakes: Iterable[Wake]) -> list[tuple[int, list[Any]]]:
    return [(shard, [packed]) for shard, packed in _by_shard(wakes).items()]


def _due(shard: int) -> str:
    return f"{{sla:{shard:02}}}:due"


def _rev(shard: int) -> str:
    return f"{{sla:{shard:02}}}:rev"
