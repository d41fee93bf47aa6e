"""Rights in the database: what lists leave out is what the rules hide."""

from dataclasses import replace
from itertools import combinations, product
from typing import Any

import grpc
import sqlalchemy as sa

from chassis.principal import Principal, current
from services.tickets.tests.builders import Desk, a_contact
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import ticket_pb2
from tickets.domain import rights
from tickets.domain.model import Line
from tickets.domain.rights import Grant, Person
from tickets.store import lists, tables
from tickets.store.rights import people_of, person_of, put_grants

GRANTS = (
    Grant(agents=("anna",), create=True, view=True, edit=True),
    Grant(lines=(Line.L2,), view=True),
    Grant(view=True),
    Grant(agents=("anna", "dina"), component="money", view=True),
    Grant(agents=("boris",), component="money", edit=True),
    Grant(component="printer", edit=True),
)


async def test_lists_show_exactly_the_tickets_that_the_rules_show(desk: Desk) -> None:
    """YT-03, YT-20, MP-19: SQL and the rules of the domain are compared ticket by ticket."""
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    for queue, component, address in product(
        ("SUP", "OTH"), ("", "money", "printer"), ("a@x.example", "b@x.example")
    ):
        ticket = await desk.create(queue=queue, contact=a_contact(address))
        change = sa.update(tables.ticket).where(tables.ticket.c.id == ticket.id).values(component=component)
        async with desk.db.tx() as tx:
            await tx.execute(change)
    async with desk.db.tx() as tx:
        manager = sa.update(tables.customer).where(tables.customer.c.name == "a@x.example")
        await tx.execute(manager.values(account_manager="boris"))
        await tx.execute(sa.update(tables.agent).where(tables.agent.c.id == "boris").values(queues=["OTH"]))
        everything = (await lists.list_tickets(tx, lists.Filter(), lists.Page(200))).items
    assert len(everything) == 12
    sights = set()
    choices = [list(each) for size in (0, 1, 2, 3) for each in combinations(GRANTS, size)]
    for grants, who in product(choices, ("agent:anna", "agent:boris", "agent:dina", "lead:olga")):
        token = current.set(Principal.of(who))
        async with desk.db.tx() as tx:
            await put_grants(tx, "SUP", grants)
            person = await person_of(tx)
            listed = {
                each.key for each in (await lists.list_tickets(tx, lists.Filter(), lists.Page(200))).items
            }
            versions = {each for each, _ in (await lists.list_versions(tx, lists.Page(200))).items}
        current.reset(token)
        seen = [each for each in everything if rights.sees(person, each)]
        assert listed == {each.key for each in seen}, (who, grants)
        assert versions == {each.id for each in seen}, (who, grants)
        sights.add(frozenset(listed))
    assert len(sights) >= 7, "the choices make a difference"


async def test_a_hidden_ticket_is_counted_nowhere(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    boris = ticket_pb2.Agent(id="boris", name="Boris", queues=["OTH"], active=True)
    await desk.call("PutAgent", "admin:demo", agent=boris)
    for who, count in (("agent:boris", 0), ("agent:anna", 1)):
        assert (await desk.call("ListTickets", who)).total_size == count
        customer = await desk.call("GetCustomer", who, customer_id=ticket.customer.id)
        assert (customer.ticket_count, customer.open_count) == (count, count)
    hidden = await desk.refusal("GetTicket", "agent:boris", ticket=ticket.key)
    missing = await desk.refusal("GetTicket", "agent:boris", ticket="SUP-999")
    assert hidden == replace(missing, message=hidden.message, metadata=hidden.metadata)
    assert hidden.message.replace(ticket.key, "SUP-999") == missing.message


async def test_rights_are_read_anew_by_the_next_call(desk: Desk) -> None:
    ticket = await desk.create()

    async def grant(*grants: Grant) -> None:
        async with desk.db.tx() as tx:
            await put_grants(tx, "SUP", list(grants))

    await grant(Grant(agents=("dina",), edit=True))
    assert (await desk.refusal("TakeTicket", ticket=ticket.id)).reason == "TICKET_NOT_FOUND"
    await grant(Grant(agents=("anna",), view=True))
    refusal = await desk.refusal("TakeTicket", ticket=ticket.id)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "RIGHTS_MISSING")
    fields: dict[str, Any] = {"queue": "SUP", "subject": "s", "text": "t", "contact": a_contact()}
    assert (await desk.refusal("CreateTicket", **fields)).reason == "RIGHTS_MISSING"
    await grant()
    assert (await desk.call("TakeTicket", ticket=ticket.id)).ticket.assignee == "anna"
    assert (await desk.call("CreateTicket", **fields)).ticket.channel == common.CHANNEL_EMAIL


async def test_grants_are_read_once_for_everybody_and_made_again_only_when_they_change(desk: Desk) -> None:
    """A hundred watchers of a desk with many grants would else make them a hundred times a change."""
    callers = [Principal.of(f"agent:{who}") for who in ("anna", "boris", "dina")]

    async def people() -> dict[Principal, Person]:
        async with desk.db.tx() as tx:
            return await people_of(tx, callers)

    async with desk.db.tx() as tx:
        await put_grants(tx, "SUP", [Grant(agents=("anna",), view=True)])
    first, second = await people(), await people()
    assert len({id(person.grants) for person in (*first.values(), *second.values())}) == 1
    assert len(first) == 3
    assert first[callers[0]].grants["SUP"] == (Grant(agents=("anna",), view=True),)
    async with desk.db.tx() as tx:
        await put_grants(tx, "SUP", [])
    assert all(not person.grants for person in (await people()).values())
