"""Which event makes sla-clock do what: every change of a ticket carries all that the clocks need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from chassis.bus import Subscription
from chassis.db import Tx
from sla_clock.handlers.follow import follow
from sla_clock.handlers.works import Works
from tickdesk.tickets.v1 import events_pb2 as events

FOLLOWED: tuple[type[Message], ...] = (
    events.TicketOpened,
    events.CustomerReplied,
    events.TicketReplied,
    events.NoteAdded,
    events.TicketTaken,
    events.TicketAssigned,
    events.TicketStatusChanged,
    events.TicketUpdated,
    events.TicketEscalated,
    events.TicketReturned,
    events.IncidentProposed,
    events.TicketResolved,
    events.TicketClosed,
    events.TicketReopened,
    events.TicketMerged,
    events.PeopleMentioned,
    events.WebhookRequested,
    events.NoticeRequested,
)


def subscriptions(works: Works) -> tuple[Subscription[Any], ...]:
    """The table, bound to this process."""
    brought_in = Subscription(events.TicketImported, _follow_open(works))
    return (brought_in, *(Subscription(kind, _follow(works)) for kind in FOLLOWED))


def _follow(works: Works) -> Callable[[Tx, Any], Awaitable[None]]:
    async def handle(tx: Tx, event: Any) -> None:
        await follow(works, tx, event.ticket)

    return handle


def _follow_open(works: Works) -> Callable[[Tx, events.TicketImported], Awaitable[None]]:
    """Nothing is promised for a ticket that was over before it came here."""

    async def handle(tx: Tx, event: events.TicketImported) -> None:
        if not event.ticket.HasField("closed_time"):
            await follow(works, tx, event.ticket)

    return handle
