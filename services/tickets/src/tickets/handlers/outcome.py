"""What a customer is told when the tasks of their ticket are done."""

from chassis.db import Tx
from chassis.errors import Refused
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import macros, workflow
from tickets.domain.incident import Kind
from tickets.domain.letters import Letter
from tickets.domain.macros import ERROR_FIXED, WISH_DELIVERED, Macro
from tickets.domain.model import Actor, ActorKind, Ticket, TicketType
from tickets.domain.templates import Values
from tickets.handlers.change import follow, publish
from tickets.handlers.letters import send
from tickets.handlers.macros import of_queue
from tickets.store import desk

_TASKS = Actor(ActorKind.ROBOT, "tasks")


async def tell_and_resolve(tx: Tx, ticket: Ticket) -> None:
    """Resolve a locked ticket and tell its customer why (MP-02, MP-20); the caller saves it."""
    message = await send(tx, ticket, _TASKS, Letter(await _text(tx, ticket)))
    await follow(tx, ticket, Kind.REPLY, _TASKS, message.id)
    workflow.resolve(ticket, "", tx.now)
    publish(tx, ticket, events.TicketResolved(actor=convert.to_actor(_TASKS)))
    await follow(tx, ticket, Kind.RESOLVE, _TASKS)


async def _text(tx: Tx, ticket: Ticket) -> str:
    """The queue's own words where its setup has them and they can be made, else ours."""
    queue = await desk.load_queue(tx, ticket.queue)
    usual = WISH_DELIVERED if ticket.type == TicketType.WISH else ERROR_FIXED
    own = (await of_queue(tx, queue))[usual.key]
    values = macros.values(ticket, queue, None, tx.now)
    try:
        return macros.text_of(own, ticket.language, values)[0] or _usual(usual, ticket, values)
    except Refused:
        return _usual(usual, ticket, values)


def _usual(macro: Macro, ticket: Ticket, values: Values) -> str:
    return macros.text_of(macro, ticket.language, values)[0]
