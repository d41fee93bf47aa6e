"""Who may call what, and in whose name."""

from typing import Any

import grpc

from services.tickets.tests.builders import COMMANDS, Desk, a_contact
from tickdesk.tickets.v1 import ticket_pb2
from tickdesk.tickets.v1 import tickets_service_pb2 as pb

BAD, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED
METHODS = [each.name for each in pb.DESCRIPTOR.services_by_name["TicketService"].methods]


async def test_an_agent_acts_for_nobody_else_but_a_lead_may(desk: Desk) -> None:
    ticket = await desk.create()
    for method, fields in COMMANDS.items():
        refusal = await desk.refusal(method, ticket=ticket.id, agent_id="boris", **fields)
        assert (refusal.code, refusal.reason) == (DENIED, "AGENT_ID_NOT_YOURS"), method
    answer = await desk.call("TakeTicket", "lead:olga", ticket=ticket.id, agent_id="boris")
    assert answer.ticket.assignee == "boris"
    nameless = await desk.refusal("ReplyToTicket", "admin:demo", ticket=ticket.id, text="Hi")
    assert (nameless.code, nameless.fields) == (BAD, ["agent_id"])
    ghost = await desk.refusal("TakeTicket", "admin:demo", ticket=ticket.id, agent_id="ghost")
    assert ghost.reason == "AGENT_NOT_FOUND"


async def test_roles_without_a_rule_change_and_learn_nothing(desk: Desk) -> None:
    ticket = await desk.create()
    given: dict[str, dict[str, Any]] = {
        **{method: {"ticket": ticket.id, **fields} for method, fields in COMMANDS.items()},
        "GetTicket": {"ticket": ticket.id},
        "ListTicketMessages": {"ticket": ticket.id},
        "GetCustomer": {"customer_id": ticket.customer.id},
        "UpdateCustomer": {"customer_id": ticket.customer.id, "name": "Mallory"},
        "PutQueue": {"queue": ticket_pb2.Queue(key="SUP", name="Mine")},
        "PutAgent": {"agent": ticket_pb2.Agent(id="anna", name="Anna", management=True)},
        **{method: {} for method in ("ListTickets", "ListTicketVersions", "ListQueues", "ListAgents")},
        "CreateTicket": {"queue": "SUP", "subject": "s", "text": "t", "contact": a_contact()},
    }
    assert set(given) == set(METHODS)
    refused = [(who, method) for who in ("adapter:crm", "auditor:eve", "nobody") for method in METHODS]
    refused += [("agent:anna", "PutQueue"), ("agent:anna", "PutAgent")]
    refused.remove(("adapter:crm", "CreateTicket"))
    for who, method in refused:
        refusal = await desk.refusal(method, who, **given[method])
        assert (refusal.code, refusal.reason) == (DENIED, "ROLE_NOT_PERMITTED"), (who, method)
    assert await desk.ticket(ticket.id) == ticket
