"""Counting what became of messages, against services that answer what a test tells them."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from rich.console import Console

from chassis.clock import utcnow
from tickdesk.intake.v1 import intake_service_pb2 as intake
from tickdesk.intake.v1.intake_service_pb2_grpc import (
    IntakeServiceServicer,
    add_IntakeServiceServicer_to_server,
)
from tickdesk.tickets.v1 import tickets_service_pb2 as tickets
from tickdesk.tickets.v1.tickets_service_pb2_grpc import (
    TicketServiceServicer,
    add_TicketServiceServicer_to_server,
)
from tickdesk_cli import ingest
from tickdesk_cli.client import Client
from tickdesk_cli.ingest import Report, Result
from tickdesk_cli.terminal import Problem
from tickdesk_cli.wiring import SERVICES


class Intake(IntakeServiceServicer):
    """Every message is in the conversation of its own name."""

    async def GetMessage(self, request: Any, context: Any) -> intake.GetMessageResponse:
        answer = intake.GetMessageResponse()
        answer.message.conversation_id = f"conversation of {request.message_id}"
        return answer


class Tickets(TicketServiceServicer):
    """Two queues a page; a ticket, begun by the message, of each conversation in `known`."""

    def __init__(self) -> None:
        self.queues: list[str] = []
        self.known: list[str] = []
        self.looks = 0

    async def ListQueues(self, request: Any, context: Any) -> tickets.ListQueuesResponse:
        start = int(request.page_token or 0)
        answer = tickets.ListQueuesResponse()
        for key in self.queues[start : start + 2]:
            answer.queues.add(key=key, addresses=[f"{key}@desk.example.org", f"{key}-old@desk.example.org"])
        answer.next_page_token = str(start + 2) if start + 2 < len(self.queues) else ""
        return answer

    async def ListTickets(self, request: Any, context: Any) -> tickets.ListTicketsResponse:
        self.looks += 1
        answer = tickets.ListTicketsResponse()
        for message in self.known:
            answer.tickets.add(id=message, key="SUP-1", conversation_ids=[f"conversation of {message}"])
        return answer

    async def ListTicketMessages(self, request: Any, context: Any) -> tickets.ListTicketMessagesResponse:
        answer = tickets.ListTicketMessagesResponse()
        answer.messages.add(id=request.ticket)
        return answer


@pytest.fixture
def desk() -> Tickets:
    return Tickets()  # type: ignore[abstract]  # the calls left out answer UNIMPLEMENTED


@pytest.fixture
async def client(desk: Tickets) -> AsyncIterator[Client]:
    server = grpc.aio.server()
    add_IntakeServiceServicer_to_server(Intake(), server)  # type: ignore[abstract]
    add_TicketServiceServicer_to_server(desk, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with Client(dict.fromkeys(SERVICES, f"127.0.0.1:{port}"), "token") as opened:
        yield opened
    await server.stop(None)


def accepted(*names: str) -> Report:
    return Report([Result(f"{name}.eml", "pending", message_id=name) for name in names])


async def test_the_addresses_of_all_pages_of_queues_are_known(desk: Tickets, client: Client) -> None:
    desk.queues = ["a", "b", "c", "d", "e"]
    found = await ingest.mailboxes(client)
    assert found[::2] == [f"{key}@desk.example.org" for key in "abcde"]
    assert len(found) == 10


async def test_a_desk_without_queues_says_so(client: Client) -> None:
    with pytest.raises(Problem, match="no queue with an address"):
        await ingest.mailboxes(client)


async def test_what_is_seen_in_a_ticket_ends_the_wait(desk: Tickets, client: Client) -> None:
    desk.known = ["m1", "m2"]
    report = accepted("m1", "m2")
    await ingest.settle(client, report, utcnow())
    assert [each.outcome for each in report.results] == ["created", "created"]
    assert desk.looks == 1
    assert report.complete


async def test_what_is_not_seen_in_time_is_told_in_a_sentence(desk: Tickets, client: Client) -> None:
    desk.known = ["m1"]
    report = accepted("m1", "m2")
    await ingest.settle(client, report, utcnow(), seconds=0.3)
    assert [each.outcome for each in report.results] == ["created", "pending"]
    assert not report.complete
    shown = Console(width=200)
    with shown.capture() as printed:
        shown.print(ingest.summary(report))
    assert "1 message is stored, but no ticket was seen in time" in printed.get()
    assert "tickdesk doctor" in printed.get()


def test_a_duplicate_is_complete_and_a_refusal_is_not() -> None:
    assert Report([Result("a.eml", "duplicate")]).complete
    assert not Report([Result("a.eml", "duplicate"), Result("b.eml", "rejected", "550 no")]).complete


@pytest.mark.parametrize(("count", "seconds"), [(0, 30), (48, 30), (300, 30), (301, 30.1), (10_000, 1000)])
def test_many_messages_get_more_time(count: int, seconds: float) -> None:
    assert ingest.patience(count) == pytest.approx(seconds)


def test_the_looks_become_rarer_up_to_two_seconds() -> None:
    waits = list(itertools.islice(ingest.pauses(), 12))
    assert waits[0] == pytest.approx(0.2)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(2)
