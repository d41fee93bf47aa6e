"""Entries of the audit for the wire."""

from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import audit_pb2
from tickets.convert.values import number, timestamp
from tickets.domain.audit import Entry


def to_entry(entry: Entry) -> audit_pb2.AuditEntry:
    """One change and what became different."""
    return audit_pb2.AuditEntry(
        id=entry.id,
        time=timestamp(entry.time),
        actor=common_pb2.Actor(kind=number(entry.actor.kind), id=entry.actor.id),
        principal=entry.principal,
        source=entry.source,
        request_id=entry.request_id,
        ticket_id=entry.ticket_id or "",
        about=entry.about,
        event=entry.event,
        version=entry.version,
        changes=[audit_pb2.AuditChange(name=each.name, old=each.old, new=each.new) for each in entry.changes],
    )
