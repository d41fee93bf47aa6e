"""Tickets that go to another queue."""

from chassis.db import Tx
from chassis.errors import InvalidInput, NotFound, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import moving, workflow
from tickets.domain.model import Queue, Ticket
from tickets.handlers.change import Caller, Target, acting, locked, publish, write_note
from tickets.handlers.setup import setup_of
from tickets.handlers.triggers import finish
from tickets.store import desk
from tickets.store import merging as store

_MOVED = {"ru": "Перенесено из {key}.", "en": "Moved here; it was {key}."}


async def move(tx: Tx, caller: Caller, target: Target, key: str) -> Ticket:
    """A ticket goes to another queue; its old key goes on to be found."""
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    if ticket.queue == key:
        text = f"queue must be another one: {ticket.key} is in {key}"
        raise InvalidInput(text, violations=[Violation("queue", text)])
    queue, old_key = await desk.load_queue(tx, key), ticket.key
    stays = workflow.is_over(ticket) or await _may_keep(tx, ticket, queue)
    number = await store.number_in(tx, ticket, key)
    setup = await setup_of(tx, queue.setup_id)
    moving.move(ticket, queue, number, setup.workflow, tx.now)
    left = moving.leave_fields(ticket, setup.field_keys)
    if not stays:
        workflow.assign(ticket, None, tx.now)
    changed = ["queue", "key", "status", "line", "assignee", *(f"fields.{key}" for key in left)]
    publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(actor), changed=changed))
    told = _MOVED.get(ticket.language, _MOVED["en"]).format(key=old_key)
    await write_note(tx, ticket, actor, "\n".join([told, *(f"{key}: {text}" for key, text in left.items())]))
    await finish(tx, ticket)
    return ticket


async def _may_keep(tx: Tx, ticket: Ticket, queue: Queue) -> bool:
    try:
        return not ticket.assignee or moving.works_in(await desk.load_agent(tx, ticket.assignee), queue)
    except NotFound:
        return False
