"""Organisations, merges and earlier tickets to the contract and back."""

from tickdesk.tickets.v1 import customers_pb2 as pb
from tickdesk.tickets.v1 import ticket_pb2
from tickets.convert.values import known, number, timestamp
from tickets.domain.customers import Earlier, Merge, Organisation
from tickets.domain.model import Tier


def to_organisation(organisation: Organisation) -> pb.Organisation:
    """An organisation."""
    return pb.Organisation(
        key=organisation.key,
        name=organisation.name,
        tier=number(organisation.tier),
        account_manager=organisation.account_manager,
        domains=organisation.domains,
        version=organisation.version,
    )


def from_organisation(organisation: pb.Organisation) -> Organisation:
    """An organisation as asked for. Raises InvalidInput."""
    return Organisation(
        key=organisation.key,
        name=organisation.name,
        tier=known(Tier, organisation.tier or Tier.STANDARD, "organisation.tier"),
        account_manager=organisation.account_manager,
        domains=list(organisation.domains),
    )


def to_merge(merge: Merge) -> pb.CustomerMerge:
    """A merge, and what moved."""
    return pb.CustomerMerge(
        id=merge.id,
        source_id=merge.source_id,
        target_id=merge.target_id,
        author=merge.author,
        time=timestamp(merge.time),
        contacts=[
            ticket_pb2.Contact(channel=number(each.channel), address=each.address) for each in merge.contacts
        ],
        numbers=merge.numbers,
        ticket_count=merge.ticket_count,
        undone_time=timestamp(merge.undone_time),
        undo_until_time=timestamp(merge.undo_until),
    )


def to_earlier(ticket: Earlier) -> pb.EarlierTicket:
    """An earlier ticket with its last public answer."""
    return pb.EarlierTicket(
        id=ticket.id,
        key=ticket.key,
        subject=ticket.subject,
        category=ticket.category,
        status=ticket.status,
        status_kind=number(ticket.status_kind),
        created_time=timestamp(ticket.created_time),
        resolved_time=timestamp(ticket.resolved_time),
        answer=ticket.answer,
        answer_author=ticket.answer_author,
        answer_time=timestamp(ticket.answer_time),
    )
