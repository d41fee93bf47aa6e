"""News of tickets that never came: sla-clock asks the tickets service, and takes it over."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
import pytest
import redis.asyncio as redis
import sqlalchemy as sa
from prometheus_client import REGISTRY
from pydantic import SecretStr

import sla_clock.main
import sla_clock.settings
import tickets.main
import tickets.settings
from chassis.bus import Bus
from chassis.channel import channel
from chassis.db import Database
from chassis.run import App, running
from chassis.testing import eventually
from tickdesk.common.v1 import common_pb2
from tickdesk.sla.v1 import clock_pb2, sla_service_pb2
from tickdesk.sla.v1.sla_service_pb2_grpc import SlaServiceStub
from tickdesk.tickets.v1 import ticket_pb2
from tickdesk.tickets.v1 import tickets_service_pb2 as pb
from tickdesk.tickets.v1.tickets_service_pb2_grpc import TicketServiceStub

TOKENS = {"admin:desk": SecretStr("admin-token"), "service:sla-clock": SecretStr("clock-token,old-token")}
POLICY = """\
name: test
calendars:
  always: {zone: UTC, hours: always}
targets:
  - name: all
    targets: {first_response: 1h, resolution: 10h}
"""


@dataclass
class Pair:
    """Tickets and sla-clock, each to be started and stopped by itself, with a stream that forgets."""

    folder: Path
    databases: dict[str, str]
    nats_url: str
    valkey_url: str
    bus: Bus
    stacks: dict[str, AsyncExitStack]
    ports: dict[str, int]

    async def start(self, service: str, **knobs: Any) -> App:
        """Start it; tickets comes back under the port that it had."""
        settings: dict[str, Any] = {
            "database_url": SecretStr(self.databases[service]),
            "nats_url": self.nats_url,
            "tokens": TOKENS,
            "drain_pause_seconds": 0,
            "drain_seconds": 2,
            "grpc_port": self.ports.get(service, 0),
            **knobs,
        }
        stack = self.stacks[service] = AsyncExitStack()
        if service == "tickets":
            app = await stack.enter_async_context(
                running("tickets", tickets.settings.Settings(**settings), tickets.main.build)
            )
        else:
            own: dict[str, Any] = {
                "redis_url": SecretStr(self.valkey_url),
                "policy_path": self.folder / "policy.yaml",
            }
            chosen = sla_clock.settings.Settings(**settings, **own)
            app = await stack.enter_async_context(running("sla-clock", chosen, sla_clock.main.build))
        self.ports[service] = app.grpc_port
        return app

    async def stop(self, service: str) -> None:
        """Stop it, as a deployment would."""
        await self.stacks.pop(service).aclose()

    async def tickets(self) -> Any:
        """A client of tickets."""
        pipe = channel(f"127.0.0.1:{self.ports['tickets']}", "admin-token")
        return TicketServiceStub(await self.stacks["pair"].enter_async_context(pipe))

    async def clocks(self, ticket_id: str) -> list[clock_pb2.Clock]:
        """What sla-clock knows of a ticket; empty when it knows nothing."""
        async with channel(f"127.0.0.1:{self.ports['sla-clock']}", "admin-token") as pipe:
            stub: Any = SlaServiceStub(pipe)
            try:
                answer = await stub.GetClocks(
                    sla_service_pb2.GetClocksRequest(ticket_id=ticket_id), timeout=5
                )
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
                return []
        return list(answer.clocks)


@pytest.fixture
async def pair(
    database: Callable[..., str], nats_url: str, valkey_url: str, bus: Bus, tmp_path: Path
) -> AsyncIterator[Pair]:
    """Tickets with a queue; sla-clock is not started."""
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    databases = {name: database(f"{name.replace('-', '_')}.migrations") for name in ("tickets", "sla-clock")}
    made = Pair(tmp_path, databases, nats_url, valkey_url, bus, {"pair": AsyncExitStack()}, {})
    await made.start("tickets")
    stub = await made.tickets()
    queue = ticket_pb2.Queue(key="SUP", name="Support")
    agent = ticket_pb2.Agent(id="anna", name="Anna", active=True)
    try:
        await stub.PutAgent(pb.PutAgentRequest(request_id=uuid4().hex, agent=agent), timeout=5)
        await stub.PutQueue(pb.PutQueueRequest(request_id=uuid4().hex, queue=queue), timeout=5)
        yield made
    finally:
        for service in reversed(list(made.stacks)):
            await made.stop(service)


async def opened(stub: Any, count: int = 1) -> list[str]:
    """New tickets, by id."""
    found = []
    for number in range(count):
        request = pb.CreateTicketRequest(
            request_id=uuid4().hex,
            queue="SUP",
            subject=f"Ticket {number}",
            text="It burns.",
            contact=ticket_pb2.Contact(channel=common_pb2.CHANNEL_EMAIL, address="kim@client.example"),
        )
        found.append((await stub.CreateTicket(request, timeout=5)).ticket.id)
    return found


async def act(stub: Any, method: str, ticket: str, **fields: Any) -> None:
    """What anna does with a ticket."""
    request = getattr(pb, f"{method}Request")(
        request_id=uuid4().hex, ticket=ticket, agent_id="anna", **fields
    )
    await getattr(stub, method)(request, timeout=5)


def drift(kind: str) -> float:
    """The metric, of this process."""
    return REGISTRY.get_sample_value("tickdesk_sla_ticket_drift_total", {"kind": kind}) or 0.0


async def lose(pair: Pair) -> None:
    """The stream loses everything that tickets has told so far and nobody has read."""
    async with Database(pair.databases["tickets"], "test") as db:

        async def all_sent() -> bool:
            async with db.tx() as tx:
                query = sa.text("select not exists (select from outbox where published_at is null)")
                return bool(await tx.conn.scalar(query))

        await eventually(all_sent)
    await pair.bus.ensure_stream("TICKETS")
    await pair.bus.js.purge_stream("TICKETS")


def target(pair: Pair) -> dict[str, str]:
    return {"tickets_target": f"127.0.0.1:{pair.ports['tickets']}"}


async def test_tickets_whose_events_were_lost_get_their_clocks(pair: Pair) -> None:
    """faults 10: missing ones are fetched at start, with the facts that their clocks need."""
    stub = await pair.tickets()
    found = await opened(stub, 5)
    await act(stub, "ResolveTicket", found[0])
    await lose(pair)
    before = drift("missing")
    await pair.start("sla-clock", **target(pair))
    for ticket_id in found:
        await eventually(partial(pair.clocks, ticket_id))
    assert drift("missing") == before + 5
    states = {one.name: one.state for one in await pair.clocks(found[0])}
    assert states["resolution"] == clock_pb2.CLOCK_STATE_MET
    created = await stub.GetTicket(pb.GetTicketRequest(ticket=found[1]), timeout=5)
    assert (await pair.clocks(found[1]))[0].started_time == created.ticket.created_time


async def test_without_it_they_never_would(pair: Pair) -> None:
    """The control: nothing else brings back what the stream has lost."""
    found = await opened(await pair.tickets())
    await lose(pair)
    await pair.start("sla-clock")
    (seen,) = await opened(await pair.tickets())
    await eventually(lambda: pair.clocks(seen))
    assert await pair.clocks(found[0]) == []


async def test_a_change_that_was_lost_is_caught_up_with_after_a_flush(pair: Pair, valkey_url: str) -> None:
    """A lost index makes sla-clock look again: a ticket that was answered, one that was closed meanwhile."""
    await pair.start("sla-clock", **target(pair), sweep_seconds=0.3)
    stub = await pair.tickets()
    answered, closed, same = await opened(stub, 3)
    await eventually(lambda: pair.clocks(same))
    await pair.stop("sla-clock")
    await act(stub, "ReplyToTicket", answered, text="Try again")
    await act(stub, "ResolveTicket", closed)
    await act(stub, "CloseTicket", closed)
    await lose(pair)
    stale = drift("stale")
    await pair.start("sla-clock", sweep_seconds=0.3, **target(pair))
    await eventually(lambda: drift("stale") == stale + 2, 20)
    assert _state(await pair.clocks(answered), "first_response") == clock_pb2.CLOCK_STATE_MET
    assert _state(await pair.clocks(closed), "resolution") == clock_pb2.CLOCK_STATE_MET
    assert _state(await pair.clocks(same), "first_response") == clock_pb2.CLOCK_STATE_RUNNING
    (later,) = await opened(stub)
    await eventually(lambda: pair.clocks(later))
    async with redis.Redis.from_url(valkey_url) as index:
        await index.flushall()
    counted = _compared()
    await eventually(lambda: _compared() > counted, 20)


def _compared() -> float:
    name = {
        "grpc_service": "tickdesk.tickets.v1.TicketService",
        "grpc_method": "ListTicketVersions",
        "grpc_code": "OK",
    }
    return REGISTRY.get_sample_value("grpc_server_handled_total", name) or 0.0


def _state(found: list[clock_pb2.Clock], name: str) -> Any:
    return next(one.state for one in found if one.name == name)


async def test_tickets_away_hold_nothing_up_and_are_asked_again(pair: Pair) -> None:
    """faults: clocks count, fire and answer without the neighbour; what was missed comes when it is back."""
    (found,) = await opened(await pair.tickets())
    await lose(pair)
    where = target(pair)
    await pair.stop("tickets")
    await pair.start("sla-clock", **where)
    assert await pair.clocks(found) == []
    await pair.start("tickets")
    await eventually(lambda: pair.clocks(found), 30)


async def test_a_ticket_that_tickets_does_not_know_is_counted_and_kept(pair: Pair) -> None:
    """Restored from an older backup, say: somebody has to look."""
    await pair.start("sla-clock")
    (found,) = await opened(await pair.tickets())
    await eventually(lambda: pair.clocks(found))
    await pair.stop("sla-clock")
    await pair.stop("tickets")
    empty = pair.databases["tickets"]
    async with Database(empty, "test") as db, db.tx() as tx:
        await tx.execute(sa.text("truncate ticket cascade"))
    await pair.start("tickets")
    before = drift("orphan")
    await pair.start("sla-clock", **target(pair))
    await eventually(lambda: drift("orphan") == before + 1, 20)
    assert await pair.clocks(found) != []
