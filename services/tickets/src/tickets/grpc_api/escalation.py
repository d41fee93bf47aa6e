"""Lines of support over gRPC: one method per RPC."""

from typing import Any

from chassis.db import Database, Tx
from tickdesk.tickets.v1 import escalation_service_pb2 as pb
from tickdesk.tickets.v1.escalation_service_pb2_grpc import EscalationServiceServicer
from tickets.convert import escalation as convert
from tickets.convert.values import number
from tickets.domain.escalation import ReturnReason
from tickets.domain.model import Line, Ticket
from tickets.grpc_api import calls
from tickets.handlers import escalation
from tickets.handlers.change import Caller, Target
from tickets.handlers.setup import setup_of
from tickets.store import desk
from tickets.store import tickets as store

SERVICE = pb.DESCRIPTOR.services_by_name["EscalationService"]


class EscalationApi(EscalationServiceServicer):
    """Serves tickdesk.tickets.v1.EscalationService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def GetEscalationForm(
        self, request: pb.GetEscalationFormRequest, context: Any
    ) -> pb.GetEscalationFormResponse:
        """What handing a ticket on takes."""
        async with self._db.tx() as tx:
            ticket = await store.load_ticket(tx, request.ticket)
            queue = await desk.load_queue(tx, ticket.queue)
            rules = (await setup_of(tx, queue.setup_id)).escalations
        step, guards = rules.hand_over(ticket.line), rules.guards_of(ticket)
        above = Line(ticket.line + 1) if ticket.line < queue.last_line else 0
        return pb.GetEscalationFormResponse(
            to_line=number(above),
            required=convert.to_parts(step.required),
            criteria=[convert.to_criterion(each) for each in step.criteria],
            guards=[convert.to_guard(each) for each in guards],
            may_reply=ticket.line in queue.public_lines and all(each.may_reply for each in guards),
            may_resolve=not guards,
        )

    async def ReturnTicket(self, request: pb.ReturnTicketRequest, context: Any) -> pb.ReturnTicketResponse:
        """Gives the ticket back to the line it came from."""

        async def give_back(tx: Tx, caller: Caller, target: Target) -> Ticket:
            reason = ReturnReason(request.reason)
            return await escalation.return_ticket(tx, caller, target, reason, request.answer)

        return await calls.change(self._db, request, pb.ReturnTicketResponse, give_back)

    async def ListEscalations(
        self, request: pb.ListEscalationsRequest, context: Any
    ) -> pb.ListEscalationsResponse:
        """Escalations that are over."""
        async with self._db.tx() as tx:
            ticket = await store.load_ticket(tx, request.ticket)
        finished = [convert.to_finished(each) for each in reversed(ticket.finished)]
        return pb.ListEscalationsResponse(escalations=finished)
