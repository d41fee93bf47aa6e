"""SlaService over gRPC: clocks and marks."""

from __future__ import annotations

from datetime import UTC
from typing import Any
from uuid import UUID

from chassis.db import Tx
from chassis.errors import InvalidInput, Violation
from sla_clock import convert
from sla_clock.calendar import micros
from sla_clock.domain import Timeline
from sla_clock.handlers.works import Works
from sla_clock.policy import clocks
from sla_clock.store import ledger, tickets
from sla_clock.store.ledger import LedgerRow, MarkFilter
from sla_clock.store.tickets import DueFilter, DueRow, TicketRow
from tickdesk.sla.v1 import sla_service_pb2 as pb
from tickdesk.sla.v1 import sla_service_pb2_grpc
from tickdesk.sla.v1.clock_pb2 import TicketRef
from tickdesk.sla.v1.events_pb2 import MarkReached
from tickdesk.tickets.v1.timeline_pb2 import Timeline as TimelineMessage

NAME = pb.DESCRIPTOR.services_by_name["SlaService"].full_name
_PAGE = 50
_STAFF = frozenset({"agent", "lead", "admin", "service"})
PERMITTED: dict[str, frozenset[str]] = {
    "GetClocks": _STAFF,
    "ListDue": _STAFF,
    "ListMarks": _STAFF,
    "ExplainClock": _STAFF,
    "WatchMarks": _STAFF,
    "Forecast": _STAFF,
}
"""Roles by method; what is not named here is refused to everybody."""


class SlaApi(sla_service_pb2_grpc.SlaServiceServicer):
    """Shows clocks and the ledger."""

    def __init__(self, works: Works) -> None:
        self._works = works

    async def GetClocks(self, request: pb.GetClocksRequest, context: Any) -> pb.GetClocksResponse:
        """See the contract."""
        async with self._works.db.tx() as tx:
            row = await tickets.find_ticket(tx, UUID(request.ticket_id))
            policy = await self._works.book.version(tx, row.policy_version)
        told = convert.all_cycles(clocks(_timeline(row), policy))
        return pb.GetClocksResponse(
            ticket=TicketRef.FromString(row.ref),
            clocks=[convert.clock_message(clock, micros(tx.now)) for clock in told],
            policy=convert.policy_ref(policy, ""),
        )

    async def ListDue(self, request: pb.ListDueRequest, context: Any) -> pb.ListDueResponse:
        """See the contract."""
        size = request.page_size or _PAGE
        before = request.due_before.ToDatetime(UTC) if request.HasField("due_before") else None
        wanted = DueFilter(request.queue, before, convert.page_place(request.page_token))
        async with self._works.db.tx() as tx:
            found = await tickets.list_due(tx, wanted, size + 1)
            page = [await self._due(tx, one) for one in found[:size]]
        last = found[size - 1] if len(found) > size else None
        token = convert.page_token(last.due_at, last.row.ticket_id, last.clock) if last else ""
        return pb.ListDueResponse(clocks=[one for one in page if one], next_page_token=token)

    async def _due(self, tx: Tx, one: DueRow) -> pb.DueClock | None:
        policy = await self._works.book.version(tx, one.row.policy_version)
        now = micros(tx.now)
        for clock in clocks(_timeline(one.row), policy):
            if clock.name == one.clock:
                left = convert.duration(clock.target - clock.elapsed_at(now))
                ref = TicketRef.FromString(one.row.ref)
                return pb.DueClock(ticket=ref, clock=convert.clock_message(clock, now), remaining=left)
        return None

    async def ListMarks(self, request: pb.ListMarksRequest, context: Any) -> pb.ListMarksResponse:
        """See the contract."""
        size = request.page_size or _PAGE
        after = convert.page_numbers(request.page_token)
        wanted = MarkFilter(_ticket_id(request), _action(request), after)
        async with self._works.db.tx() as tx:
            found, total = await ledger.list_marks(tx, wanted, size + 1)
        last = found[size - 1] if len(found) > size else None
        token = convert.page_token(last.batch, last.place) if last else ""
        return pb.ListMarksResponse(marks=map(_mark, found[:size]), next_page_token=token, total_size=total)


def _ticket_id(request: pb.ListMarksRequest) -> UUID | None:
    try:
        return UUID(request.ticket_id) if request.ticket_id else None
    except ValueError:
        text = "must be the UUID of a ticket, or empty for all"
        raise InvalidInput(f"ticket_id {text}", violations=[Violation("ticket_id", text)]) from None


def _action(request: pb.ListMarksRequest) -> str:
    return next((action.value for action, number in convert.ACTIONS.items() if number == request.action), "")


def _mark(row: LedgerRow) -> pb.LedgerMark:
    event = MarkReached.FromString(row.payload)
    return pb.LedgerMark(
        ticket=event.ticket,
        clock=row.clock,
        cycle=row.cycle,
        mark=event.mark,
        reached_time=event.reached_time,
        lateness=event.lateness,
        folded=row.folded,
        event_id="" if row.folded else str(row.event_id),
    )


def _timeline(row: TicketRow) -> Timeline:
    facts = TimelineMessage.FromString(row.timeline)
    return convert.timeline(facts, convert.load_attributes(row.attributes))
