"""Two processes of tickets: what one of them changes, the other obeys at once, whatever it remembers."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest

from chassis.channel import channel
from chassis.servers import free_port
from chassis.testing import eventually
from services.tickets.tests.builders import ROLES, Desk
from services.tickets.tests.component.test_setup import put, setup_of, with_triage
from tickdesk.tickets.v1 import fields_pb2, ticket_pb2

BAD = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
async def other(desk: Desk, nats_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """The same desk, answered by a process of its own with its own memory."""
    port = free_port()
    settings = {
        "DATABASE_URL": desk.url,
        "NATS_URL": nats_url,
        "GRPC_PORT": str(port),
        "OPS_PORT": str(free_port()),
        "TOKENS": json.dumps({who: f"token-of-{who}" for who in ROLES}),
    }
    environment = {f"TICKDESK_TICKETS_{name}": value for name, value in settings.items()}
    with (tmp_path / "other.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tickets"), env={**os.environ, **environment}, stdout=log, stderr=log
        )
    async with AsyncExitStack() as stack:

        async def connect(who: str) -> grpc.aio.Channel:
            return await stack.enter_async_context(channel(f"127.0.0.1:{port}", f"token-of-{who}"))

        second = replace(desk, connect=connect, target=f"127.0.0.1:{port}", channels={})
        try:
            await eventually(lambda: _answers(second), 60)
            yield second
        finally:
            process.terminate()
            await process.wait()


async def _answers(desk: Desk) -> bool:
    try:
        await desk.call("ListQueues")
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_a_setup_that_one_process_puts_is_obeyed_by_the_other_at_once(desk: Desk, other: Desk) -> None:
    """faults: nothing that a process remembers of setups outlives the setup in force."""
    ticket = await desk.create()
    assert (await setup_of(other)).version == 0
    for attempt in range(3):
        await put(desk, await with_triage(desk))
        moved = await other.call("ChangeTicketStatus", ticket=ticket.id, status="triage")
        assert moved.ticket.status == "triage"
        await other.call("ChangeTicketStatus", ticket=ticket.id, status="new")
        back = await setup_of(other)
        del back.workflow.statuses[-1], back.workflow.transitions[-1]
        assert (await put(other, back)).setup.version == 2 * attempt + 2
        for each in (desk, other):
            refused = await each.refusal("ChangeTicketStatus", ticket=ticket.id, status="triage")
            assert (refused.code, refused.fields) == (BAD, ["status"])
            answer = await each.call("CheckQuery", query="Status: triage")
            assert [fault.message for fault in answer.faults] != []


async def test_fields_of_one_process_take_values_in_the_other_and_stale_setups_are_refused(
    desk: Desk, other: Desk
) -> None:
    old = await setup_of(other)
    setup = await setup_of(desk)
    setup.fields.add(key="sum", type=fields_pb2.FIELD_TYPE_NUMBER).name.en = "Sum"
    await put(desk, setup)
    nine = {"sum": ticket_pb2.FieldValue(number=9)}
    ticket = await other.create(fields=nine)
    assert ticket.fields["sum"].number == 9
    assert (await other.refusal("PutSetup", "lead:olga", setup=old)).reason == "STALE_VERSION"
    found = await other.call("SearchTickets", query="sum: 9")
    assert [each.key for each in found.tickets] == [ticket.key]
    gone = await setup_of(other)
    del gone.fields[:]
    await put(other, gone)
    refused = await desk.refusal(
        "UpdateTicket", ticket=ticket.id, set_fields={"sum": ticket_pb2.FieldValue(number=1)}
    )
    assert refused.fields == ["fields.sum"]
