"""Servers and randomness of the fault tests."""

import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from chassis.servers import Server
from tests.faults.clockwork import Clockwork, Servers, clockwork


@pytest.fixture
def rng() -> random.Random:
    """Random numbers of a seed that a failure shows; TICKDESK_SEED repeats them."""
    seed = int(os.environ.get("TICKDESK_SEED") or random.SystemRandom().randrange(2**32))
    sys.stdout.write(f"TICKDESK_SEED={seed}\n")
    return random.Random(seed)


@pytest.fixture
def servers(database: Callable[..., str], nats_server: Server, valkey_server: Server) -> Servers:
    """NATS and Valkey of the test's own, a database of the run's PostgreSQL."""
    return Servers(database(), nats_server, valkey_server)


@pytest.fixture
async def work(servers: Servers, database: Callable[..., str], tmp_path: Path) -> AsyncIterator[Clockwork]:
    """A clockwork with two replicas that are ready."""
    async with clockwork(servers, database(), tmp_path, sweep_seconds="0.5") as made:
        await made.start(2)
        yield made
