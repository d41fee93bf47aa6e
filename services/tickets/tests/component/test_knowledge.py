"""The knowledge base over RPCs: written, published, used, looked after."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import sqlalchemy as sa

from chassis.pages import page_token
from services.tickets.tests.builders import Desk
from tickdesk.tickets.v1 import events_pb2, ticket_pb2
from tickdesk.tickets.v1 import knowledge_pb2 as kb
from tickets.store import knowledge as store

BAD, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
STATE, STALE = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED
NOBODY = "01900000-0000-7000-8000-000000000000"
PUBLISHED, ARCHIVED = kb.ARTICLE_STATE_PUBLISHED, kb.ARTICLE_STATE_ARCHIVED


def content(**fields: Any) -> kb.ArticleContent:
    told = {
        "kind": kb.ARTICLE_KIND_FAQ,
        "language": "en",
        "title": "Printer on fire",
        "body": "Call the fire brigade.",
        "owner": "anna",
        **fields,
    }
    return kb.ArticleContent(**told)


async def create(desk: Desk, key: str = "fire-en", who: str = "agent:anna", **fields: Any) -> kb.Article:
    answer = await desk.call("CreateArticle", who, key=key, content=content(**fields), comment="first")
    article: kb.Article = answer.article
    return article


async def publish(desk: Desk, key: str = "fire-en", **fields: Any) -> kb.Article:
    made = await create(desk, key, "admin:demo", **fields)
    answer = await desk.call(
        "ChangeArticleState", "admin:demo", article=key, version=made.version, state=PUBLISHED
    )
    article: kb.Article = answer.article
    return article


async def test_an_article_is_written_published_changed_and_read_as_it_was(desk: Desk) -> None:
    """CA-29: versions with author and comment."""
    made = await create(desk, review_date="2027-03-31", tags=["fire"], queues=["SUP"])
    assert (made.version, made.state, made.author, made.content.owner) == (1, 1, "anna", "anna")
    moved = await desk.call("ChangeArticleState", article="fire-en", version=1, state=PUBLISHED, comment="ok")
    assert (moved.article.version, moved.article.state) == (2, PUBLISHED)
    assert moved.article.HasField("published_time")
    changed = content(title="Printer  burns", body="Run.\n\n<b>Fast</b>", categories=["fire/printer"])
    now = await desk.call(
        "UpdateArticle", "lead:olga", article=made.id, version=2, content=changed, comment="shorter"
    )
    assert (now.article.version, now.article.author, now.article.comment) == (3, "olga", "shorter")
    assert (now.article.content.title, now.article.content.body) == ("Printer burns", changed.body)
    read = (await desk.call("GetArticle", article="fire-en")).article
    assert read == now.article
    first = (await desk.call("GetArticle", article="fire-en", version=1)).article
    assert (first.content, first.state, first.comment) == (made.content, made.state, "first")
    page = await desk.call("ListArticleVersions", article="fire-en", page_size=2)
    rest = await desk.call("ListArticleVersions", article="fire-en", page_token=page.next_page_token)
    told = [
        (each.version, each.author, each.comment, each.title) for each in (*page.versions, *rest.versions)
    ]
    assert told == [
        (3, "olga", "shorter", "Printer burns"),
        (2, "anna", "ok", "Printer on fire"),
        (1, "anna", "first", "Printer on fire"),
    ]
    missing = await desk.refusal("GetArticle", article="fire-en", version=4)
    assert (missing.code, missing.reason, missing.metadata) == (
        MISSING,
        "VERSION_NOT_FOUND",
        {"version": "3"},
    )


async def test_a_stale_write_is_refused_and_of_two_at_once_one_wins(desk: Desk) -> None:
    await create(desk)
    first = desk.call("UpdateArticle", article="fire-en", version=1, content=content(title="A"))
    second = desk.call("UpdateArticle", "lead:olga", article="fire-en", version=1, content=content(title="B"))
    results = await asyncio.gather(first, second, return_exceptions=True)
    lost = [each for each in results if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in lost] == [STALE]
    now = (await desk.call("GetArticle", article="fire-en")).article
    assert (now.version, now.content.title in ("A", "B")) == (2, True)
    refusal = await desk.refusal("ChangeArticleState", article="fire-en", version=1, state=PUBLISHED)
    assert (refusal.reason, refusal.metadata) == ("STALE_VERSION", {"version": "2"})


async def test_of_two_who_create_one_key_at_once_one_has_it(desk: Desk) -> None:
    results = await asyncio.gather(*(create(desk) for _ in range(2)), return_exceptions=True)
    lost = [each for each in results if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in lost] == [grpc.StatusCode.ALREADY_EXISTS]
    assert (await desk.refusal("CreateArticle", key="fire-en", content=content())).reason == "ARTICLE_EXISTS"
    assert len((await desk.call("ListArticles")).articles) == 1


async def test_the_same_request_again_makes_one_version(desk: Desk) -> None:
    await create(desk)
    told: dict[str, Any] = {"article": "fire-en", "version": 1, "content": content(title="A")}
    told["request_id"] = "request-1"
    assert await desk.call("UpdateArticle", **told) == await desk.call("UpdateArticle", **told)
    assert (await desk.call("GetArticle", article="fire-en")).article.version == 2


async def test_what_is_published_changes_only_by_its_owner_or_a_lead(desk: Desk) -> None:
    """CA-29: an owner per article."""
    await publish(desk)
    refusal = await desk.refusal(
        "UpdateArticle", "agent:boris", article="fire-en", version=2, content=content()
    )
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_THE_OWNER")
    assert refusal.metadata == {"owner": "anna"}
    change: dict[str, Any] = {"article": "fire-en", "version": 2, "state": ARCHIVED}
    assert (await desk.refusal("ChangeArticleState", "agent:boris", **change)).reason == "NOT_THE_OWNER"
    assert (await desk.call("ChangeArticleState", "agent:anna", **change)).article.state == ARCHIVED
    refusal = await desk.refusal("UpdateArticle", article="fire-en", version=3, content=content())
    assert (refusal.code, refusal.reason) == (STATE, "ARTICLE_ARCHIVED")


BAD_ARTICLES: list[tuple[dict[str, Any], list[str]]] = [
    ({"key": "Fire"}, ["key"]),
    ({"key": "a"}, ["key"]),
    ({"key": "../etc"}, ["key"]),
    ({"content": None}, ["content"]),
    ({"content": content(kind=0)}, ["content.kind"]),
    ({"content": content(kind=9)}, ["content.kind"]),
    ({"content": content(language="de")}, ["content.language"]),
    ({"content": content(title="")}, ["content.title"]),
    ({"content": content(title=" ")}, ["content.title"]),
    ({"content": content(title="x" * 201)}, ["content.title"]),
    ({"content": content(body="x" * 100_001)}, ["content.body"]),
    ({"content": content(body="a\0b")}, ["content.body"]),
    ({"content": content(owner="ghost")}, ["content.owner"]),
    ({"content": content(review_date="soon")}, ["content.review_date"]),
    ({"content": content(review_date="2027-02-30")}, ["content.review_date"]),
    ({"content": content(tags=["a", "a"])}, ["content.tags"]),
    ({"content": content(tags=[str(each) for each in range(21)])}, ["content.tags"]),
    ({"content": content(queues=["sup"])}, ["content.queues[0]"]),
    ({"content": content(categories=[""])}, ["content.categories[0]"]),
    ({"content": content(visibility=7)}, ["content.visibility"]),
    ({"comment": "x" * 501}, ["comment"]),
    ({"request_id": "short"}, ["request_id"]),
]


async def test_bad_articles_are_refused_and_nothing_is_kept(desk: Desk) -> None:
    for fields, where in BAD_ARTICLES:
        refusal = await desk.refusal("CreateArticle", **{"key": "fire", "content": content(), **fields})
        assert (refusal.code, refusal.fields) == (BAD, where), fields
    nobody = await desk.refusal("CreateArticle", "admin:demo", key="fire", content=content(owner=""))
    assert nobody.fields == ["content.owner"]
    assert not (await desk.call("ListArticles")).articles
    on_one: dict[str, dict[str, Any]] = {
        "GetArticle": {},
        "UpdateArticle": {"version": 1, "content": content()},
        "ChangeArticleState": {"version": 1, "state": PUBLISHED},
        "ListArticleVersions": {},
        "ListArticleTickets": {},
        "RateArticle": {},
        "LinkArticle": {"ticket": (await desk.create()).id},
    }
    for method, fields in on_one.items():
        for reference in ("nothing", NOBODY):
            refusal = await desk.refusal(method, article=reference, **fields)
            assert (refusal.code, refusal.reason) == (MISSING, "ARTICLE_NOT_FOUND"), method
    empty = await create(desk, body="")
    refusal = await desk.refusal("ChangeArticleState", article=empty.key, version=1, state=PUBLISHED)
    assert (refusal.code, refusal.fields) == (BAD, ["content.body"])
    refusal = await desk.refusal("ChangeArticleState", article=empty.key, version=1, state=9)
    assert refusal.fields == ["state"]


async def test_an_article_used_in_a_ticket_is_counted_once_and_noted_without_text(desk: Desk) -> None:
    """CA-29, CA-06: what was done stands in the history."""
    article, ticket = await publish(desk, visibility=kb.ARTICLE_VISIBILITY_CUSTOMERS), await desk.create()
    answer = await desk.call("LinkArticle", ticket=ticket.id, version=1, article=article.key)
    assert (answer.ticket.version, answer.article.use_count, answer.article.version) == (2, 1, 2)
    told = await desk.watch.next(events_pb2.NoteAdded)
    assert told.actor.id == "anna"
    assert b"fire-en" not in told.SerializeToString()
    again = await desk.call("LinkArticle", "agent:boris", ticket=ticket.id, article=article.id)
    assert (again.ticket.version, again.article.use_count) == (2, 1)
    sent = await desk.call("LinkArticle", ticket=ticket.key, article=article.key, sent=True)
    assert (sent.ticket.version, sent.article.use_count) == (3, 1)
    notes = [each.text for each in await desk.messages(ticket.id)][1:]
    assert notes == [
        "Article used: fire-en, Printer on fire",
        "Article sent to the customer: fire-en, Printer on fire",
    ]
    use = (await desk.call("ListTicketArticles", ticket=ticket.key)).uses[0]
    assert (use.article.key, use.article.content.body, use.article_version) == ("fire-en", "", 2)
    assert (use.author, use.sent, use.ticket_key) == ("anna", True, ticket.key)
    use = (await desk.call("ListArticleTickets", article=article.key)).uses[0]
    assert (use.ticket_id, use.ticket_key, use.HasField("article")) == (ticket.id, ticket.key, False)


async def test_of_many_who_use_an_article_at_once_each_ticket_counts_once(desk: Desk) -> None:
    article = await publish(desk)
    tickets = [await desk.create() for _ in range(4)]
    links = (
        desk.call("LinkArticle", who, ticket=each.id, article=article.key)
        for each in tickets
        for who in ("agent:anna", "agent:boris")
    )
    await asyncio.gather(*links)
    assert (await desk.call("GetArticle", article=article.key)).article.use_count == 4
    page = await desk.call("ListArticleTickets", article=article.key, page_size=3)
    rest = await desk.call("ListArticleTickets", article=article.key, page_token=page.next_page_token)
    assert {each.ticket_id for each in (*page.uses, *rest.uses)} == {each.id for each in tickets}
    assert len(page.uses) + len(rest.uses) == 4


async def test_drafts_are_not_used_and_internal_articles_not_sent(desk: Desk) -> None:
    ticket = await desk.create()
    await create(desk, "draft-en")
    await publish(desk)
    for key, sent, reason in (
        ("draft-en", False, "ARTICLE_NOT_PUBLISHED"),
        ("fire-en", True, "ARTICLE_INTERNAL"),
    ):
        refusal = await desk.refusal("LinkArticle", ticket=ticket.id, article=key, sent=sent)
        assert (refusal.code, refusal.reason) == (STATE, reason)
    refusal = await desk.refusal("LinkArticle", ticket=ticket.id, version=7, article="fire-en")
    assert (refusal.code, refusal.reason) == (STALE, "STALE_VERSION")
    assert (await desk.ticket(ticket.id)).version == 1
    assert not (await desk.call("ListTicketArticles", ticket=ticket.id)).uses


async def test_what_no_article_answers_is_listed_until_one_does(desk: Desk) -> None:
    """CA-18: no answer in the knowledge base is a reason to hand over, and something to write."""
    first, second = await desk.create(), await desk.create()
    for ticket in (first, second):
        told = await desk.call("ReportMissingArticle", ticket=ticket.key, words="flying printer")
        assert (told.missing.ticket_id, told.missing.author) == (ticket.id, "anna")
    await desk.call("ReportMissingArticle", "agent:boris", ticket=second.id, words="printer flies")
    page = await desk.call("ListMissingArticles", page_size=1)
    rest = await desk.call("ListMissingArticles", page_token=page.next_page_token)
    listed = [(each.ticket_key, each.words, each.author) for each in (*page.missing, *rest.missing)]
    assert listed == [(second.key, "printer flies", "boris"), (first.key, "flying printer", "anna")]
    await publish(desk)
    await desk.call("LinkArticle", ticket=second.id, article="fire-en")
    left = (await desk.call("ListMissingArticles", queue="SUP")).missing
    assert [each.ticket_key for each in left] == [first.key]
    assert not (await desk.call("ListMissingArticles", queue="BIL")).missing
    for bad in ({"words": ""}, {"words": "x" * 501}):
        assert (await desk.refusal("ReportMissingArticle", ticket=first.id, **bad)).fields == ["words"]
    assert (await desk.refusal("ReportMissingArticle", ticket=NOBODY, words="x")).reason == "TICKET_NOT_FOUND"


async def test_who_does_not_see_a_ticket_does_not_hear_which_articles_it_lacks_or_used(desk: Desk) -> None:
    """YT-03, faults 5: words that were searched for, and keys of tickets, stay in their queues."""
    ticket = await desk.create()
    await publish(desk)
    await desk.call("LinkArticle", ticket=ticket.id, article="fire-en")
    await desk.call("ReportMissingArticle", ticket=ticket.id, words="flying printer")
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    boris = ticket_pb2.Agent(id="boris", name="Boris", queues=["OTH"], active=True)
    await desk.call("PutAgent", "admin:demo", agent=boris)
    for who, count in (("agent:anna", 1), ("agent:boris", 0), ("auditor:eve", 1)):
        assert len((await desk.call("ListMissingArticles", who)).missing) == count
        assert len((await desk.call("ListArticleTickets", who, article="fire-en")).uses) == count


async def test_an_agent_has_one_vote_and_the_last_one_counts(desk: Desk) -> None:
    await publish(desk)
    votes = (("anna", True), ("boris", False), ("dina", True), ("boris", True), ("dina", False))
    rated = None
    for who, helpful in votes:
        rated = await desk.call("RateArticle", f"agent:{who}", article="fire-en", helpful=helpful)
    assert rated
    assert (rated.article.helpful_count, rated.article.unhelpful_count) == (2, 1)
    refusal = await desk.refusal("RateArticle", "admin:demo", article="fire-en", helpful=True)
    assert refusal.fields == ["agent_id"]


async def test_stale_articles_and_owners_are_listed_by_pages(desk: Desk) -> None:
    """CA-29: who looks after what."""
    await publish(desk, "overdue-en", review_date="2020-01-01", owner="boris")
    await publish(desk, "fresh-en", review_date="2999-01-01")
    await publish(desk, "unused-en")
    await publish(desk, "old-en", review_date="2021-01-01")
    await create(desk, "draft-en", review_date="2020-01-01")
    aged = sa.update(store.article).where(store.article.c.key == "unused-en")
    async with desk.db.tx() as tx:
        await tx.execute(aged.values(published_time=sa.func.now() - sa.text("interval '91 days'")))
    page = await desk.call("ListStaleArticles", page_size=2, unused_days=90)
    rest = await desk.call("ListStaleArticles", unused_days=90, page_token=page.next_page_token)
    told = [(each.article.key, each.review_overdue, each.unused) for each in (*page.articles, *rest.articles)]
    assert told == [("overdue-en", True, False), ("old-en", True, False), ("unused-en", False, True)]
    mine = await desk.call("ListStaleArticles", owner="boris")
    assert [each.article.key for each in mine.articles] == ["overdue-en"]
    page = await desk.call("ListArticleOwners", page_size=1)
    rest = await desk.call("ListArticleOwners", page_token=page.next_page_token)
    owners = [
        (each.owner, each.drafts, each.published, each.review_overdue)
        for each in (*page.owners, *rest.owners)
    ]
    assert owners == [("anna", 1, 3, 1), ("boris", 0, 1, 1)]


async def test_articles_are_listed_by_every_filter_and_page(desk: Desk) -> None:
    await publish(desk, "a-en", tags=["fire"], queues=["SUP"], categories=["fire"])
    await publish(desk, "b-ru", language="ru", queues=["BIL"], kind=kb.ARTICLE_KIND_CONTACTS)
    await create(desk, "c-en", owner="boris")
    for fields, keys in (
        ({}, ["a-en", "b-ru", "c-en"]),
        ({"state": PUBLISHED}, ["a-en", "b-ru"]),
        ({"kinds": [kb.ARTICLE_KIND_CONTACTS]}, ["b-ru"]),
        ({"language": "en"}, ["a-en", "c-en"]),
        ({"owner": "boris"}, ["c-en"]),
        ({"queue": "SUP"}, ["a-en", "c-en"]),
        ({"tag": "fire"}, ["a-en"]),
        ({"category": "fire"}, ["a-en"]),
    ):
        assert [each.key for each in (await desk.call("ListArticles", **fields)).articles] == keys, fields
    page = await desk.call("ListArticles", page_size=2)
    rest = await desk.call("ListArticles", page_token=page.next_page_token)
    assert [each.key for each in (*page.articles, *rest.articles)] == ["a-en", "b-ru", "c-en"]
    assert not any(each.content.body for each in page.articles)
    other = await desk.refusal("ListArticles", page_token=page.next_page_token, owner="anna")
    assert (other.code, other.reason) == (BAD, "PAGE_TOKEN_INVALID")


async def test_customers_programs_and_strangers_read_no_article(desk: Desk) -> None:
    await publish(desk)
    for who in ("adapter:crm", "nobody"):
        for method, fields in (("GetArticle", {"article": "fire-en"}), ("SearchArticles", {"text": "fire"})):
            refusal = await desk.refusal(method, who, **fields)
            assert refusal.reason == "ROLE_NOT_PERMITTED", (who, method)


async def test_a_made_up_token_of_versions_is_refused(desk: Desk) -> None:
    """Bad input: a number that no column holds."""
    article = await create(desk)
    token = page_token(("versions of", article.id), 10**30)
    refusal = await desk.refusal("ListArticleVersions", article=article.key, page_token=token)
    assert (refusal.code, refusal.reason) == (BAD, "PAGE_TOKEN_INVALID")
