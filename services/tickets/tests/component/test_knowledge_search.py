"""Finding articles: word forms, typos, places, highlights, pages, and at size by index."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from chassis.db import Database, Tx
from services.tickets.tests.builders import Desk, a_contact
from services.tickets.tests.component.test_knowledge import content, create, publish
from tickdesk.tickets.v1 import knowledge_pb2 as kb
from tickets.domain.knowledge import MATCH_END, MATCH_START
from tickets.store import knowledge_search
from tickets.store.knowledge_search import Search
from tickets.store.lists import Page
from tickets.store.tickets import load_ticket

REFUND = {"language": "ru", "title": "Возврат денег", "body": "Оформите возвраты за заказы в кассе."}
PASSWORD = {"title": "Forgotten passwords", "body": "Resetting a password takes a minute."}


async def found(desk: Desk, text: str, **fields: Any) -> list[str]:
    answer = await desk.call("SearchArticles", text=text, **fields)
    return [each.article.key for each in answer.hits]


async def test_any_form_of_russian_and_english_words_finds_an_article(desk: Desk) -> None:
    """CA-29."""
    await publish(desk, "refund-ru", **REFUND)
    await publish(desk, "password-en", **PASSWORD)
    for text in (
        "возвратом",
        "ВОЗВРАТА денег",
        "заказ",
        "заказами касса",
        '"возврат денег"',
        "деньги OR кот",
    ):
        assert await found(desk, text) == ["refund-ru"], text
    for text in ("password", "passwords reset", "minutes"):
        assert await found(desk, text) == ["password-en"], text
    answer = await desk.call("SearchArticles", text="возврат")
    assert (answer.corrected_text, answer.partial) == ("", False)
    assert await found(desk, "деньги -касса") == []


async def test_misspelt_words_are_corrected_and_told(desk: Desk) -> None:
    """CA-29: typo-tolerant."""
    await publish(desk, "refund-ru", **REFUND)
    await publish(desk, "password-en", **PASSWORD)
    for text, key, corrected in (
        ("вазврат денег", "refund-ru", "возврат денег"),
        ("pasword", "password-en", "password"),
        ("офромите заказ", "refund-ru", "оформите заказ"),
    ):
        answer = await desk.call("SearchArticles", text=text)
        assert [each.article.key for each in answer.hits] == [key], text
        assert answer.corrected_text.split()[0] == corrected.split()[0]
        assert not answer.partial


async def test_some_of_the_words_will_do_when_no_article_has_all(desk: Desk) -> None:
    await publish(desk, "refund-ru", **REFUND)
    answer = await desk.call("SearchArticles", text="возврат единорогу")
    assert ([each.article.key for each in answer.hits], answer.partial) == (["refund-ru"], True)
    for nothing in ("квжцщ", "!!!", "и в на", "-", "'", '"', "& | ! ( ) <->", "\\", ":*"):
        answer = await desk.call("SearchArticles", text=nothing)
        assert (list(answer.hits), answer.corrected_text, answer.partial) == ([], "", False), nothing


async def test_only_published_articles_of_the_place_are_found(desk: Desk) -> None:
    await create(desk, "draft-en", title="fire draft")
    await publish(desk, "bil-en", title="fire bill", queues=["BIL"], kind=kb.ARTICLE_KIND_CONTACTS)
    await publish(
        desk, "sup-en", title="fire sup", queues=["SUP"], visibility=kb.ARTICLE_VISIBILITY_CUSTOMERS
    )
    await publish(desk, "all-ru", title="fire all", language="ru")
    ticket = await desk.create()
    for fields, keys in (
        ({}, {"bil-en", "sup-en", "all-ru"}),
        ({"queue": "SUP"}, {"sup-en", "all-ru"}),
        ({"ticket": ticket.key}, {"sup-en", "all-ru"}),
        ({"language": "ru"}, {"all-ru"}),
        ({"kinds": [kb.ARTICLE_KIND_CONTACTS]}, {"bil-en"}),
        ({"for_customers": True}, {"sup-en"}),
    ):
        assert set(await found(desk, "fire", **fields)) == keys, fields
    assert (await desk.refusal("SearchArticles", text="fire", ticket="SUP-99")).reason == "TICKET_NOT_FOUND"
    assert (await desk.refusal("SearchArticles", text="")).fields == ["text"]
    archived = {"article": "all-ru", "version": 2, "state": kb.ARTICLE_STATE_ARCHIVED}
    await desk.call("ChangeArticleState", "admin:demo", **archived)
    assert await found(desk, "fire", language="ru") == []


async def test_the_topic_and_language_of_the_ticket_come_first(desk: Desk) -> None:
    """CA-29: search in the context of the ticket."""
    await publish(desk, "other-en", title="Paper jam", body="jam jam jam")
    await publish(desk, "topic-en", title="When it will not print", body="a jam", categories=["hardware"])
    await publish(desk, "topic-ru", title="Не печатает: jam", body="a", language="ru")
    ticket = await desk.create(category="hardware/printer")
    assert (await found(desk, "jam", ticket=ticket.key))[0] == "topic-en"
    assert (await found(desk, "jam"))[0] != "topic-en"


async def test_highlights_are_plain_pieces_whatever_an_article_holds(desk: Desk) -> None:
    body = f"<script>alert(1)</script> & {MATCH_START}evil{MATCH_END} <b>print</b> it, then printing stops"
    await publish(desk, title='<i>Printer</i> "prints"', body=body)
    hit = (await desk.call("SearchArticles", text="print")).hits[0]
    assert hit.article.content.body == ""
    assert [each.text for each in hit.title if each.match] == ["prints"]
    assert "".join(each.text for each in hit.title) == '<i>Printer</i> "prints"'
    assert {each.text for each in hit.passage if each.match} == {"print", "printing"}
    assert not any(mark in each.text for each in hit.passage for mark in (MATCH_START, MATCH_END))


async def test_pages_of_a_search_show_each_hit_once_in_every_attempt(desk: Desk) -> None:
    for number in range(7):
        await publish(desk, f"copy-{number}", title="Burning printers", body="smoke " * (number % 3 + 1))
    for text, corrected, partial in (
        ("printer", "", False),
        ("prinnters", "printers", False),
        ("printer qqqq", "", True),
    ):
        keys, token = [], ""
        while True:
            answer = await desk.call("SearchArticles", text=text, page_size=3, page_token=token)
            keys += [each.article.key for each in answer.hits]
            assert (answer.corrected_text, answer.partial) == (corrected, partial), text
            if not (token := answer.next_page_token):
                break
        assert sorted(keys) == [f"copy-{number}" for number in range(7)], text
    page = await desk.call("SearchArticles", text="printer", page_size=3)
    refusal = await desk.refusal("SearchArticles", text="smoke", page_token=page.next_page_token)
    assert refusal.reason == "PAGE_TOKEN_INVALID"


async def test_articles_are_suggested_beside_a_new_ticket(desk: Desk) -> None:
    """CA-29: opens inside the ticket with contextual search."""
    await publish(desk, "refund-ru", **REFUND)
    await publish(desk, "password-en", **PASSWORD)
    await publish(desk, "billing-only-en", title="Password of the bill", queues=["BIL"])
    ticket = await desk.create(
        subject="I forgot it", text="Dear all,\nplease reset my password!", contact=a_contact()
    )
    hits = (await desk.call("SuggestArticles", ticket=ticket.key)).hits
    assert [each.article.key for each in hits] == ["password-en"]
    assert [each.text for each in hits[0].title if each.match] == ["passwords", "Forgotten"] or hits[
        0
    ].score > 0
    russian = await desk.create(subject="Верните деньги", text="Прошу вернуть деньги за заказ")
    hits = (await desk.call("SuggestArticles", ticket=russian.id, limit=1)).hits
    assert [each.article.key for each in hits] == ["refund-ru"]
    nothing = await desk.create(subject="?", text="!")
    assert not (await desk.call("SuggestArticles", ticket=nothing.id)).hits


async def test_a_changed_article_is_found_by_its_new_words_only(desk: Desk) -> None:
    await publish(desk)
    update: dict[str, Any] = {
        "article": "fire-en",
        "version": 2,
        "content": content(title="Water", body="Swim.", tags=["зонт"]),
    }
    await desk.call("UpdateArticle", **update)
    assert await found(desk, "fire") == []
    assert await found(desk, "swimming") == await found(desk, "зонтики") == ["fire-en"]


MANY = """
    insert into article
    select gen_random_uuid(), 'many-' || n, 2, 1, 'en', 'Article ' || n, body, 'anna', null, '{}',
        case when n % 2 = 0 then '{SUP}'::text[] else '{}' end, '{}', '{}', 1, 1, 'a', '', now(), now(),
        now(), 0, null, 0, 0, to_tsvector('russian', body)
    from (
        select n, (
            select string_agg(
                'word' || translate(mod(n * 7 + i * 31, 5000)::text, '0123456789', 'abcdefghij'), ' '
            )
            from generate_series(1, 20) i
        ) as body
        from generate_series(cast(:first as int), :first + 1999) n
    ) made
"""
WORDS = """
    insert into article_word
    select translate(md5(n::text), '0123456789', 'ghijklmnop') from generate_series(1, 20000) n
"""


async def plans(db: Database, work: Callable[[Tx], Awaitable[object]]) -> str:
    """How the database carries out each statement of the work."""
    seen: list[tuple[str, Any]] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        seen.append((statement, parameters))

    engine = db.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        async with db.tx() as tx:
            await work(tx)
            told = [await tx.driver.fetch(f"explain {text}", *values) for text, values in seen]
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return "\n".join(row[0] for rows in told for row in rows)


@pytest.mark.timeout(120)
async def test_twenty_thousand_articles_are_searched_by_their_indexes(desk: Desk) -> None:
    """CA-29: a search must not read the table."""
    ticket = await desk.create(subject="wordbh wordbi", text="wordbj wordca wordcb")
    async with desk.db.tx() as tx:
        for first in range(0, 20_000, 2_000):
            await tx.execute(sa.text(MANY), {"first": first})
        await tx.execute(sa.text(WORDS))
        await tx.execute(sa.text("analyze article"))
        await tx.execute(sa.text("analyze article_word"))

    async def search(tx: Tx) -> None:
        hits = await knowledge_search.search(tx, Search("wordbh gallumphing"), Page(10))
        assert hits.partial

    async def suggest(tx: Tx) -> None:
        assert await knowledge_search.suggest(tx, await load_ticket(tx, ticket.id), 5)

    for work, indexes in (
        (search, ("Bitmap Index Scan on article_search", "Index Scan using article_word_near")),
        (suggest, ("Bitmap Index Scan on article_search",)),
    ):
        plan = await plans(desk.db, work)
        for index in indexes:
            assert index in plan
        assert "Seq Scan on article" not in plan
