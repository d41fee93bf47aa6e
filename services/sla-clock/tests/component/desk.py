"""A sla-clock on real servers, with a hand that plays the tickets service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import SecretStr

from chassis.bus import Ack, Bus, Outgoing
from chassis.channel import channel
from chassis.clock import utcnow, uuid7
from chassis.db import Database
from chassis.run import App, running
from chassis.testing import EventWatch, events
from sla_clock.handlers.follow import follow
from sla_clock.handlers.policies import apply_policy
from sla_clock.handlers.works import Works
from sla_clock.main import build
from sla_clock.settings import Settings
from sla_clock.store.tables import ledger_table
from sla_clock.timers import Timers
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.sla.v1 import policy_service_pb2_grpc, sla_service_pb2_grpc
from tickdesk.tickets.v1 import events_pb2 as ticket_events
from tickdesk.tickets.v1 import ticket_pb2, timeline_pb2

POLICY = """\
name: test
calendars:
  always: {zone: UTC, hours: always}
targets:
  - name: critical
    priority: critical
    targets: {first_response: 10s, resolution: 100s}
  - name: all
    targets: {first_response: 1h, resolution: 10h, next_response: 1h}
"""

CLOCK_EVENTS = (
    sla.ClockStarted,
    sla.ClockPaused,
    sla.ClockResumed,
    sla.ClockMet,
    sla.ClockRecalculated,
    sla.ClockCancelled,
    sla.MarkReached,
    sla.PolicyApplied,
    sla.RecalculationFinished,
)


def stamp(at: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(at)
    return message


def ago(seconds: float) -> datetime:
    return utcnow() - timedelta(seconds=seconds)


@dataclass
class Case:
    """A ticket under way: each method adds a fact and a version."""

    created: datetime
    priority: Any = common.PRIORITY_NORMAL
    queue: str = "SUP"
    id: str = field(default_factory=lambda: str(uuid7()))
    version: int = 0
    status_kind: Any = timeline_pb2.STATUS_KIND_NEW
    line: Any = common.LINE_L1
    assignee: str = ""
    customer: ticket_pb2.Customer = field(default_factory=ticket_pb2.Customer)
    facts: list[timeline_pb2.Fact] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.add(
            created=timeline_pb2.Created(
                priority=self.priority,
                line=common.LINE_L1,
                status="new",
                status_kind=timeline_pb2.STATUS_KIND_NEW,
            ),
            at=self.created,
        )

    def add(self, *, at: datetime | None = None, **fact: Any) -> Case:
        self.facts.append(timeline_pb2.Fact(time=stamp(at or utcnow()), **fact))
        self.version += 1
        return self

    def replied(self, at: datetime | None = None) -> Case:
        moment = at or utcnow()
        run = timeline_pb2.MessageRun(last_time=stamp(moment), count=1, agent_id="anna")
        return self.add(staff_replies=run, at=moment)

    def status(self, kind: str, at: datetime | None = None) -> Case:
        before, self.status_kind = (
            self.status_kind,
            timeline_pb2.StatusKind.Value(f"STATUS_KIND_{kind.upper()}"),
        )
        changed = timeline_pb2.StatusChanged(to=kind, from_kind=before, to_kind=self.status_kind)
        return self.add(status_changed=changed, at=at)

    def ticket(self) -> ticket_pb2.Ticket:
        return ticket_pb2.Ticket(
            id=self.id,
            key="SUP-1",
            version=self.version,
            queue=self.queue,
            subject="It does not print",
            priority=self.priority,
            line=self.line,
            assignee=self.assignee,
            customer=self.customer,
            channel=common.CHANNEL_EMAIL,
            status_kind=self.status_kind,
            timeline=timeline_pb2.Timeline(facts=self.facts),
        )


@dataclass
class Desk:
    """What a test holds: replicas of the service, a bus, a watch on the SLA stream, the database."""

    settings: Settings
    bus: Bus
    watch: EventWatch
    db: Database
    apps: list[App] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> App:
        """One more replica."""
        app = await self.stack.enter_async_context(running("sla-clock", self.settings, build))
        self.apps.append(app)
        return app

    async def tell(
        self, case: Case, event: type[Message] = ticket_events.TicketUpdated, *, twice: bool = False
    ) -> None:
        """What tickets would publish."""
        payload = event(ticket=case.ticket()).SerializeToString()
        identity = str(uuid4())
        await self.bus.ensure_stream("TICKETS")
        for attempt in range(2 if twice else 1):
            # The stream would swallow a repetition of one id: as after its window, both get through.
            headers = {"Tickdesk-Event-Id": identity}
            one = _Raw(
                event.DESCRIPTOR.full_name, payload, f"{identity}-{attempt}", case.id, utcnow(), headers
            )
            acks = await self.bus.publish([one])
            assert isinstance(acks[0], Ack)

    async def mark(self, timeout: float = 20) -> sla.MarkReached:
        """The next mark."""
        found: sla.MarkReached = await self.watch.next(sla.MarkReached, timeout)
        return found

    async def stub(self, token: str = "admin-token") -> Any:
        """A client of the first replica; its calls need a timeout."""
        target = f"127.0.0.1:{self.apps[0].grpc_port}"
        return sla_service_pb2_grpc.SlaServiceStub(
            await self.stack.enter_async_context(channel(target, token))
        )

    async def policies(self, token: str = "admin-token") -> Any:
        """A client of the first replica's policies; its calls need a timeout."""
        target = f"127.0.0.1:{self.apps[0].grpc_port}"
        return policy_service_pb2_grpc.PolicyServiceStub(
            await self.stack.enter_async_context(channel(target, token))
        )

    async def ledger(self, ticket_id: str) -> list[tuple[str, str, int, bool]]:
        """Clock, mark, generation and whether folded, in the order of their instants."""
        async with self.db.tx() as tx:
            columns = (
                ledger_table.c.clock,
                ledger_table.c.mark,
                ledger_table.c.generation,
                ledger_table.c.folded,
            )
            query = sa.select(*columns).where(ledger_table.c.ticket_id == UUID(ticket_id))
            return [
                tuple(row)
                for row in await tx.execute(query.order_by(ledger_table.c.due_at, ledger_table.c.mark))
            ]


class _Raw(Outgoing):
    """Published under one id, known by another."""

    def wire_headers(self) -> dict[str, str]:
        return {**super().wire_headers(), **self.headers}


@asynccontextmanager
async def a_desk(
    database_url: str, nats_url: str, valkey_url: str, folder: Path, *, policy: str = POLICY, **knobs: Any
) -> AsyncIterator[Desk]:
    """A desk with one replica; `policy` is written into a file first."""
    path = folder / "policy.yaml"
    path.write_text(policy, encoding="utf-8")
    chosen: dict[str, Any] = {"sweep_seconds": 0.5, "policy_path": path} | knobs
    settings = Settings(
        database_url=SecretStr(database_url),
        nats_url=nats_url,
        redis_url=SecretStr(valkey_url),
        tokens={"admin:demo": SecretStr("admin-token"), "agent:anna": SecretStr("agent-token")},
        drain_pause_seconds=0,
        drain_seconds=2,
        **chosen,
    )
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(Bus(nats_url, "test"))
        watch = await stack.enter_async_context(events(bus, *CLOCK_EVENTS))
        db = await stack.enter_async_context(Database(database_url, "test"))
        desk = Desk(settings, bus, watch, db)
        await stack.enter_async_context(desk.stack)
        await desk.start()
        yield desk


@asynccontextmanager
async def some_works(
    database: Callable[[str], str],
    nats_url: str,
    valkey_url: str,
    *,
    lease_seconds: float = 30,
    batch: int = 500,
) -> AsyncIterator[Works]:
    """The parts of the service without its loops: the test is the scheduler."""
    async with (
        Database(database("sla_clock.migrations"), "sla-clock") as db,
        Bus(nats_url, "sla-clock") as bus,
        Timers(valkey_url, lease_seconds=lease_seconds) as timers,
    ):
        works = Works(db, bus, timers, batch=batch)
        async with db.tx() as tx:
            await apply_policy(works, tx, POLICY)
        yield works


async def followed(works: Works, *cases: Case) -> None:
    """Tickets that the service has heard of, their timers set."""
    for case in cases:
        async with works.db.tx() as tx:
            await follow(works, tx, case.ticket())
    await works.timers.apply(works.wakes)
    works.wakes.clear()
