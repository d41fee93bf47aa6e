"""Answers with readers beside the customer, with a subject of their own, and with files."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from chassis.sign import verify
from services.notifier.tests.component.builders import (
    CONVERSATION,
    CUSTOMER,
    a_queue,
    a_ticket,
    opened,
    replied,
)
from services.notifier.tests.component.conftest import KEYS, Sink, Start, body_of
from services.notifier.tests.component.test_customers import settled
from tickdesk.common.v1 import common_pb2
from tickdesk.intake.v1 import intake_service_pb2 as pb
from tickdesk.intake.v1.intake_service_pb2_grpc import (
    IntakeServiceServicer,
    add_IntakeServiceServicer_to_server,
)
from tickdesk.notifier.v1 import delivery_pb2
from tickdesk.tickets.v1 import events_pb2, ticket_pb2, timeline_pb2

FAILED = delivery_pb2.DELIVERY_STATE_FAILED
PICTURE = "0190-picture"


class Intake(IntakeServiceServicer):
    """Intake's store as notifier sees it; it is away as often as `failures` says."""

    failures = 0

    async def GetAttachment(self, request: pb.GetAttachmentRequest, context: Any) -> AsyncIterator[Any]:
        """The bytes of the picture, in two pieces."""
        if self.failures:
            self.failures -= 1
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "later")
        if request.attachment_id != PICTURE:
            await context.abort(grpc.StatusCode.NOT_FOUND, "gone")
        for chunk in (b"\x89PNG", b"\x00\xff"):
            yield pb.GetAttachmentResponse(chunk=chunk)


@pytest.fixture
async def intake() -> AsyncIterator[tuple[Intake, str]]:
    server, servicer = grpc.aio.server(), Intake()  # type: ignore[abstract]
    add_IntakeServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield servicer, f"127.0.0.1:{port}"
    await server.stop(None)


async def test_every_reader_gets_a_letter_with_a_way_back_of_their_own(start: Start, sink: Sink) -> None:
    """YT-07: the customer and those in copy see each other; each one's answer is proven theirs."""
    ticket, readers = a_ticket(), ("boss@mail.test", "lee@mail.test")
    event = replied(ticket, "Unplug it.", cc=["Lee@mail.test", CUSTOMER, "x"], address="Boss@mail.test")
    async with start() as desk:
        await desk.learn(a_queue())
        await desk.tell(event, event_id="e-1")
        await desk.tell(event, event_id="e-2")
        letters = [await sink.next_to(reader) for reader in (*readers, CUSTOMER)]
    for reader, letter in zip((*readers, CUSTOMER), letters, strict=True):
        assert str(letter["To"]) == "boss@mail.test"
        assert str(letter["Cc"]) == "Lee@mail.test, client@mail.test"
        token = str(letter["Reply-To"]).partition("+")[2].partition("@")[0].rpartition(".")[2]
        assert verify(KEYS, "reply", CONVERSATION, reader, signature=token)
        assert body_of(letter).startswith("Unplug it.")
    assert len({str(letter["Message-ID"]) for letter in letters}) == 3
    assert len({str(letter["Reply-To"]) for letter in letters}) == 3


@pytest.mark.parametrize(
    ("subject", "shown"),
    [("", "Re: Printer on fire"), ("About\r\nBcc: all", "About Bcc: all"), ("{{ 7*7 }}", "{{ 7*7 }}")],
)
async def test_a_letter_has_the_subject_it_was_given(
    start: Start, sink: Sink, subject: str, shown: str
) -> None:
    async with start() as desk:
        await desk.tell(replied(a_ticket(), "Hi", subject=subject))
        letter = await sink.next_to(CUSTOMER)
    assert str(letter["Subject"]).startswith(f"{shown} [#")
    assert letter["Bcc"] is None


async def test_a_form_is_answered_where_the_ticket_says(start: Start, sink: Sink) -> None:
    """YT-09."""
    form = common_pb2.CHANNEL_WEB_FORM
    async with start() as desk:
        await desk.tell(replied(a_ticket(channel=form, email=""), "Hi", address="kim@mail.test"))
        await sink.next_to("kim@mail.test")


def a_file(identity: str = PICTURE, **changes: Any) -> common_pb2.Attachment:
    values = {"filename": "снимок.png", "media_type": "image/png", "size_bytes": 6, **changes}
    return common_pb2.Attachment(id=identity, **values)


@pytest.mark.parametrize("failures", [0, 1])
async def test_files_go_with_the_letter(
    start: Start, sink: Sink, intake: tuple[Intake, str], failures: int
) -> None:
    """CP-06: also when intake is away for a moment."""
    servicer, target = intake
    servicer.failures = failures
    html = a_file(filename="a.html", media_type="text/html; charset=x")
    async with start(intake_target=target, intake_token="secret") as desk:
        await desk.tell(replied(a_ticket(), "See the picture", attachments=[a_file(), html]))
        letter = await sink.next_to(CUSTOMER)
    first, second = list(letter.iter_attachments())
    assert (first.get_filename(), first.get_content_type()) == ("снимок.png", "image/png")
    assert first.get_content() == b"\x89PNG\x00\xff"
    assert (second.get_filename(), second.get_content_type()) == ("a.html", "application/octet-stream")
    assert body_of(letter).startswith("See the picture")


@pytest.mark.parametrize(
    ("file", "settings", "detail"),
    [
        (a_file("0190-gone"), {}, "NOT_FOUND"),
        (a_file(size_bytes=7), {"files_max_bytes": 6}, "more than 6 bytes"),
        (a_file(), {"intake_target": ""}, "intake_target is not set"),
    ],
)
async def test_a_letter_whose_files_cannot_go_fails_whole(
    start: Start, sink: Sink, intake: tuple[Intake, str], file: Any, settings: dict[str, Any], detail: str
) -> None:
    """The agent is told; the customer gets no letter that speaks of a file which is not there."""
    ticket = a_ticket()
    async with start(**{"intake_target": intake[1], "intake_token": "secret", **settings}) as desk:
        await desk.tell(replied(ticket, "See the picture", attachments=[file]))
        found = await settled(desk, ticket.id, "reply")
    assert found.state == FAILED
    assert detail in found.detail
    assert sink.letters == []


def by_rule(ticket: ticket_pb2.Ticket, address: str = CUSTOMER) -> events_pb2.TicketReplied:
    event = replied(ticket, "We work on it.", address=address)
    for actor in (event.actor, event.message.author):
        actor.CopyFrom(common_pb2.Actor(kind=common_pb2.Actor.KIND_ROBOT, id="rule/taken"))
    return event


async def test_a_letter_of_a_rule_says_that_a_machine_wrote_it(start: Start, sink: Sink) -> None:
    """faults 31: a robot at the other end does not answer it, or our rules and it would write for ever."""
    async with start() as desk:
        await desk.learn(a_queue())
        await desk.tell(by_rule(a_ticket()))
        letter = await sink.next_to(CUSTOMER)
    assert sink.letters[0][0] == ""
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["X-Auto-Response-Suppress"] == "All"
    assert CONVERSATION in str(letter["Reply-To"])


async def test_a_victims_address_gets_one_letter_a_day_whatever_rules_answer_its_forms(
    start: Start, sink: Sink
) -> None:
    """faults section 5, relay spam: until a person has answered, a rule's letter is one more auto-reply."""
    forms = [a_ticket(channel=common_pb2.CHANNEL_WEB_FORM) for _ in range(4)]
    answered = a_ticket(channel=common_pb2.CHANNEL_WEB_FORM)
    answered.timeline.facts.add(staff_replies=timeline_pb2.MessageRun(count=1, agent_id="anna"))
    async with start(promise_wait_seconds=0) as desk:
        await desk.learn(a_queue())
        told = []
        for ticket in forms:
            await desk.tell(by_rule(ticket))
            told.append((await settled(desk, ticket.id, "reply")).detail)
            await desk.tell(opened(ticket))
            told.append((await settled(desk, ticket.id, "auto_reply")).detail)
        assert len(sink.to(CUSTOMER)) == 1
        assert told == ["", *["the address is not proven and got an auto-reply today"] * 7]
        await desk.tell(by_rule(answered))
        assert (await settled(desk, answered.id, "reply")).state == delivery_pb2.DELIVERY_STATE_SENT


async def test_answers_of_rules_to_new_mail_count_with_the_auto_replies(start: Start, sink: Sink) -> None:
    """faults 31: a machine that answers with a new subject gets no more than the hour's share."""
    tickets = [a_ticket(key=f"SUP-{number}") for number in range(6)]
    async with start(auto_replies_per_hour=3, promise_wait_seconds=0) as desk:
        await desk.learn(a_queue())
        for ticket in tickets:
            await desk.tell(opened(ticket), by_rule(ticket))
            await settled(desk, ticket.id, "reply")
            await settled(desk, ticket.id, "auto_reply")
    assert len(sink.to(CUSTOMER)) == 3


async def test_letters_of_rules_to_whoever_was_typed_in_count_with_the_desks_auto_replies(
    start: Start, sink: Sink
) -> None:
    """faults section 5, relay spam: a flood of forms with an address each has the bound of the minute."""
    addresses = [f"victim{number}@client.example" for number in range(4)]
    tickets = [a_ticket(channel=common_pb2.CHANNEL_WEB_FORM) for _ in addresses]
    async with start(auto_replies_per_minute=2) as desk:
        await desk.learn(a_queue())
        told = []
        for ticket, address in zip(tickets, addresses, strict=True):
            await desk.tell(by_rule(ticket, address))
            told.append((await settled(desk, ticket.id, "reply")).detail)
    assert told == ["", "", *["the desk's limit of auto-replies in a minute is reached"] * 2]
    assert len(sink.letters) == 2


async def test_rules_do_not_write_to_machines_nor_without_an_end(start: Start, sink: Sink) -> None:
    """faults 31: not where nobody reads, not to ourselves, and few letters an hour, a new ticket for each."""
    addresses = ("no-reply@shop.test", "help+abc@desk.test", CUSTOMER, CUSTOMER, CUSTOMER)
    tickets = [a_ticket() for _ in addresses]
    async with start(robot_letters_per_hour=2) as desk:
        await desk.learn(a_queue())
        for ticket, address in zip(tickets, addresses, strict=True):
            await desk.tell(by_rule(ticket, address))
        found = [await settled(desk, each.id, "reply") for each in tickets]
        person = a_ticket()
        await desk.tell(replied(person, "It works."))
        assert (await settled(desk, person.id, "reply")).state == delivery_pb2.DELIVERY_STATE_SENT
    told = sorted(each.detail for each in found)
    assert told[:2] == ["", ""]
    assert [each.split()[-1] for each in told[2:]] == ["address", "own", "reached"]
    assert len(sink.to(CUSTOMER)) == 3
