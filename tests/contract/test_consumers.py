"""Every service takes the golden example of every event that it follows: once, and without a dead letter."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from google.protobuf import json_format

from chassis.bus import Bus, Outgoing
from chassis.clock import utcnow
from chassis.db import Database
from chassis.run import running
from chassis.testing import eventually
from tests.contract.test_examples import EXAMPLES, event_class

# What each service needs beside a database and NATS; survey and intake listen on free ports.
EXTRAS: dict[str, dict[str, Any]] = {
    "tickets": {},
    "sla_clock": {},
    "notifier": {"reply_keys": "k" * 32},
    "survey": {"http_port": 0},
}


@pytest.mark.parametrize("service", EXTRAS)
async def test_every_followed_example_is_taken_once(
    service: str, database: Callable[..., str], nats_url: str, bus: Bus, valkey_url: str
) -> None:
    main = importlib.import_module(f"{service}.main")
    settings_type = importlib.import_module(f"{service}.settings").Settings
    extras = {**EXTRAS[service], **({"redis_url": valkey_url} if service == "sla_clock" else {})}
    url = database(f"{service}.migrations")
    settings = settings_type(database_url=url, nats_url=nats_url, **extras)
    for stream in ("INTAKE", "TICKETS", "SLA", "NOTIFIER", "SURVEY"):
        await bus.ensure_stream(stream)
    sent = {str(uuid4()): path for path in EXAMPLES}
    await bus.publish([outgoing(identity, path) for identity, path in sent.items()])
    name = service.replace("_", "-")
    async with running(name, settings, main.build), Database(url, service="probe") as db:
        followed = await eventually(lambda: followed_by(bus, name), timeout=10)
        wanted = {identity for identity, path in sent.items() if path.stem in followed}
        assert wanted
        await eventually(lambda: handled(db, wanted), timeout=20)
    assert await bus.last_sequence("DLQ") == 0


def outgoing(identity: str, path: Path) -> Outgoing:
    event = json_format.Parse(path.read_text(), event_class(path.stem)())
    return Outgoing(path.stem, event.SerializeToString(), identity, "golden", utcnow(), {})


async def followed_by(bus: Bus, name: str) -> set[str]:
    """What the service's durable consumers filter for."""
    followed: set[str] = set()
    for stream in ("INTAKE", "TICKETS", "SLA", "NOTIFIER", "SURVEY"):
        for consumer in await bus.js.consumers_info(stream):
            if consumer.name == name:
                followed |= set(consumer.config.filter_subjects or [])
    return followed


async def handled(db: Database, wanted: set[str]) -> bool:
    """True when each has its row in the inbox."""
    async with db.tx() as tx:
        rows = await tx.execute(sa.text("select event_id from inbox"))
        return wanted <= {row.event_id for row in rows}
