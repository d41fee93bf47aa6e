"""Tickets asked for by calls, and the desk itself: customers, queues, agents."""

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chassis.db import Tx
from chassis.errors import InvalidInput, NotFound, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import rules, workflow
from tickets.domain.model import Agent, Customer, Queue, Ticket, Tier
from tickets.domain.opening import Opening
from tickets.handlers import escalation
from tickets.handlers.change import Caller, acting, publish
from tickets.handlers.opening import open_ticket
from tickets.store import desk as store
from tickets.store import tickets as tickets_store

_MAX_NUMBERS = 100


@dataclass(frozen=True, slots=True)
class CustomerChange:
    """New values; empty ones are left as they are."""

    name: str = ""
    tier: Tier | None = None
    timezone: str = ""
    language: str = ""
    number: str = ""
    organisation: str = ""


async def create_ticket(tx: Tx, caller: Caller, opening: Opening, parent: str) -> Ticket:
    """A ticket that a program or an agent asks for; `parent` is an id or key, or empty."""
    actor = await acting(tx, caller)
    if parent:
        opening = replace(opening, parent_ticket_id=await _parent_id(tx, parent))
    return await open_ticket(tx, opening, actor)


async def update_customer(tx: Tx, caller: Caller, customer_id: str, change: CustomerChange) -> Customer:
    """What the desk knows of a customer; another tier reaches the clocks of all their open tickets."""
    actor = await acting(tx, caller)
    customer = await store.load_customer(tx, customer_id, lock=True)
    retiered = change.tier is not None and change.tier != customer.tier
    _apply(customer, change)
    await store.save_customer(tx, customer)
    for ticket in await tickets_store.lock_open_of_customer(tx, customer_id) if retiered else []:
        ticket.customer = customer
        workflow.change_attributes(ticket, ["tier"], tx.now)
        publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(actor), changed=["tier"]))
        queue = await store.load_queue(tx, ticket.queue)
        await escalation.after_change(tx, ticket, queue, ["tier"])
        await tickets_store.save_ticket(tx, ticket)
    return customer


async def put_queue(tx: Tx, queue: Queue) -> Queue:
    """A queue as it shall be."""
    rules.check_queue(queue)
    queue = await store.put_queue(tx, queue)
    tx.emit(events.QueueChanged(queue=convert.to_queue(queue)), key=queue.key)
    return queue


async def put_agent(tx: Tx, agent: Agent) -> Agent:
    """A person of the desk as they shall be."""
    rules.check_agent(agent)
    agent = await store.put_agent(tx, agent)
    tx.emit(events.AgentChanged(agent=convert.to_agent(agent)), key=agent.id)
    return agent


async def _parent_id(tx: Tx, reference: str) -> str:
    try:
        return (await tickets_store.load_ticket(tx, reference)).id
    except (NotFound, InvalidInput) as error:
        text = f"parent_ticket: {error.message}"
        raise InvalidInput(text, violations=[Violation("parent_ticket", text)]) from error


def _apply(customer: Customer, change: CustomerChange) -> None:
    if change.timezone:
        _check_zone(change.timezone)
    customer.name = change.name or customer.name
    customer.tier = change.tier or customer.tier
    customer.timezone = change.timezone or customer.timezone
    customer.language = change.language or customer.language
    customer.organisation = change.organisation or customer.organisation
    if change.number and change.number not in customer.numbers:
        if len(customer.numbers) >= _MAX_NUMBERS:
            text = f"add_number: a customer has at most {_MAX_NUMBERS} numbers"
            raise InvalidInput(text, violations=[Violation("add_number", text)])
        customer.numbers.append(change.number)


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        text = 'timezone must be an IANA zone such as "Europe/Moscow"'
        raise InvalidInput(text, violations=[Violation("timezone", text)]) from None
