"""From a closed ticket to an answer, over the real stream, database and pages."""

import asyncio
import re
from typing import Any

import grpc
import pytest
from sqlalchemy import text

from chassis.db import Database
from chassis.testing import eventually
from services.survey.tests.component.conftest import Running, Start, a_ticket, closed
from tickdesk.survey.v1 import events_pb2, survey_pb2, survey_service_pb2
from tickdesk.tickets.v1 import events_pb2 as ticket_events

LIST = survey_service_pb2.ListSurveysRequest


async def surveys(desk: Running, **filters: Any) -> list[survey_pb2.Survey]:
    return list((await desk.api.ListSurveys(LIST(**filters), timeout=5)).surveys)


async def the_survey(
    desk: Running, ticket_id: str, *states: survey_pb2.SurveyState.ValueType
) -> survey_pb2.Survey:
    async def look() -> list[survey_pb2.Survey]:
        return [one for one in await surveys(desk, ticket_id=ticket_id) if one.state in states]

    return (await eventually(look))[0]


async def test_a_closed_ticket_is_asked_about_once(start: Start) -> None:
    """CA-23, MP-18: one question at close; a second closing of the cycle asks nothing more."""
    ticket = a_ticket(language="ru")
    async with start() as desk:
        await desk.tell(closed(ticket))
        event = await desk.told.next(events_pb2.SurveyAsked)
        await desk.tell(closed(ticket), closed(a_ticket(key="SUP-13")))
        other = await desk.told.next(events_pb2.SurveyAsked)
    assert other.survey.ticket_key == "SUP-13"
    assert event.survey.ticket_id == ticket.id
    assert event.survey.recipient == "client@mail.test"
    assert event.survey.agent_id == "anna"
    assert event.survey.language == "ru"
    assert event.ticket_subject == "Printer on fire"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/s/[\w-]{43}", event.url)


async def test_the_question_waits_for_the_policy_of_the_queue(start: Start) -> None:
    """MP-18, KT-10: delay and scale are the queue's own."""
    slow, fast = a_ticket(), a_ticket(queue="CHAT")
    policies = {"CHAT": {"delay_seconds": 0, "scale": 3}}
    async with start(delay_seconds=2 * 86400, policies=policies) as desk:
        await desk.tell(closed(slow), closed(fast))
        event = await desk.told.next(events_pb2.SurveyAsked)
        planned = await the_survey(desk, slow.id, survey_pb2.SURVEY_STATE_PLANNED)
    assert event.survey.ticket_id == fast.id
    assert event.survey.scale == 3
    assert planned.scale == 5
    assert planned.ask_time.seconds - event.survey.ask_time.seconds >= 2 * 86400 - 60


async def test_what_is_not_asked_is_skipped_with_a_state(start: Start) -> None:
    """CA-23, faults: robots, people without mail, follow-ups of surveys and the unsampled are left alone."""
    robot = a_ticket()
    skipped = [robot, a_ticket(email=""), a_ticket(origin="survey"), a_ticket(queue="RARE")]
    async with start(policies={"RARE": {"sample_percent": 0}}) as desk:
        await desk.tell(ticket_events.TicketOpened(ticket=robot, from_robot=True), *map(closed, skipped))
        for ticket in skipped:
            await the_survey(desk, ticket.id, survey_pb2.SURVEY_STATE_SKIPPED)
        await desk.asked()
    assert len(desk.told.of(events_pb2.SurveyAsked)) == 1


async def test_a_robot_is_not_asked_when_the_news_of_it_comes_after_the_closing(start: Start) -> None:
    """CA-23: events of a ticket may be late; what is known when the question is due counts."""
    robot = a_ticket()
    async with start(delay_seconds=3600) as desk:
        await desk.tell(closed(robot), ticket_events.TicketOpened(ticket=robot, from_robot=True))
        async with Database(desk.settings.database_url, "test") as db:

            async def known() -> Any:
                async with db.tx() as tx:
                    return await tx.conn.scalar(text("select true from robot"))

            await eventually(known)
            await the_survey(desk, robot.id, survey_pb2.SURVEY_STATE_PLANNED)
            async with db.tx() as tx:
                await tx.conn.execute(text("update survey set ask_at = now()"))
        await the_survey(desk, robot.id, survey_pb2.SURVEY_STATE_SKIPPED)
        assert desk.told.of(events_pb2.SurveyAsked) == []


@pytest.mark.parametrize("closing_first", [True, False])
async def test_a_reopened_ticket_is_not_asked_about(start: Start, closing_first: bool) -> None:
    """CP-11: only the cycle that lasted is asked about, whichever news comes first."""
    ticket = a_ticket()
    again = a_ticket(id=ticket.id, version=6, cycle=2, status="in_progress")
    pair = [closed(ticket), ticket_events.TicketReopened(ticket=again)]
    async with start(delay_seconds=3600) as desk:
        await desk.tell(*(pair if closing_first else reversed(pair)))
        await the_survey(desk, ticket.id, survey_pb2.SURVEY_STATE_SKIPPED)
        await desk.tell(closed(a_ticket(id=ticket.id, version=9, cycle=2)))
        planned = await the_survey(desk, ticket.id, survey_pb2.SURVEY_STATE_PLANNED)
    assert planned.cycle == 2


async def test_opening_the_page_never_votes(start: Start) -> None:
    """CA-23: mail scanners follow links; neither GET nor HEAD is an answer."""
    async with start() as desk:
        url = await desk.asked()
        for _ in range(5):
            status, page = await desk.get(url)
            assert status == 200
            assert "How did we do?" in page
            async with desk.web.head(url) as answer:
                assert answer.status == 200
        await desk.get(url + "?s=5&score=5")
        (survey,) = await surveys(desk)
    assert survey.state == survey_pb2.SURVEY_STATE_ASKED


async def test_one_click_is_an_answer_and_is_told(start: Start) -> None:
    """CA-23, CA-24: one POST without any script is a vote, and the others hear of it."""
    async with start() as desk:
        url = await desk.asked()
        status, page = await desk.post(url, score=4)
        event = await desk.told.next(events_pb2.SurveyAnswered)
    assert status == 200
    assert "Thank you!" in page
    assert (event.survey.raw, event.survey.score, event.survey.low) == (4, 75, False)
    assert event.survey.state == survey_pb2.SURVEY_STATE_ANSWERED
    assert event.survey.answered_time.seconds > 0
    assert "<textarea" not in page, "a good score is not asked for words"


async def test_a_low_score_is_asked_for_words_and_they_are_told(start: Start) -> None:
    """CA-23, MP-18: three of five is low; the comment box shows then, and the words travel."""
    async with start() as desk:
        url = await desk.asked(language="ru")
        _, page = await desk.post(url, score=3)
        assert "<textarea" in page
        await desk.post(url, comment="Долго.\r\nИ грубо.\x00<script>")
        first = await desk.told.next(events_pb2.SurveyAnswered)
        second = await desk.told.next(events_pb2.SurveyAnswered)
        _, page = await desk.get(url)
    assert first.survey.low
    assert first.survey.comment == ""
    assert (second.survey.raw, second.survey.score) == (3, 50)
    assert second.survey.comment == "Долго.\nИ грубо.<script>"
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


async def test_the_last_answer_within_the_window_counts(start: Start) -> None:
    """faults 35: a change of mind replaces the vote, it does not add one."""
    async with start() as desk:
        url = await desk.asked()
        await desk.post(url, score=1)
        await desk.post(url, score=5)
        (survey,) = await surveys(desk)
        answer = await desk.api.ListSurveys(LIST(), timeout=5)
    assert survey.raw == 5
    assert answer.csat_percent == 100


async def test_after_the_window_an_answer_stays(start: Start) -> None:
    """faults 35: a link that leaks later changes nothing."""
    async with start(edit_minutes=0) as desk:
        url = await desk.asked()
        await desk.post(url, score=5)
        status, page = await desk.post(url, score=1)
        _, final = await desk.get(url)
        (survey,) = await surveys(desk)
    assert status == 409
    assert "stays as it was" in page
    assert survey.raw == 5
    assert "<button" not in final
    assert "Your score, 5 of 5, is recorded." in final


async def test_a_hundred_votes_at_once_are_one(start: Start) -> None:
    """faults 35: double clicks and replays leave one row and one event."""
    async with start() as desk:
        url = await desk.asked()
        answers = await asyncio.gather(*(desk.post(url, score=2) for _ in range(100)))
        await desk.told.next(events_pb2.SurveyAnswered)
        found = await surveys(desk)
        await desk.asked()
    assert {status for status, _ in answers} == {200}
    assert [one.raw for one in found] == [2]
    assert len(desk.told.of(events_pb2.SurveyAnswered)) == 1


async def test_a_guessed_or_mangled_link_leads_nowhere(start: Start) -> None:
    """faults 35, weak tokens: nothing but the whole token matches."""
    async with start() as desk:
        url = await desk.asked()
        base, _, token = url.rpartition("/")
        guesses = [
            "x",
            token[:-1],
            token + "A",
            token.swapcase(),
            token + "%20",
            "%00",
            "a" * 500,
            "..%2f",
            "' or 1=1",
        ]
        for guess in guesses:
            for call in (desk.get(f"{base}/{guess}"), desk.post(f"{base}/{guess}", score=5)):
                status, page = await call
                assert status == 404, guess
                assert "Такой страницы нет" in page
                assert "There is no such page" in page
        (survey,) = await surveys(desk)
    assert survey.state == survey_pb2.SURVEY_STATE_ASKED


async def test_a_link_ends_with_its_term(start: Start) -> None:
    """CVE class "tokens that never expire": the page says so, and the survey is expired."""
    async with start(link_days=0.3 / 86400) as desk:
        url = await desk.asked()

        async def look() -> bool:
            return (await desk.get(url))[0] == 410

        await eventually(look)
        status, page = await desk.post(url, score=5)
        assert status == 410
        assert "no longer valid" in page

        async def expired() -> bool:
            return [one.state for one in await surveys(desk)] == [survey_pb2.SURVEY_STATE_EXPIRED]

        await eventually(expired)
        assert (await desk.get(url))[0] == 410


async def test_a_score_off_the_scale_changes_nothing(start: Start) -> None:
    """Bad input gets a clear page, and no vote."""
    async with start() as desk:
        url = await desk.asked()
        for score in ("0", "6", "-1", "4.5", "", "five", "٣", "99999999999999999999", "null"):
            status, page = await desk.post(url, score=score)
            assert status == 400, score
            assert "Please choose one of the scores" in page
        (survey,) = await surveys(desk)
    assert survey.state == survey_pb2.SURVEY_STATE_ASKED


async def test_words_too_long_are_given_back_to_be_cut(start: Start) -> None:
    """Bad input loses nobody's words."""
    async with start() as desk:
        url = await desk.asked()
        await desk.post(url, score=1)
        status, page = await desk.post(url, comment="x" * 2001)
        huge, _ = await desk.post(url, comment="x" * 40_000)
        (survey,) = await surveys(desk)
    assert status == 400
    assert "x" * 2001 in page
    assert huge == 413
    assert survey.comment == ""


async def test_pages_leak_and_load_nothing(start: Start) -> None:
    """CA-23: strict policy, no referrer, no index, no store, nothing from elsewhere, no script."""
    async with start() as desk:
        url = await desk.asked()
        for address in (url, url + "x"):
            async with desk.web.get(address) as answer:
                page, headers = await answer.text(), answer.headers
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cache-Control"] == "no-store"
            assert "noindex" in headers["X-Robots-Tag"]
            assert "<script" not in page
            assert not re.search(r"(src|href)=", page)
        base = url.partition("/s/")[0]
        assert "Disallow: /" in (await desk.get(f"{base}/robots.txt"))[1]
        assert (await desk.get(base))[0] == 404
        async with desk.web.put(url) as answer:
            assert answer.status == 405


async def test_one_address_cannot_ask_without_end(start: Start) -> None:
    """Invariant 10: public pages are rate-limited, per address behind a trusted proxy."""
    async with start(calls_per_minute=5, trusted_proxies=1) as desk:
        url = await desk.asked()
        statuses = [(await desk.get(url))[0] for _ in range(12)]
        async with desk.web.get(url, headers={"X-Forwarded-For": "6.6.6.6, 9.9.9.9"}) as answer:
            other = answer.status
    assert 429 in statuses
    assert other == 200


async def test_three_faces_are_a_scale_of_their_own(start: Start) -> None:
    """KT-10: bad, all right, super; only bad is low."""
    async with start(scale=3) as desk:
        url = await desk.asked()
        _, page = await desk.get(url)
        assert page.count('name="score"') == 3
        _, middle = await desk.post(url, score=2)
        await desk.post(url, score=1)
        first = await desk.told.next(events_pb2.SurveyAnswered)
        second = await desk.told.next(events_pb2.SurveyAnswered)
    assert (first.survey.score, first.survey.low) == (50, False)
    assert (second.survey.score, second.survey.low) == (0, True)
    assert "<textarea" not in middle


async def test_the_api_pages_filters_and_counts(start: Start) -> None:
    """CA-24: the share of four and five among the answers; pages join up."""
    async with start() as desk:
        for score in (5, 4, 3, 1):
            await desk.post(await desk.asked(), score=score)
        await desk.asked()
        answered = survey_pb2.SURVEY_STATE_ANSWERED
        first = await desk.api.ListSurveys(LIST(page_size=3, state=answered), timeout=5)
        rest = await desk.api.ListSurveys(LIST(page_token=first.next_page_token, state=answered), timeout=5)
        got = await desk.api.GetSurvey(
            survey_service_pb2.GetSurveyRequest(survey_id=rest.surveys[0].id), timeout=5
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await desk.api.ListSurveys(LIST(page_token="made up"), timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as elsewhere:
            await desk.api.ListSurveys(LIST(page_token=first.next_page_token), timeout=5)
        unknown = survey_service_pb2.GetSurveyRequest(survey_id="00000000-0000-4000-8000-000000000000")
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await desk.api.GetSurvey(unknown, timeout=5)
    assert first.total_size == 4
    assert first.csat_percent == 50
    assert sorted(one.raw for one in [*first.surveys, *rest.surveys]) == [1, 3, 4, 5]
    assert got.survey == rest.surveys[0]
    for one in (refused, elsewhere):
        assert (one.value.code(), one.value.details()) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "page_token must be the next_page_token of the same list with the same filters; "
            "empty is the first page",
        )
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_count_and_the_share_look_at_the_newest(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists: a page costs the same however many rows match."""
    monkeypatch.setattr("survey.store.COUNT_LIMIT", 2)
    async with start() as desk:
        for score in (1, 5, 5):
            await desk.post(await desk.asked(), score=score)
        page = await desk.api.ListSurveys(LIST(), timeout=5)
    assert (len(page.surveys), page.total_size, page.csat_percent) == (3, 2, 100)


async def test_no_token_is_stored(start: Start) -> None:
    """faults 35: who reads the table cannot vote."""
    async with start() as desk:
        token = (await desk.asked()).rpartition("/")[2]
        async with Database(desk.settings.database_url, "test") as db, db.tx() as tx:
            row = await tx.conn.scalar(text("select survey::text from survey"))
    assert "client@mail.test" in row
    assert token not in row
    assert token.encode().hex() not in row
