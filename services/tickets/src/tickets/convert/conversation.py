"""Drafts, teams and envelopes to the contract and back."""

from datetime import datetime, timedelta

from tickdesk.tickets.v1 import conversation_pb2
from tickets.convert.values import number, timestamp
from tickets.domain.drafts import Draft
from tickets.domain.letters import Envelope
from tickets.domain.mentions import Team
from tickets.domain.model import Ticket

_WRITING = timedelta(seconds=60)
"""A draft that was saved less than this ago is being written."""


def to_team(team: Team) -> conversation_pb2.Team:
    """A team."""
    return conversation_pb2.Team(
        key=team.key, name=team.name, members=team.members, email=team.email, version=team.version
    )


def from_team(team: conversation_pb2.Team) -> Team:
    """A team as asked for."""
    return Team(team.key, team.name, list(team.members), team.email)


def to_draft(draft: Draft, now: datetime) -> conversation_pb2.Draft:
    """A draft, and whether it is being written just now."""
    return conversation_pb2.Draft(
        ticket_id=draft.ticket_id,
        agent_id=draft.agent_id,
        agent_name=draft.agent_name,
        text=draft.text,
        to=draft.to,
        cc=draft.cc,
        subject=draft.subject,
        attachment_ids=draft.attachment_ids,
        saved_time=timestamp(draft.saved_time),
        writing=now - draft.saved_time < _WRITING,
    )


def to_envelope(ticket: Ticket, envelope: Envelope, account: str) -> conversation_pb2.Envelope:
    """How an answer leaves; `account` is the desk's address."""
    subject = f"Re: {ticket.subject}" if envelope.by_mail else ""
    return conversation_pb2.Envelope(
        channel=number(envelope.conversation.channel),
        conversation_id=envelope.conversation.id,
        to=envelope.to,
        cc=envelope.cc,
        subject=subject,
        **{"from": account},
    )
