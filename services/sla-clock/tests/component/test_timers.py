"""The index over Redis by itself: claims, leases, revisions, repairs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from chassis.clock import utcnow, uuid7
from sla_clock.calendar import MICROS, micros
from sla_clock.timers import Claim, Timers, Wake, shard_of


def now() -> int:
    return micros(utcnow())


@pytest.fixture
async def timers(valkey_url: str) -> AsyncIterator[Timers]:
    async with Timers(valkey_url, lease_seconds=30) as opened:
        yield opened


def tickets_of(claims: list[Claim]) -> set[UUID]:
    return {one for claim in claims for one in claim.tickets}


async def test_what_is_due_is_claimed_once_and_what_is_not_tells_how_long_to_sleep(timers: Timers) -> None:
    due, ahead = uuid7(), uuid7()
    await timers.apply([Wake(due, 1, now() - 5), Wake(ahead, 1, now() + 60 * MICROS)])
    claims, _ = await timers.claim(10)
    assert tickets_of(claims) == {due}
    again, wait = await timers.claim(10)
    assert again == []
    assert 25 < wait <= 30


async def test_a_timer_never_rings_before_its_instant_by_the_servers_clock(timers: Timers) -> None:
    ticket = uuid7()
    at = now() + MICROS // 20 + 1
    await timers.apply([Wake(ticket, 1, at)])
    claims, wait = await timers.claim(10)
    while not claims:
        await timers.rest(wait, at)
        claims, wait = await timers.claim(10)
    assert claims[0].now >= at


async def test_an_older_revision_changes_nothing(timers: Timers) -> None:
    ticket = uuid7()
    await timers.apply([Wake(ticket, 3, now() + 60 * MICROS)])
    await timers.apply([Wake(ticket, 2, now() - MICROS)])
    await timers.apply([Wake(ticket, 3, None)])
    claims, wait = await timers.claim(10)
    assert claims == []
    assert wait == pytest.approx(60, abs=1)
    await timers.apply([Wake(ticket, 4, None)])
    assert await timers.armed() == 0


async def test_a_settle_is_refused_when_the_timer_was_moved_meanwhile(timers: Timers) -> None:
    """faults 33: a pause that overtakes a firing keeps its word."""
    ticket = uuid7()
    await timers.apply([Wake(ticket, 1, now() - 5)])
    claims, _ = await timers.claim(10)
    await timers.apply([Wake(ticket, 2, now() + 60 * MICROS)])
    assert await timers.settle(claims, [Wake(ticket, 2, None)]) == 0
    assert await timers.armed() == 1


async def test_a_lease_that_ran_out_is_claimed_by_another_and_the_first_cannot_settle(
    valkey_url: str,
) -> None:
    ticket = uuid7()
    async with Timers(valkey_url, lease_seconds=0.05) as one, Timers(valkey_url, lease_seconds=30) as two:
        await one.apply([Wake(ticket, 1, now() - 5)])
        first, _ = await one.claim(10)
        second, wait = await two.claim(10)
        while not second:
            await two.rest(wait, now())
            second, wait = await two.claim(10)
        assert await one.settle(first, [Wake(ticket, 1, None)]) == 0
        assert await two.settle(second, [Wake(ticket, 1, None)]) == 1
        assert await one.armed() == 0


async def test_two_claims_at_once_never_share_a_timer(timers: Timers) -> None:
    waiting = {uuid7() for _ in range(500)}
    await timers.apply([Wake(one, 1, now() - 5) for one in waiting])
    found: list[UUID] = []
    for claims, _ in await asyncio.gather(*(timers.claim(3) for _ in range(8))):
        found += [ticket for claim in claims for ticket in claim.tickets]
    assert len(found) == len(set(found))
    assert set(found) <= waiting


async def test_a_sooner_timer_ends_the_rest(timers: Timers) -> None:
    _, wait = await timers.claim(10)
    assert wait == float("inf")
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.TaskGroup() as group:
        group.create_task(timers.rest(10, now() + 10 * MICROS))
        group.create_task(timers.apply([Wake(uuid7(), 1, now() + MICROS)]))
    assert loop.time() - started < 5


async def test_repair_sets_what_is_missing_or_moved_and_leaves_leases_alone(timers: Timers) -> None:
    missing, moved, leased, newer = (uuid7() for _ in range(4))
    at = now() + 60 * MICROS
    await timers.apply([Wake(moved, 1, at), Wake(leased, 1, now() - 5), Wake(newer, 9, at - 5 * MICROS)])
    await timers.claim(10)
    wanted = [
        Wake(missing, 1, at),
        Wake(moved, 2, at + MICROS),
        Wake(leased, 1, now() - 5),
        Wake(newer, 8, at),
    ]
    assert await timers.repair(wanted) == (1, 1)
    assert await timers.repair(wanted) == (0, 0)
    claims, _ = await timers.claim(10)
    assert claims == []


async def test_a_server_that_lost_everything_is_noticed_and_serves_on(timers: Timers) -> None:
    ticket = uuid7()
    assert not await timers.known()
    await timers.note_filling()
    await timers.apply([Wake(ticket, 1, now())])
    await timers._redis.flushall()
    await timers._redis.script_flush()
    assert not await timers.known()
    await timers.apply([Wake(ticket, 1, now() - 1)])
    assert await timers.scan(shard_of(ticket)) == [ticket]
    await timers.remove(shard_of(ticket), [ticket])
    assert await timers.armed() == 0
