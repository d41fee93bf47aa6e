"""Doing what rules say, after it was rehearsed; the caller stores the ticket."""

from collections.abc import Sequence

from chassis.db import Tx
from chassis.errors import Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets import metrics
from tickets.convert import tickets as convert
from tickets.domain import attributes, rule_actions
from tickets.domain.incident import Kind
from tickets.domain.letters import Letter
from tickets.domain.model import Actor, Ticket
from tickets.domain.rule_actions import NOTHING, Done, Known
from tickets.domain.rule_runs import actor_of
from tickets.domain.triggers import Action, AddNote, Escalate, Reply, Rule, SetValues, Texts
from tickets.handlers.change import follow, publish, unknown_users, write_note
from tickets.handlers.escalation_rules import after_change, raise_escalation
from tickets.handlers.letters import send
from tickets.handlers.routing import hand_to_owner

_COUNTED = {"TicketClosed": metrics.CLOSED, "TicketReopened": metrics.REOPENED}


async def require_users(tx: Tx, actions: Sequence[Action]) -> None:
    """Raise InvalidInput when an agent whom the actions put into a field has left."""
    for action in actions:
        if isinstance(action, SetValues):
            gone = await unknown_users(tx, action.change.set_fields)
            attributes.refuse([Violation(f"fields.{key}", "must be an active agent") for key in gone])


async def perform(tx: Tx, ticket: Ticket, rule: Rule, known: Known) -> None:
    """Do all of a rule for real, as it was rehearsed, with the events that tell of it."""
    actor = actor_of(rule.key)
    done = [await _perform(tx, ticket, each, known, actor) for each in rule.actions]
    # Only now: else the actions would find another ticket than they were rehearsed on.
    for each in done:
        await _after(tx, ticket, each, known, actor)


async def _perform(tx: Tx, ticket: Ticket, action: Action, known: Known, actor: Actor) -> Done:
    match action:
        case Reply(texts=texts):
            await _reply(tx, ticket, texts, known, actor)
        case AddNote(texts=texts):
            await write_note(tx, ticket, actor, rule_actions.text_of(texts, ticket, known))
        case Escalate():
            raise_escalation(tx, ticket, known.queue, actor, rule_actions.step_of(action))
        case _:
            done = rule_actions.apply(ticket, action, known)
            if done.event:
                publish(tx, ticket, getattr(events, done.event)(actor=convert.to_actor(actor), **done.parts))
            return done
    return NOTHING


async def _reply(tx: Tx, ticket: Ticket, texts: Texts, known: Known, actor: Actor) -> None:
    if not rule_actions.silence(ticket, known):
        message = await send(tx, ticket, actor, Letter(rule_actions.text_of(texts, ticket, known)))
        await follow(tx, ticket, Kind.REPLY, actor, message.id)


async def _after(tx: Tx, ticket: Ticket, done: Done, known: Known, actor: Actor) -> None:
    """What follows from the same change by whomever it is made."""
    if done.event == "TicketUpdated":
        changed = done.parts["changed"]
        if "component" in changed:
            await hand_to_owner(tx, ticket, known.setup)
        await after_change(tx, ticket, known.queue, changed)
        if "priority" in changed:
            await follow(tx, ticket, Kind.PRIORITY, actor)
    if done.event == "TicketResolved":
        await follow(tx, ticket, Kind.RESOLVE, actor)
    if counted := _COUNTED.get(done.event):
        labels = ticket.line.name, ticket.priority.name
        tx.after_commit(lambda: counted.labels(*labels).inc())
