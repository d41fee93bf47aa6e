"""Records of an export to the contract."""

from collections.abc import Callable, Mapping
from typing import Any

from tickdesk.tickets.v1 import export_pb2 as pb
from tickets.convert.audit import to_entry
from tickets.convert.conversation import to_team
from tickets.convert.customers import to_organisation
from tickets.convert.knowledge import to_article, to_content, to_version
from tickets.convert.links import to_external
from tickets.convert.query import to_filter
from tickets.convert.setup import to_setup
from tickets.convert.tickets import to_agent, to_customer, to_message, to_queue, to_ticket
from tickets.convert.values import number, timestamp
from tickets.domain.audit import Entry
from tickets.domain.customers import Organisation
from tickets.domain.export import Edition, ExternalOf, KeptOf, LinkOf
from tickets.domain.knowledge import Article
from tickets.domain.mentions import Team
from tickets.domain.model import Agent, Customer, Message, Queue, Ticket
from tickets.domain.query.found import SavedFilter


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
}


def to_record(token: str, item: object) -> pb.ExportRecord:
    """A record with its token."""
    name, convert = _RECORDS[type(item)]
    return pb.ExportRecord(page_token=token, **{name: convert(item)})
