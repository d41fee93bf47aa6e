"""Which event makes notifier do what."""

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from chassis.bus import Subscription
from chassis.db import Tx
from notifier.domain import Rules
from notifier.handlers import customers, known, notices, staff
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.sla.v1 import events_pb2 as sla_events
from tickdesk.survey.v1 import events_pb2 as survey_events
from tickdesk.tickets.v1 import events_pb2 as ticket_events

Handler = Callable[[Tx, Any, Rules], Awaitable[None]]

HANDLERS: tuple[tuple[type[Message], Handler], ...] = (
    (ticket_events.TicketOpened, customers.ticket_opened),
    (ticket_events.TicketReplied, customers.ticket_replied),
    (ticket_events.TicketEscalated, staff.ticket_escalated),
    (ticket_events.TicketReturned, known.ticket_changed),
    (ticket_events.IncidentProposed, known.ticket_changed),
    (ticket_events.CustomerReplied, known.ticket_changed),
    (ticket_events.NoteAdded, known.ticket_changed),
    (ticket_events.TicketTaken, known.ticket_changed),
    (ticket_events.TicketAssigned, known.ticket_changed),
    (ticket_events.TicketStatusChanged, known.ticket_changed),
    (ticket_events.TicketUpdated, known.ticket_changed),
    (ticket_events.TicketResolved, known.ticket_changed),
    (ticket_events.TicketClosed, known.ticket_changed),
    (ticket_events.TicketReopened, known.ticket_changed),
    (ticket_events.TicketRated, known.ticket_changed),
    (ticket_events.TicketMerged, known.ticket_changed),
    (ticket_events.PeopleMentioned, staff.people_mentioned),
    (ticket_events.WebhookRequested, known.webhook_requested),
    (ticket_events.NoticeRequested, notices.notice_requested),
    (ticket_events.AgentChanged, known.agent_changed),
    (ticket_events.QueueChanged, known.queue_changed),
    (sla_events.MarkReached, staff.mark_reached),
    (sla_events.ClockStarted, customers.clock_started),
    (survey_events.SurveyAsked, customers.survey_asked),
    (intake_events.MessageReceived, known.message_received),
)


def subscriptions(rules: Rules, wake: Callable[[], None]) -> tuple[Subscription[Any], ...]:
    """The table with this deployment's rules; `wake` rings the delivery loops after each commit."""
    return tuple(Subscription(kind, _bound(handler, rules, wake)) for kind, handler in HANDLERS)


def _bound(handler: Handler, rules: Rules, wake: Callable[[], None]) -> Callable[[Tx, Any], Awaitable[None]]:
    async def handle(tx: Tx, event: Any) -> None:
        await handler(tx, event, rules)
        tx.after_commit(wake)

    return handle
