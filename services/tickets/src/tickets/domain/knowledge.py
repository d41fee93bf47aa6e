"""Articles of the knowledge base: what is valid, who may write them, how they are found."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import IntEnum

from chassis.errors import Denied, InvalidInput, Refused, Violation

_EDITORS = ("lead", "admin", "service")
_WORD = re.compile(r"\w+")
_OPERATOR = re.compile(r'"|(?:^|\s)-\w')
_SHORTEST = 4
"""Shorter words are not corrected: too many others are as near."""
MATCH_START, MATCH_END = "\ue000", "\ue001"
"""Private characters that the database puts around matches; it takes them out of the text first."""


class ArticleKind(IntEnum):
    """What an article is for."""

    FAQ = 1
    OPERATOR_GUIDE = 2
    REPLY_SCRIPT = 3
    KNOWN_ISSUE = 4
    CONTACTS = 5


class ArticleVisibility(IntEnum):
    """Who may be shown an article."""

    INTERNAL = 1
    CUSTOMERS = 2


class ArticleState(IntEnum):
    """Where an article is in its life."""

    DRAFT = 1
    PUBLISHED = 2
    ARCHIVED = 3


@dataclass(frozen=True, slots=True)
class Content:
    """What people write."""

    kind: ArticleKind
    language: str
    title: str
    body: str = ""
    owner: str = ""
    review_date: date | None = None
    tags: list[str] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    components: list[str] = field(default_factory=list)
    visibility: ArticleVisibility = ArticleVisibility.INTERNAL


@dataclass(frozen=True, slots=True)
class Revision:
    """A change of an article: who made it, why, when."""

    author: str
    comment: str
    time: datetime


@dataclass(slots=True)
class Article:
    """An article, with what the desk keeps about it."""

    id: str
    key: str
    content: Content
    author: str
    created_time: datetime
    updated_time: datetime
    comment: str = ""
    state: ArticleState = ArticleState.DRAFT
    version: int = 1
    published_time: datetime | None = None
    use_count: int = 0
    last_used_time: datetime | None = None
    helpful_count: int = 0
    unhelpful_count: int = 0


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wants to change an article: the role they call with, and the name they act under."""

    role: str
    id: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text; `match` when it was searched for."""

    text: str
    match: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """An article that was found."""

    article: Article
    score: float
    title: list[Piece]
    passage: list[Piece]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an article, without its text."""

    version: int
    title: str
    state: int
    author: str
    comment: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Use:
    """That an article was used in a ticket; one of the two is who asks."""

    ticket_id: str
    ticket_key: str
    article: Article | None
    article_version: int
    author: str
    sent: bool
    time: datetime


@dataclass(frozen=True, slots=True)
class Missing:
    """A ticket that no article answers."""

    ticket_id: str
    ticket_key: str
    words: str
    author: str
    time: datetime


@dataclass(frozen=True, slots=True)
class StaleArticle:
    """An article that somebody should look at, and why."""

    article: Article
    review_overdue: bool
    unused: bool


@dataclass(frozen=True, slots=True)
class Owned:
    """How much one person keeps."""

    owner: str
    drafts: int
    published: int
    review_overdue: int


def checked(content: Content, owner: str) -> Content:
    """Content as it is kept: with an owner, its title one clean line. Raises InvalidInput."""
    title = " ".join(content.title.split())
    if not title:
        text = "content.title must have a character that can be seen"
        raise InvalidInput(text, violations=[Violation("content.title", text)])
    return replace(content, title=title, owner=owner)


def check_writer(article: Article, writer: Writer, state: ArticleState) -> None:
    """Agents write drafts of anybody; what is or becomes published only as its owner. Raises Denied."""
    is_draft = article.state == state == ArticleState.DRAFT
    if writer.role in _EDITORS or is_draft or writer.id == article.content.owner:
        return
    raise Denied(
        f"{article.key} belongs to {article.content.owner or 'nobody'}: ask them or a lead",
        reason="NOT_THE_OWNER",
        metadata={"owner": article.content.owner},
    )


def edit(article: Article, content: Content, revision: Revision) -> None:
    """Replace what an article says. Raises Refused (ARTICLE_ARCHIVED), InvalidInput."""
    if article.state == ArticleState.ARCHIVED:
        raise Refused(f"{article.key} is archived: take it back to a draft first", reason="ARTICLE_ARCHIVED")
    _check_body(content, article.state)
    article.content = content
    _revise(article, revision)


def move(article: Article, state: ArticleState, revision: Revision) -> None:
    """Publish, archive, or take back to a draft. Raises InvalidInput for publishing an empty article."""
    _check_body(article.content, state)
    if state == ArticleState.PUBLISHED and article.state != state:
        article.published_time = revision.time
    article.state = state
    _revise(article, revision)


def check_use(article: Article, *, sent: bool) -> None:
    """Whether an article may be used in a ticket, and sent. Raises Refused."""
    if article.state != ArticleState.PUBLISHED:
        raise Refused(f"{article.key} is not published", reason="ARTICLE_NOT_PUBLISHED")
    if sent and article.content.visibility != ArticleVisibility.CUSTOMERS:
        raise Refused(f"{article.key} is for the desk only", reason="ARTICLE_INTERNAL")


def category_path(category: str) -> list[str]:
    """A category and those above it: "payment/refund", "payment"."""
    parts = category.split("/")
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)] if category else []


def correctable(text: str) -> list[str]:
    """The words of a search that may be misspelt, each once."""
    words = (found[0].lower() for found in _WORD.finditer(text))
    return list(dict.fromkeys(each for each in words if len(each) >= _SHORTEST and each.isalpha()))


def is_plain(text: str) -> bool:
    """Whether a search is words only: a phrase or an exclusion is meant as it stands."""
    return _OPERATOR.search(text) is None


def correct(text: str, words: Mapping[str, str]) -> str:
    """The search with words replaced by what they should have been."""
    return _WORD.sub(lambda found: words.get(found[0].lower(), found[0]), text)


def pieces(marked: str) -> list[Piece]:
    """Text with marks around matches, cut at the marks. Never loses or adds a character."""
    return list(_pieces(marked))


def _pieces(marked: str) -> Iterator[Piece]:
    for index, part in enumerate(marked.split(MATCH_START)):
        match, end, rest = part.partition(MATCH_END) if index else ("", "", part)
        if not end:
            match, rest = "", match + rest
        if match:
            yield Piece(match, match=True)
        if rest:
            yield Piece(rest)


def _check_body(content: Content, state: ArticleState) -> None:
    if state == ArticleState.PUBLISHED and not content.body.strip():
        text = "content.body must not be empty in a published article"
        raise InvalidInput(text, violations=[Violation("content.body", text)])


def _revise(article: Article, revision: Revision) -> None:
    article.version += 1
    article.author, article.comment = revision.author, revision.comment
    article.updated_time = revision.time
