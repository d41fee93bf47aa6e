"""Escalations: asked for by people, or raised by rules in the unit of work that saw the reason."""

from dataclasses import replace

from chassis.db import Tx
from tickdesk.tickets.v1 import events_pb2 as events
from tickets import metrics
from tickets.convert import tickets as convert
from tickets.convert import values
from tickets.domain import escalation
from tickets.domain.escalation import Step
from tickets.domain.model import Actor, Ticket
from tickets.handlers.change import Caller, Target, locked, moving, publish
from tickets.store import desk
from tickets.store import tickets as store


async def escalate(tx: Tx, caller: Caller, target: Target, step: Step) -> Ticket:
    """The ticket goes to the next line, or its open escalation gets one more reason."""
    actor, mover = await moving(tx, caller)
    ticket = await locked(tx, target)
    step = replace(step, mover=mover)
    if await raise_escalation(tx, ticket, actor, step, note=step.form.ask if step.form else ""):
        await store.save_ticket(tx, ticket)
    return ticket


async def raise_escalation(tx: Tx, ticket: Ticket, actor: Actor, step: Step, note: str = "") -> bool:
    """Escalate a locked ticket and tell the others; the caller saves it when this is True."""
    queue, from_line = await desk.load_queue(tx, ticket.queue), ticket.line
    started = escalation.escalate(ticket, step, queue.last_line, tx.now)
    if started is None:
        return False
    event = events.TicketEscalated(
        actor=convert.to_actor(actor), reason=values.number(step.reason), started=started, note=note
    )
    publish(tx, ticket, event)
    if started:
        labels = from_line.name, ticket.line.name, step.reason.name
        tx.after_commit(lambda: metrics.ESCALATIONS.labels(*labels).inc())
    return True
