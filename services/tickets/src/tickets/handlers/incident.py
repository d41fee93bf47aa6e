"""Mass incidents: made, joined, left, and what their parents do reaching the children in batches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chassis.clock import uuid7
from chassis.db import Tx
from chassis.errors import InvalidInput, Refused, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets import metrics
from tickets.convert import tickets as convert
from tickets.domain import rights, workflow
from tickets.domain.incident import Failure, Incident, Kind, State, Task
from tickets.domain.model import Actor, ActorKind, Message, Ticket
from tickets.handlers.change import Caller, Target, acting, locked, publish
from tickets.handlers.triggers import finish
from tickets.store import incident as store
from tickets.store import messages
from tickets.store import tickets as tickets_store
from tickets.store.references import ids_of
from tickets.store.rights import person_of

_MAX_FAILURES = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tickets shall follow: ids or keys, and perhaps all that the desk suggests."""

    children: Sequence[str]
    suggested: bool = False


async def create_incident(tx: Tx, caller: Caller, target: Target, wanted: Wanted) -> tuple[Ticket, Incident]:
    """A ticket becomes the parent of others, or a proposed one is confirmed."""
    actor = await acting(tx, caller)
    await store.lock_membership(tx)
    ticket = await locked(tx, target)
    workflow.require_running(ticket)
    if parent := await store.parent_of(tx, ticket.id):
        text = f"{ticket.key} follows another incident: remove it there first"
        raise Refused(text, reason="FOLLOWS_ANOTHER", metadata={"incident": parent})
    if not ticket.incident:
        ticket.incident = True
        publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(actor), changed=["incident"]))
        await finish(tx, ticket)
    await store.put(tx, ticket, State.OPEN)
    await _add(tx, ticket, actor, wanted)
    return ticket, await store.load(tx, ticket.id)


async def add_to_incident(tx: Tx, caller: Caller, target: Target, wanted: Wanted) -> Incident:
    """More tickets follow."""
    actor = await acting(tx, caller)
    await store.lock_membership(tx)
    ticket = await _parent(tx, target)
    await _add(tx, ticket, actor, wanted)
    return await store.load(tx, ticket.id)


async def remove_from_incident(tx: Tx, caller: Caller, target: Target, children: Sequence[str]) -> Incident:
    """Tickets go their own way again, as they are."""
    actor = await acting(tx, caller)
    await store.lock_membership(tx)
    parent = await locked(tx, target)
    await _require(tx, parent, State.OPEN, State.PROPOSED)
    ids = await _ids(tx, children)
    await _require_edit(tx, ids)
    for child_id in sorted(await store.remove_children(tx, parent.id, ids)):
        child = await tickets_store.lock_or_none(tx, child_id)
        if child and child.parent_ticket_id == parent.id:
            child.parent_ticket_id = ""
            await _changed(tx, child, actor, "parent_ticket_id")
    return await store.load(tx, parent.id)


async def dismiss_incident(tx: Tx, caller: Caller, target: Target) -> Incident:
    """A proposed incident is none."""
    await acting(tx, caller)
    await store.lock_membership(tx)
    ticket = await locked(tx, target)
    await _require(tx, ticket, State.PROPOSED)
    await store.put(tx, ticket, State.DISMISSED)
    return await store.load(tx, ticket.id)


async def advance(tx: Tx, limit: int) -> bool:
    """Do the next batch of the oldest task; False when nothing is left to do."""
    task = await store.lock_task(tx)
    if task is None:
        return False
    parent = await tickets_store.load_ticket(tx, task.incident_id)
    letter = await messages.load_message(tx, task.message_id) if task.message_id else None
    batch = await store.lock_batch(tx, task, limit)
    for position, child in batch:
        task.position, task.done = position, task.done + 1
        await _apply(tx, task, child, letter or parent)
    if len(batch) < limit:
        task.finished_time = tx.now
    await store.save_task(tx, task)
    return True


async def _apply(tx: Tx, task: Task, child: Ticket, source: Ticket | Message) -> None:
    """One child follows, or says why it does not."""
    result = "done"
    try:
        match task.kind, source:
            case Kind.JOIN, Ticket():
                await _join(tx, child, task.actor, source)
            case Kind.PRIORITY, Ticket():
                if workflow.prioritize(child, source.priority, tx.now):
                    await _changed(tx, child, task.actor, "priority")
            case Kind.REPLY, Message():
                await _reply(tx, child, task.actor, source)
            case Kind.RESOLVE, _:
                await _resolve(tx, child, task.actor)
    except (Refused, InvalidInput) as error:
        # Raised before anything is written: the others follow all the same.
        result = "refused"
        task.failures = [*task.failures, Failure(child.key, error.reason)][:_MAX_FAILURES]
    labels = task.kind.name, result
    tx.after_commit(lambda: metrics.INCIDENT_STEPS.labels(*labels).inc())


async def _join(tx: Tx, child: Ticket, actor: Actor, parent: Ticket) -> None:
    names = []
    if workflow.prioritize(child, parent.priority, tx.now):
        names.append("priority")
    if not child.parent_ticket_id:
        child.parent_ticket_id = parent.id
        names.append("parent_ticket_id")
    if names:
        await _changed(tx, child, actor, *names)


async def _reply(tx: Tx, child: Ticket, actor: Actor, letter: Message) -> None:
    if actor.kind == ActorKind.ROBOT:
        workflow.robot_replied(child, tx.now)
    else:
        workflow.replied(child, actor.id, tx.now)
    conversation = child.conversations[-1]
    copy = replace(
        letter,
        id=str(uuid7()),
        ticket_id=child.id,
        created_time=tx.now,
        channel=conversation.channel,
        conversation_id=conversation.id,
        address=conversation.address,
        delivery_state="queued",
    )
    event = events.TicketReplied(actor=convert.to_actor(actor), message=convert.to_message(copy))
    publish(tx, child, event)
    await messages.add_message(tx, copy)
    await finish(tx, child)


async def _resolve(tx: Tx, child: Ticket, actor: Actor) -> None:
    if workflow.is_over(child):
        return
    # Who solves an untaken one takes it: no rule does.
    workflow.resolve(child, "" if actor.kind == ActorKind.ROBOT else actor.id, tx.now)
    publish(tx, child, events.TicketResolved(actor=convert.to_actor(actor)))
    await finish(tx, child)


async def _changed(tx: Tx, ticket: Ticket, actor: Actor, *names: str) -> None:
    publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(actor), changed=names))
    await finish(tx, ticket)


async def _add(tx: Tx, parent: Ticket, actor: Actor, wanted: Wanted) -> None:
    ids = await _ids(tx, wanted.children)
    before = await store.last_position(tx, parent.id)
    offered = await store.suggested(tx, parent.id) if wanted.suggested else []
    await _require_edit(tx, [*ids, *offered])
    new = await store.add_children(tx, parent.id, [*ids, *offered], follows=True)
    follow_now = {*new, *await store.followers(tx, parent.id, ids)}
    _refuse(wanted.children, [each in follow_now for each in ids])
    await store.add_task(tx, Task(parent.id, Kind.JOIN, actor, tx.now, position=before))


async def _require_edit(tx: Tx, ticket_ids: Sequence[str]) -> None:
    """Whoever lets tickets follow answers for them, too. Raises Denied (RIGHTS_MISSING)."""
    person = await person_of(tx)
    for queue, component in await store.queues_and_components(tx, ticket_ids):
        rights.require_edit_in(person, queue, component)


async def _ids(tx: Tx, references: Sequence[str]) -> list[str]:
    """Ids of tickets named by id or key. Raises InvalidInput (NOT_A_CHILD) naming each that is not seen."""
    found = await ids_of(tx, references)
    _refuse(references, [each in found for each in references])
    return [found[each] for each in references]


def _refuse(references: Sequence[str], right: Sequence[bool]) -> None:
    bad = [index for index, each in enumerate(right) if not each]
    if bad:
        text = "is no ticket, is closed, or has a part in another incident"
        violations = [Violation(f"children[{index}]", text) for index in bad]
        names = ", ".join(references[index] for index in bad[:10])
        raise InvalidInput(f"children: {names}: {text}", reason="NOT_A_CHILD", violations=violations)


async def _parent(tx: Tx, target: Target) -> Ticket:
    ticket = await locked(tx, target)
    await _require(tx, ticket, State.OPEN)
    workflow.require_running(ticket)
    return ticket


async def _require(tx: Tx, ticket: Ticket, *states: State) -> None:
    found = await store.find(tx, ticket.id)
    if found is None or found.state not in states:
        wanted = " or ".join(each.name.lower() for each in states)
        raise Refused(f"{ticket.key} is no incident that is {wanted}", reason="NO_INCIDENT")
