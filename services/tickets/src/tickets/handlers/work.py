"""What people of the desk do with tickets, one function per command."""

from collections.abc import Sequence
from datetime import timedelta

from chassis.db import Tx
from chassis.errors import InvalidInput, Refused
from chassis.telemetry import logger
from tickdesk.tickets.v1 import events_pb2 as events
from tickets import metrics
from tickets.convert import tickets as convert
from tickets.domain import workflow
from tickets.domain.incident import Kind
from tickets.domain.letters import Letter
from tickets.domain.model import Actor, ActorKind, Message, Priority, Ticket
from tickets.domain.statuses import Mover
from tickets.handlers import escalation_rules
from tickets.handlers.change import (
    Caller,
    Target,
    acting,
    acting_agent,
    by_agent,
    follow,
    locked,
    mover,
    moving,
    publish,
    write_note,
)
from tickets.handlers.letters import send
from tickets.handlers.mentions import call_people, find_people
from tickets.handlers.triggers import finish
from tickets.handlers.uploads import usable
from tickets.store import desk, drafts
from tickets.store import tickets as store

log = logger(__name__)
_TERM = Actor(ActorKind.ROBOT, "confirmation-term")


async def take_ticket(tx: Tx, caller: Caller, target: Target) -> Ticket:
    """The agent becomes responsible; an escalation to their line ends with it."""
    agent = await acting_agent(tx, caller)
    ticket = await locked(tx, target)
    leads = await desk.leads_of(tx, ticket.queue, ticket.line)
    if workflow.take(ticket, agent, leads, tx.now, mover(caller, agent)):
        publish(tx, ticket, events.TicketTaken(actor=convert.to_actor(by_agent(agent))))
        await finish(tx, ticket)
    return ticket


async def assign_ticket(tx: Tx, caller: Caller, target: Target, assignee: str) -> Ticket:
    """The ticket is given to an agent, or back to the queue."""
    actor, by = await moving(tx, caller)
    agent = await desk.load_agent(tx, assignee) if assignee else None
    ticket = await locked(tx, target)
    previous = ticket.assignee
    if workflow.assign(ticket, agent, tx.now, by):
        event = events.TicketAssigned(actor=convert.to_actor(actor), previous_assignee=previous)
        publish(tx, ticket, event)
        await finish(tx, ticket)
    return ticket


async def reply(
    tx: Tx, caller: Caller, target: Target, letter: Letter, status: str
) -> tuple[Ticket, Message]:
    """A letter to the customer, and with it a move to another status where one is named."""
    agent = await acting_agent(tx, caller)
    actor = by_agent(agent)
    ticket = await locked(tx, target)
    await escalation_rules.require_unguarded(tx, ticket, "answer", reply=True)
    message = await send(tx, ticket, actor, letter)
    await drafts.remove(tx, ticket.id, actor.id)
    await follow(tx, ticket, Kind.REPLY, actor, message.id)
    if status and status != ticket.status:
        _change_status(tx, ticket, actor, status, mover(caller, agent))
    await finish(tx, ticket)
    return ticket, message


async def add_note(
    tx: Tx, caller: Caller, target: Target, text: str, attachment_ids: Sequence[str]
) -> tuple[Ticket, Message]:
    """An internal note, and whom it calls; allowed in every status."""
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    called = await find_people(tx, text)
    note = await write_note(tx, ticket, actor, text, await usable(tx, ticket, attachment_ids))
    call_people(tx, ticket, actor, note, called)
    await finish(tx, ticket)
    return ticket, note


async def change_status(tx: Tx, caller: Caller, target: Target, status: str) -> Ticket:
    """A move by hand; moving to the status it has changes nothing."""
    actor, by = await moving(tx, caller)
    ticket = await locked(tx, target)
    if status != ticket.status:
        _change_status(tx, ticket, actor, status, by)
        await finish(tx, ticket)
    return ticket


async def prioritize(tx: Tx, caller: Caller, target: Target, priority: Priority) -> Ticket:
    """Another priority; the clocks follow it."""
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    if workflow.prioritize(ticket, priority, tx.now):
        publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(actor), changed=["priority"]))
        queue = await desk.load_queue(tx, ticket.queue)
        await escalation_rules.after_change(tx, ticket, queue, ["priority"])
        await follow(tx, ticket, Kind.PRIORITY, actor)
        await finish(tx, ticket)
    return ticket


async def resolve(tx: Tx, caller: Caller, target: Target, text: str) -> Ticket:
    """Solved, with a last letter where there is one."""
    agent = await acting_agent(tx, caller)
    ticket = await locked(tx, target)
    await escalation_rules.require_unguarded(tx, ticket, "resolve")
    if text and not workflow.is_over(ticket):
        message = await send(tx, ticket, by_agent(agent), Letter(text))
        await follow(tx, ticket, Kind.REPLY, by_agent(agent), message.id)
    workflow.resolve(ticket, agent.id, tx.now, mover(caller, agent))
    publish(tx, ticket, events.TicketResolved(actor=convert.to_actor(by_agent(agent))))
    await follow(tx, ticket, Kind.RESOLVE, by_agent(agent))
    await finish(tx, ticket)
    return ticket


async def close(tx: Tx, caller: Caller, target: Target, *, confirmed: bool) -> Ticket:
    """The customer confirmed, or nobody waits for that any more."""
    actor, by = await moving(tx, caller)
    ticket = await locked(tx, target)
    await _close(tx, ticket, actor, by, confirmed=confirmed)
    return ticket


async def close_expired(tx: Tx, term: timedelta, limit: int) -> int:
    """Close tickets whose confirmation term ran out (CA-09); returns how many were closed."""
    closed = 0
    for ticket in await store.lock_expired(tx, term, limit):
        try:
            await _close(tx, ticket, _TERM, None, confirmed=False)
            closed += 1
        except (Refused, InvalidInput) as error:
            # Raised before anything is written: the others close all the same.
            log.error("a ticket cannot be closed", ticket=ticket.key, reason=error.reason)
    return closed


async def reopen(tx: Tx, caller: Caller, target: Target) -> Ticket:
    """A new cycle begins."""
    actor, by = await moving(tx, caller)
    ticket = await locked(tx, target)
    workflow.reopen(ticket, tx.now, by)
    publish_reopened(tx, ticket, actor)
    await finish(tx, ticket)
    return ticket


def publish_reopened(tx: Tx, ticket: Ticket, actor: Actor) -> None:
    """Tell that a new cycle began, and count it."""
    publish(tx, ticket, events.TicketReopened(actor=convert.to_actor(actor)))
    labels = ticket.line.name, ticket.priority.name
    tx.after_commit(lambda: metrics.REOPENED.labels(*labels).inc())


def _change_status(tx: Tx, ticket: Ticket, actor: Actor, status: str, by: Mover) -> None:
    previous = ticket.status
    workflow.change_status(ticket, status, tx.now, by)
    publish(tx, ticket, events.TicketStatusChanged(actor=convert.to_actor(actor), previous_status=previous))


async def _close(tx: Tx, ticket: Ticket, actor: Actor, by: Mover | None, *, confirmed: bool) -> None:
    workflow.close(ticket, tx.now, confirmed=confirmed, by=by)
    publish(tx, ticket, events.TicketClosed(actor=convert.to_actor(actor), confirmed=confirmed))
    labels = ticket.line.name, ticket.priority.name
    tx.after_commit(lambda: metrics.CLOSED.labels(*labels).inc())
    await finish(tx, ticket)
