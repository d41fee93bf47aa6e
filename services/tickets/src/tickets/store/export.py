"""Everything that is kept, read through cursors of the server: memory is bounded whatever there is."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from chassis.pages import page_start, page_token
from tickets.domain.export import Edition, ExternalOf, KeptOf, Kind, LinkOf
from tickets.domain.knowledge import Version
from tickets.domain.links import Edge, LinkKind
from tickets.domain.model import Message, Ticket, Visibility
from tickets.domain.query.found import SavedFilter
from tickets.domain.query.resolve import Search
from tickets.store import access_tables, audit_lists, customers, filters, knowledge, tables
from tickets.store.agents import to_agent
from tickets.store.desk import QUEUES, to_queue
from tickets.store.links import to_external
from tickets.store.messages import to_message
from tickets.store.query import clauses
from tickets.store.rights import visible
from tickets.store.search import bounded, plain
from tickets.store.setup import to_kept
from tickets.store.teams import to_team
from tickets.store.tickets import CONTACTS, TICKETS, to_customer, to_ticket

_AT_ONCE = 100
"""Rows that are in memory."""
_t, _m, _c, _l, _e = tables.ticket, tables.message, tables.customer, tables.ticket_link, tables.external_link
_a, _s, _v = access_tables.audit, tables.queue_setup, knowledge.article_version


@dataclass(frozen=True, slots=True)
class Source:
    """Where records of a kind come from, in the order of a key; `of` is the ticket that a row belongs to."""

    query: sa.Select[Any]
    key: tuple[sa.ColumnElement[Any], ...]
    read: Callable[[sa.Row[Any]], object]
    of: tuple[sa.ColumnElement[Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tickets, from which token on; `scope` is the text that tokens are good for."""

    search: Search
    token: str
    scope: str
    staff: bool
    public_only: bool


def _edition(row: sa.Row[Any]) -> Edition:
    content = knowledge.to_content(row.content)
    version = Version(row.version, content.title, row.state, row.author, row.comment, row.time)
    return Edition(row.article_id, version, content)


def _link(row: sa.Row[Any]) -> LinkOf:
    return LinkOf(Edge(LinkKind(row.kind), row.from_id, row.to_id), row.created_time)


SOURCES: Mapping[Kind, Source] = {
    Kind.CUSTOMERS: Source(sa.select(_c, CONTACTS), (_c.c.id,), lambda row: to_customer(row._asdict())),
    Kind.ORGANISATIONS: Source(
        customers.ORGANISATIONS, (customers.organisation.c.key,), customers.to_organisation
    ),
    Kind.QUEUES: Source(QUEUES, (tables.queue.c.key,), lambda row: to_queue(row._asdict())),
    Kind.SETUPS: Source(
        sa.select(_s), (_s.c.queue, _s.c.version), lambda row: KeptOf(row.queue, to_kept(row, row.document))
    ),
    Kind.AGENTS: Source(sa.select(tables.agent), (tables.agent.c.id,), lambda row: to_agent(row._asdict())),
    Kind.TEAMS: Source(sa.select(tables.team), (tables.team.c.key,), lambda row: to_team(row._asdict())),
    Kind.ARTICLES: Source(
        sa.select(*knowledge.WHOLE),
        (knowledge.article.c.id,),
        lambda row: knowledge.to_article(row._asdict()),
    ),
    Kind.ARTICLE_VERSIONS: Source(sa.select(_v), (_v.c.article_id, _v.c.version), _edition),
    Kind.AUDIT: Source(sa.select(_a), (_a.c.id,), audit_lists.to_entry, (_a.c.ticket_id,)),
    Kind.LINKS: Source(
        sa.select(_l), (_l.c.kind, _l.c.from_id, _l.c.to_id), _link, (_l.c.from_id, _l.c.to_id)
    ),
    Kind.EXTERNAL_LINKS: Source(
        sa.select(_e),
        (_e.c.ticket_id, _e.c.url),
        lambda row: ExternalOf(row.ticket_id, to_external(row)),
        (_e.c.ticket_id,),
    ),
    Kind.FILTERS: Source(
        sa.select(filters.saved_filter),
        (filters.saved_filter.c.id,),
        lambda row: SavedFilter(**row._asdict()),
    ),
}


async def fix_moment(tx: Tx) -> None:
    """Let everything that this transaction reads be of one moment; to be called first."""
    await tx.execute(sa.text("set transaction isolation level repeatable read, read only"))


async def records(tx: Tx, kind: Kind, token: str, owner: str) -> AsyncIterator[tuple[str, object]]:
    """Records of a kind that the caller may see, each with its token; of filters an owner's and shared ones.

    Raises InvalidInput (PAGE_TOKEN_INVALID).
    """
    source = SOURCES[kind]
    query = source.query.where(*await _bounds(tx, source))
    if kind is Kind.FILTERS and owner:
        kept = filters.saved_filter.c
        query = query.where(sa.or_(kept.owner == owner, kept.queue != ""))
    place = page_start(token, kind.name, lambda *parts: _place(source.key, parts))
    if place:
        bound = (sa.literal(value, column.type) for column, value in zip(source.key, place, strict=True))
        query = query.where(sa.tuple_(*source.key) >= sa.tuple_(*bound))
    names = [column.name for column in source.key]
    async for row in _stream(tx, query.order_by(*source.key)):
        yield page_token(kind.name, *(getattr(row, name) for name in names)), source.read(row)


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
    return [
        sa.or_(column.is_(None), sa.exists(sa.select(_t.c.id).where(_t.c.id == column, *seen)))
        for column in source.of
    ]


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
