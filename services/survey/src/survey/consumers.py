"""Which event makes survey do what."""

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from chassis.bus import Subscription
from chassis.db import Tx
from survey import handlers
from survey.handlers import Rules
from tickdesk.tickets.v1 import events_pb2

Handler = Callable[[Tx, Any, Rules], Awaitable[None]]

HANDLERS: tuple[tuple[type[Message], Handler], ...] = (
    (events_pb2.TicketOpened, handlers.ticket_opened),
    (events_pb2.TicketClosed, handlers.ticket_closed),
    (events_pb2.TicketReopened, handlers.ticket_reopened),
)


def subscriptions(rules: Rules, wake: Callable[[], object]) -> tuple[Subscription[Any], ...]:
    """The table with this deployment's rules; `wake` rings the loop after each commit."""
    return tuple(Subscription(kind, _bound(handler, rules, wake)) for kind, handler in HANDLERS)


def _bound(
    handler: Handler, rules: Rules, wake: Callable[[], object]
) -> Callable[[Tx, Any], Awaitable[None]]:
    async def handle(tx: Tx, event: Any) -> None:
        await handler(tx, event, rules)
        tx.after_commit(wake)

    return handle
