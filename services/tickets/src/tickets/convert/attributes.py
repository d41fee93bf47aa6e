"""New values of a ticket out of a request."""

from typing import Any

from tickets.convert.fields import from_values
from tickets.domain.attributes import PLAIN, Change
from tickets.domain.model import TicketType


def from_change(request: Any) -> Change:
    """The change that a message with the fields of UpdateTicket asks for."""
    # Fields that are set, be it to nothing.
    told = {each.name: value for each, value in request.ListFields() if each.name in PLAIN}
    if "type" in told:
        told["type"] = TicketType(told["type"])
    if "subject" in told:
        told["subject"] = " ".join(request.subject.split())
    return Change(
        **told,
        add_tags=request.add_tags,
        remove_tags=request.remove_tags,
        set_fields=from_values(request.set_fields),
        clear_fields=request.clear_fields,
    )
