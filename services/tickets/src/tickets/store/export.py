"""Everything that is kept, read through cursors of the server: memory is bounded whatever there is."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from chassis.pages import page_start, page_token
from tickets.domain.export import Kind
from tickets.domain.model import Message, Ticket, Visibility
from tickets.domain.query.resolve import Search
from tickets.store import tables
from tickets.store.export_sources import SOURCES, Owner, Source
from tickets.store.messages import to_message
from tickets.store.query import clauses
from tickets.store.rights import visible
from tickets.store.search import bounded, plain
from tickets.store.tickets import TICKETS, to_ticket

_AT_ONCE = 100
"""Rows that are in memory."""
_t, _m = tables.ticket, tables.message


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tickets, from which token on; `scope` is the text that tokens are good for."""

    search: Search
    token: str
    scope: str
    staff: bool
    public_only: bool


async def fix_moment(tx: Tx) -> None:
    """Let everything that this transaction reads be of one moment; to be called first."""
    await tx.execute(sa.text("set transaction isolation level repeatable read, read only"))


async def records(
    tx: Tx, kind: Kind, token: str, owner: Owner | None, *, public_only: bool
) -> AsyncIterator[tuple[str, object]]:
    """Records of a kind that the caller may see, each with its token; no owner sees everybody's.

    Raises InvalidInput (PAGE_TOKEN_INVALID).
    """
    source = SOURCES[kind]
    query = source.query.where(*await _bounds(tx, source))
    if owner and source.own:
        query = query.where(source.own(owner))
    if public_only and source.internal is not None:
        query = query.where(~source.internal)
    place = page_start(token, kind.name, lambda *parts: _place(source.key, parts))
    if place:
        bound = (sa.literal(value, column.type) for column, value in zip(source.key, place, strict=True))
        query = query.where(sa.tuple_(*source.key) >= sa.tuple_(*bound))
    names = [column.name for column in source.key]
    async for row in _stream(tx, query.order_by(*source.key)):
        record = source.read(row)
        if source.shorten:
            await source.shorten(tx, [record])
        yield page_token(kind.name, *(getattr(row, name) for name in names)), record


async def tickets(tx: Tx, wanted: Wanted) -> AsyncIterator[tuple[str, Ticket | Message]]:
    """Tickets that are found and seen, each with its token and followed by its messages.

    Raises InvalidInput (PAGE_TOKEN_INVALID), Exhausted.
    """
    async for ids in _found(tx, wanted):
        async for ticket, said in _with_messages(tx, ids, public_only=wanted.public_only):
            yield page_token(wanted.scope, ticket.id) if said is None else "", said or ticket


_BUFFER = {"max_row_buffer": _AT_ONCE}


async def _found(tx: Tx, wanted: Wanted) -> AsyncIterator[Sequence[str]]:
    """Ids in parts."""
    query = sa.select(_t.c.id).where(*clauses(wanted.search, staff=wanted.staff), *await visible(tx))
    start = page_start(wanted.token, wanted.scope, lambda value: str(UUID(value)))
    if start:
        query = query.where(_t.c.id >= start)
    async with bounded(), tx.conn.stream(query.order_by(_t.c.id), execution_options=_BUFFER) as found:
        async for ids in found.scalars().partitions(_AT_ONCE):
            yield ids


async def _with_messages(
    tx: Tx, ids: Sequence[str], *, public_only: bool
) -> AsyncIterator[tuple[Ticket, Message | None]]:
    """Each ticket alone, then with each of its messages.

    The form of an escalation is a note to the next line.
    """
    whole = await tx.execute(TICKETS.where(_t.c.id.in_(ids)).order_by(_t.c.id))
    query = sa.select(_m).where(_m.c.ticket_id.in_(ids))
    if public_only:
        query = query.where(_m.c.visibility == Visibility.PUBLIC)
    rows = _stream(tx, query.order_by(_m.c.ticket_id, _m.c.created_time, _m.c.id))
    row = await anext(rows, None)
    for ticket in [to_ticket(each) for each in whole.mappings()]:
        if public_only and ticket.escalation:
            ticket.escalation.form = None
        yield ticket, None
        while row and row.ticket_id == ticket.id:
            yield ticket, to_message(row._asdict())
            row = await anext(rows, None)


async def _stream(tx: Tx, query: sa.Select[Any]) -> AsyncIterator[sa.Row[Any]]:
    async with tx.conn.stream(query, execution_options=_BUFFER) as found:
        async for row in found:
            yield row


async def _bounds(tx: Tx, source: Source) -> list[sa.ColumnElement[bool]]:
    """Only rows of tickets that the caller may see, and rows of none."""
    seen = await visible(tx)
    if not seen:
        return []
    # Some sources join the ticket for its key: theirs is not the one of the condition.
    found = sa.select(_t.c.id).where(*seen).correlate_except(_t)
    return [sa.or_(column.is_(None), sa.exists(found.where(_t.c.id == column))) for column in source.of]


def _place(key: Sequence[sa.ColumnElement[Any]], parts: Sequence[str | int]) -> list[Any]:
    """A key out of a token. Raises ValueError."""
    if len(key) != len(parts):
        raise ValueError(parts)
    return [_part(column.type, value) for column, value in zip(key, parts, strict=True)]


def _part(kind: sa.types.TypeEngine[Any], value: str | int) -> Any:
    match kind:
        case sa.Uuid():
            return str(UUID(str(value)))
        case sa.Text():
            return plain(str(value))
    return int(value)
