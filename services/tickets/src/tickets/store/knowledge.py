"""Articles, their versions, and what they were used for."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR, insert
from sqlalchemy.exc import IntegrityError

from chassis.db import Tx
from chassis.errors import AlreadyExists, NotFound
from tickets.domain.knowledge import Article, ArticleKind, ArticleState, ArticleVisibility, Content
from tickets.domain.model import Ticket
from tickets.store.tables import metadata

_TIME = sa.DateTime(timezone=True)
_ID = sa.Uuid(as_uuid=False)
_TEXTS = ARRAY(sa.Text)
_LONGEST_WORD = 64
RUSSIAN: sa.ColumnElement[Any] = sa.literal_column("cast('russian' as regconfig)")
"""Stems Russian words and, by its English half, Latin ones."""

article = sa.Table(
    "article",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("review_date", sa.Date),
    sa.Column("tags", _TEXTS, nullable=False),
    sa.Column("queues", _TEXTS, nullable=False),
    sa.Column("categories", _TEXTS, nullable=False),
    sa.Column("components", _TEXTS, nullable=False),
    sa.Column("visibility", sa.SmallInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("created_time", _TIME, nullable=False),
    sa.Column("updated_time", _TIME, nullable=False),
    sa.Column("published_time", _TIME),
    sa.Column("use_count", sa.Integer, nullable=False),
    sa.Column("last_used_time", _TIME),
    sa.Column("helpful_count", sa.Integer, nullable=False),
    sa.Column("unhelpful_count", sa.Integer, nullable=False),
    sa.Column("search", TSVECTOR, nullable=False),
    sa.Index("article_search", "search", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
)
"""`search` holds the stems of title (weight A), tags (B) and body (D); `save` writes it."""

article_version = sa.Table(
    "article_version",
    metadata,
    sa.Column("article_id", sa.ForeignKey("article.id"), primary_key=True),
    sa.Column("version", sa.BigInteger, primary_key=True),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("time", _TIME, nullable=False),
    sa.Column("content", JSONB, nullable=False),
)

article_word = sa.Table(
    "article_word",
    metadata,
    sa.Column("word", sa.Text, primary_key=True),
    sa.Index("article_word_near", "word", postgresql_using="gist", postgresql_ops={"word": "gist_trgm_ops"}),
)
"""Words that articles have or had: what a misspelt word of a search may have been."""

article_use = sa.Table(
    "article_use",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), primary_key=True),
    sa.Column("article_id", sa.ForeignKey("article.id"), primary_key=True),
    sa.Column("article_version", sa.BigInteger, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("sent", sa.Boolean, nullable=False),
    sa.Column("time", _TIME, nullable=False),
    sa.Index("article_use_article", "article_id", "time", "ticket_id"),
)

article_missing = sa.Table(
    "article_missing",
    metadata,
    sa.Column("ticket_id", sa.ForeignKey("ticket.id"), primary_key=True),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("time", _TIME, nullable=False),
    sa.Index("article_missing_time", "time", "ticket_id"),
)

article_vote = sa.Table(
    "article_vote",
    metadata,
    sa.Column("article_id", sa.ForeignKey("article.id"), primary_key=True),
    sa.Column("agent", sa.Text, primary_key=True),
    sa.Column("helpful", sa.Boolean, nullable=False),
)

_a = article
CONTENT = tuple(each.name for each in fields(Content))
_KEPT = tuple(each.name for each in fields(Article) if each.name != "content")
WHOLE = [_a.c[name] for name in (*_KEPT, *CONTENT)]
BRIEF = [each for each in WHOLE if each.name != "body"]
"""An article for lists, without its body."""


async def create(tx: Tx, made: Article) -> None:
    """A new article. Raises AlreadyExists (ARTICLE_EXISTS) for a key in use."""
    try:
        await tx.execute(insert(_a).values({**_row(made), "search": _stems(made.content)}))
    except IntegrityError as error:
        raise AlreadyExists(
            f"there is an article {made.key}", reason="ARTICLE_EXISTS", metadata={"article": made.key}
        ) from error
    await _keep_version(tx, made)


async def save(tx: Tx, changed: Article) -> None:
    """A new version of a locked article."""
    row = {**_row(changed), "search": _stems(changed.content)}
    await tx.execute(sa.update(_a).where(_a.c.id == changed.id).values(row))
    await _keep_version(tx, changed)


async def load(tx: Tx, reference: str, *, lock: bool = False) -> Article:
    """One article by id or key. Raises NotFound (ARTICLE_NOT_FOUND)."""
    query = sa.select(*WHOLE).where(_refers_to(reference))
    row = (await tx.execute(query.with_for_update() if lock else query)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no article {reference}", reason="ARTICLE_NOT_FOUND", metadata={"article": reference})
    return to_article(row)


async def load_version(tx: Tx, reference: str, version: int) -> Article:
    """An article as it was. Raises NotFound (ARTICLE_NOT_FOUND, VERSION_NOT_FOUND)."""
    found = await load(tx, reference)
    table = article_version
    query = sa.select(table).where(table.c.article_id == found.id, table.c.version == version)
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        text = f"{found.key} has no version {version}: it has 1 to {found.version}"
        raise NotFound(text, reason="VERSION_NOT_FOUND", metadata={"version": str(found.version)})
    found.content, found.state = to_content(row.content), ArticleState(row.state)
    found.version, found.author, found.comment = row.version, row.author, row.comment
    found.updated_time = row.time
    return found


async def add_use(tx: Tx, used: Article, ticket: Ticket, author: str, *, sent: bool) -> bool:
    """Note a use and count it once a ticket; False when nothing is new about it."""
    table = article_use
    row = {
        "ticket_id": ticket.id,
        "article_id": used.id,
        "article_version": used.version,
        "author": author,
        "sent": sent,
        "time": tx.now,
    }
    added = insert(table).values(row).on_conflict_do_nothing()
    if (await tx.execute(added)).rowcount:
        used.use_count, used.last_used_time = used.use_count + 1, tx.now
        counted = {"use_count": used.use_count, "last_used_time": tx.now}
        await tx.execute(sa.update(_a).where(_a.c.id == used.id).values(counted))
        return True
    same = sa.and_(table.c.ticket_id == ticket.id, table.c.article_id == used.id, ~table.c.sent)
    return sent and bool((await tx.execute(sa.update(table).where(same).values(sent=True))).rowcount)


async def vote(tx: Tx, rated: Article, agent: str, *, helpful: bool) -> None:
    """An agent's opinion of a locked article, in place of their last one."""
    table = article_vote
    upsert = insert(table).values(article_id=rated.id, agent=agent, helpful=helpful)
    await tx.execute(
        upsert.on_conflict_do_update(
            index_elements=[table.c.article_id, table.c.agent], set_={"helpful": helpful}
        )
    )
    helped = table.c.helpful
    counts = sa.select(
        sa.func.count().filter(helped).label("yes"), sa.func.count().filter(~helped).label("no")
    ).where(table.c.article_id == rated.id)
    found = (await tx.execute(counts)).one()
    rated.helpful_count, rated.unhelpful_count = found.yes, found.no
    counted = {"helpful_count": rated.helpful_count, "unhelpful_count": rated.unhelpful_count}
    await tx.execute(sa.update(_a).where(_a.c.id == rated.id).values(counted))


UNANSWERED = ~sa.exists().where(
    article_use.c.ticket_id == article_missing.c.ticket_id, article_use.c.time >= article_missing.c.time
)
"""Of reports of missing articles: none was used in the ticket since."""


async def report_missing(tx: Tx, ticket: Ticket, words: str, author: str) -> None:
    """Note that no article answers a ticket."""
    values = {"words": words, "author": author, "time": tx.now}
    upsert = insert(article_missing).values(ticket_id=ticket.id, **values)
    await tx.execute(upsert.on_conflict_do_update(index_elements=["ticket_id"], set_=values))


async def is_missing(tx: Tx, ticket: Ticket) -> bool:
    """Whether somebody noted that no article answers a ticket, and none was used in it since."""
    noted = sa.exists().where(article_missing.c.ticket_id == ticket.id, UNANSWERED)
    return bool((await tx.execute(sa.select(noted))).scalar())


def to_article(row: Mapping[Any, Any]) -> Article:
    """An article out of WHOLE or BRIEF."""
    kept = {name: row[name] for name in _KEPT if name != "state"}
    content = {name: row[name] for name in CONTENT if name in row}
    return Article(**kept, state=ArticleState(row["state"]), content=_content(content))


def _content(values: Mapping[str, Any]) -> Content:
    kind, visibility = ArticleKind(values["kind"]), ArticleVisibility(values["visibility"])
    return Content(**{**values, "kind": kind, "visibility": visibility})


def to_content(values: Mapping[str, Any]) -> Content:
    """What an article said, out of the row of a version."""
    due = values["review_date"]
    return _content({**values, "review_date": date.fromisoformat(due) if due else None})


def _row(made: Article) -> dict[str, Any]:
    kept = {name: getattr(made, name) for name in _KEPT}
    return {**kept, **asdict(made.content)}


def _stems(content: Content) -> sa.ColumnElement[Any]:
    parts = (("'A'", content.title), ("'B'", " ".join(content.tags)), ("'D'", content.body))
    title, tags, body = (
        sa.func.setweight(sa.func.to_tsvector(RUSSIAN, text), sa.literal_column(weight))
        for weight, text in parts
    )
    return title.op("||")(tags).op("||")(body)


async def _keep_version(tx: Tx, made: Article) -> None:
    content = asdict(made.content)
    due: date | datetime | None = made.content.review_date
    row = {
        "article_id": made.id,
        "version": made.version,
        "state": made.state,
        "author": made.author,
        "comment": made.comment,
        "time": made.updated_time,
        "content": {**content, "review_date": due.isoformat() if due else None},
    }
    await tx.execute(insert(article_version), row)
    await _keep_words(tx, made.content)


async def _keep_words(tx: Tx, content: Content) -> None:
    text = " ".join((content.title, *content.tags, content.body))
    simple = sa.func.to_tsvector(sa.literal_column("cast('simple' as regconfig)"), text)
    word = sa.func.unnest(sa.func.tsvector_to_array(simple)).column_valued("word")
    # In one order for everybody: two writers of the same words would else wait for each other.
    words = sa.select(word).where(sa.func.length(word) <= _LONGEST_WORD).order_by(word)
    await tx.execute(insert(article_word).from_select(["word"], words).on_conflict_do_nothing())


def _refers_to(reference: str) -> sa.ColumnElement[bool]:
    try:
        return _a.c.id == str(UUID(reference))
    except ValueError:
        return _a.c.key == reference
