"""A whole desk for tests that span services: real servers, five processes, and what it holds in the end."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import grpc
import grpc.aio

from tickdesk.intake.v1.intake_service_pb2 import ListMessagesRequest
from tickdesk.notifier.v1.notifier_service_pb2 import ListDeliveriesRequest
from tickdesk.sla.v1.clock_pb2 import CLOCK_STATE_RUNNING
from tickdesk.sla.v1.sla_service_pb2 import GetClocksRequest
from tickdesk.tickets.v1.ticket_pb2 import Ticket
from tickdesk.tickets.v1.tickets_service_pb2 import ListTicketsRequest
from tickdesk_cli import ingest, mailbox, seed
from tickdesk_cli.client import SECONDS, Client, pages
from tickdesk_cli.desk import Desk
from tickdesk_cli.lmtp import Sender

ROOT = Path(__file__).resolve().parents[1]
MAILBOX = ROOT / "examples" / "mailbox"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def expected() -> dict[str, dict[str, object]]:
    """What must become of each message of the example mailbox."""
    found: dict[str, dict[str, object]] = json.loads((MAILBOX / "expected.json").read_text())
    return found


@asynccontextmanager
async def a_desk(folder: Path, **settings: str) -> AsyncIterator[tuple[Desk, Client]]:
    """A running desk with the example queues and people; ends with the test."""
    desk = Desk(folder, detached=False, settings=settings)
    try:
        await desk.start(agents=("anna", "boris", "clara"))
        async with desk.client() as client:
            await seed.plant(client, seed.read(ROOT / "examples" / "desk.yaml"))
            yield desk, client
    finally:
        await desk.stop()


@dataclass(slots=True)
class Holdings:
    """Everything a desk holds that must not depend on what died on the way."""

    messages: int = 0
    kinds: Counter[int] = field(default_factory=Counter)
    tickets: Counter[str] = field(default_factory=Counter)
    ticket_messages: int = 0
    conversations: int = 0
    clocked: int = 0
    auto_replies: int = 0


async def holdings(client: Client) -> Holdings:
    """Count over the services' own APIs."""
    held = Holdings()
    async for messages in pages(client.intake.ListMessages, ListMessagesRequest()):
        held.messages = messages.total_size
        held.kinds.update(each.author_kind for each in messages.messages)
    for ticket in await tickets(client):
        held.tickets[ticket.queue] += 1
        held.ticket_messages += ticket.message_count
        held.conversations += len(ticket.conversation_ids)
        held.clocked += await _has_clock(client, ticket)
    listed = await client.notifier.ListDeliveries(
        ListDeliveriesRequest(template="auto_reply"), timeout=SECONDS
    )
    held.auto_replies = listed.total_size
    return held


async def tickets(client: Client) -> list[Ticket]:
    """All tickets of the desk."""
    request = ListTicketsRequest()
    request.updated_after.FromDatetime(LONG_AGO)
    return [each async for page in pages(client.tickets.ListTickets, request) for each in page.tickets]


async def _has_clock(client: Client, ticket: Ticket) -> bool:
    try:
        answer = await client.sla.GetClocks(GetClocksRequest(ticket_id=ticket.id), timeout=SECONDS)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            # Its first event is still on its way.
            return False
        raise
    return any(clock.state == CLOCK_STATE_RUNNING for clock in answer.clocks)


async def deliver_mailbox(desk: Desk, client: Client, paths: list[Path] | None = None) -> ingest.Report:
    """Deliver the example mailbox (or other files) over LMTP and wait until tickets has all of it."""
    boxes = await ingest.mailboxes(client)
    async with Sender(desk.ports["intake.lmtp"]) as sender:
        report = await ingest.deliver(mailbox.letters(paths or [MAILBOX]), sender, boxes)
    await ingest.settle(client, report, LONG_AGO)
    return report
