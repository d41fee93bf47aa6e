"""Articles to the contract and back."""

from collections.abc import Iterable
from datetime import date

from chassis.errors import InvalidInput, Violation
from tickdesk.tickets.v1 import knowledge_pb2 as pb
from tickets.convert.values import known, number, timestamp
from tickets.domain.knowledge import (
    Article,
    ArticleKind,
    ArticleVisibility,
    Content,
    Hit,
    Missing,
    Owned,
    Piece,
    StaleArticle,
    Use,
    Version,
)


def to_content(content: Content) -> pb.ArticleContent:
    """What people wrote."""
    return pb.ArticleContent(
        kind=number(content.kind),
        language=content.language,
        title=content.title,
        body=content.body,
        owner=content.owner,
        review_date=content.review_date.isoformat() if content.review_date else "",
        tags=content.tags,
        queues=content.queues,
        categories=content.categories,
        components=content.components,
        visibility=number(content.visibility),
    )


def from_content(content: pb.ArticleContent) -> Content:
    """What is to be kept; not said means internal. Raises InvalidInput for a day that no calendar has."""
    internal = ArticleVisibility.INTERNAL
    return Content(
        kind=known(ArticleKind, content.kind, "content.kind"),
        language=content.language,
        title=content.title,
        body=content.body,
        owner=content.owner,
        review_date=_day(content.review_date),
        tags=list(content.tags),
        queues=list(content.queues),
        categories=list(content.categories),
        components=list(content.components),
        visibility=known(ArticleVisibility, content.visibility or internal, "content.visibility"),
    )


def to_article(article: Article) -> pb.Article:
    """An article with all the desk keeps about it."""
    return pb.Article(
        id=article.id,
        key=article.key,
        version=article.version,
        state=number(article.state),
        content=to_content(article.content),
        author=article.author,
        comment=article.comment,
        created_time=timestamp(article.created_time),
        updated_time=timestamp(article.updated_time),
        published_time=timestamp(article.published_time),
        use_count=article.use_count,
        last_used_time=timestamp(article.last_used_time),
        helpful_count=article.helpful_count,
        unhelpful_count=article.unhelpful_count,
    )


def to_version(version: Version) -> pb.ArticleVersion:
    """One version without its text."""
    return pb.ArticleVersion(
        version=version.version,
        title=version.title,
        state=number(version.state),
        author=version.author,
        comment=version.comment,
        time=timestamp(version.time),
    )


def to_hit(hit: Hit) -> pb.ArticleHit:
    """An article that was found."""
    return pb.ArticleHit(
        article=to_article(hit.article),
        score=hit.score,
        title=_pieces(hit.title),
        passage=_pieces(hit.passage),
    )


def to_use(use: Use) -> pb.ArticleUse:
    """That an article was used in a ticket."""
    return pb.ArticleUse(
        ticket_id=use.ticket_id,
        ticket_key=use.ticket_key,
        article=to_article(use.article) if use.article else None,
        article_version=use.article_version,
        author=use.author,
        sent=use.sent,
        time=timestamp(use.time),
    )


def to_missing(missing: Missing) -> pb.MissingArticle:
    """A ticket that no article answers."""
    return pb.MissingArticle(
        ticket_id=missing.ticket_id,
        ticket_key=missing.ticket_key,
        words=missing.words,
        author=missing.author,
        time=timestamp(missing.time),
    )


def to_stale(found: StaleArticle) -> pb.StaleArticle:
    """An article that somebody should look at."""
    return pb.StaleArticle(
        article=to_article(found.article), review_overdue=found.review_overdue, unused=found.unused
    )


def to_owner(owned: Owned) -> pb.ArticleOwner:
    """How much one person keeps."""
    return pb.ArticleOwner(
        owner=owned.owner,
        drafts=owned.drafts,
        published=owned.published,
        review_overdue=owned.review_overdue,
    )


def _pieces(pieces: Iterable[Piece]) -> list[pb.TextPiece]:
    return [pb.TextPiece(text=each.text, match=each.match) for each in pieces]


def _day(value: str) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        text = "content.review_date must be a day such as 2027-03-31"
        raise InvalidInput(text, violations=[Violation("content.review_date", text)]) from None
