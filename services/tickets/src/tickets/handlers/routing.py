"""Giving tickets to agents by the setup of their queue."""

from chassis.db import Tx
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import workflow
from tickets.domain.model import Actor, ActorKind, Agent, Ticket
from tickets.domain.routing import Load, Strategy, named_agent, route, strategy_of
from tickets.domain.setup import Setup
from tickets.handlers.change import publish
from tickets.handlers.setup import setup_of
from tickets.store import desk
from tickets.store import routing as store

_ROUTER = Actor(ActorKind.ROBOT, "routing")


async def queue_of_topic(tx: Tx, queue: str, topic: str) -> str:
    """The queue that a topic leads to from this one (KT-07); this one unless its setup says another."""
    setup = await setup_of(tx, (await desk.load_queue(tx, queue)).setup_id)
    wanted = setup.topics.route_of(topic).queue
    return wanted if wanted and await desk.has_queue(tx, wanted) else queue


async def assign_new(tx: Tx, ticket: Ticket, setup: Setup) -> None:
    """Give a new ticket to the agent that its setup names or chooses, if any; the caller stores it."""
    named, strategy = named_agent(ticket, setup.topics), strategy_of(ticket, setup.routing)
    staff = [Load(each) for each in await store.active_agents(tx, [named] if named else [])]
    if not staff and strategy != Strategy.NONE:
        staff = await store.lock_staff(tx, ticket.queue, ticket.line)
    agent = route(ticket, setup.routing, setup.topics, staff, tx.now)
    if agent is None:
        return
    _hand_over(tx, ticket, agent)
    if agent.id != named:
        await store.note_turn(tx, agent.id)


async def hand_to_owner(tx: Tx, ticket: Ticket, setup: Setup) -> None:
    """Give a ticket to the owner of the component that it got (YT-17, YT-19); the caller stores it."""
    component = setup.topics.component(ticket.component)
    if component is None or not component.assign_by_default or workflow.is_over(ticket):
        return
    for owner in await store.active_agents(tx, [component.owner]):
        # An escalation waits for somebody of its line.
        if not ticket.escalation or owner.works_on(ticket.line):
            _hand_over(tx, ticket, owner)


def _hand_over(tx: Tx, ticket: Ticket, agent: Agent) -> None:
    previous = ticket.assignee
    if workflow.assign(ticket, agent, tx.now):
        event = events.TicketAssigned(actor=convert.to_actor(_ROUTER), previous_assignee=previous)
        publish(tx, ticket, event)
