"""Tickets of other desks, brought in with their history; nobody is told of what is no news."""

from collections.abc import Sequence

from chassis.clock import uuid7
from chassis.db import Tx
from chassis.errors import DeskError, Unavailable, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickdesk.tickets.v1 import importing_pb2 as pb
from tickets.convert import importing as convert
from tickets.convert import tickets as ticket_convert
from tickets.domain import importing, rules
from tickets.domain.attributes import refuse
from tickets.domain.importing import Imported, Place
from tickets.domain.model import Customer
from tickets.handlers.change import Caller, acting, publish, unknown_users
from tickets.handlers.opening import new_conversation_id
from tickets.handlers.setup import setup_of
from tickets.store import desk, messages
from tickets.store import importing as store
from tickets.store import tickets as ticket_store

_CREATED, _KNOWN = pb.ImportResult.OUTCOME_CREATED, pb.ImportResult.OUTCOME_KNOWN


async def import_tickets(
    tx: Tx, caller: Caller, tickets: Sequence[pb.ImportTicket], *, dry_run: bool
) -> list[pb.ImportResult]:
    """What became of each: one that is refused leaves nothing behind and spoils no other."""
    known = await store.known(tx, [each.external_id for each in tickets])
    results = []
    for each in tickets:
        if each.external_id in known:
            results.append(convert.to_result(each.external_id, _KNOWN, known[each.external_id]))
            continue
        try:
            async with tx.conn.begin_nested():
                results.append(await _import(tx, caller, each, dry_run=dry_run))
        except Unavailable:
            raise
        except DeskError as error:
            faults = error.violations or (Violation("", error.message),)
            results.append(convert.to_refusal(each.external_id, error.reason, faults))
    return results


async def _import(tx: Tx, caller: Caller, given: pb.ImportTicket, *, dry_run: bool) -> pb.ImportResult:
    told = convert.from_ticket(given)
    queue = await desk.load_queue(tx, told.queue)
    setup = await setup_of(tx, queue.setup_id)
    refuse([*importing.faults(told, queue, setup, tx.now), *await _strangers(tx, told)])
    ticket_id = str(uuid7())
    if dry_run:
        return convert.to_result(told.external_id, _CREATED)
    if not await store.claim(tx, told.external_id, ticket_id):
        key = (await store.known(tx, [told.external_id]))[told.external_id]
        return convert.to_result(told.external_id, _KNOWN, key)
    admission = await desk.admit(tx, queue.key, told.sender, _newcomer(told))
    place = Place(queue, setup, admission.customer, admission.number, new_conversation_id())
    ticket, said = importing.build(ticket_id, told, place, tx.now)
    ticket.setup_id = queue.setup_id
    actor = ticket_convert.to_actor(await acting(tx, caller))
    publish(tx, ticket, events.TicketImported(actor=actor, external_id=told.external_id))
    ticket.updated_time = told.last_time
    await ticket_store.create_ticket(tx, ticket, said[0])
    for message in said[1:]:
        await messages.add_message(tx, message)
    return convert.to_result(told.external_id, _CREATED, ticket.key)


async def _strangers(tx: Tx, told: Imported) -> list[Violation]:
    """Agents whom this desk does not have."""
    found = [f"fields.{key}" for key in await unknown_users(tx, told.fields)]
    if told.assignee and not await desk.known_agent(tx, told.assignee):
        found.append("assignee")
    return [Violation(each, "must be an agent of the desk: add them, or leave it empty") for each in found]


def _newcomer(told: Imported) -> Customer:
    return Customer(
        id=str(uuid7()),
        name=told.customer_name or told.sender.address,
        created_time=told.created_time,
        contacts=[told.sender],
        language=told.language if told.language in rules.LANGUAGES else "",
        numbers=[told.customer_number] if told.customer_number else [],
    )
