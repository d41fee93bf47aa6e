"""Records of an export to the contract."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration

from tickdesk.tickets.v1 import export_pb2 as pb
from tickets.convert.audit import to_entry
from tickets.convert.bulk import to_bulk
from tickets.convert.conversation import to_draft, to_team
from tickets.convert.customers import to_merge, to_organisation
from tickets.convert.incident import to_incident, to_task
from tickets.convert.knowledge import to_article, to_content, to_missing, to_use, to_version
from tickets.convert.links import to_external
from tickets.convert.query import to_filter
from tickets.convert.setup import to_setup
from tickets.convert.tickets import to_agent, to_customer, to_message, to_queue, to_ticket
from tickets.convert.values import number, timestamp
from tickets.domain.audit import Entry
from tickets.domain.bulk import Bulk
from tickets.domain.customers import Merge, Organisation
from tickets.domain.drafts import Draft
from tickets.domain.export import (
    BulkRow,
    ClockResult,
    Edition,
    ExternalOf,
    Follower,
    FormerKey,
    ImportedName,
    KeptOf,
    LinkOf,
    VoteOf,
)
from tickets.domain.incident import Incident, Task
from tickets.domain.knowledge import Article, Missing, Use
from tickets.domain.mentions import Team
from tickets.domain.model import Agent, Customer, Message, Queue, Ticket
from tickets.domain.query.found import SavedFilter

_LATER = datetime.max.replace(tzinfo=UTC)
"""When nobody is writing a draft any more."""


def _edition(edition: Edition) -> pb.ArticleEdition:
    version, content = to_version(edition.version), to_content(edition.content)
    return pb.ArticleEdition(article_id=edition.article_id, version=version, content=content)


def _link(link: LinkOf) -> pb.TicketLink:
    return pb.TicketLink(
        kind=number(link.edge.kind),
        from_ticket_id=link.edge.from_id,
        to_ticket_id=link.edge.to_id,
        created_time=timestamp(link.created_time),
    )


def _vote(vote: VoteOf) -> pb.WishVote:
    return pb.WishVote(
        ticket_id=vote.ticket_id, customer_id=vote.customer_id, created_time=timestamp(vote.created_time)
    )


def _follower(child: Follower) -> pb.IncidentTicket:
    return pb.IncidentTicket(
        incident_ticket_id=child.incident_id, ticket_id=child.ticket_id, follows=child.follows
    )


def _bulk_item(row: BulkRow) -> pb.BulkItem:
    return pb.BulkItem(
        bulk_id=row.bulk_id,
        position=row.position,
        ticket_id=row.ticket_id,
        state=number(row.state),
        code=row.code,
        reason=row.reason,
        field=row.field,
        message=row.message,
        time=timestamp(row.time),
    )


def _clock_result(result: ClockResult) -> pb.ClockResult:
    seconds = result.elapsed_seconds
    return pb.ClockResult(
        ticket_id=result.ticket_id,
        clock=result.clock,
        cycle=result.cycle,
        met_time=timestamp(result.met_time),
        breached=result.breached,
        elapsed=None if seconds is None else Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9)),
        line=number(result.line),
        assignee=result.assignee,
    )


_RECORDS: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    Ticket: ("ticket", to_ticket),
    Message: ("message", to_message),
    Customer: ("customer", to_customer),
    Organisation: ("organisation", to_organisation),
    Queue: ("queue", to_queue),
    KeptOf: ("setup", lambda each: to_setup(each.queue, each.kept)),
    Agent: ("agent", to_agent),
    Team: ("team", to_team),
    Article: ("article", to_article),
    Edition: ("article_version", _edition),
    Entry: ("audit", to_entry),
    LinkOf: ("link", _link),
    ExternalOf: (
        "external_link",
        lambda each: pb.TicketExternalLink(ticket_id=each.ticket_id, link=to_external(each.link)),
    ),
    SavedFilter: ("filter", to_filter),
    Draft: ("draft", lambda each: to_draft(each, _LATER)),
    VoteOf: ("vote", _vote),
    Incident: ("incident", to_incident),
    Follower: ("incident_ticket", _follower),
    Task: (
        "incident_task",
        lambda each: pb.IncidentTaskOf(incident_ticket_id=each.incident_id, task=to_task(each)),
    ),
    Bulk: ("bulk", to_bulk),
    BulkRow: ("bulk_item", _bulk_item),
    Merge: ("customer_merge", to_merge),
    Use: ("article_use", to_use),
    Missing: ("missing_article", to_missing),
    ClockResult: ("clock_result", _clock_result),
    FormerKey: ("former_key", lambda each: pb.FormerKey(key=each.key, ticket_id=each.ticket_id)),
    ImportedName: (
        "imported_ticket",
        lambda each: pb.ImportedName(external_id=each.external_id, ticket_id=each.ticket_id),
    ),
}


def to_record(token: str, item: object) -> pb.ExportRecord:
    """A record with its token."""
    name, convert = _RECORDS[type(item)]
    return pb.ExportRecord(page_token=token, **{name: convert(item)})
