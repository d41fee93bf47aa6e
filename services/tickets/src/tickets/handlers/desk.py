"""Tickets asked for by calls, and the desk itself: customers, queues, agents."""

from dataclasses import asdict, replace
from typing import Any

from chassis.db import Tx
from chassis.errors import InvalidInput, NotFound, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import audit as audit_rules
from tickets.domain import rights, rules
from tickets.domain.audit import Change
from tickets.domain.model import Agent, Queue, Ticket
from tickets.domain.opening import Opening
from tickets.domain.workflowlint import line_faults
from tickets.handlers.change import Caller, acting
from tickets.handlers.opening import open_ticket
from tickets.handlers.setup import setup_of
from tickets.store import audit
from tickets.store import desk as store
from tickets.store import tickets as tickets_store
from tickets.store.rights import person_of


async def create_ticket(tx: Tx, caller: Caller, opening: Opening, parent: str) -> Ticket:
    """A ticket that a program or an agent asks for; `parent` is an id or key, or empty."""
    actor = await acting(tx, caller)
    rights.require_create(await person_of(tx), opening.queue)
    if parent:
        opening = replace(opening, parent_ticket_id=await _parent_id(tx, parent))
    return await open_ticket(tx, opening, actor)


async def put_queue(tx: Tx, queue: Queue) -> Queue:
    """A queue as it shall be."""
    rules.check_queue(queue)
    before = await store.find_queue(tx, queue.key)
    if before:
        setup = await setup_of(tx, before.setup_id)
        rules.check_lines([text for _, text in line_faults(setup.workflow, queue.last_line)])
    queue = await store.put_queue(tx, queue)
    await audit.note(tx, f"queue/{queue.key}", "QueueChanged", _difference(before, queue))
    tx.emit(events.QueueChanged(queue=convert.to_queue(queue)), key=queue.key)
    return queue


async def put_agent(tx: Tx, agent: Agent) -> Agent:
    """A person of the desk as they shall be."""
    rules.check_agent(agent)
    before = await store.known_agent(tx, agent.id)
    agent = await store.put_agent(tx, agent)
    await audit.note(tx, f"agent/{agent.id}", "AgentChanged", _difference(before, agent))
    tx.emit(events.AgentChanged(agent=convert.to_agent(agent)), key=agent.id)
    return agent


def _difference(before: Any, after: Any) -> tuple[Change, ...]:
    old, new = (audit_rules.state(asdict(each)) if each else {} for each in (before, after))
    return audit_rules.changes(old, new)


async def _parent_id(tx: Tx, reference: str) -> str:
    try:
        return (await tickets_store.load_ticket(tx, reference)).id
    except (NotFound, InvalidInput) as error:
        text = f"parent_ticket: {error.message}"
        raise InvalidInput(text, violations=[Violation("parent_ticket", text)]) from error
