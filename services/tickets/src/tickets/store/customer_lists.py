"""Finding customers, and what they asked before."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from chassis.pages import page_start
from tickets.domain.customers import Earlier
from tickets.domain.model import ActorKind, Customer, Ticket, Visibility
from tickets.store import body, tables
from tickets.store.customers import organisation
from tickets.store.lists import Listed, Page, listed
from tickets.store.rights import visible
from tickets.store.tickets import CONTACTS, to_customer

_c, _k, _o, _t, _m = tables.customer, tables.contact, organisation, tables.ticket, tables.message
_NEAR = 0.35
"""Likeness from which a name counts as found: one wrong letter in the middle of a surname."""
_ANSWER_LENGTH = 2_000


async def search_customers(tx: Tx, text: str, page: Page) -> Listed[tuple[Customer, float]]:
    """Customers by name, contact, number or organisation, the likest first."""
    near = sa.func.set_config("pg_trgm.word_similarity_threshold", str(_NEAR), sa.true())
    await tx.execute(sa.select(near))
    hits = sa.union_all(*_hits(text)).subquery("hits")
    score = sa.func.max(hits.c.score).label("score")
    best = sa.select(hits.c.id, score).group_by(hits.c.id).subquery("best")
    query = (
        sa.select(_c, CONTACTS, best.c.score)
        .join_from(best, _c, best.c.id == _c.c.id)
        .where(_c.c.merged_into.is_(None))
    )
    scope = ("customers", text)
    if page.token:
        start = page_start(page.token, scope, lambda score, identity: (float(score), str(UUID(identity))))
        assert start is not None
        bound = sa.tuple_(sa.literal(start[0], sa.Double), sa.literal(start[1], _c.c.id.type))
        query = query.where(sa.tuple_(best.c.score, _c.c.id) < bound)
    query = query.order_by(best.c.score.desc(), _c.c.id.desc()).limit(page.limit + 1)
    found = [(to_customer(row), row["score"]) for row in (await tx.execute(query)).mappings()]
    return listed(found, page, scope, lambda each: [repr(each[1]), each[0].id])


async def list_earlier(tx: Tx, ticket: Ticket, page: Page) -> Listed[Earlier]:
    """Other tickets of a ticket's customer that the caller may see, newest first, with their last answers."""
    answer = (
        sa.select(_m.c.text, _m.c.author_name, _m.c.created_time)
        .where(
            _m.c.ticket_id == _t.c.id,
            _m.c.visibility == Visibility.PUBLIC,
            _m.c.author_kind == ActorKind.AGENT,
        )
        .order_by(_m.c.created_time.desc(), _m.c.id.desc())
        .limit(1)
        .lateral("answer")
    )
    names = ("id", "queue", "number", "subject", "category", "status", "status_kind", "resolved_time")
    query = (
        sa.select(
            *(_t.c[name] for name in names),
            _t.c.created_time.label("began"),
            sa.func.left(answer.c.text, _ANSWER_LENGTH).label("answer"),
            answer.c.author_name,
            answer.c.created_time.label("answered"),
        )
        .select_from(_t.outerjoin(answer, sa.true()))
        .where(_t.c.customer_id == ticket.customer.id, _t.c.id != ticket.id, *await visible(tx))
    )
    scope = ("earlier than", ticket.id, ticket.customer.id)
    if page.token:
        start = page_start(page.token, scope, lambda at, identity: (body.instant(at), str(UUID(identity))))
        assert start is not None
        bound = sa.tuple_(sa.literal(start[0], _t.c.created_time.type), sa.literal(start[1], _t.c.id.type))
        query = query.where(sa.tuple_(_t.c.created_time, _t.c.id) < bound)
    query = query.order_by(_t.c.created_time.desc(), _t.c.id.desc()).limit(page.limit + 1)
    earlier = [_earlier(row) for row in await tx.execute(query)]
    return listed(earlier, page, scope, lambda each: [body.micros(each.created_time), each.id])


def _hits(text: str) -> list[sa.Select[Any]]:
    """Ids of customers with how like each is; every part has an index of its own."""

    def like(column: sa.ColumnElement[str]) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[bool]]:
        score = sa.cast(sa.func.word_similarity(text, column), sa.Double).label("score")
        return score, sa.literal(text).bool_op("<%")(column)

    by_name, named = like(_c.c.name)
    by_address, addressed = like(_k.c.address)
    by_organisation, belonging = like(_o.c.name)
    certain = sa.literal(1.0, sa.Double).label("score")
    return [
        sa.select(_c.c.id, by_name).where(named),
        sa.select(_k.c.customer_id.label("id"), by_address).where(addressed),
        sa.select(_c.c.id, certain).where(_c.c.numbers.contains([text])),
        sa.select(_c.c.id, by_organisation)
        .join_from(_o, _c, _c.c.organisation_key == _o.c.key)
        .where(belonging),
    ]


def _earlier(row: sa.Row[Any]) -> Earlier:
    return Earlier(
        id=row.id,
        key=f"{row.queue}-{row.number}",
        subject=row.subject,
        category=row.category,
        status=row.status,
        status_kind=row.status_kind,
        created_time=row.began,
        resolved_time=row.resolved_time,
        answer=row.answer or "",
        answer_author=row.author_name or "",
        answer_time=row.answered,
    )
