"""Events as changes that are watched."""

from datetime import datetime

from google.protobuf.message_factory import GetMessageClass

from tickdesk.tickets.v1 import events_pb2, ticket_pb2
from tickdesk.tickets.v1.watch_service_pb2 import TicketChange
from tickets.convert.values import timestamp
from tickets.domain.watch import Spot

_EVENTS = {
    each.full_name: GetMessageClass(each)
    for each in events_pb2.DESCRIPTOR.message_types_by_name.values()
    # Whom a note called by name is no change of its ticket.
    if {"ticket", "actor"} <= set(each.fields_by_name) and each.name != "PeopleMentioned"
}
TYPES = tuple(_EVENTS)
"""Full names of the events that tell of a change of a ticket."""


def to_change(event: str, payload: bytes, time: datetime) -> TicketChange:
    """What an event tells, without its messages."""
    told = _EVENTS[event].FromString(payload)
    name = event.rpartition(".")[2]
    return TicketChange(event=name, ticket=told.ticket, actor=told.actor, time=timestamp(time))  # type: ignore[attr-defined]


def to_departure(change: TicketChange) -> TicketChange:
    """The same for somebody who may not see, or does not watch, where the ticket is now."""
    left = ticket_pb2.Ticket(id=change.ticket.id, version=change.ticket.version)
    return TicketChange(event=change.event, ticket=left, left=True, time=change.time)


def spot(ticket: ticket_pb2.Ticket) -> Spot:
    """Where a ticket is."""
    return Spot(ticket.queue, ticket.component, ticket.customer.account_manager)
