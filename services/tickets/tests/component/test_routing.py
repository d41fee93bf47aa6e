"""Routing over RPCs: who gets new tickets, and that nobody gets too many."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import grpc
import grpc.aio
import sqlalchemy as sa

from chassis.clock import utcnow
from chassis.errors import Unavailable
from services.tickets.tests.builders import Desk, a_contact, set_up
from services.tickets.tests.component.test_attributes import PARTS, named
from services.tickets.tests.component.test_flow import of_calls, statements
from services.tickets.tests.unit.stories import a_ticket, an_agent
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import events_pb2, ticket_pb2
from tickdesk.tickets.v1.ticket_pb2 import FieldValue
from tickets.domain.model import Line
from tickets.domain.routing import Routing, RoutingRule, Strategy, route
from tickets.domain.topics import Topics
from tickets.store import routing as store
from tickets.store import tables

T = TypeVar("T")
ONLY = [{"agents": ["anna", "boris"]}]


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Again when a lock was not to be had in time on a slow machine, as callers are asked to."""
    while True:
        try:
            return await work()
        except Unavailable:
            continue
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise


async def vip(desk: Desk, address: str) -> None:
    first = await desk.create(contact=a_contact(address))
    await desk.call("UpdateCustomer", customer_id=first.customer.id, tier=common.CUSTOMER_TIER_VIP)


async def test_edition_and_weight_decide_the_line(desk: Desk) -> None:
    """MP-01, CA-34."""
    rules = [
        {"edition": "on_premises", "line": "LINE_L3"},
        {"tier": "CUSTOMER_TIER_VIP", "line": "LINE_L2"},
    ]
    await set_up(desk, routing={"rules": rules})
    await vip(desk, "big@client.example")
    assert (await desk.create()).line == common.LINE_L1
    assert (await desk.create(edition="on_premises")).line == common.LINE_L3
    assert (await desk.create(contact=a_contact("big@client.example"))).line == common.LINE_L2


async def test_the_owner_of_a_component_gets_its_tickets(desk: Desk) -> None:
    """YT-19: new ones; YT-17: and those that it is added to."""
    await set_up(desk, components=PARTS["components"])
    born = await desk.create(component="billing")
    assert (born.assignee, born.status, born.version) == ("dina", "in_progress", 2)
    assigned = await desk.watch.next(events_pb2.TicketAssigned)
    assert (assigned.ticket, assigned.actor.kind, assigned.previous_assignee) == (
        born,
        common.Actor.KIND_ROBOT,
        "",
    )
    ticket = await desk.create()
    await desk.call("TakeTicket", ticket=ticket.id)
    site = (await desk.call("UpdateTicket", ticket=ticket.id, component="site")).ticket
    assert site.assignee == "anna"
    billing = (await desk.call("UpdateTicket", ticket=ticket.id, component="billing")).ticket
    assert (billing.assignee, billing.status, billing.version) == ("dina", "in_progress", 5)
    assert (await desk.watch.next(events_pb2.TicketAssigned)).previous_assignee == "anna"


async def test_an_owner_who_cannot_take_it_is_passed_over(desk: Desk) -> None:
    """An escalation waits for its line; resolved tickets stay whose they are; who left gets nothing."""
    anna = {"key": "desk", "name": named("", "Desk"), "owner": "anna", "assign_by_default": True}
    await set_up(desk, components=[*PARTS["components"], anna])
    escalated = await desk.escalated()
    assert (await desk.call("UpdateTicket", ticket=escalated.id, component="desk")).ticket.assignee == ""
    resolved = await desk.create()
    await desk.call("ResolveTicket", "agent:boris", ticket=resolved.id)
    assert (
        await desk.call("UpdateTicket", ticket=resolved.id, component="billing")
    ).ticket.assignee == "boris"
    left = ticket_pb2.Agent(id="dina", name="Dina", active=False)
    await desk.call("PutAgent", "admin:demo", agent=left)
    assert (await desk.create(component="billing")).assignee == ""


async def test_in_turn_everybody_gets_their_share(desk: Desk) -> None:
    await set_up(desk, routing={"strategy": "ASSIGNMENT_STRATEGY_ROUND_ROBIN", "rules": ONLY})
    assert [(await desk.create()).assignee for _ in range(5)] == ["anna", "boris", "anna", "boris", "anna"]


async def test_who_has_least_gets_it_and_when_all_are_full_nobody(desk: Desk) -> None:
    await set_up(desk, routing={"strategy": "ASSIGNMENT_STRATEGY_LEAST_LOADED", "capacity": 2, "rules": ONLY})
    first, second = await desk.create(), await desk.create()
    assert (first.assignee, second.assignee) == ("anna", "boris")
    await desk.call("ResolveTicket", ticket=first.id)
    assert [(await desk.create()).assignee for _ in range(4)] == ["anna", "boris", "anna", ""]


async def test_who_is_not_on_duty_gets_nothing(desk: Desk) -> None:
    """MP-09."""
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    today = utcnow().weekday()
    # Neither yesterday nor tomorrow are anna's, so that midnight changes nothing.
    nearly = ",".join(days[(today + step) % 7] for step in (-1, 0, 1))
    shifts = [
        {"agents": ["anna"], "timezone": "UTC", "days": days[(today + 3) % 7]},
        {
            "agents": ["boris"],
            "timezone": "UTC",
            "days": nearly,
        },
    ]
    await set_up(desk, routing={"strategy": "ASSIGNMENT_STRATEGY_LEAST_LOADED", "shifts": shifts})
    assert {(await desk.create()).assignee for _ in range(3)} == {"boris"}


async def test_a_setup_costs_no_statement_unless_agents_are_counted(desk: Desk) -> None:
    """T2: three with fields and categories; a strategy locks, counts, and notes the turn."""
    costs = []
    for strategy in ("NONE", "LEAST_LOADED"):
        routing = {**PARTS["routing"], "strategy": f"ASSIGNMENT_STRATEGY_{strategy}"}
        await set_up(desk, **{**PARTS, "routing": routing})
        await desk.create()
        with statements() as seen:
            ticket = await desk.create(category="orders", fields={"sum": FieldValue(number=5)})
        assert bool(ticket.assignee) == (strategy != "NONE")
        costs.append(len(of_calls(seen)))
    assert costs == [3, 6]


async def test_many_at_once_never_overfill_an_agent(desk: Desk) -> None:
    """KT-16: many in a minute, and each agent as many as they may have."""
    routing = {"strategy": "ASSIGNMENT_STRATEGY_LEAST_LOADED", "capacity": 3, "rules": ONLY}
    await set_up(desk, routing=routing)
    contacts = [a_contact(f"client{number}@client.example") for number in range(12)]
    created = await asyncio.gather(*(patiently(partial(desk.create, contact=each)) for each in contacts))
    assert Counter(each.assignee for each in created) == {"anna": 3, "boris": 3, "": 6}


async def test_agents_are_counted_right_only_because_they_are_locked(desk: Desk) -> None:
    """The control: eight who all count before any of them gives are eight too many for three places."""
    tickets = [await desk.create() for _ in range(8)]
    together = asyncio.Barrier(len(tickets))

    async def give(ticket_id: str, *, lock: bool) -> None:
        async with desk.db.tx() as tx:
            if lock:
                staff = await store.lock_staff(tx, "SUP", Line.L1)
            else:
                staff = await store.loads(tx, [an_agent("anna")])
                await together.wait()
            rules = Routing(Strategy.LEAST_LOADED, capacity=3, rules=(RoutingRule(agents=("anna",)),))
            agent = route(a_ticket(), rules, Topics(), staff, tx.now)
            if agent:
                change = sa.update(tables.ticket).where(tables.ticket.c.id == ticket_id)
                await tx.execute(change.values(assignee=agent.id))

    async def given() -> int:
        return len((await desk.call("ListTickets", assignee="anna")).tickets)

    await asyncio.gather(*(patiently(partial(give, each.id, lock=True)) for each in tickets))
    assert await given() == 3
    async with desk.db.tx() as tx:
        await tx.execute(sa.update(tables.ticket).values(assignee=""))
    await asyncio.gather(*(give(each.id, lock=False) for each in tickets))
    assert await given() == 8
