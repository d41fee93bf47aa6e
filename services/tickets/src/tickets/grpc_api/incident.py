"""Mass incidents over gRPC: one method per RPC."""

from typing import Any

from chassis.db import Database, Tx
from tickdesk.tickets.v1 import incident_service_pb2 as pb
from tickdesk.tickets.v1.incident_service_pb2_grpc import IncidentServiceServicer
from tickets.convert import incident as convert
from tickets.convert.tickets import to_ticket
from tickets.grpc_api import calls
from tickets.handlers import incident
from tickets.handlers.incident import Wanted
from tickets.store import incident as store
from tickets.store import tickets as tickets_store

SERVICE = pb.DESCRIPTOR.services_by_name["IncidentService"]


class IncidentApi(IncidentServiceServicer):
    """Serves tickdesk.tickets.v1.IncidentService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def CreateIncident(
        self, request: pb.CreateIncidentRequest, context: Any
    ) -> pb.CreateIncidentResponse:
        """A ticket becomes the parent of others."""

        async def create(tx: Tx) -> pb.CreateIncidentResponse:
            who, target = calls.caller(request.agent_id), calls.target(request)
            ticket, made = await incident.create_incident(tx, who, target, _wanted(request))
            return pb.CreateIncidentResponse(ticket=to_ticket(ticket), incident=convert.to_incident(made))

        return await calls.write(self._db, request, pb.CreateIncidentResponse, create)

    async def AddToIncident(self, request: pb.AddToIncidentRequest, context: Any) -> pb.AddToIncidentResponse:
        """More tickets follow."""

        async def add(tx: Tx) -> pb.AddToIncidentResponse:
            who, target = calls.caller(request.agent_id), calls.target(request)
            changed = await incident.add_to_incident(tx, who, target, _wanted(request))
            return pb.AddToIncidentResponse(incident=convert.to_incident(changed))

        return await calls.write(self._db, request, pb.AddToIncidentResponse, add)

    async def RemoveFromIncident(
        self, request: pb.RemoveFromIncidentRequest, context: Any
    ) -> pb.RemoveFromIncidentResponse:
        """Tickets go their own way again."""

        async def remove(tx: Tx) -> pb.RemoveFromIncidentResponse:
            who, target = calls.caller(request.agent_id), calls.target(request)
            changed = await incident.remove_from_incident(tx, who, target, request.children)
            return pb.RemoveFromIncidentResponse(incident=convert.to_incident(changed))

        return await calls.write(self._db, request, pb.RemoveFromIncidentResponse, remove)

    async def DismissIncident(
        self, request: pb.DismissIncidentRequest, context: Any
    ) -> pb.DismissIncidentResponse:
        """A proposed incident is none."""

        async def dismiss(tx: Tx) -> pb.DismissIncidentResponse:
            who, target = calls.caller(request.agent_id), calls.target(request)
            changed = await incident.dismiss_incident(tx, who, target)
            return pb.DismissIncidentResponse(incident=convert.to_incident(changed))

        return await calls.write(self._db, request, pb.DismissIncidentResponse, dismiss)

    async def GetIncident(self, request: pb.GetIncidentRequest, context: Any) -> pb.GetIncidentResponse:
        """One incident and how far its tasks are."""
        async with self._db.tx() as tx:
            ticket = await tickets_store.load_ticket(tx, request.ticket)
            found = await store.load(tx, ticket.id)
        return pb.GetIncidentResponse(incident=convert.to_incident(found))

    async def ListIncidents(self, request: pb.ListIncidentsRequest, context: Any) -> pb.ListIncidentsResponse:
        """A page of incidents."""
        async with self._db.tx() as tx:
            found = await store.list_incidents(tx, request.queue, calls.page(request))
        incidents = [convert.to_incident(each) for each in found.items]
        return pb.ListIncidentsResponse(incidents=incidents, next_page_token=found.next_token)

    async def ListIncidentTickets(
        self, request: pb.ListIncidentTicketsRequest, context: Any
    ) -> pb.ListIncidentTicketsResponse:
        """A page of an incident's tickets."""
        async with self._db.tx() as tx:
            ticket = await tickets_store.load_ticket(tx, request.ticket)
            await store.load(tx, ticket.id)
            page, follows = calls.page(request), not request.suggested
            found = await store.list_children(tx, ticket.id, page, follows=follows)
        tickets = [to_ticket(each) for each in found.items]
        return pb.ListIncidentTicketsResponse(tickets=tickets, next_page_token=found.next_token)


def _wanted(request: pb.CreateIncidentRequest | pb.AddToIncidentRequest) -> Wanted:
    return Wanted(list(request.children), suggested=request.suggested)
