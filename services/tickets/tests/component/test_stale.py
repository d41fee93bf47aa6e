"""A stale write is refused with what is in force now, so that the caller decides again without asking."""

import asyncio
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from services.tickets.tests.builders import COMMANDS, METHODS, Desk, set_up
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import stale_pb2
from tickdesk.tickets.v1.knowledge_pb2 import ARTICLE_KIND_FAQ, ArticleContent

TRAILERS = 8192
"""Bytes of trailers that clients take by default, gRPC's own bookkeeping among them."""


@pytest.mark.parametrize("method", COMMANDS)
async def test_a_stale_command_is_refused_with_the_state_of_the_ticket(desk: Desk, method: str) -> None:
    """YT-36: and with who changed what since the version that the caller saw."""
    seen = await desk.create()
    taken = (await desk.call("TakeTicket", ticket=seen.id)).ticket
    now = await desk.call("PrioritizeTicket", "agent:boris", ticket=seen.id, priority=common.PRIORITY_HIGH)
    refused = await desk.refusal(
        method, "agent:anna", ticket=seen.id, version=seen.version, **COMMANDS[method]
    )
    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "STALE_VERSION")
    present, ticket = refused.present, now.ticket
    assert (present.version, present.actor.id) == (ticket.version, "boris")
    assert present.updated_time == ticket.updated_time
    assert {"priority", "assignee", "status"} <= set(present.changed)
    assert present.ticket == stale_pb2.TicketState(
        id=ticket.id,
        key=ticket.key,
        queue="SUP",
        status=ticket.status,
        status_kind=ticket.status_kind,
        line=ticket.line,
        assignee="anna",
        priority=common.PRIORITY_HIGH,
    )
    later = await desk.refusal(method, ticket=seen.id, version=taken.version, **COMMANDS[method])
    assert list(later.present.changed) == ["priority"]
    ahead = await desk.refusal(method, ticket=seen.id, version=99, **COMMANDS[method])
    assert (ahead.present.version, ahead.present.actor.id) == (ticket.version, "boris")


async def test_of_two_writers_at_once_one_is_told_what_the_other_did(desk: Desk) -> None:
    ticket = await desk.create()

    async def write(who: str) -> Any:
        try:
            return (await desk.call("TakeTicket", who, ticket=ticket.id, version=ticket.version)).ticket
        except grpc.aio.AioRpcError as error:
            status = rpc_status.from_call(error)
            assert status
            present = stale_pb2.PresentState()
            assert [detail.Unpack(present) for detail in status.details] == [False, True]
            return present

    one, other = sorted(
        await asyncio.gather(write("agent:anna"), write("agent:boris")), key=lambda each: type(each).__name__
    )
    assert isinstance(one, stale_pb2.PresentState)
    assert (one.version, one.ticket.assignee) == (other.version, other.assignee)


async def test_nobody_is_told_of_a_ticket_that_they_may_not_change(desk: Desk) -> None:
    ticket = await desk.create()
    refused = await desk.refusal("TakeTicket", "adapter:crm", ticket=ticket.id, version=9)
    assert (refused.reason, refused.present) == ("ROLE_NOT_PERMITTED", stale_pb2.PresentState())


async def test_a_stale_setup_article_or_filter_is_refused_with_the_present_one(desk: Desk) -> None:
    setup = await set_up(desk, components=[{"key": "web", "name": {"en": "Web"}}])
    setup.version -= 1
    refused = await desk.refusal("PutSetup", "admin:demo", setup=setup)
    assert (refused.present.setup.version, refused.present.actor.id) == (setup.version + 1, "admin:demo")

    article = (await desk.call("CreateArticle", key="reset", content=an_article())).article
    refused = await desk.refusal("UpdateArticle", article=article.id, version=7, content=an_article())
    assert refused.present.article.content.title == "Reset"
    assert refused.present.article.content.body == ""

    saved = (await desk.call("PutFilter", name="Mine", query="Queue: SUP")).filter
    again = {"filter_id": saved.id, "name": "Mine", "query": "Queue: SUP", "version": 7}
    refused = await desk.refusal("PutFilter", **again)
    assert (refused.present.version, refused.present.filter) == (1, saved)


async def test_the_present_state_never_makes_the_refusal_larger_than_headers_may_be(desk: Desk) -> None:
    """A filter of 4,000 characters, and an article with as many long labels as it may have."""
    text = " OR ".join(["Subject: бумага"] * 200)
    saved = (await desk.call("PutFilter", name="Long", query=text)).filter
    many = an_article(
        title="й" * 200,
        tags=[f"{number:02}" + "й" * 48 for number in range(20)],
        categories=[f"{number:02}" + "й" * 98 for number in range(50)],
    )
    article = (await desk.call("CreateArticle", key="large", content=many)).article
    for method, fields in (
        ("PutFilter", {"filter_id": saved.id, "name": "Long", "query": text, "version": 9}),
        ("UpdateArticle", {"article": article.id, "version": 9, "content": many}),
    ):
        refused = await desk.refusal(method, **fields)
        assert (refused.reason, refused.present.version) == ("STALE_VERSION", 1)
        assert refused.present.WhichOneof("resource") is None, method


async def test_the_largest_state_of_a_ticket_fits_into_headers(desk: Desk) -> None:
    keys = [f"field_{number:02}_{'x' * 25}" for number in range(60)]
    await set_up(desk, fields=[{"key": key, "name": {"en": key}, "type": "FIELD_TYPE_TEXT"} for key in keys])
    ticket = await desk.create()
    values = {key: {"text": "й"} for key in keys}
    await desk.call("UpdateTicket", ticket=ticket.id, set_fields=values)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await desk.call("TakeTicket", ticket=ticket.id, version=1)
    trailers = caught.value.trailing_metadata() or ()
    size = sum(len(key) + len(value) * 4 // 3 + 32 for key, value in trailers)
    assert 3000 < size + 3 * len(caught.value.details() or "") < TRAILERS
    assert METHODS


def an_article(**fields: Any) -> ArticleContent:
    content = {"kind": ARTICLE_KIND_FAQ, "language": "en", "title": "Reset", "body": "Press it.", **fields}
    return ArticleContent(**content)
