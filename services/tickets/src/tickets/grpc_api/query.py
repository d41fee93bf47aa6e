"""The gRPC face of searching."""

from typing import Any

from chassis.db import Database, Tx
from tickdesk.tickets.v1 import query_service_pb2 as pb
from tickdesk.tickets.v1.query_service_pb2_grpc import QueryServiceServicer
from tickets.convert import query as convert
from tickets.domain.query.found import Cell
from tickets.grpc_api.calls import caller, page, uuid, write, zone
from tickets.handlers import query as handlers
from tickets.handlers.query import Asked, FilterChange

SERVICE = pb.DESCRIPTOR.services_by_name["QueryService"]


class QueryApi(QueryServiceServicer):
    """Serves tickdesk.tickets.v1.QueryService; `reading` has connections for searches alone."""

    def __init__(self, db: Database, reading: Database) -> None:
        self._db = db
        self._reading = reading

    async def SearchTickets(self, request: pb.SearchTicketsRequest, context: Any) -> pb.SearchTicketsResponse:
        """A page of tickets."""
        async with self._reading.tx() as tx:
            found = await handlers.search(tx, _asked(request), page(request))
        return pb.SearchTicketsResponse(
            tickets=[convert.to_summary(each) for each in found.page.items],
            next_page_token=found.page.next_token,
            total_size=found.page.total,
            corrected_query=found.corrected,
        )

    async def CountTickets(self, request: pb.CountTicketsRequest, context: Any) -> pb.CountTicketsResponse:
        """Numbers of a widget."""
        async with self._reading.tx() as tx:
            counts = await handlers.count(tx, _asked(request), request.group_by, request.split_by)
        return pb.CountTicketsResponse(
            cells=map(_cell, counts.cells),
            groups=map(_cell, counts.groups),
            splits=map(_cell, counts.splits),
            total=counts.total,
            truncated=counts.truncated,
        )

    async def CheckQuery(self, request: pb.CheckQueryRequest, context: Any) -> pb.CheckQueryResponse:
        """What is wrong with a query, and what fits at the cursor."""
        cursor = request.cursor if request.HasField("cursor") else None
        async with self._reading.tx() as tx:
            faults, normal, place = await handlers.check(tx, request.query, cursor)
        return pb.CheckQueryResponse(
            faults=[convert.to_fault(request.query, each) for each in faults],
            normal=normal,
            suggestions=[convert.to_suggestion(each) for each in place.suggestions] if place else [],
            start=place.start if place else 0,
        )

    async def PutFilter(self, request: pb.PutFilterRequest, context: Any) -> pb.PutFilterResponse:
        """Keeps a query under a name."""

        async def put(tx: Tx) -> pb.PutFilterResponse:
            saved = await handlers.put_filter(tx, caller(request.agent_id), _change(request))
            return pb.PutFilterResponse(filter=convert.to_filter(saved))

        return await write(self._db, request, pb.PutFilterResponse, put)

    async def ListFilters(self, request: pb.ListFiltersRequest, context: Any) -> pb.ListFiltersResponse:
        """A page of filters."""
        async with self._db.tx() as tx:
            found = await handlers.list_filters(tx, caller(request.agent_id), request.queue, page(request))
        return pb.ListFiltersResponse(
            filters=[convert.to_filter(each) for each in found.items], next_page_token=found.next_token
        )

    async def DeleteFilter(self, request: pb.DeleteFilterRequest, context: Any) -> pb.DeleteFilterResponse:
        """Forgets a filter."""

        async def delete(tx: Tx) -> pb.DeleteFilterResponse:
            await handlers.delete_filter(tx, caller(request.agent_id), request.filter_id)
            return pb.DeleteFilterResponse()

        return await write(self._db, request, pb.DeleteFilterResponse, delete)


def _asked(request: Any) -> Asked:
    return Asked(request.query, caller(request.agent_id), zone(request.timezone))


def _change(request: pb.PutFilterRequest) -> FilterChange:
    filter_id = uuid("filter_id", request.filter_id)
    return FilterChange(filter_id, request.version, request.name, request.query, request.queue)


def _cell(cell: Cell) -> pb.CountTicketsResponse.Cell:
    return pb.CountTicketsResponse.Cell(group=cell.group, split=cell.split, count=cell.count)
