"""Webhooks against a real HTTP server."""

import base64
import hashlib
import hmac
import json
import time

import pytest
from aiohttp import web

from chassis.clock import utcnow
from chassis.testing import eventually
from services.notifier.tests.component.builders import a_mark, a_ticket, an_escalation, escalated, opened
from services.notifier.tests.component.conftest import Hook, Start
from tickdesk.notifier.v1 import delivery_pb2, notifier_service_pb2
from tickdesk.sla.v1 import clock_pb2
from tickdesk.tickets.v1 import ticket_pb2

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def endpoint(hook: Hook, *names: str) -> list[dict[str, object]]:
    return [{"url": hook.url, "secret": SECRET, "events": names}]


async def test_events_are_posted_and_signed(start: Start, hook: Hook) -> None:
    """YT-17: another system learns of it and can prove who said so."""
    ticket = a_ticket()
    async with start(webhooks=endpoint(hook)) as desk:
        await desk.tell(opened(ticket), event_id="the-event")
        ((headers, body),) = await eventually(lambda: hook.posts)
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(KEY, content, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == "the-event"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    told = json.loads(body)
    assert told["type"] == "tickdesk.tickets.v1.TicketOpened"
    assert told["id"] == "the-event"
    assert told["data"]["ticket"]["key"] == "SUP-12"
    assert told["time"].endswith("Z")
    assert told["time"] <= utcnow().isoformat()


async def test_an_endpoint_gets_only_what_it_asked_for(start: Start, hook: Hook) -> None:
    """YT-17: by short or full name, marks of clocks too."""
    async with start(webhooks=endpoint(hook, "TicketEscalated", "tickdesk.sla.v1.MarkReached")) as desk:
        await desk.tell(
            opened(a_ticket()), a_mark(a_ticket(), clock_pb2.MARK_ACTION_BREACH), escalated(a_ticket())
        )
        await eventually(lambda: len(hook.posts) == 2)
    kinds = sorted(json.loads(body)["type"].rpartition(".")[2] for _, body in hook.posts)
    assert kinds == ["MarkReached", "TicketEscalated"]


async def test_what_only_the_desk_may_read_does_not_leave(start: Start, hook: Hook) -> None:
    """faults section 7: notes, escalation forms and internal messages are left out."""
    form = ticket_pb2.EscalationForm(done="SECRET-form")
    event = escalated(a_ticket(escalation=an_escalation(form=form)), note="SECRET-note")
    first = opened(a_ticket())
    first.message.visibility = ticket_pb2.VISIBILITY_INTERNAL
    first.message.text = "SECRET-message"
    async with start(webhooks=endpoint(hook)) as desk:
        await desk.tell(event, first)
        await eventually(lambda: len(hook.posts) == 2)
    assert all(b"SECRET" not in body for _, body in hook.posts)


async def test_a_busy_endpoint_is_tried_again_with_the_same_id(start: Start, hook: Hook) -> None:
    """Standard Webhooks: at least once, and the receiver can tell a repetition."""
    hook.answers = [web.Response(status=503), web.Response(status=429)]
    async with start(webhooks=endpoint(hook)) as desk:
        await desk.tell(opened(a_ticket(), from_robot=True), event_id="again")
        await eventually(lambda: len(hook.posts) == 3)
    assert {headers["webhook-id"] for headers, _ in hook.posts} == {"again"}


@pytest.mark.parametrize("status", [302, 410])
async def test_a_redirect_is_not_followed_and_a_gone_endpoint_left_alone(
    start: Start, hook: Hook, status: int
) -> None:
    """faults section 5, SSRF: the answer of an endpoint cannot send us elsewhere."""
    elsewhere = hook.url.replace("/events", "/elsewhere")
    hook.answers = [web.Response(status=status, headers={"Location": elsewhere})]
    ticket = a_ticket()
    async with start(webhooks=endpoint(hook)) as desk:
        await desk.tell(opened(ticket, from_robot=True))

        async def look() -> list[delivery_pb2.Delivery]:
            request = notifier_service_pb2.ListDeliveriesRequest(state=delivery_pb2.DELIVERY_STATE_FAILED)
            return list((await desk.api.ListDeliveries(request, timeout=5)).deliveries)

        (failed,) = await eventually(look)
    assert failed.detail == f"the endpoint answered {status}"
    assert len(hook.posts) == 1


NOTATIONS = ("127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "[::1]", "192.168.0.1:8080")
# The client makes an address of these, past the resolver.
UNICODE = ("\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1")
HOSTS = NOTATIONS + UNICODE


async def test_a_webhook_cannot_reach_this_machine(start: Start, hook: Hook) -> None:
    """faults section 5, SSRF: by literal, by name, by odd notation, by port."""
    hooks = [{"url": f"http://{host}/events", "secret": SECRET} for host in HOSTS]
    async with start(webhooks=hooks, webhook_allow_private=False) as desk:
        await desk.tell(opened(a_ticket(), from_robot=True))

        async def look() -> list[delivery_pb2.Delivery]:
            request = notifier_service_pb2.ListDeliveriesRequest(state=delivery_pb2.DELIVERY_STATE_FAILED)
            found = list((await desk.api.ListDeliveries(request, timeout=5)).deliveries)
            return found if len(found) == len(HOSTS) else []

        failed = await eventually(look)
    words = ("not public", "not a public", "cannot be read", "not allowed")
    assert all(any(word in one.detail for word in words) for one in failed), failed
    assert all(one.attempts == 1 for one in failed)
