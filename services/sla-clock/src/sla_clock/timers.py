"""The timers: an index over Redis sorted sets that may be lost at any time and is rebuilt from the database.

One member per ticket (its 16 bytes), scored with the millisecond of its next mark, in one of 64 sets whose
name carries the shard as hash tag. A hash beside each set holds the revision of the row that set the score,
so that writes that overtake each other do no harm. What is due is decided by the server's own clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import redis.asyncio as redis
from redis.exceptions import NoScriptError, RedisError

__all__ = ["SHARDS", "Claim", "RedisError", "Timers", "Wake"]

SHARDS = 64
"""Fixed at install: another number would leave timers in sets that nobody looks at."""

_APPLY = """
local changed = 0
for i = 1, #ARGV, 3 do
  local id, revision, score = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local known = tonumber(redis.call('HGET', KEYS[2], id) or '-1')
  if revision > known then
    if score == '' then
      redis.call('ZREM', KEYS[1], id)
      redis.call('HDEL', KEYS[2], id)
    else
      redis.call('ZADD', KEYS[1], score, id)
      redis.call('HSET', KEYS[2], id, revision)
    end
    changed = changed + 1
  end
end
return changed
"""

# A lease is the claim's instant plus the lease time, with a fraction of a millisecond that no other
# claim of that millisecond has: the score itself is the fencing token.
_CLAIM = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
if #ids == 0 then
  local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  return {tostring(now), head[2] or '', ids}
end
local serial = redis.call('HINCRBY', KEYS[2], 'serial', 1) % 1024
local lease = string.format('%.17g', now + ARGV[2] + serial / 1024)
for _, id in ipairs(ids) do
  redis.call('ZADD', KEYS[1], 'XX', lease, id)
end
return {string.format('%.0f', time[1] * 1000000 + time[2]), lease, ids}
"""

_SETTLE = """
local settled = 0
local lease = tonumber(ARGV[1])
for i = 2, #ARGV, 3 do
  local id, revision, score = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if tonumber(redis.call('ZSCORE', KEYS[1], id) or '-1') == lease then
    if score == '' then
      redis.call('ZREM', KEYS[1], id)
      redis.call('HDEL', KEYS[2], id)
    else
      redis.call('ZADD', KEYS[1], score, id)
      redis.call('HSET', KEYS[2], id, revision)
    end
    settled = settled + 1
  end
end
return settled
"""

# Returns how many were missing and how many stood elsewhere. A score beyond the one wanted, of the same
# revision, is a lease: somebody is at work, or died and will be followed when it ends.
_REPAIR = """
local missing, moved = 0, 0
for i = 1, #ARGV, 3 do
  local id, revision, score = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local found = redis.call('ZSCORE', KEYS[1], id)
  local known = tonumber(redis.call('HGET', KEYS[2], id) or '-1')
  if not found then
    missing = missing + 1
  elseif revision > known or (revision == known and tonumber(found) < tonumber(score)) then
    moved = moved + 1
  else
    score = nil
  end
  if score then
    redis.call('ZADD', KEYS[1], score, id)
    redis.call('HSET', KEYS[2], id, revision)
  end
end
return {missing, moved}
"""

_SOURCES = {"apply": _APPLY, "claim": _CLAIM, "settle": _SETTLE, "repair": _REPAIR}
_EPOCH = "{sla}:epoch"
_FAR = 1 << 62
_SECONDS = 2.0
_SCAN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Wake:
    """When a ticket is to be looked at next (microseconds; None: never), by which revision of its row."""

    ticket_id: UUID
    revision: int
    at: int | None

    def args(self) -> tuple[bytes, int, str]:
        """For a script. Rounded up: a timer that rings a moment late is right, one early is not."""
        return self.ticket_id.bytes, self.revision, "" if self.at is None else str(-(-self.at // 1000))


@dataclass(frozen=True, slots=True)
class Claim:
    """Timers of one shard that this worker may fire until the lease ends; `now` by the server's clock."""

    shard: int
    lease: bytes
    now: int
    tickets: tuple[UUID, ...]


def shard_of(ticket_id: UUID) -> int:
    """The shard of a ticket: the last byte of a UUID is random."""
    return ticket_id.bytes[-1] % SHARDS


class Timers:
    """The index. Methods raise RedisError or TimeoutError while Redis is away; nothing is lost by that."""

    def __init__(self, url: str, *, lease_seconds: float) -> None:
        # Deadlines are set here, not by the client: before Python 3.12 its way of timing a write can
        # swallow a cancellation.
        self._redis = redis.Redis.from_url(url, socket_timeout=None, socket_connect_timeout=1.0)
        self._lease_ms = int(lease_seconds * 1000)
        self._shas: dict[str, str] = {}
        self._sooner = asyncio.Event()
        self._rests_until = _FAR

    async def __aenter__(self) -> Timers:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._redis.aclose()

    async def apply(self, wakes: Iterable[Wake]) -> None:
        """Set, move or remove timers; older revisions than the known ones change nothing."""
        wakes = tuple(wakes)
        await self._scripts("apply", [(shard, args) for shard, args in _by_shard(wakes).items()])
        if any(wake.at is not None and wake.at < self._rests_until for wake in wakes):
            self._sooner.set()

    async def claim(self, limit: int) -> tuple[list[Claim], float]:
        """Lease what is due, at most `limit` a shard; with the seconds until the next timer (inf: none)."""
        # From here on every timer that is set ends the next rest: it may have been set behind the look.
        self._sooner.clear()
        self._rests_until = _FAR
        calls: list[tuple[int, list[Any]]] = [(shard, [limit, self._lease_ms]) for shard in range(SHARDS)]
        claims, wait = [], float("inf")
        for (shard, _), (now, second, ids) in zip(calls, await self._scripts("claim", calls), strict=True):
            if ids:
                claims.append(Claim(shard, second, int(now), tuple(UUID(bytes=one) for one in ids)))
            elif second:
                wait = min(wait, (float(second) - float(now)) / 1000)
        return claims, wait

    async def settle(self, claims: Sequence[Claim], wakes: Sequence[Wake]) -> int:
        """Put claimed timers where they belong next, unless they were moved or taken over; how many."""
        by_shard = _by_shard(wakes)
        calls = [(claim.shard, [claim.lease, *by_shard.get(claim.shard, [])]) for claim in claims]
        return sum(await self._scripts("settle", calls))

    async def repair(self, wakes: Sequence[Wake]) -> tuple[int, int]:
        """Set timers that are missing or stand where they should not; returns how many of each."""
        calls = list(_by_shard(wakes).items())
        found = await self._scripts("repair", calls)
        return sum(one[0] for one in found), sum(one[1] for one in found)

    async def scan(self, shard: int) -> list[UUID]:
        """All tickets that have a timer in the shard."""
        async with asyncio.timeout(_SCAN_SECONDS):
            return [UUID(bytes=one) async for one, _ in self._redis.zscan_iter(_due(shard), count=1000)]

    async def remove(self, shard: int, tickets: Sequence[UUID]) -> None:
        """Take timers away that belong to nothing."""
        if tickets:
            members = [one.bytes for one in tickets]
            pipe = self._redis.pipeline(transaction=False)
            pipe.zrem(_due(shard), *members)
            pipe.hdel(_rev(shard), *members)
            await self._execute(pipe)

    async def armed(self) -> int:
        """How many timers there are."""
        pipe = self._redis.pipeline(transaction=False)
        for shard in range(SHARDS):
            pipe.zcard(_due(shard))
        return sum(await self._execute(pipe))

    async def known(self) -> bool:
        """Whether this index was filled; False after a flush or on another server."""
        async with asyncio.timeout(_SECONDS):
            return bool(await self._redis.exists(_EPOCH))

    async def note_filling(self) -> None:
        """Note that the index is being filled."""
        async with asyncio.timeout(_SECONDS):
            await self._redis.set(_EPOCH, b"1")

    async def rest(self, seconds: float, until: int) -> None:
        """Sleep, unless a timer that rings before `until` (microseconds) is set meanwhile by this process."""
        self._rests_until = until
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._sooner.wait()
        except TimeoutError:
            pass

    async def _scripts(self, name: str, calls: Sequence[tuple[int, list[Any]]]) -> list[Any]:
        """Run a script on many shards in one round trip."""
        if not calls:
            return []
        try:
            return await self._send(name, calls)
        except (NoScriptError, KeyError):
            # A restarted server has forgotten them.
            for one, source in _SOURCES.items():
                async with asyncio.timeout(_SECONDS):
                    self._shas[one] = await self._redis.script_load(source)
            return await self._send(name, calls)

    async def _send(self, name: str, calls: Sequence[tuple[int, list[Any]]]) -> list[Any]:
        sha = self._shas[name]
        pipe = self._redis.pipeline(transaction=False)
        for shard, args in calls:
            pipe.evalsha(sha, 2, _due(shard), _rev(shard), *args)
        return await self._execute(pipe)

    async def _execute(self, pipe: Any) -> list[Any]:
        async with asyncio.timeout(_SECONDS):
            return list(await pipe.execute())


def _by_shard(wakes: Iterable[Wake]) -> dict[int, list[Any]]:
    shards: dict[int, list[Any]] = {}
    for wake in wakes:
        shards.setdefault(shard_of(wake.ticket_id), []).extend(wake.args())
    return shards


def _due(shard: int) -> str:
    return f"{{sla:{shard:02}}}:due"


def _rev(shard: int) -> str:
    return f"{{sla:{shard:02}}}:rev"
