"""sla-clock as its operators run it: processes, real servers, and a witness that keeps a ledger."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc.aio
import nats.errors
import sqlalchemy as sa

from chassis.bus import Ack, Bus, Outgoing, Subscription
from chassis.channel import channel
from chassis.consume import Consumer
from chassis.db import Database, Tx
from chassis.errors import Unavailable
from chassis.schema import chassis_tables, migrate, plain_engine
from chassis.servers import Server, free_port
from chassis.testing import eventually
from sla_clock.policy import Policy
from sla_clock.policyfile import load
from sla_clock.store.tables import batch_table
from tests.faults.history import Effect, Key, expected, judge
from tests.faults.story import Story
from tickdesk.sla.v1.events_pb2 import MarkReached
from tickdesk.sla.v1.policy_service_pb2 import ApplyPolicyRequest
from tickdesk.sla.v1.policy_service_pb2_grpc import PolicyServiceStub
from tickdesk.sla.v1.sla_service_pb2 import GetClocksRequest, GetClocksResponse
from tickdesk.sla.v1.sla_service_pb2_grpc import SlaServiceStub
from tickdesk_cli.process import Process

ROOT = Path(__file__).resolve().parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
SOAK = bool(os.environ.get("TICKDESK_SOAK"))
"""The long run: many more blows and marks."""

SECONDS = 900 if SOAK else 90
LEASE = 0.7
POLICY = """\
name: faults
calendars:
  always: {zone: UTC, hours: always}
targets:
  - name: critical
    priority: critical
    targets: {resolution: 2s}
  - name: high
    priority: high
    targets: {first_response: 3s, next_response: 2s, resolution: 5s}
  - name: low
    priority: low
    targets: {resolution: 28s}
  - name: all
    targets: {resolution: 4s}
marks:
  - {at: 25%, action: remind}
  - {at: 50%, action: escalate_line}
  - {at: 75%, action: remind}
  - {at: 100%, action: breach}
  - {at: 150%, action: escalate_management}
"""

_effect = sa.Table(
    "effect",
    sa.MetaData(),
    sa.Column("ticket", sa.Text),
    sa.Column("clock", sa.Text),
    sa.Column("cycle", sa.Integer),
    sa.Column("mark", sa.Text),
    sa.Column("due", sa.BigInteger),
    sa.Column("reached", sa.BigInteger),
    sa.Column("lateness", sa.BigInteger),
    sa.Column("seen", sa.BigInteger),
    sa.Column("folded", sa.ARRAY(sa.Text)),
)


class Witness:
    """A consumer as others have one: its effects are rows without any key, so only its inbox saves it."""

    def __init__(self, db: Database, bus: Bus) -> None:
        self.keys: Counter[Key] = Counter()
        self._bus, self._db = bus, db
        self._consumer = Consumer(bus, db, "SLA", [Subscription(MarkReached, self._note)])

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Witness]:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._consumer.run())
            try:
                yield self
            finally:
                self._consumer.stop()

    async def effects(self) -> list[Effect]:
        """Everything that took effect."""
        async with self._db.tx() as tx:
            found = (await tx.execute(sa.select(_effect))).mappings()
            return [Effect(**{**row, "folded": tuple(row["folded"])}) for row in found]

    async def is_done(self) -> bool:
        """Whether it has handled all that is in the stream."""
        try:
            state = await self._bus.js.consumer_info("SLA", self._bus.service)
        except (nats.errors.Error, TimeoutError):
            return False
        return not (state.num_pending or state.num_ack_pending)

    async def _note(self, tx: Tx, event: MarkReached) -> None:
        row = {
            "ticket": event.ticket.id,
            "clock": event.clock,
            "cycle": event.cycle,
            "mark": event.mark.name,
            "due": event.mark.due_time.ToMicroseconds(),
            "reached": event.reached_time.ToMicroseconds(),
            "lateness": event.lateness.ToMicroseconds(),
            "seen": int(tx.now.timestamp() * 1_000_000),
            "folded": list(event.folded_marks),
        }
        await tx.execute(sa.insert(_effect), row)
        names = (event.mark.name, *event.folded_marks)
        keys = [(event.ticket.id, event.clock, event.cycle, name) for name in names]
        tx.after_commit(partial(self.keys.update, keys))


@dataclass
class Clockwork:
    """What a test holds."""

    folder: Path
    servers: Servers
    bus: Bus
    witness: Witness
    policy: Policy
    environment: dict[str, str]
    replicas: list[Process] = field(default_factory=list)
    told: list[Story] = field(default_factory=list)

    async def start(self, count: int) -> None:
        """Start replicas and wait until they are ready."""
        for _ in range(count):
            self.replica()
        await self.ready()

    def replica(self, module: str = "sla_clock", **environment: str) -> Process:
        """One more process, started but not yet ready."""
        number, ops, grpc = len(self.replicas), free_port(), free_port()
        ports = {"TICKDESK_SLA_CLOCK_OPS_PORT": str(ops), "TICKDESK_SLA_CLOCK_GRPC_PORT": str(grpc)}
        given = self.environment | ports | environment
        replica = Process(f"clock-{number}", module, self.folder, given, ops, detached=False)
        replica.start()
        self.replicas.append(replica)
        return replica

    async def ready(self) -> None:
        """Wait for every replica that has not been ended."""
        for replica in self.replicas:
            if replica.pid:
                await replica.ready()

    async def tell(self, told: Iterable[Story]) -> None:
        """Publish the newest version of tickets, as their outbox would: until it is stored."""
        told = list(told)
        self.told += told
        await self.publish([story.event() for story in told])

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Publish events until each is stored."""
        while events:
            try:
                await self.bus.ensure_stream("TICKETS")
                acks = await self.bus.publish(events)
                events = [one for one, ack in zip(events, acks, strict=True) if not isinstance(ack, Ack)]
            except (Unavailable, TimeoutError, OSError):
                await asyncio.sleep(0.1)

    async def heard(self, told: Iterable[Story]) -> list[GetClocksResponse]:
        """The clocks of tickets, each asked for until the service knows its newest version."""
        async with self._calls() as opened:
            sla = SlaServiceStub(opened)
            return [await _newest(sla, story) for story in told]

    async def apply(self, policy: str) -> None:
        """Put a policy in force."""
        request = ApplyPolicyRequest(request_id=str(uuid4()), yaml=policy)
        async with self._calls() as opened:
            await PolicyServiceStub(opened).ApplyPolicy(request, timeout=10)

    @asynccontextmanager
    async def _calls(self) -> AsyncIterator[grpc.aio.Channel]:
        replica = next(one for one in self.replicas if one.pid)
        target = f"127.0.0.1:{replica.environment['TICKDESK_SLA_CLOCK_GRPC_PORT']}"
        async with channel(target, "admin-token") as opened:
            yield opened

    def wanted(self) -> dict[Key, int]:
        """Every mark that must take effect."""
        return {key: at for story in self.told for key, at in expected(story.ticket(), self.policy).items()}

    async def complete(self, wanted: Set[Key]) -> list[Effect]:
        """Wait until these marks have taken effect, and until nothing more may come."""
        try:
            await eventually(lambda: wanted <= self.witness.keys.keys(), SECONDS)
        except AssertionError:
            return await self.witness.effects()
        # A double would come from a worker that outlives a lease, or from the sweep behind it,
        await asyncio.sleep(3 * LEASE)
        # or, seconds later, from who sends again what a worker had sent when it died.
        async with Database(self.servers.postgres_url, "witness") as db:
            await eventually(partial(_all_sent, db), SECONDS)
        # The stream has all of it by now, the witness perhaps not yet.
        await eventually(self.witness.is_done, SECONDS)
        return await self.witness.effects()

    async def exactly_once(self) -> list[Effect]:
        """The verdict on everything told so far: fails unless each mark took effect once, none too early."""
        wanted = self.wanted()
        effects = await self.complete(wanted.keys())
        verdict = judge(wanted, effects)
        assert verdict.clean, f"of {len(wanted)} marks: {verdict}\n{self.last_words()}"
        return effects

    def last_words(self) -> str:
        """The ends of the replicas' logs."""
        return "\n".join(f"{one.name}: {one.tail(3)}" for one in self.replicas)


@dataclass
class Servers:
    """The servers of one test; PostgreSQL only by its URL unless it is the test's own."""

    postgres_url: str
    nats: Server
    valkey: Server


@asynccontextmanager
async def clockwork(
    servers: Servers, witness_url: str, folder: Path, policy: str = POLICY, **knobs: str
) -> AsyncIterator[Clockwork]:
    """A clockwork without replicas; its databases are made ready. `knobs` are settings of the service."""
    (folder / "policy.yaml").write_text(policy, encoding="utf-8")
    await migrate(servers.postgres_url, "sla_clock.migrations")
    await _make_ledger(witness_url)
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(Bus(servers.nats.url, "witness"))
        db = await stack.enter_async_context(Database(witness_url, "witness"))
        witness = await stack.enter_async_context(Witness(db, bus).watching())
        environment = _environment(servers, folder, knobs)
        work = Clockwork(folder, servers, bus, witness, load(policy), environment)
        try:
            yield work
        finally:
            for replica in work.replicas:
                await replica.kill()


def _environment(servers: Servers, folder: Path, knobs: dict[str, str]) -> dict[str, str]:
    given = {
        "database_url": servers.postgres_url,
        "nats_url": servers.nats.url,
        "redis_url": servers.valkey.url,
        "policy_path": str(folder / "policy.yaml"),
        "tokens": json.dumps({"admin:demo": "admin-token"}),
        "lease_seconds": str(LEASE),
        "log_level": "warning",
        "drain_pause_seconds": "0",
        **knobs,
    }
    named = {f"TICKDESK_SLA_CLOCK_{name.upper()}": value for name, value in given.items()}
    return named | {"PYTHONPATH": PYTHONPATH}


async def _all_sent(db: Database) -> bool:
    """Whether the service has noted of each batch of marks that the stream has it."""
    unsent = sa.select(batch_table.c.id).where(batch_table.c.published_at.is_(None))
    async with db.tx() as tx:
        return not await tx.conn.scalar(sa.select(unsent.exists()))


async def _make_ledger(url: str) -> None:
    metadata = sa.MetaData()
    chassis_tables(metadata)
    _effect.to_metadata(metadata)
    engine = plain_engine(url)
    async with engine.begin() as conn:
        await conn.run_sync(metadata.create_all)
    await engine.dispose()


async def _newest(sla: Any, story: Story) -> GetClocksResponse:
    answer = None
    async with asyncio.timeout(SECONDS):
        while answer is None or answer.ticket.version < story.version:
            answer = await _clocks(sla, story)
            await asyncio.sleep(0.01)
    return answer


async def _clocks(sla: Any, story: Story) -> GetClocksResponse | None:
    """None for a ticket that the service has not heard of."""
    try:
        found: GetClocksResponse = await sla.GetClocks(GetClocksRequest(ticket_id=story.id), timeout=10)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
    return found


@asynccontextmanager
async def paused(pid: int) -> AsyncIterator[None]:
    """A process that does not run inside this block, and does not know of it."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def since(micros: int) -> datetime:
    """The instant of some microseconds."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
