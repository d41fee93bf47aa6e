"""What customers get, over a real mail server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.clock import utcnow
from chassis.sign import verify
from chassis.testing import events, eventually
from services.notifier.tests.component.builders import (
    CONVERSATION,
    CUSTOMER,
    a_promise,
    a_queue,
    a_ticket,
    asked,
    opened,
    received,
    replied,
)
from services.notifier.tests.component.conftest import KEYS, Running, Sink, Start, body_of
from tickdesk.common.v1 import common_pb2
from tickdesk.notifier.v1 import delivery_pb2, events_pb2, notifier_service_pb2
from tickdesk.tickets.v1 import ticket_pb2

DUE = datetime(2026, 11, 21, 11, 30, tzinfo=UTC)


async def deliveries(desk: Running, **filters: Any) -> list[delivery_pb2.Delivery]:
    request = notifier_service_pb2.ListDeliveriesRequest(**filters)
    answer = await desk.api.ListDeliveries(request, timeout=5)
    return list(answer.deliveries)


async def settled(desk: Running, ticket_id: str, template: str) -> delivery_pb2.Delivery:
    async def look() -> delivery_pb2.Delivery | None:
        found = await deliveries(desk, ticket_id=ticket_id, template=template)
        return found[0] if found and found[0].state >= delivery_pb2.DELIVERY_STATE_SENT else None

    found = await eventually(look)
    assert found is not None
    return found


@pytest.mark.parametrize("promise_first", [True, False])
async def test_the_auto_reply_tells_number_and_promised_time_in_any_order(
    start: Start, sink: Sink, promise_first: bool
) -> None:
    """MP-12, CA-35: the customer learns the number and when a person will answer, in their own zone."""
    ticket = a_ticket(language="ru", timezone="Europe/Moscow")
    pair = [opened(ticket), a_promise(ticket, DUE)]
    async with start(promise_wait_seconds=30) as desk:
        await desk.learn(a_queue())
        await desk.tell(*(reversed(pair) if promise_first else pair), key=ticket.id)
        letter = await sink.next_to(CUSTOMER)
    text = body_of(letter)
    assert "SUP-12" in text
    assert "21 ноября 2026, 14:30 (Москва, UTC+3)" in text
    assert letter["From"] == "Support of Acme <support@desk.test>"


async def test_the_auto_reply_leaves_without_a_promise_when_none_comes(start: Start, sink: Sink) -> None:
    """MP-12: the number is told even while the clock service is away."""
    async with start() as desk:
        await desk.tell(opened(a_ticket()))
        text = body_of(await sink.next_to(CUSTOMER))
    assert "SUP-12" in text
    assert "as soon as possible" in text


async def test_the_auto_reply_repeats_nothing_the_customer_wrote_and_cannot_be_answered_by_a_robot(
    start: Start, sink: Sink
) -> None:
    """faults 31: no user text for spammers to relay, and every header that stops a loop."""
    ticket = a_ticket(subject="BUY PILLS at spam.test")
    ticket.customer.name = "WIN MONEY"
    async with start() as desk:
        await desk.tell(opened(ticket))
        letter = await sink.next_to(CUSTOMER)
    sender, _, raw = sink.letters[0]
    assert b"PILLS" not in raw
    assert b"MONEY" not in raw
    assert sender == ""
    assert letter["Auto-Submitted"] == "auto-replied"
    assert letter["X-Auto-Response-Suppress"] == "All"
    assert letter["Precedence"] == "bulk"


LOOPS: tuple[tuple[ticket_pb2.Ticket, dict[str, Any], str], ...] = (
    (a_ticket(), {"from_robot": True}, "robot"),
    (a_ticket(email="no-reply@shop.test"), {}, "nobody reads"),
    (a_ticket(email="MAILER-DAEMON@shop.test"), {}, "nobody reads"),
    (a_ticket(email="bounces+123=x@shop.test"), {}, "nobody reads"),
    (a_ticket(email="help+abc@desk.test"), {}, "our own"),
    (a_ticket(email="someone@sub.own.test"), {}, "our own"),
    (a_ticket(email=""), {}, "no usable e-mail"),
    (a_ticket(channel=common_pb2.CHANNEL_IMPORT), {}, "did not write"),
    (a_ticket(), {"actor": common_pb2.Actor(kind=common_pb2.Actor.KIND_SERVICE)}, "did not write"),
)


async def test_no_auto_reply_where_it_could_loop(start: Start, sink: Sink) -> None:
    """faults 31: robots, lists, own and unread addresses get nothing, and the ledger says why."""
    async with start(own_domains="own.test") as desk:
        await desk.learn(a_queue())
        await desk.tell(*(opened(ticket, **changes) for ticket, changes, _ in LOOPS))
        for ticket, _, reason in LOOPS:
            found = await settled(desk, ticket.id, "auto_reply")
            assert found.state == delivery_pb2.DELIVERY_STATE_SUPPRESSED
            assert reason in found.detail
    assert sink.letters == []


async def test_a_flood_of_tickets_from_one_address_gets_few_auto_replies(start: Start, sink: Sink) -> None:
    """faults 31: whatever a robot hides behind an address, it gets no more than the hour's share."""
    tickets = [a_ticket(key=f"SUP-{number}") for number in range(20)]
    async with start(auto_replies_per_hour=3, promise_wait_seconds=0) as desk:
        await desk.tell(*map(opened, tickets))
        for ticket in tickets:
            await settled(desk, ticket.id, "auto_reply")
    assert len(sink.to(CUSTOMER)) == 3


async def test_a_web_form_with_a_victims_address_mails_it_once_a_day(start: Start, sink: Sink) -> None:
    """faults section 5, relay spam: an address typed into a form proves nothing."""
    tickets = [a_ticket(channel=common_pb2.CHANNEL_WEB_FORM) for _ in range(5)]
    async with start(promise_wait_seconds=0) as desk:
        await desk.tell(*map(opened, tickets))
        for ticket in tickets:
            await settled(desk, ticket.id, "auto_reply")
    assert len(sink.to(CUSTOMER)) == 1


async def test_an_event_told_twice_makes_one_letter(start: Start, sink: Sink) -> None:
    """faults 3, 5: redelivery has no second effect, with the same event id or with another."""
    event = replied(a_ticket(), "Use water.")
    async with start() as desk:
        await desk.tell(event, key="same", event_id="one")
        await desk.tell(event, key="same", event_id="two")
        await desk.tell(replied(a_ticket(), "Later", address="other@mail.test"), key="same")
        await sink.next_to("other@mail.test")
    assert len(sink.to(CUSTOMER)) == 1


async def test_a_reply_is_signed_for_its_reader_and_joins_their_thread(start: Start, sink: Sink) -> None:
    """YT-07, YT-08: the answer leaves from the queue's address and its own answer finds the way back."""
    ticket = a_ticket()
    async with start() as desk, events(desk.bus, events_pb2.DeliverySent) as watch:
        await desk.learn(a_queue(), received("their-id@mail.test"))
        event = replied(ticket, "Use water.\n\nЗелёный кран.", address="Client@Mail.test")
        await desk.tell(event)
        letter = await sink.next_to(CUSTOMER)
        sent = await watch.next(events_pb2.DeliverySent)
    address = letter["Reply-To"].addresses[0].addr_spec
    conversation, _, mac = address.removeprefix("support+").removesuffix("@desk.test").partition(".")
    assert conversation == CONVERSATION
    assert verify(KEYS, "reply", CONVERSATION, CUSTOMER, signature=mac, size=26)
    assert letter["Subject"] == f"Re: Printer on fire [#SUP-12 {CONVERSATION}.{mac[:16]}]"
    assert letter["Message-ID"].startswith(f"<{CONVERSATION}.{mac}.")
    assert letter["Message-ID"].endswith("@desk.test>")
    assert letter["In-Reply-To"] == letter["References"] == "<their-id@mail.test>"
    assert sink.letters[0][0] == address
    assert "Зелёный кран." in body_of(letter)
    assert letter["Auto-Submitted"] is None
    assert sent.delivery.message_id == event.message.id
    assert sent.delivery.state == delivery_pb2.DELIVERY_STATE_SENT


async def test_a_subject_cannot_smuggle_headers(start: Start, sink: Sink) -> None:
    """faults section 6: neither line ends nor encoded words become a header, in the bytes that left."""
    evil = "hi =?utf-8?q?a=0d=0aBcc=3a_v=40x.example?= \r\nBcc: w@x.example\u2028Cc: y@x.example\x00"
    ticket = a_ticket(subject=evil)
    async with start() as desk:
        await desk.learn(a_queue(name="Desk\r\nBcc: z@x.example =?utf-8?q?=0aX-Evil=3a_1?="))
        await desk.tell(replied(ticket, "ok"))
        letter = await sink.next_to(CUSTOMER)
    head = sink.letters[0][2].partition(b"\r\n\r\n")[0]
    names = {
        line.partition(b":")[0].lower() for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))
    }
    assert not names & {b"bcc", b"cc", b"x-evil"}
    assert letter["Subject"].startswith("Re: hi ")


async def test_a_reply_that_no_channel_carries_fails_visibly(start: Start, sink: Sink) -> None:
    """YT-07: the agent learns that the answer did not leave."""
    ticket = a_ticket(channel=common_pb2.CHANNEL_TELEGRAM)
    async with start() as desk, events(desk.bus, events_pb2.DeliveryFailed) as watch:
        event = replied(ticket, "hello")
        await desk.tell(event)
        failed = await watch.next(events_pb2.DeliveryFailed)
    assert failed.delivery.message_id == event.message.id
    assert failed.delivery.detail == "replies do not go by telegram yet"
    assert sink.letters == []


async def test_the_survey_letter_shows_the_link_and_escapes_the_subject(start: Start, sink: Sink) -> None:
    """CA-23: one question by mail; what a customer wrote is text in it, never markup."""
    ticket = a_ticket(subject="<script>alert(1)</script>")
    async with start() as desk:
        await desk.learn(opened(ticket, from_robot=True))
        await desk.tell(asked(ticket, "https://desk.test/s/token?x=1&y=2"))
        letter = await sink.next_to(CUSTOMER)
    assert "https://desk.test/s/token?x=1&y=2" in body_of(letter)
    html = letter.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert letter["Auto-Submitted"] == "auto-generated"
    assert sink.letters[0][0] == ""


async def test_a_survey_link_that_is_no_web_address_is_not_sent(start: Start, sink: Sink) -> None:
    """faults section 5: a javascript: address never reaches a customer."""
    ticket = a_ticket()
    async with start() as desk:
        await desk.tell(asked(ticket, "javascript:alert(1)"))
        found = await settled(desk, ticket.id, "survey")
    assert found.state == delivery_pb2.DELIVERY_STATE_SUPPRESSED


async def test_the_promise_that_counts_is_the_first(start: Start, sink: Sink) -> None:
    """CA-35: a clock of another kind or cycle does not become the promise."""
    ticket = a_ticket()
    later = utcnow() + timedelta(days=3)
    async with start(promise_wait_seconds=30) as desk:
        await desk.tell(
            opened(ticket),
            a_promise(ticket, later, name="resolution"),
            a_promise(ticket, later, cycle=2),
            a_promise(ticket, DUE),
            a_promise(ticket, later),
            key=ticket.id,
        )
        text = body_of(await sink.next_to(CUSTOMER))
    assert "21 November 2026, 11:30 (UTC)" in text


async def test_a_message_that_names_no_address_goes_to_the_customers_own(start: Start, sink: Sink) -> None:
    """YT-09: the answer is addressed by itself."""
    ticket = a_ticket(channel=common_pb2.CHANNEL_API, conversation_ids=[])
    async with start() as desk:
        await desk.tell(replied(ticket, "hello", address="", conversation_id=""))
        letter = await sink.next_to(CUSTOMER)
    assert letter["Subject"] == "Re: Printer on fire [#SUP-12]"
    assert letter["Reply-To"] is None
