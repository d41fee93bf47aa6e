"""Pages of articles, of their versions and uses, and of what needs an owner's eye."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from chassis.pages import page_start
from tickets.domain.knowledge import (
    Article,
    ArticleState,
    Missing,
    Owned,
    StaleArticle,
    Use,
    Version,
)
from tickets.domain.model import Ticket
from tickets.store import body, tables
from tickets.store.knowledge import (
    BRIEF,
    UNANSWERED,
    article,
    article_missing,
    article_use,
    article_version,
    to_article,
)
from tickets.store.knowledge_search import for_queue
from tickets.store.lists import Listed, Page, listed, number
from tickets.store.rights import visible

_a, _u, _v, _m, _t = article, article_use, article_version, article_missing, tables.ticket
_NEVER = date.max
_published = _a.c.state == ArticleState.PUBLISHED


@dataclass(frozen=True, slots=True)
class ArticleFilter:
    """Which articles; all given conditions must hold."""

    state: int = 0
    kinds: tuple[int, ...] = ()
    language: str = ""
    owner: str = ""
    queue: str = ""
    tag: str = ""
    category: str = ""

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As SQL, with bound parameters."""
        equal = ((_a.c.state, self.state), (_a.c.language, self.language), (_a.c.owner, self.owner))
        within = ((_a.c.tags, self.tag), (_a.c.categories, self.category))
        conditions = [column == value for column, value in equal if value]
        conditions += [column.contains([value]) for column, value in within if value]
        if self.kinds:
            conditions.append(_a.c.kind.in_(self.kinds))
        if self.queue:
            conditions.append(for_queue(self.queue))
        return conditions


async def list_articles(tx: Tx, wanted: ArticleFilter, page: Page) -> Listed[Article]:
    """Articles by key, without bodies."""
    query = sa.select(*BRIEF).where(*wanted.conditions())
    if page.token:
        query = query.where(_a.c.key > page_start(page.token, wanted, str))
    rows = (await tx.execute(query.order_by(_a.c.key).limit(page.limit + 1))).mappings()
    return listed([to_article(row) for row in rows], page, wanted, lambda each: [each.key])


async def list_versions(tx: Tx, article_id: str, page: Page) -> Listed[Version]:
    """Versions, newest first."""
    scope = ("versions of", article_id)
    query = sa.select(_v, _v.c.content["title"].astext.label("title")).where(_v.c.article_id == article_id)
    if page.token:
        query = query.where(_v.c.version < page_start(page.token, scope, number))
    rows = await tx.execute(query.order_by(_v.c.version.desc()).limit(page.limit + 1))
    versions = [Version(row.version, row.title, row.state, row.author, row.comment, row.time) for row in rows]
    return listed(versions, page, scope, lambda each: [each.version])


async def list_stale(tx: Tx, unused_days: int, owner: str, page: Page) -> Listed[StaleArticle]:
    """Published articles past their review date or unused for so many days, by review date."""
    scope = ("stale", unused_days, owner)
    due = sa.func.coalesce(_a.c.review_date, _NEVER)
    overdue = (due < tx.now.date()).label("overdue")
    touched = sa.func.greatest(_a.c.last_used_time, _a.c.published_time)
    unused = (touched < tx.now - timedelta(days=unused_days)).label("unused")
    query = sa.select(*BRIEF, overdue, unused).where(_published, sa.or_(overdue, unused))
    if owner:
        query = query.where(_a.c.owner == owner)
    if page.token:
        start = page_start(page.token, scope, _day)
        assert start is not None
        bound = sa.tuple_(sa.literal(start[0]), sa.literal(start[1], _a.c.id.type))
        query = query.where(sa.tuple_(due, _a.c.id) > bound)
    rows = (await tx.execute(query.order_by(due, _a.c.id).limit(page.limit + 1))).mappings()
    found = [StaleArticle(to_article(row), row["overdue"], row["unused"]) for row in rows]
    return listed(found, page, scope, _stale_place)


async def list_owners(tx: Tx, page: Page) -> Listed[Owned]:
    """Who owns how much."""
    count = sa.func.count()
    overdue = sa.and_(_published, _a.c.review_date < tx.now.date())
    query = sa.select(
        _a.c.owner,
        count.filter(_a.c.state == ArticleState.DRAFT).label("drafts"),
        count.filter(_published).label("published"),
        count.filter(overdue).label("overdue"),
    ).group_by(_a.c.owner)
    if page.token:
        query = query.where(_a.c.owner > page_start(page.token, "owners", str))
    rows = await tx.execute(query.order_by(_a.c.owner).limit(page.limit + 1))
    owners = [Owned(row.owner, row.drafts, row.published, row.overdue) for row in rows]
    return listed(owners, page, "owners", lambda each: [each.owner])


async def list_of_ticket(tx: Tx, ticket: Ticket, page: Page) -> Listed[Use]:
    """Articles used in a ticket, the first used first."""
    scope = ("articles of", ticket.id)
    query = (
        sa.select(_u.c.article_version, _u.c.author.label("user"), _u.c.sent, _u.c.time, *BRIEF)
        .join_from(_u, _a, _u.c.article_id == _a.c.id)
        .where(_u.c.ticket_id == ticket.id)
    )
    if page.token:
        query = query.where(sa.tuple_(_u.c.time, _u.c.article_id) > _moment(page.token, scope))
    rows = await tx.execute(query.order_by(_u.c.time, _u.c.article_id).limit(page.limit + 1))
    uses = [
        Use(
            ticket_id=ticket.id,
            ticket_key=ticket.key,
            article=to_article(row),
            article_version=row["article_version"],
            author=row["user"],
            sent=row["sent"],
            time=row["time"],
        )
        for row in rows.mappings()
    ]
    return listed(uses, page, scope, lambda each: _place(each.time, each.article.id if each.article else ""))


async def list_of_article(tx: Tx, article_id: str, page: Page) -> Listed[Use]:
    """Tickets in which an article was used and that the caller may see, the newest first."""
    scope = ("tickets of", article_id)
    query = (
        sa.select(_u, _t.c.queue, _t.c.number)
        .join_from(_u, _t, _u.c.ticket_id == _t.c.id)
        .where(_u.c.article_id == article_id, *await visible(tx))
    )
    if page.token:
        query = query.where(sa.tuple_(_u.c.time, _u.c.ticket_id) < _moment(page.token, scope))
    rows = await tx.execute(query.order_by(_u.c.time.desc(), _u.c.ticket_id.desc()).limit(page.limit + 1))
    uses = [
        Use(row.ticket_id, _key(row), None, row.article_version, row.author, row.sent, row.time)
        for row in rows
    ]
    return listed(uses, page, scope, lambda each: _place(each.time, each.ticket_id))


async def list_missing(tx: Tx, queue: str, page: Page) -> Listed[Missing]:
    """Tickets that no article answers and the caller may see, newest first; one in which an article was used
    later is answered.
    """
    scope = ("missing", queue)
    query = sa.select(_m, _t.c.queue, _t.c.number).join_from(_m, _t, _m.c.ticket_id == _t.c.id)
    query = query.where(UNANSWERED, *await visible(tx))
    if queue:
        query = query.where(_t.c.queue == queue)
    if page.token:
        query = query.where(sa.tuple_(_m.c.time, _m.c.ticket_id) < _moment(page.token, scope))
    rows = await tx.execute(query.order_by(_m.c.time.desc(), _m.c.ticket_id.desc()).limit(page.limit + 1))
    missing = [Missing(row.ticket_id, _key(row), row.words, row.author, row.time) for row in rows]
    return listed(missing, page, scope, lambda each: _place(each.time, each.ticket_id))


def _key(row: sa.Row[Any]) -> str:
    return f"{row.queue}-{row.number}"


def _place(time: datetime, identity: str) -> list[Any]:
    return [body.micros(time), identity]


def _moment(token: str, scope: object) -> sa.Tuple:
    found = page_start(token, scope, lambda micros, identity: (body.instant(micros), str(UUID(identity))))
    assert found is not None
    return sa.tuple_(sa.literal(found[0], _u.c.time.type), sa.literal(found[1], _u.c.ticket_id.type))


def _stale_place(found: StaleArticle) -> list[Any]:
    due = found.article.content.review_date or _NEVER
    return [due.isoformat(), found.article.id]


def _day(day: str, identity: str) -> tuple[date, str]:
    return date.fromisoformat(day), str(UUID(identity))
