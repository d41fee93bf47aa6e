"""What searching finds, for the contract."""

from tickdesk.tickets.v1 import query_pb2 as pb
from tickets.convert import tickets as convert
from tickets.convert.values import number, timestamp
from tickets.domain.query.faults import Fault, place
from tickets.domain.query.found import SavedFilter, TicketSummary
from tickets.domain.query.suggest import Suggestion


def to_summary(ticket: TicketSummary) -> pb.TicketSummary:
    """A ticket of a list."""
    return pb.TicketSummary(
        id=ticket.id,
        key=ticket.key,
        version=ticket.version,
        queue=ticket.queue,
        subject=ticket.subject,
        type=number(ticket.type),
        category=ticket.category,
        component=ticket.component,
        priority=number(ticket.priority),
        status=ticket.status,
        status_kind=number(ticket.status_kind),
        line=number(ticket.line),
        assignee=ticket.assignee,
        customer_id=ticket.customer_id,
        customer_name=ticket.customer_name,
        customer_tier=number(ticket.customer_tier),
        channel=number(ticket.channel),
        tags=ticket.tags,
        message_count=ticket.message_count,
        created_time=timestamp(ticket.created_time),
        updated_time=timestamp(ticket.updated_time),
        resolved_time=timestamp(ticket.resolved_time),
        due_time=timestamp(ticket.due_time),
        sla=convert.to_sla(ticket.clocks),
    )


def to_fault(query: str, fault: Fault) -> pb.QueryFault:
    """A fault with its place."""
    line, column = place(query, fault.span.start)
    return pb.QueryFault(
        line=line,
        column=column,
        start=fault.span.start,
        end=fault.span.end,
        message=fault.text,
        expected=fault.expected,
    )


def to_suggestion(suggestion: Suggestion) -> pb.QuerySuggestion:
    """A suggestion."""
    return pb.QuerySuggestion(
        text=suggestion.text, kind=number(suggestion.kind), description=suggestion.description
    )


def to_filter(saved: SavedFilter) -> pb.SavedFilter:
    """A saved filter."""
    return pb.SavedFilter(
        id=saved.id,
        name=saved.name,
        query=saved.query,
        owner=saved.owner,
        queue=saved.queue,
        version=saved.version,
        updated_time=timestamp(saved.updated_time),
    )
