"""Searching: pages of tickets by a query, in few statements at any size of the table."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from chassis.db import Tx
from chassis.errors import Exhausted, InvalidInput, Violation
from chassis.pages import page_start, page_token
from tickets.domain.query.found import TicketSummary
from tickets.domain.query.resolve import Search
from tickets.store import body, tables, texts
from tickets.store.lists import Listed, Page
from tickets.store.query import SortKey, after, clauses, ordering, sort_keys
from tickets.store.rights import visible
from tickets.store.tables import NEVER
from tickets.store.tickets import CLOCKS, to_clocks

_t, _c = tables.ticket, tables.customer
_SHOWN = tuple(
    _t.c[name]
    for name in (
        "id",
        "queue",
        "number",
        "version",
        "subject",
        "type",
        "category",
        "component",
        "priority",
        "status",
        "status_kind",
        "line",
        "assignee",
        "customer_id",
        "channel",
        "tags",
        "message_count",
        "created_time",
        "updated_time",
        "resolved_time",
        "due_time",
    )
)
# Not joined: they are looked up for the rows of the page, not for all that are sorted.
_OF_CUSTOMER = tuple(
    sa.select(_c.c[name]).where(_c.c.id == _t.c.customer_id).scalar_subquery().label(f"customer_{name}")
    for name in ("name", "tier")
)
COUNT_LIMIT = 1000
"""Tickets are counted up to here: whoever needs the number of more asks CountTickets."""
_PLACE = "place_"
_CANCELLED, _BAD_VALUE = "57014", "22023"


@dataclass(frozen=True, slots=True)
class Hits:
    """A page of tickets; where it is empty, what the words of the query may have meant."""

    page: Listed[TicketSummary]
    meant: Mapping[str, str]


async def search_tickets(tx: Tx, search: Search, page: Page, scope: str, *, staff: bool) -> Hits:
    """A page of tickets; `scope` is the text that its tokens are good for.

    One statement; without words a second one where the first page is full, for how many there are in all.
    Raises Exhausted (QUERY_TOO_COSTLY).
    """
    keys = sort_keys(search.order)
    conditions = [*clauses(search, staff=staff), *await visible(tx)]
    places = [key.column.label(f"{_PLACE}{index}") for index, key in enumerate(keys)]
    query = (
        sa.select(*_SHOWN, *_OF_CUSTOMER, CLOCKS, *places)
        .where(*conditions)
        .order_by(*ordering(keys))
        .limit(page.limit + 1)
    )
    total, meant = 0, None
    async with bounded():
        if page.token:
            query = query.where(after(keys, _place(page.token, scope, keys)))
            rows = (await tx.execute(query)).mappings().all()
        elif search.words:
            told = _at_once(query, keys, _count(conditions), page.limit, search.words)
            rows = (await tx.execute(told)).mappings().all()
            total, meant = rows[0]["total"], rows[0]["meant"]
            rows = rows if total else []
        else:
            rows = (await tx.execute(query)).mappings().all()
            total = (
                len(rows) if len(rows) <= page.limit else (await tx.execute(_count(conditions))).scalar_one()
            )
    items, token = [_summary(row) for row in rows[: page.limit]], ""
    if len(rows) > page.limit:
        last = [_told(rows[page.limit - 1][f"{_PLACE}{index}"]) for index in range(len(keys))]
        token = page_token(scope, *last)
    return Hits(Listed(items, token, total), meant or {})


@asynccontextmanager
async def bounded() -> AsyncIterator[None]:
    """Statements that end when they take too long, and may name a zone that only this process knows.

    Raises Exhausted (QUERY_TOO_COSTLY), InvalidInput.
    """
    try:
        yield
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", "")
        if state == _BAD_VALUE and "time zone" in str(error.orig):
            text = "timezone is none that the database knows: name the nearest city that it does"
            raise InvalidInput(text, violations=[Violation("timezone", text)]) from error
        if state != _CANCELLED:
            raise
        text = (
            "the query takes too long: say a queue, an assignee or a shorter period, or words that fewer"
            " tickets have"
        )
        raise Exhausted(text, reason="QUERY_TOO_COSTLY") from error


def _at_once(
    query: sa.Select[Any], keys: Sequence[SortKey], count: sa.Select[Any], limit: int, words: Sequence[str]
) -> sa.Select[Any]:
    """The rows, each with how many there are in all; for none, one with what words may have meant."""
    found = query.cte("found")
    some = sa.select(sa.func.count()).select_from(found).scalar_subquery()
    about = sa.select(
        sa.case((some > limit, count.scalar_subquery()), else_=some).label("total"),
        sa.case((some == 0, texts.meant(words))).label("meant"),
    ).subquery()
    places = [SortKey(found.c[f"{_PLACE}{index}"], key.descending) for index, key in enumerate(keys)]
    return sa.select(found, about).select_from(about.outerjoin(found, sa.true())).order_by(*ordering(places))


def _count(conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Select[Any]:
    found = sa.select(sa.literal_column("1")).select_from(_t).where(*conditions).limit(COUNT_LIMIT).subquery()
    return sa.select(sa.func.count()).select_from(found)


def _place(token: str, scope: str, keys: Sequence[SortKey]) -> list[Any]:
    def read(*told: str | int) -> list[Any]:
        return [_read(key.column.type, value) for key, value in zip(keys, told, strict=True)]

    place = page_start(token, scope, read)
    assert place is not None
    return place


def _told(value: Any) -> str | int:
    """A value of a sort key for a token."""
    if isinstance(value, datetime):
        return body.micros(value)
    return int(value) if isinstance(value, float) else value


def _read(kind: sa.types.TypeEngine[Any], value: str | int) -> Any:
    """A value out of a token. Raises ValueError or TypeError for one that its column cannot hold."""
    match kind:
        case sa.DateTime():
            return body.instant(int(value))
        case sa.Uuid():
            return str(UUID(str(value)))
        case sa.Text():
            return plain(str(value))
    limit = 2**15 if isinstance(kind, sa.SmallInteger) else 2**63
    if not -limit <= int(value) < limit:
        raise ValueError(value)
    return int(value)


def plain(value: str) -> str:
    """A text out of a token. Raises ValueError for one that no column holds."""
    if "\0" in value:
        raise ValueError(value)
    return value.encode().decode()


def _summary(row: sa.RowMapping) -> TicketSummary:
    shown = {each.name: row[each.name] for each in _SHOWN}
    due = shown.pop("due_time")
    return TicketSummary(
        **shown,
        customer_name=row["customer_name"],
        customer_tier=row["customer_tier"],
        due_time=None if due == NEVER else due,
        clocks=to_clocks(row["clocks"]),
    )
