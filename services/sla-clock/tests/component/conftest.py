"""A desk per test; servers and clusters of both kinds to hold its timers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from chassis.recipes import REDIS, VALKEY, Kind
from chassis.servers import Server, ServerFailed
from chassis.testing import Run

from .cluster import Cluster
from .desk import Desk, a_desk


@pytest.fixture
async def desk(
    database: Callable[[str], str], nats_url: str, valkey_url: str, tmp_path: Path
) -> AsyncIterator[Desk]:
    async with a_desk(database("sla_clock.migrations"), nats_url, valkey_url, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def redis_kind(test_run: Run) -> Kind:
    """Redis beside Valkey, where there is one for this machine."""
    try:
        REDIS.command(Server(REDIS, test_run.folder))
    except ServerFailed as missing:
        pytest.skip(str(missing))
    return REDIS


@pytest.fixture
def redis_url(redis_kind: Kind, tmp_server_folder: Path) -> Iterator[str]:
    """URL of a fresh Redis."""
    server = Server(redis_kind, tmp_server_folder / "redis").start()
    yield server.url
    server.kill()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_valkey_cluster(test_run: Run) -> AsyncIterator[Cluster]:
    cluster = await Cluster.start(VALKEY, test_run.folder / "valkey-cluster")
    yield cluster
    cluster.kill()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_redis_cluster(redis_kind: Kind, test_run: Run) -> AsyncIterator[Cluster]:
    cluster = await Cluster.start(redis_kind, test_run.folder / "redis-cluster")
    yield cluster
    cluster.kill()


@pytest.fixture
async def valkey_cluster(shared_valkey_cluster: Cluster) -> Cluster:
    """Three nodes of Valkey that know nothing; they take seconds to meet, so tests share them."""
    return await _emptied(shared_valkey_cluster)


@pytest.fixture
async def redis_cluster(shared_redis_cluster: Cluster) -> Cluster:
    """Three nodes of Redis that know nothing."""
    return await _emptied(shared_redis_cluster)


async def _emptied(cluster: Cluster) -> Cluster:
    await cluster.each("FLUSHALL")
    await cluster.each("SCRIPT", "FLUSH")
    return cluster
