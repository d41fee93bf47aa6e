"""Lateness of 10,000 marks: from their instant to MarkReached at a consumer of the stream."""

import asyncio
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import nats

from bench.desks import a_desk
from bench.report import machine, quantiles, save
from tickdesk.common.v1.common_pb2 import CHANNEL_EMAIL
from tickdesk.sla.v1.events_pb2 import MarkReached
from tickdesk.tickets.v1.ticket_pb2 import Contact
from tickdesk.tickets.v1.tickets_service_pb2 import CreateTicketRequest
from tickdesk_cli.client import Client

TICKETS, MARKS_EACH = 1000, 10
MARKS = TICKETS * MARKS_EACH
POLICY = """\
name: bench
mode: first
calendars:
  round_the_clock: {zone: UTC, hours: always}
targets:
  - name: all
    targets: {first_response: 40s, resolution: 60s}
marks:
  - {at: 60%, action: remind}
  - {at: 70%, action: remind}
  - {at: 80%, action: remind}
  - {at: 90%, action: remind}
  - {at: 100%, action: breach}
"""


async def measure() -> Path:
    """Open a thousand tickets with ten marks each, stop all but the clock, and watch the stream."""
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.yaml"
        policy.write_text(POLICY)
        async with a_desk(TICKDESK_SLA_CLOCK_POLICY_PATH=str(policy)) as (desk, client):
            seen: list[tuple[float, float]] = []
            watcher = await nats.connect(desk.servers.nats.url)

            async def note(message: Any) -> None:
                now = time.time()
                event = MarkReached.FromString(message.data)
                due = event.mark.due_time.ToNanoseconds() / 1e9
                seen.append((event.reached_time.ToNanoseconds() / 1e9 - due, now - due))

            await watcher.subscribe(MarkReached.DESCRIPTOR.full_name, cb=note)
            took = await open_tickets(client)
            for name in ("notifier", "survey", "intake", "tickets"):
                await desk.service(name).stop()
            deadline = time.monotonic() + 150
            while len(seen) < MARKS and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
            await watcher.close()
    noticed, received = quantiles([a for a, _ in seen]), quantiles([b for _, b in seen])
    early = sum(late < 0 for late, _ in seen)
    print(f"   {len(seen)} of {MARKS} marks, {early} early")
    for name, row in (("to the ledger", noticed), ("to a consumer", received)):
        print(f"   {name}: p50 {row['p50'] * 1e3:.1f} ms, p99 {row['p99'] * 1e3:.1f} ms")
    figures = {
        "unit": "seconds",
        "marks": len(seen),
        "expected": MARKS,
        "early": early,
        "noticed": noticed,
        "received": received,
        "tickets_opened_in": round(took, 1),
    }
    return save("marks", figures, about)


async def open_tickets(client: Client) -> float:
    """Sixteen callers open all tickets, which spreads the marks. Returns the seconds it took."""
    waiting = iter(range(TICKETS))

    async def caller() -> None:
        for n in waiting:
            contact = Contact(channel=CHANNEL_EMAIL, address=f"user{n}@client.example.com")
            await client.tickets.CreateTicket(
                CreateTicketRequest(
                    request_id=str(uuid.uuid4()),
                    queue="SUP",
                    subject=f"Bench {n}",
                    text="Text",
                    contact=contact,
                ),
                timeout=30,
            )

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(16):
            group.create_task(caller())
    return time.perf_counter() - began
