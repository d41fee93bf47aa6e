"""Bulks over gRPC: one method per RPC."""

from typing import Any

from chassis.db import Database, Tx
from tickdesk.tickets.v1 import bulk_service_pb2 as pb
from tickdesk.tickets.v1.bulk_service_pb2_grpc import BulkServiceServicer
from tickets.convert import bulk as convert
from tickets.grpc_api import calls
from tickets.handlers import bulk as handlers
from tickets.handlers.bulk import Wanted
from tickets.handlers.query import Asked
from tickets.store import bulk as store

SERVICE = pb.DESCRIPTOR.services_by_name["BulkService"]


class BulkApi(BulkServiceServicer):
    """Serves tickdesk.tickets.v1.BulkService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def StartBulk(self, request: pb.StartBulkRequest, context: Any) -> pb.StartBulkResponse:
        """Fixes the list and begins."""
        wanted = _wanted(request)

        async def start(tx: Tx) -> pb.StartBulkResponse:
            return pb.StartBulkResponse(bulk=convert.to_bulk(await handlers.start(tx, wanted)))

        return await calls.write(self._db, request, pb.StartBulkResponse, start)

    async def GetBulk(self, request: pb.GetBulkRequest, context: Any) -> pb.GetBulkResponse:
        """One bulk."""
        async with self._db.tx() as tx:
            found = await handlers.load(tx, calls.caller(), request.bulk_id)
        return pb.GetBulkResponse(bulk=convert.to_bulk(found))

    async def ListBulks(self, request: pb.ListBulksRequest, context: Any) -> pb.ListBulksResponse:
        """A page of bulks."""
        async with self._db.tx() as tx:
            found = await handlers.list_bulks(tx, calls.caller(), calls.page(request))
        bulks = [convert.to_bulk(each) for each in found.items]
        return pb.ListBulksResponse(bulks=bulks, next_page_token=found.next_token)

    async def ListBulkFailures(
        self, request: pb.ListBulkFailuresRequest, context: Any
    ) -> pb.ListBulkFailuresResponse:
        """A page of refused tickets."""
        async with self._db.tx() as tx:
            bulk = await handlers.load(tx, calls.caller(), request.bulk_id)
            found = await store.list_failures(tx, bulk.order.id, calls.page(request))
        failures = [convert.to_failure(each) for each in found.items]
        return pb.ListBulkFailuresResponse(failures=failures, next_page_token=found.next_token)

    async def CancelBulk(self, request: pb.CancelBulkRequest, context: Any) -> pb.CancelBulkResponse:
        """No ticket more."""

        async def cancel(tx: Tx) -> pb.CancelBulkResponse:
            bulk = await handlers.cancel(tx, calls.caller(), request.bulk_id)
            return pb.CancelBulkResponse(bulk=convert.to_bulk(bulk))

        return await calls.write(self._db, request, pb.CancelBulkResponse, cancel)

    async def ResumeBulk(self, request: pb.ResumeBulkRequest, context: Any) -> pb.ResumeBulkResponse:
        """Goes on."""

        async def resume(tx: Tx) -> pb.ResumeBulkResponse:
            bulk = await handlers.resume(tx, calls.caller(), request.bulk_id, failures=request.failures)
            return pb.ResumeBulkResponse(bulk=convert.to_bulk(bulk))

        return await calls.write(self._db, request, pb.ResumeBulkResponse, resume)


def _wanted(request: pb.StartBulkRequest) -> Wanted:
    part = getattr(request.action, request.action.WhichOneof("kind") or "")
    calls.text(getattr(part, "text", ""))
    caller = calls.caller(request.agent_id)
    query = Asked(request.query, caller, calls.zone(request.timezone)) if request.query else None
    action = convert.to_document(request.action)
    return Wanted(caller, action, request.dry_run, query, request.list.tickets)
