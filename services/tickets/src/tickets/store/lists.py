"""Pages: keyset queries whose cost does not grow with the table, and their opaque tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from chassis.pages import page_start, page_token
from tickets.domain.model import Agent, Message, Queue, Ticket
from tickets.domain.setup import Kept
from tickets.domain.statuses import StatusKind
from tickets.store import body, rights, tables
from tickets.store.agents import to_agent
from tickets.store.desk import QUEUES, to_queue
from tickets.store.messages import to_message
from tickets.store.setup import to_kept
from tickets.store.tickets import TICKETS, to_ticket

T = TypeVar("T")
DEFAULT_SIZE = 50
COUNT_LIMIT = 10_000
"""Matches are counted up to here: counting a million rows would cost more than the page."""
_MAX_NUMBER = 2**63 - 1
_t, _m, _q, _a, _s = tables.ticket, tables.message, tables.queue, tables.agent, tables.queue_setup
_MOMENT = (_t.c.created_time.type, _t.c.id.type)
_PAGE_BYTES = 3_000_000
"""Of the texts on a page of messages: clients take answers of 4 MiB, and no message is longer than this."""
_BYTES = sum(
    (sa.func.octet_length(_m.c[name]) for name in ("full_text", "html")), sa.func.octet_length(_m.c.text)
)


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is wanted; size 0 is the default."""

    size: int = 0
    token: str = ""

    @property
    def limit(self) -> int:
        """Rows on the page."""
        return self.size or DEFAULT_SIZE


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A page, the token of the next one (empty on the last) and the bounded count where it was asked for."""

    items: list[T]
    next_token: str = ""
    total: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tickets; all given conditions must hold."""

    queue: str = ""
    status_kinds: tuple[int, ...] = ()
    assignee: str = ""
    unassigned: bool = False
    line: int = 0
    customer_id: str = ""
    created_after: datetime | None = None
    updated_after: datetime | None = None
    account_manager: str = ""

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As SQL, with bound parameters."""
        equal = (
            (_t.c.queue, self.queue),
            (_t.c.assignee, self.assignee),
            (_t.c.line, self.line),
            (_t.c.customer_id, self.customer_id),
        )
        since = ((_t.c.created_time, self.created_after), (_t.c.updated_time, self.updated_after))
        conditions = [column == value for column, value in equal if value]
        conditions += [column >= value for column, value in since if value]
        if self.status_kinds:
            conditions.append(_t.c.status_kind.in_(self.status_kinds))
        if self.account_manager:
            kept = sa.select(tables.customer.c.id)
            kept = kept.where(tables.customer.c.account_manager == self.account_manager)
            conditions.append(_t.c.customer_id.in_(kept))
        if self.unassigned:
            conditions.append(_t.c.assignee == "")
        return conditions


async def list_tickets(tx: Tx, wanted: Filter, page: Page) -> Listed[Ticket]:
    """Tickets, newest first; with `updated_after` by change, oldest first. Two statements."""
    conditions = [*wanted.conditions(), *await rights.visible(tx)]
    by_change = wanted.updated_after is not None
    moment = _t.c.updated_time if by_change else _t.c.created_time
    query = TICKETS.where(*conditions)
    if page.token:
        place, bound = sa.tuple_(moment, _t.c.id), sa.tuple_(*_start(page.token, wanted), types=_MOMENT)
        query = query.where(place > bound if by_change else place < bound)
    order = (moment, _t.c.id) if by_change else (moment.desc(), _t.c.id.desc())
    rows = (await tx.execute(query.order_by(*order).limit(page.limit + 1))).mappings().all()
    counted = sa.select(sa.literal(1)).select_from(_t).where(*conditions).limit(COUNT_LIMIT).subquery()
    total = (await tx.execute(sa.select(sa.func.count()).select_from(counted))).scalar_one()

    def position(ticket: Ticket) -> list[Any]:
        return [body.micros(ticket.updated_time if by_change else ticket.created_time), ticket.id]

    return listed([to_ticket(row) for row in rows], page, wanted, position, total)


async def list_versions(tx: Tx, page: Page) -> Listed[tuple[str, int]]:
    """Tickets that are not closed, by id: id and version only."""
    query = sa.select(_t.c.id, _t.c.version).where(
        _t.c.status_kind != StatusKind.CLOSED, *await rights.visible(tx)
    )
    if page.token:
        query = query.where(_t.c.id > page_start(page.token, "versions", _identity))
    rows = await tx.execute(query.order_by(_t.c.id).limit(page.limit + 1))
    return listed([(row.id, row.version) for row in rows], page, "versions", lambda each: [each[0]])


async def list_messages(tx: Tx, ticket_id: str, page: Page) -> Listed[Message]:
    """Messages and notes of a ticket, oldest first; no more than fit into one answer."""
    values: dict[str, Any] = {"ticket": ticket_id, "most": page.limit + 1}
    if page.token:
        values["after_time"], values["after_id"] = _start(page.token, ticket_id)
    rows = (await tx.execute(_MORE if page.token else _MESSAGES, values)).mappings().all()
    part = Page(min(page.limit, sum(row["weight"] <= _PAGE_BYTES for row in rows) or 1))
    messages = [to_message(row) for row in rows]
    return listed(messages, part, ticket_id, lambda each: [body.micros(each.created_time), each.id])


def _fitting(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Messages of a page; what comes first is always there, what is beyond it shows that there is more."""
    weight = sa.func.sum(_BYTES).over(order_by=_ORDER).label("weight")
    found = sa.select(_m, _BYTES.label("bytes"), weight).where(_m.c.ticket_id == sa.bindparam("ticket"))
    weighed = found.where(*conditions).order_by(*_ORDER).limit(sa.bindparam("most")).subquery()
    fitting = sa.select(weighed).where(weighed.c.weight - weighed.c.bytes <= _PAGE_BYTES)
    return fitting.order_by(weighed.c.created_time, weighed.c.id)


_ORDER = (_m.c.created_time, _m.c.id)
# Built once: that takes several times as long as executing them.
_after = sa.tuple_(sa.bindparam("after_time"), sa.bindparam("after_id"), types=_MOMENT)
_MESSAGES, _MORE = _fitting(), _fitting(sa.tuple_(*_ORDER) > _after)


async def list_queues(tx: Tx, page: Page) -> Listed[Queue]:
    """Queues by key."""
    query = QUEUES.where(_q.c.key > page_start(page.token, "queues", str)) if page.token else QUEUES
    rows = await tx.execute(query.order_by(_q.c.key).limit(page.limit + 1))
    return listed([to_queue(row) for row in rows.mappings()], page, "queues", lambda each: [each.key])


async def list_agents(tx: Tx, page: Page) -> Listed[Agent]:
    """Agents by id, those who left included."""
    query = sa.select(_a)
    if page.token:
        query = query.where(_a.c.id > page_start(page.token, "agents", str))
    rows = await tx.execute(query.order_by(_a.c.id).limit(page.limit + 1))
    return listed([to_agent(row) for row in rows.mappings()], page, "agents", lambda each: [each.id])


async def list_setups(tx: Tx, queue: str, page: Page) -> Listed[Kept]:
    """Versions of a queue's setup without their documents, newest first."""
    scope = ("setups", queue)
    query = sa.select(*(each for each in _s.c if each.name != "document")).where(_s.c.queue == queue)
    if page.token:
        query = query.where(_s.c.version < page_start(page.token, scope, number))
    rows = await tx.execute(query.order_by(_s.c.version.desc()).limit(page.limit + 1))
    return listed([to_kept(row, {}) for row in rows], page, scope, lambda each: [each.version])


def listed(
    found: Sequence[T], page: Page, scope: object, position: Callable[[T], list[Any]], total: int = 0
) -> Listed[T]:
    """A page out of one row more than it holds; `position` tells the next page where to go on."""
    items = list(found[: page.limit])
    token = page_token(scope, *position(items[-1])) if len(found) > page.limit else ""
    return Listed(items, token, total)


def sliced(items: Sequence[T], page: Page, scope: object) -> Listed[T]:
    """A page of a list that is short enough to be read whole."""
    start = page_start(page.token, scope, int) or 0
    end = start + page.limit
    return Listed(list(items[start:end]), page_token(scope, end) if end < len(items) else "")


def _start(token: str, scope: object) -> tuple[datetime, str]:
    """Where the last page of a list by time ended. Raises InvalidInput."""
    found = page_start(token, scope, _instant)
    assert found is not None
    return found


def _instant(micros: int, identity: str) -> tuple[datetime, str]:
    return body.instant(micros), str(UUID(identity))


def _identity(identity: str) -> str:
    return str(UUID(identity))


def number(number: int) -> int:
    """A number out of a token. Raises ValueError for one that no column holds."""
    if not 0 <= number <= _MAX_NUMBER:
        raise ValueError(number)
    return number
