"""Messages of intake: which become tickets, which join, which are only noted."""

from typing import Any

from chassis.testing import eventually
from services.tickets.tests.builders import Desk, an_inbound, furnish, kinds
from services.tickets.tests.conftest import Start
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.intake.v1 import message_pb2 as intake
from tickdesk.notifier.v1 import delivery_pb2
from tickdesk.notifier.v1 import events_pb2 as notifier
from tickdesk.tickets.v1 import events_pb2, ticket_pb2

PUBLIC, INTERNAL = ticket_pb2.VISIBILITY_PUBLIC, ticket_pb2.VISIBILITY_INTERNAL


async def arrive(desk: Desk, **fields: Any) -> intake.InboundMessage:
    message = an_inbound(**fields)
    await desk.tell(intake_events.MessageReceived(message=message), key=message.conversation_id)
    return message


async def test_a_message_opens_a_ticket_with_all_that_is_known(desk: Desk) -> None:
    """YT-05, YT-11, KT-07: queue by address, topic, number and answers of a form."""
    file = common.Attachment(id="0190", filename="fire.png", media_type="image/png", size_bytes=9)
    ticket = await desk.receive(
        conversation_id="conv", fields={"device": "LP-1"}, topic="tech/printer", customer_number="77",
        html="<p>It burns.", attachments=[file],
    )  # fmt: skip
    assert (ticket.queue, ticket.subject, ticket.category) == ("SUP", "Printer on fire", "tech/printer")
    assert (ticket.fields["device"].text, ticket.customer_number) == ("LP-1", "77")
    assert (ticket.account, list(ticket.conversation_ids)) == ("help@desk.example", ["conv"])
    assert (ticket.customer.name, ticket.language) == ("Kim Client", "en")
    (message,) = await desk.messages(ticket.id)
    assert (message.text, message.full_text) == ("It burns.", "It burns.\n> quoted")
    assert (message.html, list(message.attachments)) == ("<p>It burns.", [file])
    assert (message.author.id, message.address) == (ticket.customer.id, "client@client.example")


async def test_clocks_start_when_the_message_was_received(desk: Desk) -> None:
    message = an_inbound()
    message.received_time.FromJsonString("2026-11-20T08:00:00.5Z")
    ticket = await desk.receive(received_time=message.received_time)
    facts = ticket.timeline.facts
    assert ticket.created_time == facts[0].time == facts[1].time == message.received_time


async def test_the_same_event_or_message_twice_has_one_effect(desk: Desk) -> None:
    event = intake_events.MessageReceived(message=an_inbound())
    for event_id in ("event-1", "event-1", "event-2"):
        await desk.tell(event, event_id=event_id)
    one = await desk.receive(sender=intake.Party(address="lee@client.example"))
    other = (await desk.watch.next(events_pb2.TicketOpened)).ticket
    # Two senders' messages are worked on side by side, so either may be the first ticket.
    assert {one.key, other.key} == {"SUP-1", "SUP-2"}
    assert (await desk.call("ListTickets")).total_size == 2


async def test_an_answer_joins_its_conversation_and_ends_the_waiting(desk: Desk) -> None:
    """YT-08."""
    ticket = await desk.receive(conversation_id="conv")
    await desk.call("TakeTicket", ticket=ticket.id)
    await desk.call("ChangeTicketStatus", ticket=ticket.id, status="waiting")
    await arrive(desk, conversation_id="conv", subject="Re: whatever", reply_text="Still burning")
    event = await desk.watch.next(events_pb2.CustomerReplied)
    assert (event.ticket.id, event.ticket.status, event.ticket.version) == (ticket.id, "in_progress", 4)
    assert event.message.text == "Still burning"
    assert event.actor.id == ticket.customer.id


async def test_a_mail_too_long_for_an_event_is_kept_whole_and_its_event_says_that_it_was_cut(
    desk: Desk,
) -> None:
    """YT-05, YT-11: beside the answers of a form that a ticket holds as well."""
    answers = {f"answer{number}": "x" * 9_900 for number in range(20)}
    ticket = await desk.receive(conversation_id="conv", fields=answers)
    assert len(ticket.fields) == 20
    await arrive(desk, conversation_id="conv", text="", reply_text="\u0436" * 340_000)
    event = await desk.watch.next(events_pb2.CustomerReplied)
    assert (event.message.shortened, event.message.text[-3:]) == (True, "[…]")
    found = await desk.messages(ticket.id)
    assert [(len(one.text), one.shortened) for one in found] == [(9, False), (340_000, False)]


async def test_a_ticket_of_many_long_mails_is_read_in_pages_that_fit_an_answer(desk: Desk) -> None:
    """Fifty of them would be forty megabytes, which nobody takes: the ticket could not be read any more."""
    ticket = await desk.receive(conversation_id="conv")
    for number in range(6):
        await arrive(desk, conversation_id="conv", text="", reply_text=f"{number}" * 790_000)
        await desk.watch.next(events_pb2.CustomerReplied)
    told: list[str] = []
    sizes: list[int] = []
    token = ""
    while not sizes or token:
        page = await desk.call("ListTicketMessages", ticket=ticket.id, page_token=token)
        told += [each.text[:1] for each in page.messages]
        sizes.append(len(page.messages))
        token = page.next_page_token
    assert told == ["I", *"012345"]
    assert sizes == [4, 3]
    (small,) = (await desk.call("ListTicketMessages", ticket=ticket.id, page_size=1)).messages
    assert small.text == "It burns."


async def test_an_answer_to_a_closed_ticket_begins_a_new_cycle(desk: Desk) -> None:
    """CP-10, CP-11: two events, each with its own version."""
    ticket = await desk.receive(conversation_id="conv")
    await desk.call("ResolveTicket", ticket=ticket.id)
    await desk.call("CloseTicket", ticket=ticket.id)
    await arrive(desk, conversation_id="conv", reply_text="It burns again")
    reopened = await desk.watch.next(events_pb2.TicketReopened)
    replied = await desk.watch.next(events_pb2.CustomerReplied)
    assert (reopened.ticket.version, replied.ticket.version) == (4, 5)
    assert (replied.ticket.cycle, replied.ticket.status) == (2, "in_progress")
    assert kinds(replied.ticket)[-3:] == ["reopened", "status_changed", "customer_messages"]


async def test_a_robot_never_reopens_nor_ends_the_waiting(desk: Desk) -> None:
    ticket = await desk.receive(conversation_id="conv")
    await desk.call("ChangeTicketStatus", ticket=ticket.id, status="waiting")
    robots = (intake.AUTHOR_KIND_AUTO_REPLY, intake.AUTHOR_KIND_LIST, intake.AUTHOR_KIND_BOUNCE)
    for robot in robots:
        await arrive(desk, conversation_id="conv", author_kind=robot, reply_text="I am away")
        event = await desk.watch.next(events_pb2.NoteAdded)
        assert event.actor.kind == common.Actor.KIND_ROBOT
        assert event.ticket.status == "waiting"
    await desk.call("ResolveTicket", ticket=ticket.id)
    await arrive(desk, conversation_id="conv", author_kind=robots[0])
    event = await desk.watch.next(events_pb2.NoteAdded)
    assert (event.ticket.status, event.ticket.cycle) == ("resolved", 1)
    notes = (await desk.messages(ticket.id))[1:]
    assert [(each.visibility, each.author.kind) for each in notes] == [
        (INTERNAL, common.Actor.KIND_ROBOT)
    ] * 4
    assert kinds(event.ticket).count("customer_messages") == 1


async def test_robots_mail_that_belongs_nowhere_is_kept_but_not_answered(desk: Desk) -> None:
    for robot in (intake.AUTHOR_KIND_LIST, intake.AUTHOR_KIND_AUTO_REPLY, intake.AUTHOR_KIND_BOUNCE):
        await arrive(desk, author_kind=robot, sender=intake.Party(address="robot@client.example"))
        event = await desk.watch.next(events_pb2.TicketOpened)
        assert (event.from_robot, event.ticket.priority) == (True, common.PRIORITY_LOW)
        assert kinds(event.ticket) == ["created"]
        assert event.ticket.from_robot


async def test_a_ticket_is_a_robots_until_a_person_writes(desk: Desk) -> None:
    """A policy may leave robots' tickets without clocks; a person is never left without."""
    robot = intake.AUTHOR_KIND_AUTO_REPLY
    ticket = await desk.receive(conversation_id="conv", author_kind=robot)
    await arrive(desk, conversation_id="conv", author_kind=robot)
    assert (await desk.watch.next(events_pb2.NoteAdded)).ticket.from_robot
    await arrive(desk, conversation_id="conv", reply_text="I am back")
    assert not (await desk.watch.next(events_pb2.CustomerReplied)).ticket.from_robot
    assert not (await desk.ticket(ticket.id)).from_robot


async def test_a_bounce_becomes_a_note_where_it_points(desk: Desk) -> None:
    ticket = await desk.receive(conversation_id="conv")
    await arrive(
        desk, author_kind=intake.AUTHOR_KIND_BOUNCE, related_conversation_ids=["unheard-of", "conv"],
        sender=intake.Party(), failed_address="client@client.example",
    )  # fmt: skip
    event = await desk.watch.next(events_pb2.NoteAdded)
    assert event.ticket.id == ticket.id
    assert (await desk.call("ListTickets")).total_size == 1


async def test_any_news_joins_the_open_ticket(desk: Desk) -> None:
    """CA-33."""
    await desk.receive(subject="Old thing")
    ticket = await desk.receive(subject="Invoice")
    await arrive(desk, conversation_id="news", nudge=True, subject="", reply_text="any news?")
    event = await desk.watch.next(events_pb2.CustomerReplied)
    assert (event.ticket.id, list(event.ticket.conversation_ids)[-1]) == (ticket.id, "news")
    await arrive(desk, conversation_id="news", reply_text="hello?")
    assert (await desk.watch.next(events_pb2.CustomerReplied)).ticket.id == ticket.id
    answer = await desk.call("ReplyToTicket", ticket=ticket.id, text="Soon.")
    assert answer.message.conversation_id == "news"


async def test_the_same_subject_joins_but_not_after_the_end_nor_for_a_stranger(desk: Desk) -> None:
    ticket = await desk.receive(subject="Invoice 12")
    await arrive(desk, subject="RE: invoice 12")
    assert (await desk.watch.next(events_pb2.CustomerReplied)).ticket.id == ticket.id
    stranger = await desk.receive(subject="Invoice 12", sender=intake.Party(address="eve@evil.example"))
    assert stranger.id != ticket.id
    await desk.call("ResolveTicket", ticket=ticket.id)
    await arrive(desk, subject="Invoice 12")
    assert (await desk.watch.next(events_pb2.TicketOpened)).ticket.key == "SUP-3"


async def test_an_answer_that_overtook_its_question_waits_for_it(desk: Desk) -> None:
    """A dead reader holds the question back; the answer alone would open the ticket."""
    question = an_inbound(subject="Invoice", reply_text="first")
    fields = {"subject": "Re: Invoice", "reply_text": "second", "preceding_message_ids": [question.id]}
    answer = an_inbound(conversation_id=question.conversation_id, **fields)
    await desk.tell(intake_events.MessageReceived(message=answer), key="reader-1")
    await desk.tell(intake_events.MessageReceived(message=question), key="reader-2")
    opened = await desk.watch.next(events_pb2.TicketOpened)
    assert (opened.message.id, opened.ticket.subject) == (question.id, "Invoice")
    assert (await desk.watch.next(events_pb2.CustomerReplied)).message.id == answer.id


async def test_two_first_messages_at_once_make_one_ticket(desk: Desk) -> None:
    """CA-33: whatever the order, the second sees the first."""
    for number in range(6):
        await arrive(desk, subject="Invoice", conversation_id=f"conv-{number}")
    for _ in range(5):
        await desk.watch.next(events_pb2.CustomerReplied)
    assert (await desk.call("ListTickets")).total_size == 1


async def test_a_claim_without_proof_is_only_a_note(desk: Desk) -> None:
    """A stranger's reply with a forged reference gets no history and joins nothing."""
    ticket = await desk.receive(conversation_id="conv")
    stranger = intake.Party(address="eve@evil.example")
    other = await desk.receive(sender=stranger, related_conversation_ids=["conv"], language="ru")
    event = await desk.watch.next(events_pb2.NoteAdded)
    assert (event.ticket.id, event.ticket.version) == (other.id, 2)
    note = (await desk.messages(other.id))[1]
    assert (note.visibility, ticket.key in note.text) == (INTERNAL, True)
    assert (await desk.ticket(ticket.id)).version == 1


async def test_somebody_else_in_the_thread_is_named_but_not_the_customer(desk: Desk) -> None:
    ticket = await desk.receive(conversation_id="conv")
    await arrive(desk, conversation_id="conv", sender=intake.Party(address="lee@client.example", name="Lee"))
    event = await desk.watch.next(events_pb2.CustomerReplied)
    assert (event.actor.id, event.actor.name, event.message.address) == ("", "Lee", "lee@client.example")
    answer = await desk.call("ReplyToTicket", ticket=ticket.id, text="Hello")
    assert answer.message.address == "client@client.example"


async def test_an_address_of_no_queue_goes_to_the_default_one(desk: Desk) -> None:
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="AAA", name="First by key"))
    ticket = await desk.receive(account="unknown@desk.example")
    assert ticket.key == "SUP-1"


async def test_mail_before_anybody_set_the_desk_up_makes_the_default_queue(start: Start) -> None:
    desk = await start(default_queue="HELP")
    ticket = await desk.receive()
    assert ticket.key == "HELP-1"
    assert [each.queue.key for each in desk.watch.of(events_pb2.QueueChanged)] == ["HELP"]
    await furnish(desk)


async def test_the_fate_of_a_letter_comes_back_to_its_message(desk: Desk) -> None:
    ticket = await desk.receive()
    sent = (await desk.call("ReplyToTicket", ticket=ticket.id, text="One")).message
    lost = (await desk.call("ReplyToTicket", ticket=ticket.id, text="Two", status="waiting")).message
    about: dict[str, Any] = {
        "ticket_id": ticket.id,
        "template": "reply",
        "recipient": "client@client.example",
    }
    done = delivery_pb2.Delivery(message_id=sent.id, **about)
    failed = delivery_pb2.Delivery(message_id=lost.id, detail="550 no such user", **about)
    await desk.tell(notifier.DeliverySent(delivery=done), notifier.DeliveryFailed(delivery=failed))
    await desk.tell(notifier.DeliveryFailed(delivery=failed))
    event = await desk.watch.next(events_pb2.NoteAdded)
    assert event.ticket.status == "waiting"
    messages = await desk.messages(ticket.id)
    assert [each.delivery_state for each in messages] == ["", "sent", "failed", ""]
    assert "550 no such user" in messages[-1].text


async def test_news_of_unknown_letters_is_dropped(desk: Desk) -> None:
    nobody = "01900000-0000-7000-8000-000000000000"
    stray = delivery_pb2.Delivery(message_id=nobody, ticket_id=nobody)
    notice = delivery_pb2.Delivery(template="auto_reply", ticket_id=nobody)
    for delivery in (stray, notice):
        await desk.tell(notifier.DeliverySent(delivery=delivery), notifier.DeliveryFailed(delivery=delivery))
    ticket = await desk.receive()
    sent = (await desk.call("ReplyToTicket", ticket=ticket.id, text="One")).message
    await desk.tell(notifier.DeliverySent(delivery=delivery_pb2.Delivery(message_id=sent.id)))

    async def marked() -> bool:
        return (await desk.messages(ticket.id))[-1].delivery_state == "sent"

    assert await eventually(marked)
    assert (await desk.ticket(ticket.id)).version == 2
