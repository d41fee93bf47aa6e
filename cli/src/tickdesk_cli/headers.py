"""The names that columns of other desks' files go by."""

from collections.abc import Mapping

HEADERS: Mapping[str, tuple[str, ...]] = {
    "external_id": ("external id", "id", "ticket id", "ticket number", "number"),
    "subject": ("subject", "title", "summary"),
    "text": ("text", "description", "body", "comment", "message"),
    "email": ("email", "requester email", "customer email", "requester", "customer"),
    "customer_name": ("customer name", "requester name", "name"),
    "status": ("status", "state"),
    "priority": ("priority",),
    "type": ("type", "ticket type"),
    "tags": ("tags", "tag list"),
    "assignee": ("assignee", "owner"),
    "category": ("category",),
    "component": ("component",),
    "edition": ("edition",),
    "language": ("language", "locale"),
    "customer_number": ("customer number",),
    "created_time": ("created", "created at", "created time"),
    "updated_time": ("updated", "updated at", "updated time"),
    "resolved_time": ("resolved", "resolved at", "solved at", "resolved time"),
    "closed_time": ("closed", "closed at", "close at", "closed time"),
    "author": ("author",),
    "internal": ("internal",),
    "message_time": ("message time", "message created at"),
}
"""Headers that say the same at other desks, the surest first."""
