"""The audit over gRPC."""

from typing import Any

from chassis.db import Database
from tickdesk.tickets.v1 import audit_service_pb2 as pb
from tickdesk.tickets.v1.audit_service_pb2_grpc import AuditServiceServicer
from tickets.convert.audit import to_entry
from tickets.grpc_api import calls
from tickets.store import tickets as store
from tickets.store.audit_lists import Wanted, list_audit

SERVICE = pb.DESCRIPTOR.services_by_name["AuditService"]


class AuditApi(AuditServiceServicer):
    """Serves tickdesk.tickets.v1.AuditService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def ListAudit(self, request: pb.ListAuditRequest, context: Any) -> pb.ListAuditResponse:
        """A page of changes."""
        async with self._db.tx() as tx:
            ticket = (await store.load_ticket(tx, request.ticket)).id if request.ticket else ""
            since, until = calls.since(request.from_time), calls.since(request.until_time)
            wanted = Wanted(ticket, request.actor_id, since, until)
            found = await list_audit(tx, wanted, calls.page(request))
        entries = [to_entry(each) for each in found.items]
        return pb.ListAuditResponse(entries=entries, next_page_token=found.next_token)
