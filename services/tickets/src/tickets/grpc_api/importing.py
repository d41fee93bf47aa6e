"""Imports over gRPC."""

from typing import Any

from chassis.db import Database, Tx
from tickdesk.tickets.v1 import importing_service_pb2 as pb
from tickdesk.tickets.v1.importing_service_pb2_grpc import ImportServiceServicer
from tickets.grpc_api import calls
from tickets.handlers.importing import import_tickets

SERVICE = pb.DESCRIPTOR.services_by_name["ImportService"]


class ImportApi(ImportServiceServicer):
    """Serves tickdesk.tickets.v1.ImportService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def ImportTickets(self, request: pb.ImportTicketsRequest, context: Any) -> pb.ImportTicketsResponse:
        """Brings in tickets."""

        async def bring(tx: Tx) -> pb.ImportTicketsResponse:
            found = await import_tickets(tx, calls.caller(), request.tickets, dry_run=request.dry_run)
            return pb.ImportTicketsResponse(results=found)

        return await calls.write(self._db, request, pb.ImportTicketsResponse, bring)
