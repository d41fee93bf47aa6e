"""Links, tasks and wishes to the contract and back."""

from datetime import datetime

from tickdesk.tickets.v1 import links_pb2, links_service_pb2
from tickets.convert.values import number, timestamp
from tickets.domain.links import ExternalKind, ExternalLink, Link, TaskState
from tickets.domain.wishes import Wish


def to_link(link: Link) -> links_pb2.Link:
    """A link as one of its tickets sees it."""
    return links_pb2.Link(
        kind=number(link.kind),
        ticket_id=link.ticket_id,
        ticket_key=link.ticket_key,
        subject=link.subject,
        status_kind=number(link.status_kind),
        created_time=timestamp(link.created_time),
    )


def to_external(link: ExternalLink) -> links_pb2.ExternalLink:
    """A page or task."""
    return links_pb2.ExternalLink(
        url=link.url,
        title=link.title,
        kind=number(link.kind),
        state=number(link.state),
        updated_time=timestamp(link.updated_time),
    )


def from_external(request: links_service_pb2.PutExternalLinkRequest, now: datetime) -> ExternalLink:
    """A page or task as asked for."""
    kind, state = ExternalKind(request.kind), TaskState(request.state)
    return ExternalLink(request.url, request.title, kind, state, now)


def to_wish(wish: Wish) -> links_pb2.Wish:
    """A wish and its votes."""
    return links_pb2.Wish(
        ticket_id=wish.ticket_id,
        ticket_key=wish.ticket_key,
        subject=wish.subject,
        status_kind=number(wish.status_kind),
        votes=wish.votes,
        created_time=timestamp(wish.created_time),
    )
