"""Changes of what is known of a ticket beside its state."""

from chassis.db import Tx
from chassis.errors import Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import attributes, workflow
from tickets.domain.attributes import Change
from tickets.domain.model import Ticket
from tickets.handlers import escalation_rules
from tickets.handlers.change import Caller, Target, acting, locked, publish, unknown_users
from tickets.handlers.routing import hand_to_owner
from tickets.handlers.setup import setup_of
from tickets.handlers.triggers import finish
from tickets.store import desk, texts


async def update_ticket(tx: Tx, caller: Caller, target: Target, change: Change) -> Ticket:
    """New values; one event names what changed, and nothing happens where nothing does."""
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    workflow.require_not_closed(ticket)
    setup = await setup_of(tx, ticket.setup_id)
    attributes.check(ticket, change, setup)
    strangers = await unknown_users(tx, change.set_fields)
    attributes.refuse([Violation(f"fields.{key}", "must be an active agent") for key in strangers])
    changed = attributes.apply(ticket, change, tx.now)
    if not changed:
        return ticket
    if ticket.customer_number and ticket.customer_number not in ticket.customer.numbers:
        ticket.customer.numbers.append(ticket.customer_number)
        await desk.add_number(tx, ticket.customer.id, ticket.customer_number)
    publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(actor), changed=changed))
    if "subject" in changed:
        await texts.rename(tx, ticket)
    if "component" in changed:
        await hand_to_owner(tx, ticket, setup)
    await escalation_rules.after_change(tx, ticket, await desk.load_queue(tx, ticket.queue), changed)
    await finish(tx, ticket)
    return ticket
