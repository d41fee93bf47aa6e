"""What every change of a ticket has in common: who does it, which ticket, and telling the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import Message as Proto

from chassis.clock import uuid7
from chassis.db import Tx
from chassis.errors import Denied, DeskError, InvalidInput, Refused, Violation
from chassis.principal import Principal
from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import events_pb2 as events
from tickdesk.tickets.v1 import ticket_pb2
from tickets.convert import stale as stale_states
from tickets.convert import tickets as convert
from tickets.domain import audit as audit_rules
from tickets.domain import workflow
from tickets.domain.audit import Change
from tickets.domain.conditions import Happened
from tickets.domain.fields import User, Value
from tickets.domain.incident import Kind, Task
from tickets.domain.model import Actor, ActorKind, Agent, Attachment, Message, Queue, Ticket, Visibility
from tickets.domain.statuses import Mover
from tickets.handlers.stale import stale
from tickets.store import audit, audit_lists, desk, incident, messages, routing
from tickets.store import tickets as store
from tickets.store.rights import PEOPLE, person_of


class TicketEvent(Protocol):
    """An event that carries a ticket."""

    @property
    def ticket(self) -> ticket_pb2.Ticket:
        """The ticket after the change."""
        ...

    @property
    def actor(self) -> common_pb2.Actor:
        """Who changed it."""
        ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and the agent on whose behalf."""

    principal: Principal
    agent_id: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Which ticket is meant: its id or key, and the version that the caller saw (0: any)."""

    reference: str
    version: int = 0


async def acting_agent(tx: Tx, caller: Caller) -> Agent:
    """The agent who acts. Raises InvalidInput without one, Denied for somebody else's name, NotFound."""
    wanted = agent_of(caller)
    person = await person_of(tx)
    if person and person.agent.id == wanted:
        return person.agent
    if not wanted:
        text = "agent_id must name the agent on whose behalf this is done"
        raise InvalidInput(text, violations=[Violation("agent_id", text)])
    return await desk.load_agent(tx, wanted)


async def acting(tx: Tx, caller: Caller) -> Actor:
    """The agent who acts, or the calling service itself where no person is needed."""
    return (await moving(tx, caller))[0]


async def moving(tx: Tx, caller: Caller) -> tuple[Actor, Mover]:
    """Who acts, and what a workflow may ask of who moves a ticket."""
    if agent_of(caller):
        agent = await acting_agent(tx, caller)
        return by_agent(agent), mover(caller, agent)
    return Actor(ActorKind.SERVICE, caller.principal.name), Mover(caller.principal.role)


def mover(caller: Caller, agent: Agent) -> Mover:
    """The agent as one who moves tickets; the right to call is the caller's."""
    return Mover(caller.principal.role, tuple(agent.lines))


def by_agent(agent: Agent) -> Actor:
    """An agent as an actor."""
    return Actor(ActorKind.AGENT, agent.id, agent.name)


async def locked(tx: Tx, target: Target) -> Ticket:
    """The ticket, locked.

    Raises what `load_ticket` does, Refused (TICKET_MERGED), and Stale (STALE_VERSION) when the caller saw
    another version.
    """
    ticket = await store.load_ticket(tx, target.reference, lock=True)
    await _require_present(tx, ticket, target)
    return ticket


async def locked_with(tx: Tx, target: Target, reference: str, field: str) -> tuple[Ticket, Ticket]:
    """Two tickets, locked in one order for everybody; what is wrong with the second is said of its field.

    Raises what `locked` does, InvalidInput when both are the same, Refused when the second was merged.
    """
    first = await store.find_id(tx, target.reference)
    try:
        second = await store.find_id(tx, reference)
    except DeskError as error:
        violations = [Violation(field, error.message)]
        raise type(error)(
            f"{field}: {error.message}", reason=error.reason, violations=violations, metadata=error.metadata
        ) from error
    if first == second:
        text = f"{field} must be another ticket"
        raise InvalidInput(text, violations=[Violation(field, text)])
    both = {each: await store.load_ticket(tx, each, lock=True) for each in sorted((first, second))}
    await _require_present(tx, both[first], target)
    await _require_present(tx, both[second], Target(reference))
    return both[first], both[second]


def require_unmerged(ticket: Ticket) -> None:
    """Raise Refused (TICKET_MERGED) for a ticket that goes on elsewhere."""
    if ticket.merged_into_id:
        raise Refused(
            f"{ticket.key} was merged into {ticket.merged_into_key}: go on there",
            reason="TICKET_MERGED",
            metadata={"into": ticket.merged_into_key, "into_id": ticket.merged_into_id},
        )


async def _require_present(tx: Tx, ticket: Ticket, target: Target) -> None:
    require_unmerged(ticket)
    if target.version not in (0, ticket.version):
        entries = await audit_lists.since(tx, ticket.id, min(target.version, ticket.version - 1))
        raise stale(ticket.key, stale_states.of_ticket(ticket, entries))


def publish(tx: Tx, ticket: Ticket, event: TicketEvent) -> None:
    """Give the change the next version, emit its event with the whole ticket, and note it for the audit.

    The caller saves the ticket, and the audit with it. Raises InvalidInput for a letter too long to be sent.
    """
    ticket.version += 1
    ticket.updated_time = tx.now
    event.ticket.CopyFrom(convert.to_ticket(ticket))
    assert isinstance(event, Proto)
    convert.fit(event)
    tx.emit(event, key=ticket.id)
    actor = Actor(ActorKind(event.actor.kind or ActorKind.SERVICE), event.actor.id)
    about = {"ticket_id": ticket.id, "version": ticket.version}
    name, changed = event.DESCRIPTOR.name, changes(ticket)
    ticket.told.append(audit.entry(tx, actor, name, changed, **about))
    message: ticket_pb2.TicketMessage | None = getattr(event, "message", None)
    text = message.text if message else ""
    ticket.happened.append(Happened(name, actor, ticket.version, changed, text))


def changes(ticket: Ticket) -> tuple[Change, ...]:
    """What became different since the ticket was loaded or this was last asked, where that is known."""
    state = audit_rules.state(store.ticket_row(ticket))
    found = audit_rules.changes(ticket.stored, state) if ticket.stored or ticket.version == 1 else ()
    ticket.stored = state
    return found


async def queue_of(tx: Tx, ticket: Ticket) -> Queue:
    """The queue of a ticket, read once in a unit of work."""
    place = f"queue/{ticket.queue}"
    if place not in tx.read:
        tx.read[place] = await desk.load_queue(tx, ticket.queue)
    found: Queue = tx.read[place]
    return found


async def follow(tx: Tx, parent: Ticket, kind: Kind, actor: Actor, message_id: str = "") -> None:
    """What was done to a parent of an incident shall be done to its children; nothing for other tickets."""
    if parent.incident:
        await incident.add_task(tx, Task(parent.id, kind, actor, tx.now, message_id))


async def unknown_users(tx: Tx, values: Mapping[str, Value]) -> list[str]:
    """Keys of the values that name nobody of the desk."""
    named = {key: value.id for key, value in values.items() if isinstance(value, User)}
    known = {each.id for each in await routing.active_agents(tx, list(named.values()))}
    return [key for key, name in named.items() if name not in known]


async def keep_message(tx: Tx, ticket: Ticket, message: Message) -> None:
    """Store one more message; a ticket that is not stored yet is stored first."""
    if ticket.first_message:
        await store.save_ticket(tx, ticket)
    await messages.add_message(tx, message)


async def write_note(
    tx: Tx, ticket: Ticket, author: Actor, text: str, files: Sequence[Attachment] = ()
) -> Message:
    """An internal note; the caller saves the ticket."""
    note = Message(
        id=str(uuid7()),
        ticket_id=ticket.id,
        author=author,
        visibility=Visibility.INTERNAL,
        text=text,
        created_time=tx.now,
        attachments=list(files),
    )
    await keep_note(tx, ticket, note)
    return note


async def keep_note(tx: Tx, ticket: Ticket, note: Message) -> None:
    """Store an internal message as a note; its text does not travel."""
    workflow.noted(ticket)
    await keep_message(tx, ticket, note)
    publish(tx, ticket, events.NoteAdded(actor=convert.to_actor(note.author), message_id=note.id))


def agent_of(caller: Caller) -> str:
    """Id of the agent who asks, or on whose behalf; empty when there is none. Raises Denied."""
    role, own = caller.principal.role, caller.principal.name.partition(":")[2]
    if role == "agent" and caller.agent_id not in ("", own):
        raise Denied(
            f"agent_id must be empty or {own}: an agent acts for nobody else", reason="AGENT_ID_NOT_YOURS"
        )
    return caller.agent_id or (own if role in PEOPLE else "")
