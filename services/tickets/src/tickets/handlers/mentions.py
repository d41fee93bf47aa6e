"""Calling people and teams into a ticket by a note."""

from dataclasses import dataclass

from chassis.db import Tx
from chassis.errors import InvalidInput, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import conversation as convert
from tickets.convert import tickets as convert_tickets
from tickets.domain import workflow
from tickets.domain.mentions import MAX_MENTIONS, Team, mentioned
from tickets.domain.model import Actor, Message, Ticket
from tickets.handlers.change import publish
from tickets.store import teams as store


@dataclass(frozen=True, slots=True)
class Called:
    """Whom a note calls."""

    agents: list[str]
    teams: list[Team]


async def find_people(tx: Tx, text: str) -> Called:
    """Whom a note calls. Raises InvalidInput (MENTION_UNKNOWN) for people and teams whom nobody knows."""
    agents, keys = mentioned(text)
    if len(agents) + len(keys) > MAX_MENTIONS:
        raise _unknown(f"text calls more than {MAX_MENTIONS} people and teams", "TOO_MANY_MENTIONS")
    if not agents and not keys:
        return Called([], [])
    known, teams = set(await store.active(tx, agents)), await store.load(tx, keys)
    strange = [f"@{each}" for each in agents if each not in known]
    strange += [f"@team:{each}" for each in keys if each not in {team.key for team in teams}]
    if strange:
        raise _unknown(f"text calls {', '.join(strange)}, whom the desk does not know", "MENTION_UNKNOWN")
    return Called(agents, teams)


def call_people(tx: Tx, ticket: Ticket, actor: Actor, note: Message, called: Called) -> None:
    """Let the people who are named follow the ticket, and tell that they are called; the note stays here."""
    if not called.agents and not called.teams:
        return
    workflow.observe(ticket, *called.agents)
    event = events.PeopleMentioned(
        actor=convert_tickets.to_actor(actor),
        message_id=note.id,
        agent_ids=called.agents,
        teams=[convert.to_team(each) for each in called.teams],
    )
    publish(tx, ticket, event)


def _unknown(text: str, reason: str) -> InvalidInput:
    return InvalidInput(text, reason=reason, violations=[Violation("text", text)])
