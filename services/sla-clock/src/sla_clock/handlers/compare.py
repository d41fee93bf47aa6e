"""Compares what is known of open tickets with the tickets service, and takes over what never came."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

import grpc
import grpc.aio

from chassis import telemetry
from chassis.channel import channel
from sla_clock.handlers.follow import follow
from sla_clock.handlers.works import Works
from sla_clock.metrics import TICKET_DRIFT
from sla_clock.settings import Settings
from sla_clock.store import comparing
from tickdesk.tickets.v1 import tickets_service_pb2 as pb
from tickdesk.tickets.v1.ticket_pb2 import Ticket

if TYPE_CHECKING:
    from tickdesk.tickets.v1.tickets_service_pb2_grpc import TicketServiceAsyncStub

log = telemetry.logger(__name__)

_PAGE = 1000
_CALL_SECONDS = 10.0
_AT_ONCE = 8
_SUSPECTS = 10_000
"""So many tickets at most are looked at closely in one round; more are found by the next."""

GRACE_SECONDS = 2.0
"""An event of a ticket may be under way: what is behind is behind only if it still is after this."""


def tickets_channel(settings: Settings) -> grpc.aio.Channel | None:
    """The way to tickets; None, and the log says so, when it is not set. Lost events are not noticed then."""
    secret = settings.tickets_token or settings.tokens.get("service:sla-clock")
    # While a token is rotated there are two; callers use the new one.
    token = secret.get_secret_value().partition(",")[0].strip() if secret else ""
    if not settings.tickets_target or not token:
        absent = "token" if settings.tickets_target else "tickets_target"
        log.warning("open tickets are not compared with the tickets service", absent=absent)
        return None
    return channel(settings.tickets_target, token, settings.tickets_ca)


@dataclass
class Compared:
    """What was found: tickets not known here, known in an older version, not known there."""

    missing: int = 0
    stale: int = 0
    orphan: int = 0
    suspects: dict[UUID, int | None] = field(default_factory=dict)
    """Ticket to the version it has there; None: it is not among the open ones there."""

    @property
    def full(self) -> bool:
        """Whether there are too many to look at in one round."""
        return len(self.suspects) >= _SUSPECTS


async def compare(
    works: Works, desk: TicketServiceAsyncStub, grace_seconds: float = GRACE_SECONDS
) -> Compared:
    """Compare all open tickets and follow those that are behind; what was found.

    Raises AioRpcError while tickets is away; what was taken over until then stays.
    """
    found, token, after = Compared(), "", UUID(int=0)
    while not found.full:
        request = pb.ListTicketVersionsRequest(page_size=_PAGE, page_token=token)
        page = await desk.ListTicketVersions(request, timeout=_CALL_SECONDS)
        there = {UUID(one.ticket_id): one.version for one in page.versions}
        token = page.next_page_token
        upto = max(there) if token else UUID(int=2**128 - 1)
        found.suspects |= await _differences(works, there, after, upto)
        after = upto
        if not token:
            break
    if found.suspects:
        await asyncio.sleep(grace_seconds)
        await _catch_up(works, desk, found)
    for kind in ("missing", "stale", "orphan"):
        TICKET_DRIFT.labels(kind).inc(getattr(found, kind))
    return found


async def _differences(
    works: Works, there: Mapping[UUID, int], after: UUID, upto: UUID
) -> dict[UUID, int | None]:
    """Tickets of a stretch of ids that are behind here, or open here and not there."""
    async with works.db.tx() as tx:
        here = await comparing.known_versions(tx, list(there))
        opened = await comparing.open_between(tx, after, upto)
    behind: dict[UUID, int | None] = {one: at for one, at in there.items() if here.get(one, 0) < at}
    return behind | {one: None for one in opened if one not in there}


async def _catch_up(works: Works, desk: TicketServiceAsyncStub, found: Compared) -> None:
    async with works.db.tx() as tx:
        here = await comparing.known_versions(tx, list(found.suspects))
    behind = [one for one, at in found.suspects.items() if at is None or here.get(one, 0) < at]
    for start in range(0, len(behind), _AT_ONCE):
        some = behind[start : start + _AT_ONCE]
        tickets = await asyncio.gather(*(_fetch(desk, one) for one in some))
        for ticket_id, ticket in zip(some, tickets, strict=True):
            await _take_over(works, ticket_id, (here.get(ticket_id), ticket), found)


async def _fetch(desk: TicketServiceAsyncStub, ticket_id: UUID) -> Ticket | None:
    """The ticket with its timeline; None when there is none. Raises AioRpcError."""
    try:
        request = pb.GetTicketRequest(ticket=str(ticket_id))
        answer = await desk.GetTicket(request, timeout=_CALL_SECONDS)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
    return answer.ticket


async def _take_over(
    works: Works, ticket_id: UUID, versions: tuple[int | None, Ticket | None], found: Compared
) -> None:
    """Follow a ticket as if its event had come; one that was there already changes nothing."""
    known, ticket = versions
    if ticket is None:
        found.orphan += 1
        log.warning("tickets does not know this ticket", ticket_id=str(ticket_id))
        return
    if known is not None and known >= ticket.version:
        return
    async with works.db.tx() as tx:
        await follow(works, tx, ticket)
    found.missing += known is None
    found.stale += known is not None
