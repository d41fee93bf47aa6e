"""Finding articles: by the words of a search, or by those of a ticket."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY

from chassis.db import Tx
from chassis.pages import page_start
from tickets.domain.knowledge import (
    MATCH_END,
    MATCH_START,
    ArticleState,
    ArticleVisibility,
    Hit,
    category_path,
    correct,
    correctable,
    is_plain,
    pieces,
)
from tickets.domain.model import Ticket, Visibility
from tickets.store import tables
from tickets.store.knowledge import BRIEF, RUSSIAN, article, article_word, to_article
from tickets.store.lists import Listed, Page, listed

_a, _m = article, tables.message
_MAX_WORDS = 20
_TEXT_LENGTH = 2_000
_PASSAGE_LENGTH = 20_000
"""Passages are cut out of so much of a body: each takes reading all of it."""
_MARKS = f'StartSel="{MATCH_START}", StopSel="{MATCH_END}"'
_TITLE = f"{_MARKS}, HighlightAll=true"
_PASSAGE = f'{_MARKS}, MaxFragments=2, MaxWords=30, MinWords=10, FragmentDelimiter=" … "'
_CATEGORY, _COMPONENT, _LANGUAGE = 0.3, 0.3, 0.05
"""What an article gains for belonging where the ticket is; words weigh up to 1."""


@dataclass(frozen=True, slots=True)
class Place:
    """The ticket that a search is for, as much of it as the order of articles depends on."""

    queue: str = ""
    category: str = ""
    component: str = ""
    language: str = ""

    @classmethod
    def of(cls, ticket: Ticket) -> "Place":
        """The place of a ticket."""
        return cls(ticket.queue, ticket.category, ticket.component, ticket.language)


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for, and where."""

    text: str
    place: Place = Place()
    language: str = ""
    kinds: tuple[int, ...] = ()
    for_customers: bool = False

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Which articles may be found at all, as SQL."""
        conditions = [_a.c.state == ArticleState.PUBLISHED]
        if self.place.queue:
            conditions.append(for_queue(self.place.queue))
        if self.language:
            conditions.append(_a.c.language == self.language)
        if self.kinds:
            conditions.append(_a.c.kind.in_(self.kinds))
        if self.for_customers:
            conditions.append(_a.c.visibility == ArticleVisibility.CUSTOMERS)
        return conditions


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits, the corrected text when that found them, whether only some of the words were needed."""

    hits: Listed[Hit]
    corrected: str = ""
    partial: bool = False


async def search(tx: Tx, wanted: Search, page: Page) -> Found:
    """Articles with all the words; else with the words corrected; else with some of them."""
    start = page_start(page.token, wanted, Start.read)
    attempt = start.attempt if start else Attempt.EXACT
    text = wanted.text if attempt == Attempt.EXACT else await _corrected(tx, wanted.text)
    hits = await _attempt(tx, wanted, text, Start(attempt) if start is None else start, page)
    if hits.items or start:
        return _found(wanted, text, attempt, hits)
    text = await _corrected(tx, wanted.text)
    if text != wanted.text:
        hits = await _attempt(tx, wanted, text, Start(Attempt.CORRECTED), page)
        if hits.items:
            return _found(wanted, text, Attempt.CORRECTED, hits)
    if is_plain(text):
        hits = await _attempt(tx, wanted, text, Start(Attempt.PARTIAL), page)
    return _found(wanted, text, Attempt.PARTIAL, hits)


async def suggest(tx: Tx, ticket: Ticket, limit: int) -> list[Hit]:
    """Articles that may answer a ticket, the best first; the words of its subject weigh twice."""
    text = f"{ticket.subject} {await _first_words(tx, ticket.id)}"
    place = Place.of(ticket)
    score = sa.cast(
        sa.func.ts_rank(_a.c.search, _any_of(ticket.subject), 1)
        + sa.func.ts_rank(_a.c.search, _any_of(text), 1) / 2.0
        + _fit(place),
        sa.Double,
    )
    conditions = Search("", place).conditions()
    return await _hits(tx, _any_of(text), score, conditions, limit)


def for_queue(queue: str) -> sa.ColumnElement[bool]:
    """Articles of a queue: its own, and those for all."""
    return sa.or_(sa.func.cardinality(_a.c.queues) == 0, _a.c.queues.contains([queue]))


class Attempt(IntEnum):
    """How hard a search tries."""

    EXACT = 0
    CORRECTED = 1
    PARTIAL = 2


@dataclass(frozen=True, slots=True)
class Start:
    """Where a page of a search begins: at the top, or below a score and id."""

    attempt: Attempt
    score: float = 0.0
    id: str = ""

    @classmethod
    def read(cls, attempt: int, score: str, identity: str) -> "Start":
        """The parts of a page token. Raises ValueError."""
        return cls(Attempt(attempt), float(score), str(UUID(identity)))


async def _attempt(tx: Tx, wanted: Search, text: str, start: Start, page: Page) -> Listed[Hit]:
    query = _any_of(text) if start.attempt == Attempt.PARTIAL else _all_of(text)
    score = sa.cast(sa.func.ts_rank(_a.c.search, query, 1) + _fit(wanted.place), sa.Double)
    conditions = wanted.conditions()
    if start.id:
        below = sa.tuple_(sa.literal(start.score, sa.Double), sa.literal(start.id, _a.c.id.type))
        conditions.append(sa.tuple_(score, _a.c.id) < below)
    hits = await _hits(tx, query, score, conditions, page.limit + 1)
    return listed(hits, page, wanted, lambda hit: [start.attempt.value, repr(hit.score), hit.article.id])


async def _hits(
    tx: Tx,
    query: sa.ColumnElement[Any],
    score: sa.ColumnElement[float],
    conditions: list[sa.ColumnElement[bool]],
    limit: int,
) -> list[Hit]:
    """Passages are cut only out of the articles that are shown."""
    best = (
        sa.select(*BRIEF, _a.c.body, score.label("score"))
        .where(_a.c.search.bool_op("@@")(query), *conditions)
        .order_by(score.desc(), _a.c.id.desc())
        .limit(limit)
        .subquery("best")
    )
    passage = sa.func.left(best.c.body, _PASSAGE_LENGTH)
    shown = sa.select(
        *(each for each in best.c if each.name != "body"),
        _marked(best.c.title, query, _TITLE).label("marked_title"),
        _marked(passage, query, _PASSAGE).label("marked_passage"),
    ).order_by(best.c.score.desc(), best.c.id.desc())
    return [_hit(row) for row in (await tx.execute(shown)).mappings()]


def _hit(row: sa.RowMapping) -> Hit:
    return Hit(to_article(row), row["score"], pieces(row["marked_title"]), pieces(row["marked_passage"]))


def _found(wanted: Search, text: str, attempt: Attempt, hits: Listed[Hit]) -> Found:
    corrected = text if hits.items and text != wanted.text else ""
    return Found(hits, corrected, partial=attempt == Attempt.PARTIAL and bool(hits.items))


def _marked(text: sa.ColumnElement[str], query: sa.ColumnElement[Any], options: str) -> sa.Function[str]:
    clean = sa.func.translate(text, MATCH_START + MATCH_END, "")
    return sa.func.ts_headline(RUSSIAN, clean, query, options)


def _all_of(text: str) -> sa.Function[Any]:
    return sa.func.websearch_to_tsquery(RUSSIAN, text)


def _any_of(text: str) -> sa.Cast[Any]:
    # A lexeme holds no blanks, so this changes operators only.
    all_of = sa.cast(sa.func.plainto_tsquery(RUSSIAN, text), sa.Text)
    return sa.cast(sa.func.replace(all_of, " & ", " | "), TSQUERY)


def _fit(place: Place) -> sa.ColumnElement[float]:
    """What an article gains by belonging where the ticket is."""
    gains = (
        (_CATEGORY, place.category, _a.c.categories.overlap(category_path(place.category))),
        (_COMPONENT, place.component, _a.c.components.contains([place.component])),
        (_LANGUAGE, place.language, _a.c.language == place.language),
    )
    total: sa.ColumnElement[float] = sa.literal(0.0, sa.Double)
    for gain, known, belongs in gains:
        if known:
            total = total + sa.case((belongs, gain), else_=0.0)
    return total


async def _corrected(tx: Tx, text: str) -> str:
    """The text with each word that no article has in place of the nearest that one has."""
    words = correctable(text)[:_MAX_WORDS]
    if not words:
        return text
    given = sa.func.unnest(sa.cast(words, sa.ARRAY(sa.Text))).column_valued("given")
    near = (
        sa.select(article_word.c.word)
        .where(article_word.c.word.bool_op("%")(given))
        .order_by(article_word.c.word.op("<->")(given))
        .limit(1)
        .scalar_subquery()
    )
    pairs = sa.select(given, near.label("near")).subquery("pairs")
    # Another form of a word that articles have is no mistake.
    mistaken = sa.func.to_tsvector(RUSSIAN, pairs.c.given) != sa.func.to_tsvector(RUSSIAN, pairs.c.near)
    rows = await tx.execute(sa.select(pairs).where(mistaken))
    return correct(text, {row.given: row.near for row in rows})


async def _first_words(tx: Tx, ticket_id: str) -> str:
    """How the first message that the customer may see begins."""
    query = (
        sa.select(sa.func.left(_m.c.text, _TEXT_LENGTH))
        .where(_m.c.ticket_id == ticket_id, _m.c.visibility == Visibility.PUBLIC)
        .order_by(_m.c.created_time, _m.c.id)
        .limit(1)
    )
    return (await tx.execute(query)).scalar_one_or_none() or ""
