"""Answers that are kept ready: found, shown, used."""

from dataclasses import dataclass, replace

from chassis.db import Tx
from chassis.errors import NotFound, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import attributes, macros, workflow
from tickets.domain.attributes import Change
from tickets.domain.incident import Kind
from tickets.domain.letters import Letter
from tickets.domain.macros import Macro
from tickets.domain.model import Actor, Agent, Message, Queue, Ticket
from tickets.domain.statuses import Mover, StatusKind
from tickets.handlers import escalation_rules
from tickets.handlers.change import (
    Caller,
    Target,
    acting_agent,
    by_agent,
    follow,
    locked,
    mover,
    publish,
    unknown_users,
    write_note,
)
from tickets.handlers.letters import send
from tickets.handlers.setup import setup_of
from tickets.handlers.triggers import finish
from tickets.store import desk, drafts
from tickets.store import tickets as store


@dataclass(frozen=True, slots=True)
class Use:
    """How a macro is used: which one, and the text that an agent made of it."""

    key: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """What came of it; there is no message for a preview, nor for a macro without text."""

    ticket: Ticket
    text: str
    language: str
    message: Message | None = None


async def of_queue(tx: Tx, queue: Queue) -> dict[str, Macro]:
    """Macros of a queue by key: those of its setup, and ours that it does not replace."""
    setup = await setup_of(tx, queue.setup_id)
    return {each.key: each for each in (macros.ERROR_FIXED, macros.WISH_DELIVERED, *setup.macros)}


async def preview(tx: Tx, caller: Caller, target: Target, use: Use) -> Used:
    """The text as it would leave now. Raises NotFound, Refused (MACRO_FAILED)."""
    agent = await acting_agent(tx, caller)
    ticket = await store.load_ticket(tx, target.reference)
    _, used = await _rendered(tx, ticket, agent, use)
    return used


async def apply(tx: Tx, caller: Caller, target: Target, use: Use) -> Used:
    """The text leaves and what else the macro says is done; all of it or nothing (YT-18)."""
    agent = await acting_agent(tx, caller)
    ticket = await locked(tx, target)
    workflow.require_not_closed(ticket)
    macro, used = await _rendered(tx, ticket, agent, use)
    if used.text:
        used = replace(used, message=await _say(tx, ticket, by_agent(agent), macro, used.text))
    await _set(tx, ticket, by_agent(agent), macro)
    if macro.status and macro.status != ticket.status:
        await _move(tx, ticket, agent, macro.status, mover(caller, agent))
    await finish(tx, ticket)
    return used


async def _rendered(tx: Tx, ticket: Ticket, agent: Agent, use: Use) -> tuple[Macro, Used]:
    queue = await desk.load_queue(tx, ticket.queue)
    macro = (await of_queue(tx, queue)).get(use.key)
    if macro is None:
        text = f"{ticket.queue} has no macro {use.key}"
        raise NotFound(text, reason="MACRO_NOT_FOUND", metadata={"queue": ticket.queue, "macro": use.key})
    values = macros.values(ticket, queue, agent, tx.now)
    text, language = macros.text_of(macro, ticket.language, values)
    return macro, Used(ticket, use.text or text, language)


async def _say(tx: Tx, ticket: Ticket, author: Actor, macro: Macro, text: str) -> Message:
    if macro.internal:
        return await write_note(tx, ticket, author, text)
    await escalation_rules.require_unguarded(tx, ticket, "answer", reply=True)
    await drafts.remove(tx, ticket.id, author.id)
    message = await send(tx, ticket, author, Letter(text))
    await follow(tx, ticket, Kind.REPLY, author, message.id)
    return message


async def _set(tx: Tx, ticket: Ticket, actor: Actor, macro: Macro) -> None:
    setup = await setup_of(tx, ticket.setup_id)
    change = Change(add_tags=macro.add_tags, remove_tags=macro.remove_tags, set_fields=macro.fields)
    attributes.check(ticket, change, setup)
    # Who was named when the setup was put may have left since.
    gone = await unknown_users(tx, macro.fields) if macro.fields else []
    attributes.refuse([Violation(f"fields.{key}", "must be an active agent") for key in gone])
    changed = attributes.apply(ticket, change, tx.now)
    if macro.priority and workflow.prioritize(ticket, macro.priority, tx.now):
        changed.append("priority")
    if changed:
        publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(actor), changed=changed))


async def _move(tx: Tx, ticket: Ticket, agent: Agent, status: str, by: Mover) -> None:
    actor, previous = convert.to_actor(by_agent(agent)), ticket.status
    kinds = {each.key: each.kind for each in ticket.workflow.statuses}
    if kinds.get(status) == StatusKind.RESOLVED:
        await escalation_rules.require_unguarded(tx, ticket, "resolve")
        workflow.resolve(ticket, agent.id, tx.now, by)
        publish(tx, ticket, events.TicketResolved(actor=actor))
        await follow(tx, ticket, Kind.RESOLVE, by_agent(agent))
        return
    workflow.change_status(ticket, status, tx.now, by)
    publish(tx, ticket, events.TicketStatusChanged(actor=actor, previous_status=previous))
