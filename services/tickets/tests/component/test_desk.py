"""Customers, queues and agents over RPCs."""

from typing import Any

import grpc
import pytest

from chassis.pages import page_token
from services.tickets.tests.builders import Desk, kinds
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import events_pb2, ticket_pb2

BAD, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
NOBODY = "01900000-0000-7000-8000-000000000000"


async def test_another_tier_reaches_the_clocks_of_open_tickets_only(desk: Desk) -> None:
    """CA-34."""
    running, over = await desk.create(), await desk.create()
    await desk.call("ResolveTicket", ticket=over.id)
    who = running.customer.id
    change: dict[str, Any] = {
        "tier": common.CUSTOMER_TIER_VIP,
        "timezone": "Asia/Almaty",
        "add_number": "9",
        "language": "ru",
    }
    answer = await desk.call("UpdateCustomer", customer_id=who, **change)
    assert (answer.customer.tier, answer.customer.timezone) == (common.CUSTOMER_TIER_VIP, "Asia/Almaty")
    assert (answer.customer.name, list(answer.customer.numbers)) == (running.customer.name, ["9"])
    event = await desk.watch.next(events_pb2.TicketUpdated)
    assert (event.ticket.key, list(event.changed)) == (running.key, ["tier", "timezone"])
    assert kinds(event.ticket)[-1] == "attributes_changed"
    assert [(await desk.ticket(each.id)).version for each in (running, over)] == [2, 2]


async def test_customers_refuse_bad_input(desk: Desk) -> None:
    ticket = await desk.create()
    zone = await desk.refusal("UpdateCustomer", customer_id=ticket.customer.id, timezone="Mars/Base")
    assert (zone.code, zone.fields) == (BAD, ["timezone"])
    path = await desk.refusal("UpdateCustomer", customer_id=ticket.customer.id, timezone="../../etc/passwd")
    assert path.fields == ["timezone"]
    for method in ("GetCustomer", "UpdateCustomer"):
        assert (await desk.refusal(method, customer_id=NOBODY)).reason == "CUSTOMER_NOT_FOUND"
        assert (await desk.refusal(method, customer_id="kim")).fields == ["customer_id"]


async def test_queues_are_put_and_listed(desk: Desk) -> None:
    queue = ticket_pb2.Queue(key="BIL", name="Billing", addresses=["Pay@Desk.example"], default_language="ru")
    answer = await desk.call("PutQueue", "admin:demo", queue=queue)
    assert (list(answer.queue.addresses), answer.queue.version) == (["pay@desk.example"], 1)
    queue.name = "Money"
    again = await desk.call("PutQueue", "admin:demo", queue=queue)
    assert (again.queue.name, again.queue.version) == ("Money", 2)
    page = await desk.call("ListQueues", page_size=1)
    rest = await desk.call("ListQueues", page_token=page.next_page_token)
    assert [each.key for each in (*page.queues, *rest.queues)] == ["BIL", "SUP"]
    told = [await desk.watch.next(events_pb2.QueueChanged) for _ in range(3)]
    assert [(each.queue.key, each.queue.version) for each in told] == [("SUP", 1), ("BIL", 1), ("BIL", 2)]


async def test_queues_refuse_bad_input_and_addresses_of_others(desk: Desk) -> None:
    taken = ticket_pb2.Queue(key="BIL", name="Billing", addresses=["help@desk.example"])
    refusal = await desk.refusal("PutQueue", "admin:demo", queue=taken)
    assert (refusal.code, refusal.reason, refusal.fields) == (BAD, "ADDRESS_TAKEN", ["queue.addresses"])
    bad = await desk.refusal("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="bil"))
    assert bad.fields == ["queue.key", "queue.name"]
    assert (await desk.refusal("PutQueue", "admin:demo")).fields == ["queue"]
    assert [each.key for each in (await desk.call("ListQueues")).queues] == ["SUP"]


async def test_agents_are_put_listed_and_leave(desk: Desk) -> None:
    ticket = await desk.create()
    gone = ticket_pb2.Agent(id="boris", name="Boris", active=False)
    assert (await desk.call("PutAgent", "admin:demo", agent=gone)).agent.version == 2
    refusal = await desk.refusal("TakeTicket", "agent:boris", ticket=ticket.id)
    assert (refusal.code, refusal.reason) == (MISSING, "AGENT_NOT_FOUND")
    page = await desk.call("ListAgents", page_size=3)
    rest = await desk.call("ListAgents", page_token=page.next_page_token)
    assert [each.id for each in (*page.agents, *rest.agents)] == ["anna", "boris", "dina", "olga"]
    bad = await desk.refusal("PutAgent", "admin:demo", agent=ticket_pb2.Agent(id="A b", lines=[7]))  # type: ignore[list-item]
    assert bad.fields == ["agent.lines"]
    bad = await desk.refusal("PutAgent", "admin:demo", agent=ticket_pb2.Agent(id="A b"))
    assert bad.fields == ["agent.id", "agent.name"]


@pytest.mark.parametrize(("method", "scope"), [("ListQueues", "queues"), ("ListAgents", "agents")])
async def test_a_made_up_page_token_that_no_column_takes_is_refused(
    desk: Desk, method: str, scope: str
) -> None:
    """Anybody can make one: the database would refuse it as a failure of ours."""
    for place in ("A\0", "\ud800"):
        refusal = await desk.refusal(method, page_token=page_token(scope, place))
        assert (refusal.code, refusal.reason, refusal.fields) == (BAD, "PAGE_TOKEN_INVALID", ["page_token"])
