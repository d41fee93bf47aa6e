"""The delivery loop against a mail server that refuses, delays and dies."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from sqlalchemy import text

from chassis.db import Database
from chassis.testing import events, eventually
from notifier.settings import Settings
from services.notifier.tests.component.builders import CUSTOMER, a_ticket, replied
from services.notifier.tests.component.conftest import Running, Sink, Start
from tickdesk.notifier.v1 import delivery_pb2, events_pb2, notifier_service_pb2


async def one(desk: Running, state: delivery_pb2.DeliveryState.ValueType) -> delivery_pb2.Delivery:
    async def look() -> list[delivery_pb2.Delivery]:
        request = notifier_service_pb2.ListDeliveriesRequest(state=state)
        return list((await desk.api.ListDeliveries(request, timeout=5)).deliveries)

    return (await eventually(look))[0]


async def test_a_passing_refusal_is_tried_again(start: Start, sink: Sink) -> None:
    """faults 21: 4xx is "later"."""
    answers = ["451 try later", "450 still busy"]
    sink.script = lambda verb, recipient: answers.pop() if verb == "RCPT" and answers else None
    async with start() as desk:
        await desk.tell(replied(a_ticket(), "hello"))
        await sink.next_to(CUSTOMER)
        sent = await one(desk, delivery_pb2.DELIVERY_STATE_SENT)
    assert sent.attempts == 3
    assert sent.detail == ""


async def test_a_final_refusal_is_never_tried_again_and_is_told(start: Start, sink: Sink) -> None:
    """faults 21: 5xx is "no"; the ticket learns of it."""
    tries: list[str] = []

    def script(verb: str, recipient: str) -> str | None:
        tries.append(verb)
        return "550 no such user"

    sink.script = script
    async with start() as desk, events(desk.bus, events_pb2.DeliveryFailed) as watch:
        await desk.tell(replied(a_ticket(), "hello"))
        failed = await watch.next(events_pb2.DeliveryFailed)
        found = await one(desk, delivery_pb2.DELIVERY_STATE_FAILED)
    assert failed.delivery.id == found.id
    assert found.detail == "550 no such user"
    assert tries == ["RCPT"]


async def test_a_failed_delivery_is_sent_again_on_request(start: Start, sink: Sink) -> None:
    """faults 21: an operator mends the address book and repeats; the same request twice repeats once."""
    answers = ["550 no such user"]
    sink.script = lambda verb, recipient: answers.pop() if verb == "RCPT" and answers else None
    async with start() as desk:
        await desk.tell(replied(a_ticket(), "hello"))
        failed = await one(desk, delivery_pb2.DELIVERY_STATE_FAILED)
        request = notifier_service_pb2.RetryDeliveryRequest(request_id="retry-0001", delivery_id=failed.id)
        for _ in range(2):
            answer = await desk.api.RetryDelivery(request, timeout=5)
            assert answer.delivery.state == delivery_pb2.DELIVERY_STATE_PENDING
        await sink.next_to(CUSTOMER)


async def test_a_delivery_is_given_up_when_its_time_is_over(start: Start, sink: Sink) -> None:
    """Every retry has an end, and the end is told."""
    sink.script = lambda verb, recipient: "451 later" if verb == "RCPT" else None
    async with start(retry_hours=0.2 / 3600) as desk:
        await desk.tell(replied(a_ticket(), "hello"))
        found = await one(desk, delivery_pb2.DELIVERY_STATE_FAILED)
    assert found.detail.startswith("given up after")
    assert found.detail.endswith("451 later")


async def test_nothing_is_lost_and_little_doubled_on_a_bad_day(start: Start, sink: Sink) -> None:
    """faults 21: 20 % later, 5 % never, 2 % cut after the server took the letter."""
    count, seen = 60, dict[str, int]()

    def script(verb: str, recipient: str) -> str | None:
        number = int(recipient.partition("@")[0].removeprefix("c"))
        first = verb == "DATA" and seen.setdefault(recipient, 0) == 0
        seen[recipient] = seen.get(recipient, 0) + (verb == "DATA")
        if verb == "RCPT" and number % 20 == 7:
            return "550 never"
        if first and number % 5 == 0:
            return "451 later"
        return "drop" if first and number % 30 == 1 else None

    sink.script = script
    async with start(smtp_connections=4) as desk:
        addresses = [f"c{number}@mail.test" for number in range(count)]
        await desk.tell(*(replied(a_ticket(email=one), "hello", address=one) for one in addresses))
        await _finished(desk, count)
    got = {number: len(sink.to(f"c{number}@mail.test")) for number in range(count)}
    assert [number for number, letters in got.items() if letters == 0] == [7, 27, 47]
    assert {number for number, letters in got.items() if letters > 1} == {1, 31}


async def _finished(desk: Running, count: int) -> None:
    async def look() -> bool:
        total = 0
        for state in (delivery_pb2.DELIVERY_STATE_SENT, delivery_pb2.DELIVERY_STATE_FAILED):
            request = notifier_service_pb2.ListDeliveriesRequest(state=state)
            total += (await desk.api.ListDeliveries(request, timeout=5)).total_size
        return total == count

    await eventually(look, 15)


async def test_an_attempt_that_died_is_repeated_when_its_lease_ends(start: Start, sink: Sink) -> None:
    """faults 21: a row found in `sending` is sent again, and nobody else touches it before."""
    sink.hold = asyncio.Event()
    async with start() as desk:
        await desk.tell(replied(a_ticket(), "hello"))
        await eventually(lambda: sink.attempts)
        # As after a crash: the attempt is nobody's, its lease is over.
        await _expire_lease(desk.settings)
        await eventually(lambda: sink.attempts == 2)
        sink.hold.set()
        sent = await one(desk, delivery_pb2.DELIVERY_STATE_SENT)
    assert sent.attempts == 2
    assert len(sink.to(CUSTOMER)) == 2


async def _expire_lease(settings: Settings) -> None:
    async with Database(settings.database_url, "test") as db, db.tx() as tx:
        await tx.execute(
            text("update delivery set next_at = now() - interval '1 second' where state = 'sending'")
        )


async def test_a_stop_lets_the_letter_under_way_finish(start: Start, sink: Sink) -> None:
    """faults 24: a drained pod does not send its last letters twice."""
    sink.hold = asyncio.Event()
    async with start(drain_seconds=5) as desk, asyncio.TaskGroup() as group:
        await desk.tell(replied(a_ticket(), "hello"))
        await eventually(lambda: sink.attempts)
        group.create_task(_release(sink.hold))
    async with start() as desk:
        sent = await one(desk, delivery_pb2.DELIVERY_STATE_SENT)
    assert sent.attempts == 1
    assert len(sink.to(CUSTOMER)) == 1


async def _release(hold: asyncio.Event) -> None:
    hold.set()


async def test_letters_wait_for_a_mail_server_that_is_away(start: Start, sink: Sink) -> None:
    """faults 21: no connection is "later"."""
    async with start(smtp_url="smtp://127.0.0.1:1?starttls=never", retry_seconds=1) as desk:
        await desk.tell(replied(a_ticket(), "hello"))
        pending = await one(desk, delivery_pb2.DELIVERY_STATE_PENDING)
        assert pending.state == delivery_pb2.DELIVERY_STATE_PENDING
    async with start():
        await sink.next_to(CUSTOMER, 15)


async def test_what_old_letters_said_is_forgotten_and_nothing_is_sent_again(start: Start, sink: Sink) -> None:
    """faults section 7, personal data: the ledger keeps the fact, not the words."""
    event = replied(a_ticket(), "my card number")
    async with start() as desk:
        await desk.tell(event)
        await one(desk, delivery_pb2.DELIVERY_STATE_SENT)
        async with Database(desk.settings.database_url, "test") as db, db.tx() as tx:
            await tx.execute(text("update delivery set created_at = created_at - interval '91 days'"))
    async with start() as desk:
        async with Database(desk.settings.database_url, "test") as db:

            async def words() -> str:
                async with db.tx() as tx:
                    return str(await tx.conn.scalar(text("select context::text from delivery")))

            await eventually(lambda: _is(words(), "{}"))
        await desk.learn(event)
    assert len(sink.letters) == 1


async def _is(found: Awaitable[str], expected: str) -> bool:
    return await found == expected


@pytest.mark.parametrize("settings", [{"reply_keys": ""}, {"smtp_url": "http://relay.test"}])
async def test_a_desk_that_could_not_sign_or_send_does_not_start(
    start: Start, settings: dict[str, Any]
) -> None:
    """A missing key or a wrong relay is named at start."""
    with pytest.raises((RuntimeError, ValueError), match=r"REPLY_KEYS|smtp_url"):
        async with start(**settings):
            pass
