"""SlaService over gRPC: clocks and marks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC
from typing import Any
from uuid import UUID

from chassis.errors import InvalidInput, Violation
from chassis.pages import page_start, page_token
from sla_clock import convert, convert_policy
from sla_clock.calendar import micros
from sla_clock.checks import Explain
from sla_clock.explain import explain
from sla_clock.handlers.checking import Checks
from sla_clock.handlers.due import Due, due_clocks, next_clocks
from sla_clock.handlers.follow import timeline_of
from sla_clock.handlers.watch import Watched, Watches, watch_marks
from sla_clock.handlers.works import Works
from sla_clock.policy import clocks
from sla_clock.reckon import Length, Spent, spent
from sla_clock.store import ledger, reads, tickets
from sla_clock.store.ledger import LedgerRow, MarkFilter
from sla_clock.store.reads import DueFilter, Expected
from sla_clock.store.tables import integer
from tickdesk.sla.v1 import sla_service_pb2 as pb
from tickdesk.sla.v1 import sla_service_pb2_grpc
from tickdesk.sla.v1.clock_pb2 import TicketRef
from tickdesk.sla.v1.events_pb2 import MarkReached

SERVICE = pb.DESCRIPTOR.services_by_name["SlaService"]
_PAGE = 50

_GROUPS = {
    pb.FORECAST_GROUP_UNSPECIFIED: "queue",
    pb.FORECAST_GROUP_QUEUE: "queue",
    pb.FORECAST_GROUP_LINE: "line",
    pb.FORECAST_GROUP_ASSIGNEE: "assignee",
}


class SlaApi(sla_service_pb2_grpc.SlaServiceServicer):
    """Shows clocks and the ledger; watches end once `is_over`, as in a drain."""

    def __init__(self, works: Works, checks: Checks, watches: Watches, is_over: Callable[[], bool]) -> None:
        self._works = works
        self._checks = checks
        self._watches = watches
        self._is_over = is_over

    async def GetClocks(self, request: pb.GetClocksRequest, context: Any) -> pb.GetClocksResponse:
        """See the contract."""
        async with self._works.db.tx() as tx:
            row = await tickets.find_ticket(tx, UUID(request.ticket_id))
            policy = await self._works.book.version(tx, row.policy_version)
        now, timeline = micros(tx.now), timeline_of(row)
        told = convert.all_cycles(clocks(timeline, policy))
        generations = {(one.name, one.cycle): one.generation for one in row.standings}
        counted = policy.calendars.get(policy.calendar) or next(iter(policy.calendars.values()), None)
        passed = spent(timeline, counted, now) if counted else Spent({}, {})
        return pb.GetClocksResponse(
            ticket=TicketRef.FromString(row.ref),
            clocks=[convert.full_clock(clock, generations, now) for clock in told],
            policy=convert.policy_ref(policy, convert.only_calendar(told)),
            statuses=_times(passed.statuses),
            lines=_times(passed.lines),
        )

    async def ListDue(self, request: pb.ListDueRequest, context: Any) -> pb.ListDueResponse:
        """See the contract."""
        lists = next_clocks if request.order == pb.DUE_ORDER_SERVE_NEXT else due_clocks
        size = request.page_size or _PAGE
        async with self._works.db.tx() as tx:
            found, token = await lists(self._works, tx, _due_filter(request), request.page_token, size)
        return pb.ListDueResponse(clocks=map(_due, found), next_page_token=token)

    async def ListMarks(self, request: pb.ListMarksRequest, context: Any) -> pb.ListMarksResponse:
        """See the contract."""
        size = request.page_size or _PAGE
        scope = ("marks", request.ticket_id, request.action)
        after = page_start(request.page_token, scope, _place)
        wanted = MarkFilter(_ticket_id(request), _action(request), after)
        async with self._works.db.tx() as tx:
            found, total = await ledger.list_marks(tx, wanted, size + 1)
        last = found[size - 1] if len(found) > size else None
        token = page_token(scope, last.batch, last.place) if last else ""
        return pb.ListMarksResponse(marks=map(_mark, found[:size]), next_page_token=token, total_size=total)

    async def ExplainClock(self, request: pb.ExplainClockRequest, context: Any) -> pb.ExplainClockResponse:
        """See the contract."""
        async with self._works.db.tx() as tx:
            row = await tickets.find_ticket(tx, UUID(request.ticket_id))
            policy = await self._works.book.version(tx, row.policy_version)
        timeline, now = timeline_of(row), micros(tx.now)
        asked = (request.clock, request.cycle, now)
        if request.yaml:
            # Agents may send anything: it is read where it may take what time it likes.
            told = await self._checks.explain(Explain(request.yaml, timeline, row.standings, *asked))
        else:
            found = explain(timeline, policy, *asked)
            told = convert_policy.explanation(found, policy, now, row.standings)
        told.ticket.MergeFromString(row.ref)
        return told

    async def WatchMarks(
        self, request: pb.WatchMarksRequest, context: Any
    ) -> AsyncIterator[pb.WatchMarksResponse]:
        """See the contract."""
        wanted = Watched(_ticket_id(request), _action(request), request.queue)
        with self._watches.one():
            async for row, cursor in watch_marks(self._works, request.cursor, wanted, self._is_over):
                yield pb.WatchMarksResponse(mark=_mark(row) if row else None, cursor=cursor)

    async def Forecast(self, request: pb.ForecastRequest, context: Any) -> pb.ForecastResponse:
        """See the contract."""
        wanted = DueFilter(queue=request.queue, clock=request.clock)
        async with self._works.db.tx() as tx:
            total, *rows = await reads.forecast(tx, _GROUPS[request.group_by], tx.now, wanted)
        return pb.ForecastResponse(
            rows=map(_expected, rows),
            total=_expected(total),
            as_of_time=convert.timestamp(micros(tx.now)),
        )


def _times(passed: Mapping[str, Length]) -> list[pb.TimeSpent]:
    return [
        pb.TimeSpent(name=name, real=convert.duration(one.real), business=convert.duration(one.business))
        for name, one in passed.items()
    ]


def _due_filter(request: pb.ListDueRequest) -> DueFilter:
    return DueFilter(
        queue=request.queue,
        line=convert.LINE[request.line],
        assignee=request.assignee,
        clock=request.clock,
        before=request.due_before.ToDatetime(UTC) if request.HasField("due_before") else None,
    )


def _due(one: Due) -> pb.DueClock:
    left = one.clock.remaining_at(one.now)
    return pb.DueClock(
        ticket=TicketRef.FromString(one.row.ref),
        clock=convert.clock_message(one.clock, one.now),
        remaining=convert.duration(left),
        remaining_share=convert.share(left, one.clock.target),
    )


def _expected(one: Expected) -> pb.ForecastRow:
    quarter, hour, four_hours = one.within
    return pb.ForecastRow(
        group=one.group or "",
        overdue=one.overdue,
        within_15_minutes=quarter,
        within_60_minutes=hour,
        within_240_minutes=four_hours,
    )


def _place(batch: int, place: int) -> tuple[int, int]:
    """Where a page of the ledger ended."""
    return integer(batch, 64), integer(place, 32)


def _ticket_id(request: pb.ListMarksRequest | pb.WatchMarksRequest) -> UUID | None:
    try:
        return UUID(request.ticket_id) if request.ticket_id else None
    except ValueError:
        text = "must be the UUID of a ticket, or empty for all"
        raise InvalidInput(f"ticket_id {text}", violations=[Violation("ticket_id", text)]) from None


def _action(request: pb.ListMarksRequest | pb.WatchMarksRequest) -> str:
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
