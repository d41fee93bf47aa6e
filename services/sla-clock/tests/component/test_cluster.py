"""The timers on three nodes, of which one goes away, comes back empty or has forgotten its scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import pytest

from chassis.clock import utcnow, uuid7
from chassis.recipes import VALKEY
from chassis.testing import eventually
from sla_clock.calendar import micros
from sla_clock.metrics import CLAIMED, INDEX_UP
from sla_clock.timers import AWAY, SHARDS, Timers, Wake
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import events_pb2 as sla

from .cluster import NODES, Cluster
from .desk import Case, Desk, a_desk, ago

CRITICAL = common.PRIORITY_CRITICAL


@pytest.fixture
async def breakable(tmp_server_folder: Path) -> AsyncIterator[Cluster]:
    """A cluster of this test's own."""
    cluster = await Cluster.start(VALKEY, tmp_server_folder)
    yield cluster
    cluster.kill()


@pytest.fixture
async def strict(tmp_server_folder: Path) -> AsyncIterator[Cluster]:
    """A cluster that soon takes a silent node for dead, and serves nothing then."""
    cluster = await Cluster.start(VALKEY, tmp_server_folder, timeout_seconds=1)
    yield cluster
    cluster.kill()


def one_a_shard() -> set[UUID]:
    """A ticket in every shard."""
    return {UUID(bytes=uuid7().bytes[:15] + bytes([shard])) for shard in range(SHARDS)}


async def armed(timers: Timers, tickets: set[UUID]) -> None:
    await timers.apply([Wake(one, 1, micros(utcnow()) - 2000) for one in tickets])


async def test_every_node_holds_its_part_of_the_shards(valkey_cluster: Cluster) -> None:
    async with Timers(valkey_cluster.url, lease_seconds=30) as timers:
        await armed(timers, one_a_shard())
    parts = [len(valkey_cluster.shards(number)) for number in range(NODES)]
    assert min(parts) > 0
    assert sum(parts) == SHARDS
    assert await valkey_cluster.each("DBSIZE") == [2 * part for part in parts]


async def test_a_node_that_forgot_the_scripts_costs_the_others_no_lease(valkey_cluster: Cluster) -> None:
    tickets = one_a_shard()
    async with Timers(valkey_cluster.url, lease_seconds=30) as timers:
        await armed(timers, tickets)
        await valkey_cluster.ask(1, "SCRIPT", "FLUSH")
        claims = await timers.lane().claim(10)
        assert {ticket for claim in claims for ticket in claim.tickets} == tickets


async def test_a_node_that_comes_back_empty_is_noticed_and_serves_on(breakable: Cluster) -> None:
    """While it is away a lane is given what the others hold, and told at its next look of the rest."""
    tickets = one_a_shard()
    lost = breakable.nodes[1]
    async with Timers(breakable.url, lease_seconds=30) as timers:
        await timers.note_filling()
        await armed(timers, tickets)
        lost.kill()
        lane = timers.lane()
        claims = await lane.claim(10)
        assert {claim.shard for claim in claims} == {*breakable.shards(0), *breakable.shards(2)}
        with pytest.raises(AWAY):
            await lane.claim(10)
        lost.start()
        await eventually(breakable.whole)
        await eventually(lambda: _answers(timers))
        assert not await timers.known()
        assert await timers.armed() == SHARDS - len(breakable.shards(1))


async def _answers(timers: Timers) -> bool:
    try:
        await timers.armed()
    except AWAY:
        return False
    return True


async def test_a_cluster_that_loses_a_node_and_its_timers_tells_every_mark_once(
    strict: Cluster, database: Callable[[str], str], nats_url: str, tmp_path: Path
) -> None:
    """faults 7, 8: what a cluster without replicas promises.

    While a node is away its tickets' marks come out of the database, the others' out of the index as well:
    until the cluster declares itself down, then the database alone tells them all. The node comes back
    empty: that is noticed, its timers are set again from the rows, and marks come out of the index as
    before. Every mark is told, and told once; for how late it may be see the README.
    """
    async with a_desk(database("sla_clock.migrations"), nats_url, strict.url, tmp_path) as desk:
        await told(desk, strict)
        strict.nodes[1].kill()
        await told(desk, strict)
        await eventually(lambda: _failed(strict))
        await told(desk, strict)
        strict.nodes[1].start()
        await told(desk, strict)
        await eventually(strict.whole)
        async with Timers(strict.url, lease_seconds=30) as timers:
            await eventually(lambda: _armed_all(timers, desk))
        await eventually(lambda: INDEX_UP._value.get() == 1)
        claimed = CLAIMED._value.get()
        await told(desk, strict)
        assert CLAIMED._value.get() > claimed
        marks = Counter((one.ticket.id, one.clock, one.mark.name) for one in desk.watch.of(sla.MarkReached))
        assert set(marks.values()) == {1}


async def told(desk: Desk, cluster: Cluster) -> None:
    """Tickets of all nodes' shards miss their target, and that is told."""
    shards = [shard for number in range(NODES) for shard in cluster.shards(number)[:3]]
    cases = [
        Case(ago(9.5), CRITICAL, id=str(UUID(bytes=uuid7().bytes[:15] + bytes([one])))) for one in shards
    ]
    for case in cases:
        await desk.tell(case)
    wanted = {case.id for case in cases}
    await eventually(lambda: wanted <= _breached(desk), 60)


def _breached(desk: Desk) -> set[str]:
    return {one.ticket.id for one in desk.watch.of(sla.MarkReached) if one.mark.name == "100%"}


async def _failed(cluster: Cluster) -> bool:
    return "cluster_state:fail" in await cluster.state(cluster.nodes[0])


async def _armed_all(timers: Timers, desk: Desk) -> bool:
    """All have marks of another clock ahead."""
    return await _answers(timers) and await timers.armed() == len(_breached(desk))


async def test_a_primary_that_dies_under_load_makes_marks_late_and_loses_none(
    tmp_server_folder: Path, database: Callable[[str], str], nats_url: str, tmp_path: Path
) -> None:
    """faults 7: its replica takes over, and what had not reached it comes out of the rows."""
    cluster = await Cluster.start(VALKEY, tmp_server_folder, timeout_seconds=1, replicas=NODES)
    try:
        async with a_desk(database("sla_clock.migrations"), nats_url, cluster.url, tmp_path) as desk:
            await told(desk, cluster)
            # Their targets of ten seconds run out one after another while the primary dies.
            cases = [Case(ago(9 - number / 40), CRITICAL) for number in range(240)]
            for case in cases:
                await desk.tell(case)
            await eventually(lambda: len({one.id for one in cases} & _breached(desk)) > 20, 60)
            cluster.nodes[1].kill()
            await eventually(lambda: _took_over(cluster, NODES + 1), 60)
            await eventually(lambda: {one.id for one in cases} <= _breached(desk), 60)
            await eventually(lambda: INDEX_UP._value.get() == 1, 60)
            claimed = CLAIMED._value.get()
            await told(desk, cluster)
            assert CLAIMED._value.get() > claimed
            marks = desk.watch.of(sla.MarkReached)
            assert set(Counter((one.ticket.id, one.clock, one.mark.name) for one in marks).values()) == {1}
            early = [
                one for one in marks
                if one.reached_time.ToNanoseconds() < one.mark.due_time.ToNanoseconds()
            ]  # fmt: skip
            assert early == []
    finally:
        cluster.kill()


async def _took_over(cluster: Cluster, number: int) -> bool:
    return bool((await cluster.ask(number, "ROLE"))[0] == b"master")
