"""Exports over gRPC."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

from chassis.db import Database
from chassis.errors import Exhausted
from tickdesk.tickets.v1 import export_service_pb2 as pb
from tickdesk.tickets.v1.export_service_pb2_grpc import ExportServiceServicer
from tickets.convert.export import to_record
from tickets.domain.export import Kind
from tickets.grpc_api import calls
from tickets.handlers.export import export
from tickets.handlers.query import Asked

SERVICE = pb.DESCRIPTOR.services_by_name["ExportService"]
_AT_ONCE = 2
"""An export keeps a connection to its end; the others are for people who wait."""


class ExportApi(ExportServiceServicer):
    """Serves tickdesk.tickets.v1.ExportService."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._running = 0

    async def ExportRecords(
        self, request: pb.ExportRecordsRequest, context: Any
    ) -> AsyncIterator[pb.ExportRecordsResponse]:
        """Records of one kind."""
        asked = Asked(request.query, calls.caller(), ZoneInfo("UTC"))
        async with self._turn(), self._db.tx() as tx:
            found = export(tx, Kind(request.kind), asked, request.page_token, public_only=request.public_only)
            async with aclosing(found):
                async for token, item in found:
                    yield pb.ExportRecordsResponse(record=to_record(token, item))

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._running >= _AT_ONCE:
            text = f"{_AT_ONCE} exports are being made: try again when one is over"
            raise Exhausted(text, reason="EXPORTS_BUSY")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
