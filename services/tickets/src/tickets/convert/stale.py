"""What is in force, in short, for whoever saw an older version."""

from collections.abc import Sequence

from tickdesk.tickets.v1.stale_pb2 import PresentState, TicketState
from tickets.convert import knowledge, query, setup
from tickets.convert.tickets import to_actor
from tickets.convert.values import number, timestamp
from tickets.domain.audit import Entry
from tickets.domain.knowledge import Article
from tickets.domain.model import Ticket
from tickets.domain.query.found import SavedFilter
from tickets.domain.setup import Kept

_NAMES, _BYTES = 50, 60


def of_ticket(ticket: Ticket, entries: Sequence[Entry]) -> PresentState:
    """A ticket, and what its newest entries of the audit say, the last one first."""
    names = dict.fromkeys(change.name for entry in entries for change in entry.changes)
    return PresentState(
        version=ticket.version,
        actor=to_actor(entries[0].actor) if entries else None,
        updated_time=timestamp(ticket.updated_time),
        changed=[each for each in names if len(each.encode()) <= _BYTES][:_NAMES],
        ticket=TicketState(
            id=ticket.id,
            key=ticket.key,
            queue=ticket.queue,
            status=ticket.status,
            status_kind=number(ticket.status_kind),
            line=number(ticket.line),
            assignee=ticket.assignee,
            priority=number(ticket.priority),
        ),
    )


def of_setup(kept: Kept) -> PresentState:
    """A setup of a queue."""
    summary = setup.to_summary(kept)
    actor = summary.actor if kept.actor else None
    return PresentState(
        version=kept.version, actor=actor, updated_time=timestamp(kept.created_time), setup=summary
    )


def of_article(article: Article) -> PresentState:
    """An article without its body."""
    told = knowledge.to_article(article)
    told.content.ClearField("body")
    return PresentState(version=article.version, updated_time=timestamp(article.updated_time), article=told)


def of_filter(saved: SavedFilter) -> PresentState:
    """A saved filter."""
    told = query.to_filter(saved)
    return PresentState(version=saved.version, updated_time=told.updated_time, filter=told)
