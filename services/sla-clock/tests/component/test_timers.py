"""The index over Redis by itself: claims, leases, revisions, repairs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest

from chassis.clock import utcnow, uuid7
from chassis.testing import eventually
from sla_clock.calendar import MICROS, micros
from sla_clock.timers import SHARDS, Claim, Lane, Timers, Wake, shard_of

from .cluster import Cluster


def now() -> int:
    return micros(utcnow())


@pytest.fixture(params=["valkey_url", "redis_url", "valkey_cluster", "redis_cluster"])
def index_url(request: pytest.FixtureRequest) -> str:
    """Every test here is run on both servers, and on a cluster of three nodes of each."""
    index = request.getfixturevalue(request.param)
    return index.url if isinstance(index, Cluster) else str(index)


@pytest.fixture
async def timers(index_url: str) -> AsyncIterator[Timers]:
    async with Timers(index_url, lease_seconds=30) as opened:
        yield opened


@pytest.fixture
def lane(timers: Timers) -> Lane:
    return timers.lane(poll_seconds=60)


def tickets_of(claims: list[Claim]) -> set[UUID]:
    return {one for claim in claims for one in claim.tickets}


async def test_what_is_due_is_claimed_once(timers: Timers, lane: Lane) -> None:
    due, ahead = uuid7(), uuid7()
    await timers.apply([Wake(due, 1, now() - 2000), Wake(ahead, 1, now() + 60 * MICROS)])
    assert tickets_of(await lane.claim(10)) == {due}
    assert await lane.claim(10) == []
    assert await timers.lane().claim(10) == []


async def test_a_timer_never_rings_before_its_instant_by_the_servers_clock(
    timers: Timers, lane: Lane
) -> None:
    ticket = uuid7()
    at = now() + MICROS // 20 + 1
    await timers.apply([Wake(ticket, 1, at)])
    claims = await waited(lane)
    assert claims[0].now >= at


async def waited(lane: Lane) -> list[Claim]:
    """What the lane claims once it believes something to be due, which is as late as its last answer was."""
    claims = await lane.claim(10)
    while not claims:
        await lane.rest()
        claims = await lane.claim(10)
    return claims


async def test_an_older_revision_changes_nothing(timers: Timers, lane: Lane) -> None:
    ticket = uuid7()
    await timers.apply([Wake(ticket, 3, now() + 60 * MICROS)])
    await timers.apply([Wake(ticket, 2, now() - MICROS)])
    await timers.apply([Wake(ticket, 3, None)])
    assert await lane.claim(10) == []
    assert await timers.armed() == 1
    await timers.apply([Wake(ticket, 4, None)])
    assert await timers.armed() == 0


async def test_a_settle_is_refused_when_the_timer_was_moved_meanwhile(timers: Timers, lane: Lane) -> None:
    """faults 33: a pause that overtakes a firing keeps its word."""
    ticket = uuid7()
    await timers.apply([Wake(ticket, 1, now() - 2000)])
    claims = await lane.claim(10)
    await timers.apply([Wake(ticket, 3, now() + 60 * MICROS)])
    assert await lane.settle(claims, [Wake(ticket, 2, None)]) == 0
    assert await timers.armed() == 1


async def test_what_was_not_due_after_all_is_set_where_it_belongs(timers: Timers, lane: Lane) -> None:
    """The index had it too early: the row's revision is the same."""
    ticket = uuid7()
    await timers.apply([Wake(ticket, 1, now() - 2000)])
    claims = await lane.claim(10)
    assert await lane.settle(claims, [Wake(ticket, 1, now() + 60 * MICROS)]) == 1
    assert await lane.claim(10) == []
    assert await timers.armed() == 1


async def test_a_timer_of_no_ticket_is_taken_away_by_who_fires_its_shard(timers: Timers, lane: Lane) -> None:
    ticket, gone = uuid7(), Wake(uuid7(), 0, None)._replace
    await timers.apply([Wake(ticket, 5, now() - 2000)])
    assert await lane.settle([], [gone(ticket_id=ticket)]) == 0
    _, claims = await lane.turn(await lane.claim(10), [gone(ticket_id=ticket)], 10)
    assert await lane.settle(claims, [gone(ticket_id=ticket)]) == 1
    assert await timers.armed() == 0


async def test_a_row_that_was_restored_to_an_older_revision_starves_nobody(
    timers: Timers, lane: Lane
) -> None:
    """faults 25: PostgreSQL lost its tail, the index did not."""
    restored, behind = UUID(int=SHARDS), UUID(int=2 * SHARDS)
    await timers.apply([Wake(restored, 9, now() - 9000), Wake(behind, 1, now() - 2000)])
    later = Wake(restored, 6, now() + 60 * MICROS)
    _, claims = await lane.turn(await lane.claim(1), [later], 1)
    assert tickets_of(claims) == {restored}, "asked once more"
    _, claims = await lane.turn(claims, [later], 1)
    assert tickets_of(claims) == {behind}
    assert await timers.repair([Wake(restored, 6, now() + 30 * MICROS)]) == (0, 1), "it rings too late"


async def test_a_settle_does_not_take_away_a_timer_that_was_set_meanwhile(timers: Timers, lane: Lane) -> None:
    """A ticket whose row was not there yet when it was read."""
    ticket = uuid7()
    await timers.apply([Wake(ticket, 9, now() - 2000)])
    claims = await lane.claim(10)
    await timers.apply([Wake(ticket, 10, now() + 60 * MICROS)])
    assert await lane.settle(claims, [Wake(ticket, 0, None)]) == 0
    assert await timers.armed() == 1


async def test_a_timer_before_1970_rings_at_once(timers: Timers, lane: Lane) -> None:
    tickets = {uuid7(), uuid7()}
    await timers.apply([Wake(one, 1, at) for one, at in zip(tickets, (-500, -5 * MICROS), strict=True)])
    assert tickets_of(await lane.claim(10)) == tickets


async def test_a_shard_that_could_not_be_given_back_is_given_back_by_the_next_turn(
    timers: Timers, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = uuid7()
    await timers.apply([Wake(ticket, 1, now() - 2000)])
    claims = await lane.claim(10)
    run = timers.run

    async def away(*_: object) -> list[Any]:
        raise ConnectionError

    monkeypatch.setattr(timers, "run", away)
    with pytest.raises(ConnectionError):
        await lane.turn(claims, [], 10)
    monkeypatch.setattr(timers, "run", run)
    assert tickets_of(await lane.claim(10)) == {ticket}


async def test_a_part_that_is_away_is_told_though_the_rest_is_always_due(
    timers: Timers, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """faults 8: of a cluster a node is away, and the database is asked for its marks."""
    await timers.apply([Wake(UUID(int=SHARDS), 1, now() - 2000)])
    run = timers.run

    async def partly(name: str, calls: Sequence[tuple[int, list[Any]]]) -> list[Any]:
        answers = await run(name, calls)
        return [ConnectionError() if call[0] == 1 else one for call, one in zip(calls, answers, strict=True)]

    monkeypatch.setattr(timers, "run", partly)
    claims = await lane.claim(10)
    assert [claim.shard for claim in claims] == [0]
    with pytest.raises(ConnectionError):
        await lane.turn(claims, [], 10)
    assert tickets_of(await lane.claim(10)) == {UUID(int=SHARDS)}, "it was given back"


async def test_one_turn_gives_back_and_claims_what_fell_due_meanwhile(timers: Timers, lane: Lane) -> None:
    first, second = UUID(int=SHARDS), UUID(int=2 * SHARDS)
    await timers.apply([Wake(first, 1, now() - 2000)])
    claims = await lane.claim(10)
    await timers.apply([Wake(second, 1, now() - 2000)])
    assert await timers.lane().claim(10) == [], "somebody fires the shard"
    settled, following = await lane.turn(claims, [Wake(first, 2, None)], 10)
    assert settled == 1
    assert tickets_of(following) == {second}
    assert await timers.lane().claim(10) == []
    assert await lane.turn(following, [Wake(second, 2, None)], 10) == (1, [])
    assert await timers.armed() == 0


async def test_a_lease_that_ran_out_is_claimed_by_another_and_the_first_cannot_settle(
    index_url: str,
) -> None:
    ticket = uuid7()
    async with Timers(index_url, lease_seconds=0.05) as one, Timers(index_url, lease_seconds=30) as two:
        dead, alive = one.lane(), two.lane()
        await one.apply([Wake(ticket, 1, now() - 2000)])
        first = await dead.claim(10)
        second = await waited(alive)
        assert tickets_of(second) == {ticket}
        assert await dead.settle(first, []) == 0
        assert await one.lane().claim(10) == [], "what another holds is not given back"
        assert await alive.settle(second, [Wake(ticket, 2, now() + 60 * MICROS)]) == 1
        assert await dead.settle(first, [Wake(ticket, 1, None)]) == 0
        assert await one.armed() == 1


async def test_two_claims_at_once_never_share_a_timer(timers: Timers) -> None:
    waiting = {uuid7() for _ in range(500)}
    await timers.apply([Wake(one, 1, now() - 2000) for one in waiting])
    found: list[UUID] = []
    for claims in await asyncio.gather(*(timers.lane().claim(3) for _ in range(8))):
        found += [ticket for claim in claims for ticket in claim.tickets]
    assert len(found) == len(set(found)) > 0
    assert set(found) <= waiting


async def test_a_shard_that_somebody_fires_is_claimed_by_nobody_else_so_that_its_order_is_kept(
    timers: Timers,
) -> None:
    first, second = UUID(int=64), UUID(int=128)
    at = now() - 10 * MICROS
    await timers.apply([Wake(first, 1, at), Wake(second, 1, at + MICROS)])
    one, two = timers.lane(), timers.lane()
    claims = await one.claim(1)
    assert tickets_of(claims) == {first}
    assert at <= claims[0].horizon < at + MICROS
    assert await two.claim(1) == []
    assert await one.settle(claims, [Wake(first, 1, None)]) == 1
    two.sooner(0)
    claims = await two.claim(2)
    assert tickets_of(claims) == {second}
    assert claims[0].horizon >= at + 9 * MICROS


async def test_a_lane_looks_only_at_shards_whose_first_timer_rings(
    timers: Timers, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = timers.lane(poll_seconds=60)
    near, far = UUID(int=1), UUID(int=2)
    await lane.claim(10)
    await timers.apply([Wake(near, 1, now() - 2000), Wake(far, 1, now() + 60 * MICROS)])
    asked: list[int] = []
    run = timers.run

    async def counted(name: str, calls: Sequence[tuple[int, list[Any]]]) -> list[Any]:
        asked.extend(shard for shard, _ in calls)
        return await run(name, calls)

    monkeypatch.setattr(timers, "run", counted)
    assert tickets_of(await waited(lane)) == {near}
    assert asked == [1]


async def test_a_sooner_timer_ends_the_rest(timers: Timers) -> None:
    lane = timers.lane(poll_seconds=60)
    assert await lane.claim(10) == []
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(lane.rest())
        group.create_task(timers.apply([Wake(uuid7(), 1, now() - 2000)]))


async def test_a_sooner_timer_that_another_process_sets_ends_the_rest(timers: Timers, index_url: str) -> None:
    lane = timers.lane(poll_seconds=60)
    ticket = uuid7()
    async with Timers(index_url, lease_seconds=30) as other:
        listening = asyncio.create_task(timers.listen())  # noqa: TID251 - a process' loop
        await eventually(lambda: _listeners(other))
        assert await lane.claim(10) == []
        await other.apply([Wake(ticket, 1, now() - 2000)])
        async with asyncio.timeout(5):
            await lane.rest()
        assert tickets_of(await waited(lane)) == {ticket}
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _listeners(timers: Timers) -> bool:
    return (await timers._redis.pubsub_numsub("sla:sooner"))[0][1] == 1


async def test_repair_sets_what_is_missing_or_moved_and_leaves_leases_alone(
    timers: Timers, lane: Lane
) -> None:
    missing, moved, leased, newer = (uuid7() for _ in range(4))
    at, past = now() + 60 * MICROS, now() - 2000
    await timers.apply([Wake(moved, 1, at), Wake(leased, 1, past), Wake(newer, 9, at - 5 * MICROS)])
    await lane.claim(10)
    wanted = [
        Wake(missing, 1, at),
        Wake(moved, 2, at + MICROS),
        Wake(leased, 1, past),
        Wake(newer, 8, at),
    ]
    assert await timers.repair(wanted) == (1, 1)
    assert await timers.repair(wanted) == (0, 0)
    assert await lane.claim(10) == []


async def test_a_server_that_lost_everything_is_noticed_and_serves_on(timers: Timers) -> None:
    ticket = uuid7()
    assert not await timers.known()
    await timers.note_filling()
    await timers.apply([Wake(ticket, 1, now())])
    assert await timers.known()
    await timers._redis.flushall()
    await timers._redis.script_flush()
    assert not await timers.known()
    await timers.apply([Wake(ticket, 1, now() - 2000)])
    assert [page async for page in timers.scan(shard_of(ticket))] == [[ticket]]
    await timers.remove(shard_of(ticket), [ticket])
    assert await timers.armed() == 0


async def test_one_lost_shard_is_noticed(timers: Timers) -> None:
    """In a cluster a node may come back empty while the others have kept theirs."""
    await timers.note_filling()
    await timers._redis.delete("{sla:07}:due", "{sla:07}:rev")
    assert not await timers.known()
