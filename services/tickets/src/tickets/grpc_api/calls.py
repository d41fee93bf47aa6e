"""What the services of this port share: who calls, which page, one unit of work per request."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.db import Database, Tx, idempotent
from chassis.errors import InvalidInput, Violation
from chassis.principal import principal
from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import ticket_pb2
from tickets.convert import tickets as convert
from tickets.convert.values import instant
from tickets.domain import rules
from tickets.domain.model import Contact, Ticket
from tickets.handlers.change import Caller, Target
from tickets.store import lists

R = TypeVar("R", bound=Message)

# Longer texts would not fit into an event; the contract counts characters, a stream counts bytes.
_TEXT_BYTES = 524_288


class Command(Protocol):
    """A request that changes one ticket."""

    request_id: str
    ticket: str
    version: int
    agent_id: str


async def write(
    db: Database, request: Any, answer: type[R], do: Callable[[Tx], Awaitable[R]], once: Any = idempotent
) -> R:
    """One unit of work, `once` per request_id."""
    async with db.tx() as tx:
        return await once(tx, request.request_id, request, answer, lambda: do(tx))  # type: ignore[no-any-return]


async def change(
    db: Database,
    request: Any,
    answer: Callable[..., R],
    do: Callable[[Tx, Caller, Target], Awaitable[Ticket]],
) -> R:
    """A command on one ticket whose answer is the ticket."""

    async def work(tx: Tx) -> R:
        ticket = await do(tx, caller(request.agent_id), target(request))
        return answer(ticket=convert.to_ticket(ticket))

    return await write(db, request, answer, work)  # type: ignore[arg-type]


def caller(agent_id: str = "") -> Caller:
    """Who calls, and for which agent."""
    return Caller(principal(), agent_id)


def target(request: Command) -> Target:
    """The ticket, and the version the caller saw."""
    return Target(request.ticket, request.version)


def page(request: Any) -> lists.Page:
    """The page asked for."""
    return lists.Page(request.page_size, request.page_token)


def text(value: str) -> str:
    """A text that fits into an event. Raises InvalidInput."""
    if len(value.encode()) > _TEXT_BYTES:
        raise bad("text", f"must have at most {_TEXT_BYTES} bytes in UTF-8")
    return value


def since(stamp: Timestamp) -> datetime | None:
    """The instant; None when it is not set."""
    return instant(stamp) if stamp.ByteSize() else None


def uuid(field: str, value: str) -> str:
    """A UUID in its usual form, or nothing. Raises InvalidInput."""
    try:
        return str(UUID(value)) if value else ""
    except ValueError:
        raise bad(field, "must be a UUID") from None


def zone(name: str) -> ZoneInfo:
    """The zone in which days begin. Raises InvalidInput."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise bad("timezone", 'must be an IANA zone such as "Europe/Moscow"') from None


def contact(asked: ticket_pb2.Contact) -> Contact:
    """The contact that the field `contact` names. Raises InvalidInput."""
    if asked.channel not in common_pb2.Channel.values()[1:]:
        raise bad("contact.channel", "must be a channel of the contract")
    return rules.contact(asked.channel, asked.address)


def bad(field: str, description: str) -> InvalidInput:
    """The error that names one field."""
    return InvalidInput(f"{field} {description}", violations=[Violation(field, description)])
