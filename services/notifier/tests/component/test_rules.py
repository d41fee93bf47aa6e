"""What rules of queues ask for: webhooks by name, notices to people and chats."""

import json
from typing import Any

from chassis.testing import eventually
from services.notifier.tests.component.builders import a_ticket, an_agent
from services.notifier.tests.component.conftest import Hook, Running, Sink, Start, body_of
from services.notifier.tests.component.test_webhook import SECRET
from tickdesk.common.v1 import common_pb2
from tickdesk.notifier.v1 import delivery_pb2, notifier_service_pb2
from tickdesk.tickets.v1 import events_pb2, macros_pb2, triggers_pb2

RULE = common_pb2.Actor(kind=common_pb2.Actor.KIND_ROBOT, id="rule/late")
PEOPLE = (
    an_agent("anna", lines=[common_pb2.LINE_L1]),
    an_agent("lena", leads=[common_pb2.LINE_L1], language="ru"),
    an_agent("gone", active=False),
)


def hooks(hook: Hook) -> list[dict[str, object]]:
    return [
        {"url": hook.url, "secret": SECRET, "name": "crm", "events": ["WebhookRequested"]},
        {"url": f"{hook.url}/other", "secret": SECRET, "name": "other", "events": ["WebhookRequested"]},
        {"url": f"{hook.url}/slack", "name": "team", "format": "slack"},
        {"url": f"{hook.url}/telegram", "name": "duty", "format": "telegram", "chat_id": "-100"},
    ]


def a_notice(**changes: Any) -> events_pb2.NoticeRequested:
    texts = [
        macros_pb2.MacroText(language="en", text="Waits <too> long"),
        macros_pb2.MacroText(language="ru", text="Ждёт слишком долго"),
    ]
    return events_pb2.NoticeRequested(**{"ticket": a_ticket(), "actor": RULE, "texts": texts, **changes})


async def deliveries(desk: Running, count: int) -> list[delivery_pb2.Delivery]:
    async def look() -> list[delivery_pb2.Delivery]:
        request = notifier_service_pb2.ListDeliveriesRequest(page_size=200)
        found = list((await desk.api.ListDeliveries(request, timeout=5)).deliveries)
        done = [one for one in found if one.state >= delivery_pb2.DELIVERY_STATE_SENT]
        return done if len(done) >= count else []

    return await eventually(look, 20)


async def test_a_rule_calls_the_endpoint_it_names_once(start: Start, hook: Hook) -> None:
    """YT-17; faults 5: by the name of a configured endpoint, never by an address. Told twice, posted once."""
    event = events_pb2.WebhookRequested(ticket=a_ticket(), actor=RULE, endpoint="crm")
    unknown = events_pb2.WebhookRequested(ticket=a_ticket(), actor=RULE, endpoint="nowhere")
    async with start(webhooks=hooks(hook)) as desk:
        await desk.tell(event, event_id="asked-1")
        await desk.tell(event, event_id="asked-1")
        await desk.learn(unknown)
        found = await deliveries(desk, 2)
    assert [json.loads(body)["type"] for _, body in hook.posts] == ["tickdesk.tickets.v1.WebhookRequested"]
    assert hook.posts[0][0]["webhook-signature"]
    states = {one.recipient: (one.state, one.detail) for one in found}
    assert states[hook.url][0] == delivery_pb2.DELIVERY_STATE_SENT
    assert states["nowhere"][0] == delivery_pb2.DELIVERY_STATE_SUPPRESSED
    assert "nowhere" in states["nowhere"][1]


async def test_people_are_told_once_each_in_their_language(start: Start, sink: Sink) -> None:
    """YT-17, CP-13: the assignee, heads of the line and agents by name; nobody who left."""
    audiences = [triggers_pb2.NOTICE_AUDIENCE_ASSIGNEE, triggers_pb2.NOTICE_AUDIENCE_LINE_LEADS]
    told = a_notice(ticket=a_ticket(assignee="anna"), audiences=audiences, agent_ids=["anna", "gone"])
    async with start() as desk:
        await desk.learn(*PEOPLE)
        await desk.tell(told, event_id="notice-1")
        await desk.tell(told, event_id="notice-1")
        await deliveries(desk, 2)
    assert sorted(recipient for _, recipient, _ in sink.letters) == ["anna@desk.test", "lena@desk.test"]
    assert "Waits <too> long" in body_of(await sink.next_to("anna@desk.test"))
    assert "Ждёт слишком долго" in body_of(await sink.next_to("lena@desk.test"))


async def test_chats_are_told_in_words(start: Start, hook: Hook) -> None:
    """YT-17: push to Slack and Telegram; nothing in the words is markup, no delivery shows the address."""
    async with start(webhooks=hooks(hook)) as desk:
        await desk.tell(a_notice(chats=["team", "duty", "crm"]))
        found = await deliveries(desk, 3)
    posts = [json.loads(body) for _, body in hook.posts]
    text = "SUP-12: Waits <too> long"
    assert {"text": "SUP-12: Waits &lt;too&gt; long"} in posts
    assert {"chat_id": "-100", "text": text} in posts
    assert len(posts) == 2
    assert all("webhook-signature" not in headers for headers, _ in hook.posts)
    assert {one.recipient for one in found} == {"team", "duty", "crm"}
