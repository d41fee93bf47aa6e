"""What agents share while they talk to a customer: drafts, followers, teams."""

from dataclasses import replace

from chassis.db import Tx
from chassis.errors import InvalidInput, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import letters, workflow
from tickets.domain.drafts import Draft
from tickets.domain.letters import Envelope
from tickets.domain.mentions import Team
from tickets.domain.model import Ticket
from tickets.handlers.change import Caller, Target, acting, acting_agent, locked, publish, require_unmerged
from tickets.handlers.triggers import finish
from tickets.store import desk, drafts, messages, teams
from tickets.store import tickets as store


async def save_draft(tx: Tx, caller: Caller, reference: str, draft: Draft) -> Draft:
    """What the agent has written so far; the ticket stays as it is, and so does its version."""
    agent = await acting_agent(tx, caller)
    ticket = await store.load_ticket(tx, reference)
    require_unmerged(ticket)
    draft = replace(draft, ticket_id=ticket.id, agent_id=agent.id, agent_name=agent.name, saved_time=tx.now)
    await drafts.save(tx, draft)
    return draft


async def delete_draft(tx: Tx, caller: Caller, reference: str) -> None:
    """The agent does not want it any more."""
    agent = await acting_agent(tx, caller)
    await drafts.remove(tx, await store.find_id(tx, reference), agent.id)


async def prepare_reply(tx: Tx, reference: str) -> tuple[Ticket, Envelope, str]:
    """How an answer would leave, and from which address of the desk (YT-07, YT-09)."""
    ticket = await store.load_ticket(tx, reference)
    queue = await desk.load_queue(tx, ticket.queue)
    envelope = letters.proposed(ticket, await messages.last_question(tx, ticket.id))
    account = next(iter(queue.addresses), envelope.conversation.account)
    return ticket, envelope, account if envelope.by_mail else envelope.conversation.account


async def follow(tx: Tx, caller: Caller, target: Target, follower: str) -> Ticket:
    """An agent follows the ticket: the one who acts, or another."""
    agent = await desk.load_agent(tx, follower) if follower else await acting_agent(tx, caller)
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    if agent.id not in ticket.observers:
        workflow.observe(ticket, agent.id)
        publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(actor), changed=["observers"]))
        await finish(tx, ticket)
    return ticket


async def unfollow(tx: Tx, caller: Caller, target: Target, follower: str) -> Ticket:
    """They do not any more; one who has left can be taken away too."""
    follower = follower or (await acting_agent(tx, caller)).id
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    if follower in ticket.observers:
        ticket.observers = [each for each in ticket.observers if each != follower]
        publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(actor), changed=["observers"]))
        await finish(tx, ticket)
    return ticket


async def put_team(tx: Tx, team: Team) -> Team:
    """A team as it shall be. Raises InvalidInput for members whom the desk does not know."""
    email = letters.address("team.email", team.email) if team.email else ""
    known = set(await teams.active(tx, team.members))
    strange = [index for index, each in enumerate(team.members) if each not in known]
    if strange:
        text = "must be an agent of the desk"
        violations = [Violation(f"team.members[{index}]", text) for index in strange]
        raise InvalidInput(f"{violations[0].field} {text}", reason="AGENT_NOT_FOUND", violations=violations)
    return await teams.put(tx, replace(team, email=email))
