"""Customers and organisations: what the desk knows of them, and letting their tickets follow."""

from collections.abc import Callable
from dataclasses import dataclass

from chassis.db import Tx
from chassis.errors import InvalidInput, Refused, Violation
from chassis.telemetry import logger
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import audit as audit_rules
from tickets.domain import customers as rules
from tickets.domain import workflow
from tickets.domain.customers import Organisation
from tickets.domain.model import Actor, Contact, Customer, Queue, Ticket, Tier
from tickets.handlers import escalation_rules
from tickets.handlers.change import Caller, acting, publish
from tickets.handlers.triggers import finish
from tickets.store import audit, desk
from tickets.store import customers as store
from tickets.store import tickets as tickets_store

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class CustomerChange:
    """New values; empty ones are left as they are."""

    name: str = ""
    tier: Tier | None = None
    timezone: str = ""
    language: str = ""
    number: str = ""
    organisation: str = ""


async def update_customer(tx: Tx, caller: Caller, customer_id: str, change: CustomerChange) -> Customer:
    """What the desk knows of a customer. Raises NotFound, Refused (CUSTOMER_MERGED), InvalidInput."""
    organisation = await store.organisation_of(tx, await desk.load_customer(tx, customer_id))
    return await _change(tx, caller, customer_id, lambda each: _apply(each, change, organisation))


async def add_number(tx: Tx, caller: Caller, customer_id: str, number: str) -> Customer:
    """One more customer number. Raises InvalidInput when there are a hundred."""
    return await _change(tx, caller, customer_id, lambda customer: rules.add_number(customer, number))


async def remove_number(tx: Tx, caller: Caller, customer_id: str, number: str) -> Customer:
    """One customer number less. Raises NotFound (NUMBER_NOT_FOUND)."""
    return await _change(tx, caller, customer_id, lambda customer: rules.remove_number(customer, number))


async def add_contact(tx: Tx, caller: Caller, customer_id: str, contact: Contact) -> Customer:
    """One more address. Raises Refused (CONTACT_TAKEN), InvalidInput."""
    changed = await _change(tx, caller, customer_id, lambda customer: rules.add_contact(customer, contact))
    await store.add_contact(tx, changed.id, contact)
    return changed


async def remove_contact(tx: Tx, caller: Caller, customer_id: str, contact: Contact) -> Customer:
    """One address less. Raises NotFound (CONTACT_NOT_FOUND), Refused (LAST_CONTACT)."""
    await store.hold_arrivals(tx, customer_id)
    changed = await _change(tx, caller, customer_id, lambda each: rules.remove_contact(each, contact))
    await store.remove_contact(tx, changed.id, contact)
    return changed


async def join_organisation(tx: Tx, caller: Caller, customer_id: str, key: str) -> Customer:
    """Into an organisation, or into none. Raises NotFound (ORGANISATION_NOT_FOUND)."""
    joined = await store.load_organisation(tx, key) if key else None
    return await _change(tx, caller, customer_id, lambda customer: rules.settle(customer, joined))


async def set_account_manager(tx: Tx, caller: Caller, customer_id: str, agent_id: str) -> Customer:
    """Who keeps this customer. Raises NotFound (AGENT_NOT_FOUND)."""
    if agent_id:
        await desk.load_agent(tx, agent_id)
    customer = await desk.load_customer(tx, customer_id)
    organisation = await store.organisation_of(tx, customer)

    def keep(customer: Customer) -> None:
        customer.own_account_manager = agent_id
        rules.settle(customer, organisation)

    return await _change(tx, caller, customer_id, keep)


async def put_organisation(tx: Tx, caller: Caller, put: Organisation) -> Organisation:
    """An organisation as it shall be; its customers follow. Raises NotFound, InvalidInput."""
    actor = await acting(tx, caller)
    rules.check_organisation(put)
    if put.account_manager:
        await desk.load_agent(tx, put.account_manager)
    put = await store.put_organisation(tx, put)
    await store.spread_organisation(tx, put.key, actor)
    return put


async def spread_organisation(tx: Tx, limit: int) -> bool:
    """Let some customers of a changed organisation follow it; False when no organisation waits."""
    spread = await store.next_organisation_spread(tx)
    if spread is None:
        return False
    organisation = await store.load_organisation(tx, spread.id)
    members = await store.lock_customers_of(tx, spread.id, spread.after, limit)
    for customer in members:
        before = rules.told(customer)
        rules.settle(customer, organisation)
        await save_changed(tx, customer, before, spread.actor)
    await store.move_organisation_spread(tx, spread.id, members[-1].id if len(members) == limit else None)
    return True


async def spread_customer(tx: Tx, limit: int) -> bool:
    """Let some open tickets of a changed customer follow; False when no customer waits."""
    spread = await store.next_customer_spread(tx)
    if spread is None:
        return False
    if spread.after is None:
        await store.hold_arrivals(tx, spread.id)
    tickets = await tickets_store.lock_open_of_customer(tx, spread.id, spread.after, limit)
    queues = {key: await desk.load_queue(tx, key) for key in {each.queue for each in tickets}}
    for ticket in tickets:
        try:
            await _follow(tx, ticket, queues[ticket.queue], spread)
        except (Refused, InvalidInput) as error:
            # The others follow all the same.
            log.error("a ticket cannot follow its customer", ticket=ticket.key, reason=error.reason)
    await store.move_customer_spread(tx, spread.id, tickets[-1].id if len(tickets) == limit else None)
    return True


async def _follow(tx: Tx, ticket: Ticket, queue: Queue, spread: store.Spread) -> None:
    _observe(ticket)
    workflow.change_attributes(ticket, spread.names, tx.now)
    publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(spread.actor), changed=spread.names))
    await escalation_rules.after_change(tx, ticket, queue, spread.names)
    await finish(tx, ticket)


async def save_changed(tx: Tx, customer: Customer, before: dict[str, object], actor: Actor) -> None:
    """Store a changed customer, tell it, and let open tickets follow what they have to."""
    changed = [name for name, value in rules.told(customer).items() if before[name] != value]
    await desk.save_customer(tx, customer)
    if changed:
        told = events.CustomerChanged(
            customer=convert.to_customer(customer), actor=convert.to_actor(actor), changed=changed
        )
        tx.emit(told, key=customer.id)
        difference = audit_rules.changes(audit_rules.state(before), audit_rules.state(rules.told(customer)))
        await audit.note(tx, f"customer/{customer.id}", "CustomerChanged", difference)
    watched = [name for name in changed if name in rules.WATCHED]
    if watched:
        await store.spread_customer(tx, customer.id, watched, actor)


async def _change(tx: Tx, caller: Caller, customer_id: str, change: Callable[[Customer], object]) -> Customer:
    actor = await acting(tx, caller)
    customer = await desk.load_customer(tx, customer_id, lock=True)
    before = rules.told(customer)
    change(customer)
    await save_changed(tx, customer, before, actor)
    return customer


def _apply(customer: Customer, change: CustomerChange, organisation: Organisation | None) -> None:
    if change.timezone:
        rules.check_zone(change.timezone)
    if change.organisation and organisation:
        text = "organisation is that of JoinOrganisation as long as the customer belongs to one"
        raise InvalidInput(text, violations=[Violation("organisation", text)])
    customer.name = change.name or customer.name
    customer.own_tier = change.tier or customer.own_tier
    customer.timezone = change.timezone or customer.timezone
    customer.language = change.language or customer.language
    customer.organisation = change.organisation or customer.organisation
    if change.number:
        rules.add_number(customer, change.number, "add_number")
    rules.settle(customer, organisation)


def _observe(ticket: Ticket) -> None:
    manager = ticket.customer.account_manager
    if manager and manager not in ticket.observers:
        ticket.observers.append(manager)
