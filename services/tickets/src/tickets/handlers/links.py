"""Tickets that have to do with each other, and what they wait for in other systems."""

from chassis.db import Tx
from chassis.errors import Exhausted, NotFound, Refused
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import links, workflow
from tickets.domain.links import MAX_LINKS, Edge, ExternalLink, LinkKind, TaskState
from tickets.domain.model import Actor, Ticket
from tickets.handlers import outcome
from tickets.handlers.change import Caller, Target, acting, locked, locked_with, publish
from tickets.handlers.triggers import finish
from tickets.store import links as store
from tickets.store import tickets as tickets_store


async def link(tx: Tx, caller: Caller, target: Target, reference: str, kind: LinkKind) -> Ticket:
    """Two tickets know of each other; both are told, for what one waits for concerns the other."""
    actor = await acting(tx, caller)
    ticket, other = await locked_with(tx, target, reference, "other")
    edge = links.edge(kind, ticket.id, other.id)
    await store.one_at_a_time(tx)
    if await store.add(tx, edge):
        await _require_sound(tx, edge, ticket, other)
        await _tell(tx, actor, "links", ticket, other)
    return ticket


async def unlink(tx: Tx, caller: Caller, target: Target, reference: str, kind: LinkKind) -> Ticket:
    """They do not any more."""
    actor = await acting(tx, caller)
    ticket, other = await locked_with(tx, target, reference, "other")
    if await store.remove(tx, links.edge(kind, ticket.id, other.id)):
        await _tell(tx, actor, "links", ticket, other)
    return ticket


async def put_external(tx: Tx, caller: Caller, target: Target, link: ExternalLink) -> Ticket:
    """A page or task of another system, as it shall be."""
    link = links.external(link)
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    if await store.put_external(tx, ticket.id, link):
        if len(await store.externals(tx, ticket.id)) > MAX_LINKS:
            raise _too_many(ticket)
        await _tell(tx, actor, "external_links", ticket)
    return ticket


async def remove_external(tx: Tx, caller: Caller, target: Target, url: str) -> Ticket:
    """The ticket does not wait for it any more, nor close by itself for that."""
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    if await store.remove_external(tx, ticket.id, url):
        await _tell(tx, actor, "external_links", ticket)
    return ticket


async def set_task_state(tx: Tx, caller: Caller, url: str, state: TaskState) -> tuple[int, int]:
    """How far a task is, in all tickets that have it; returns how many those are and how many it resolved.

    A ticket whose tasks are all through is resolved and its customer told (MP-02, MP-20). Raises NotFound.
    """
    actor = await acting(tx, caller)
    waiting, resolved = await store.waiting_for(tx, url), 0
    if not waiting:
        raise NotFound(f"no ticket waits for {url}", reason="TASK_NOT_FOUND", metadata={"url": url[:500]})
    for ticket_id in waiting:
        # Locked first: of two tasks that end at once, the later one sees that both are done.
        ticket = await tickets_store.lock_or_none(tx, ticket_id)
        if ticket and await store.set_state(tx, ticket.id, url, state):
            resolved += await _task_changed(tx, ticket, actor)
    return len(waiting), resolved


async def _task_changed(tx: Tx, ticket: Ticket, actor: Actor) -> bool:
    publish(tx, ticket, _updated(actor, "external_links"))
    done = not workflow.is_over(ticket) and links.all_done(await store.externals(tx, ticket.id))
    if done:
        await outcome.tell_and_resolve(tx, ticket)
    await finish(tx, ticket)
    return done


async def _require_sound(tx: Tx, edge: Edge, ticket: Ticket, other: Ticket) -> None:
    """Raise Refused for a circle or a second parent, Exhausted for too many; nothing of it stays."""
    if edge.kind != LinkKind.RELATES and await store.reaches(tx, edge):
        raise Refused(
            f"{ticket.key} and {other.key}: this would lead back to where it begins", reason="CYCLE_OF_LINKS"
        )
    if edge.kind == LinkKind.PARENT_OF and await store.count_parents(tx, edge.to_id) > 1:
        raise Refused("the ticket is a part of another already: unlink it first", reason="PARENT_TAKEN")
    for each in (ticket, other):
        if await store.count(tx, each.id) > MAX_LINKS:
            raise _too_many(each)


async def _tell(tx: Tx, actor: Actor, what: str, *tickets: Ticket) -> None:
    for ticket in tickets:
        publish(tx, ticket, _updated(actor, what))
        await finish(tx, ticket)


def _updated(actor: Actor, what: str) -> events.TicketUpdated:
    return events.TicketUpdated(actor=convert.to_actor(actor), changed=[what])


def _too_many(ticket: Ticket) -> Exhausted:
    return Exhausted(f"{ticket.key} has {MAX_LINKS} of them: take some away", reason="TOO_MANY_LINKS")
