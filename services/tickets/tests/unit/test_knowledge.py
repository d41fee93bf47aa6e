"""Rules of articles: who writes them, what is valid, how search text is mended and marked."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import Denied, InvalidInput, Refused
from tickets.domain import knowledge
from tickets.domain.knowledge import (
    MATCH_END,
    MATCH_START,
    Article,
    ArticleKind,
    ArticleState,
    ArticleVisibility,
    Content,
    Piece,
    Revision,
    Writer,
)

NOW, LATER = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)
DRAFT, PUBLISHED, ARCHIVED = ArticleState
MARKS = str.maketrans("", "", MATCH_START + MATCH_END)


def an_article(state: ArticleState = DRAFT, **content: object) -> Article:
    told = {"kind": ArticleKind.FAQ, "language": "en", "title": "T", "body": "B", "owner": "anna", **content}
    return Article(
        id="1",
        key="t",
        content=Content(**told),  # type: ignore[arg-type]
        author="anna",
        created_time=NOW,
        updated_time=NOW,
        state=state,
    )


@pytest.mark.parametrize(
    ("writer", "state", "target", "may"),
    [
        (Writer("agent", "boris"), DRAFT, DRAFT, True),
        (Writer("agent", "boris"), DRAFT, PUBLISHED, False),
        (Writer("agent", "boris"), PUBLISHED, PUBLISHED, False),
        (Writer("agent", "boris"), PUBLISHED, DRAFT, False),
        (Writer("agent", "boris"), ARCHIVED, DRAFT, False),
        (Writer("agent", "anna"), PUBLISHED, ARCHIVED, True),
        (Writer("lead", "olga"), PUBLISHED, PUBLISHED, True),
        (Writer("service", "service:console"), DRAFT, PUBLISHED, True),
    ],
)
def test_agents_write_drafts_of_anybody_and_what_is_published_only_as_owner(
    writer: Writer, state: ArticleState, target: ArticleState, may: bool
) -> None:
    """CA-29: an owner per article."""
    article = an_article(state)
    if may:
        knowledge.check_writer(article, writer, target)
    else:
        with pytest.raises(Denied) as refused:
            knowledge.check_writer(article, writer, target)
        assert (refused.value.reason, refused.value.metadata) == ("NOT_THE_OWNER", {"owner": "anna"})


def test_every_change_is_a_version_with_its_author_and_reason() -> None:
    article = an_article()
    knowledge.move(article, PUBLISHED, Revision("olga", "ready", LATER))
    assert (article.version, article.author, article.comment, article.published_time) == (
        2, "olga", "ready", LATER,
    )  # fmt: skip
    knowledge.edit(article, an_article(title="U").content, Revision("anna", "", LATER))
    assert (article.version, article.content.title, article.author, article.comment) == (3, "U", "anna", "")


def test_an_archived_article_is_not_edited_and_an_empty_one_not_published() -> None:
    with pytest.raises(Refused, match="take it back") as refused:
        knowledge.edit(an_article(ARCHIVED), an_article().content, Revision("anna", "", NOW))
    assert refused.value.reason == "ARTICLE_ARCHIVED"
    empty = an_article(body=" \n")
    with pytest.raises(InvalidInput) as bad:
        knowledge.move(empty, PUBLISHED, Revision("anna", "", NOW))
    assert [each.field for each in bad.value.violations] == ["content.body"]
    assert (empty.state, empty.version) == (DRAFT, 1)
    with pytest.raises(InvalidInput):
        knowledge.edit(an_article(PUBLISHED), empty.content, Revision("anna", "", NOW))


def test_only_a_published_article_is_used_and_only_one_for_customers_is_sent() -> None:
    public = ArticleVisibility.CUSTOMERS
    knowledge.check_use(an_article(PUBLISHED), sent=False)
    knowledge.check_use(an_article(PUBLISHED, visibility=public), sent=True)
    for article, reason in (
        (an_article(PUBLISHED), "ARTICLE_INTERNAL"),
        (an_article(DRAFT, visibility=public), "ARTICLE_NOT_PUBLISHED"),
        (an_article(ARCHIVED, visibility=public), "ARTICLE_NOT_PUBLISHED"),
    ):
        with pytest.raises(Refused) as refused:
            knowledge.check_use(article, sent=True)
        assert refused.value.reason == reason


def test_a_title_is_one_line_that_can_be_seen() -> None:
    assert knowledge.checked(an_article(title=" a\n  b ").content, "anna").title == "a b"
    with pytest.raises(InvalidInput):
        knowledge.checked(an_article(title=" \t").content, "anna")


def test_a_category_lies_below_those_above_it() -> None:
    assert knowledge.category_path("payment/refund") == ["payment/refund", "payment"]
    assert knowledge.category_path("") == []


def test_only_words_of_four_letters_and_more_are_corrected_in_place() -> None:
    text = 'Как вернуть "вазврат" -order2 vip'
    assert knowledge.correctable(text) == ["вернуть", "вазврат"]
    assert knowledge.correct(text, {"вазврат": "возврат"}) == 'Как вернуть "возврат" -order2 vip'


def test_phrases_and_exclusions_are_meant_as_they_stand() -> None:
    assert knowledge.is_plain("how to re-open a well-known order - 5")
    assert not any(knowledge.is_plain(text) for text in ('a "b c"', "a -b", "-a"))


@settings(deadline=None)
@given(st.text())
def test_correcting_nothing_changes_nothing(text: str) -> None:
    assert knowledge.correct(text, {}) == text


def test_marked_text_is_cut_at_its_marks() -> None:
    marked = f"a {MATCH_START}b{MATCH_END} <script> {MATCH_START}c{MATCH_END}"
    assert knowledge.pieces(marked) == [
        Piece("a "), Piece("b", match=True), Piece(" <script> "), Piece("c", match=True),
    ]  # fmt: skip


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from(f"ab<{MATCH_START}{MATCH_END}")))
def test_cutting_loses_no_character_however_marks_lie(marked: str) -> None:
    told = "".join(each.text for each in knowledge.pieces(marked))
    assert told.translate(MARKS) == marked.translate(MARKS)
