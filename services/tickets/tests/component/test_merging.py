"""Tickets that become one, one that becomes two, one that goes to another queue."""

import asyncio
from typing import Any

import grpc

from chassis.testing import eventually
from services.tickets.tests.builders import Desk, a_contact, an_inbound, kinds
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.tickets.v1 import events_pb2, fields_pb2, ticket_pb2

BAD, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
STATE = grpc.StatusCode.FAILED_PRECONDITION


async def mail(desk: Desk, conversation: str, **fields: Any) -> None:
    message = an_inbound(conversation_id=conversation, **fields)
    await desk.tell(intake_events.MessageReceived(message=message), key=conversation)


async def two(desk: Desk, **fields: Any) -> tuple[ticket_pb2.Ticket, ticket_pb2.Ticket]:
    """Two tickets of one customer, by conversations `one` and `two`."""
    first = await desk.receive(conversation_id="one", subject="Roof", **fields)
    return first, await desk.receive(
        conversation_id="two", subject="Door", reply_text="Is it stuck?", **fields
    )


async def test_a_merged_ticket_gives_all_it_has_and_points_to_the_other(desk: Desk) -> None:
    """KT-02, CA-06: messages, conversations, followers; its clocks are cancelled by the fact merged."""
    into, ticket = await two(desk)
    await desk.call("TakeTicket", "agent:boris", ticket=ticket.id)
    await desk.call("FollowTicket", "agent:dina", ticket=ticket.id)
    await desk.call("ChangeTicketStatus", ticket=into.id, status="waiting")
    answer = await desk.call("MergeTickets", ticket=ticket.key, into=into.key)
    merged, whole = answer.merged, answer.ticket
    assert (merged.merged_into_ticket_id, merged.merged_into_key) == (into.id, "SUP-1")
    assert (merged.status, merged.message_count, kinds(merged)[-1]) == ("closed", 0, "merged")
    assert merged.timeline.facts[-1].merged.into_ticket_id == into.id
    assert (list(whole.conversation_ids), whole.message_count) == (["two", "one"], 3)
    assert set(whole.observers) >= {"boris", "dina", "olga"}
    # A question came over that nobody has answered.
    assert (whole.status, kinds(whole)[-1]) == ("new", "customer_messages")
    texts = [each.text for each in await desk.messages(into.id)]
    assert texts[:2] == ["It burns.", "Is it stuck?"]
    assert 'SUP-2 "Door"' in texts[2]
    told = await desk.watch.next(events_pb2.TicketMerged)
    assert (told.ticket, told.into_ticket_id, told.into_ticket_key) == (merged, into.id, "SUP-1")
    assert await desk.ticket("SUP-2") == merged
    assert whole == await desk.ticket(into.id)


async def test_mail_to_a_merged_ticket_reaches_the_other(desk: Desk) -> None:
    """YT-08: the customer goes on in the old thread, even after the other was merged again."""
    into, ticket = await two(desk)
    last = await desk.receive(conversation_id="three", subject="Wall")
    await desk.call("MergeTickets", ticket=ticket.id, into=into.id)
    await desk.call("MergeTickets", ticket=into.id, into=last.id)
    for conversation in ("two", "one"):
        await mail(desk, conversation, reply_text="And now?")
        assert (await desk.watch.next(events_pb2.CustomerReplied)).ticket.id == last.id


async def test_a_merged_ticket_takes_no_change(desk: Desk) -> None:
    into, ticket = await two(desk)
    await desk.call("MergeTickets", ticket=ticket.id, into=into.id)
    commands: dict[str, dict[str, Any]] = {
        "ReopenTicket": {}, "AddNote": {"text": "x"}, "TakeTicket": {}, "FollowTicket": {},
        "MergeTickets": {"into": into.id}, "SaveDraft": {"text": "x"}, "MoveTicket": {"queue": "SUP"},
        "LinkTickets": {"other": into.id, "kind": 1},
    }  # fmt: skip
    for method, fields in commands.items():
        refusal = await desk.refusal(method, ticket=ticket.id, **fields)
        assert (refusal.code, refusal.reason, refusal.metadata["into"]) == (
            STATE,
            "TICKET_MERGED",
            "SUP-1",
        ), method
    refusal = await desk.refusal("MergeTickets", ticket=into.id, into=ticket.id)
    assert (refusal.code, refusal.reason) == (STATE, "TICKET_MERGED")


async def test_of_two_who_merge_crosswise_one_wins(desk: Desk) -> None:
    into, ticket = await two(desk)
    pairs = ((ticket.id, into.id), (into.id, ticket.id))
    calls = (desk.call("MergeTickets", ticket=one, into=other) for one, other in pairs)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in refused] == [STATE]
    pointers = [(await desk.ticket(each)).merged_into_key for each in (into.id, ticket.id)]
    assert sorted(pointers)[0] == ""
    assert sorted(pointers)[1] in ("SUP-1", "SUP-2")


async def test_mail_that_arrives_while_tickets_merge_is_in_the_one_that_goes_on(desk: Desk) -> None:
    into, ticket = await two(desk)
    letters = [an_inbound(conversation_id="two", reply_text=f"More {number}") for number in range(8)]

    async def write() -> None:
        for letter in letters:
            await desk.tell(intake_events.MessageReceived(message=letter), key=letter.id)

    await asyncio.gather(write(), desk.call("MergeTickets", ticket=ticket.id, into=into.id))

    async def all_there() -> bool:
        return len([each for each in await desk.messages(into.id) if each.text.startswith("More")]) == 8

    await eventually(all_there)
    assert await desk.messages(ticket.id) == []
    assert (await desk.call("ListTickets")).total_size == 2
    now = await desk.ticket(into.id)
    assert now.message_count == len(await desk.messages(into.id))


async def test_a_merge_with_one_request_id_is_done_once(desk: Desk) -> None:
    into, ticket = await two(desk)
    request = {"ticket": ticket.id, "into": into.id, "request_id": "merge-them"}
    assert await desk.call("MergeTickets", **request) == await desk.call("MergeTickets", **request)


async def test_what_hangs_on_a_ticket_goes_over_with_it(desk: Desk) -> None:
    """Drafts, links, tasks and votes; a link that would close a circle is left behind."""
    into, ticket = await two(desk)
    third = await desk.create()
    for one in (into, ticket):
        await desk.call("SaveDraft", ticket=one.id, text=f"Draft of {one.key}")
    await desk.call("LinkTickets", ticket=into.id, other=third.id, kind=2)
    await desk.call("LinkTickets", ticket=third.id, other=ticket.id, kind=2)
    await desk.call("LinkTickets", ticket=ticket.id, other=third.id, kind=1)
    await desk.call("PutExternalLink", ticket=ticket.id, url="https://t.example.com/1", kind=2)
    await desk.call("MergeTickets", ticket=ticket.id, into=into.id)
    (draft,) = (await desk.call("ListDrafts", ticket=into.id)).drafts
    assert draft.text == "Draft of SUP-1\n\nDraft of SUP-2"
    links = (await desk.call("ListLinks", ticket=into.id)).links
    assert [(each.kind, each.ticket_key) for each in links] == [(1, "SUP-3"), (2, "SUP-3"), (5, "SUP-2")]
    answer = await desk.call("SetTaskState", url="https://t.example.com/1", state=3)
    assert (answer.resolved, (await desk.ticket(into.id)).status) == (1, "resolved")


async def test_what_must_not_be_merged_is_refused_and_stays(desk: Desk) -> None:
    into, ticket = await two(desk)
    stranger = await desk.create(contact=a_contact("other@client.example"))
    over = await desk.create(contact=a_contact())
    await desk.call("ResolveTicket", ticket=over.id)
    bad: list[tuple[dict[str, Any], grpc.StatusCode, str, list[str]]] = [
        ({"into": ticket.key}, BAD, "INVALID_INPUT", ["into"]),
        ({"into": "SUP-99"}, MISSING, "TICKET_NOT_FOUND", ["into"]),
        ({"into": "?"}, BAD, "INVALID_INPUT", ["into"]),
        ({"into": stranger.id}, STATE, "OTHER_CUSTOMER", []),
        ({"into": over.id}, STATE, "TICKET_CLOSED", []),
        ({"into": into.id, "version": 9}, grpc.StatusCode.ABORTED, "STALE_VERSION", []),
    ]
    for fields, code, reason, where in bad:
        refusal = await desk.refusal("MergeTickets", ticket=ticket.id, **fields)
        assert (refusal.code, refusal.reason, refusal.fields) == (code, reason, where), fields
    assert await desk.ticket(ticket.id) == ticket


async def test_colleagues_of_one_organisation_may_be_merged(desk: Desk) -> None:
    into = await desk.receive(conversation_id="one")
    ticket = await desk.receive(conversation_id="two", sender=_party("lee@client.example", "Lee"))
    for one in (into, ticket):
        await desk.call("UpdateCustomer", customer_id=one.customer.id, organisation="Acme")
    answer = await desk.call("MergeTickets", ticket=ticket.id, into=into.id)
    people = [(each.address, each.name, each.wrote) for each in answer.ticket.participants]
    assert people == [("lee@client.example", "Lee", True)]
    assert list(answer.ticket.conversation_ids) == ["two", "one"]


async def test_messages_that_are_split_off_become_a_ticket_with_a_life_of_its_own(desk: Desk) -> None:
    ticket = await desk.receive(conversation_id="one")
    await mail(desk, "one", reply_text="By the way, the door is stuck.")
    await desk.watch.next(events_pb2.CustomerReplied)
    await desk.call("ReplyToTicket", ticket=ticket.id, text="Which door?")
    _, second, reply = await desk.messages(ticket.id)
    answer = await desk.call("SplitTicket", ticket=ticket.id, message_ids=[reply.id, second.id])
    old, new = answer.ticket, answer.created
    assert (new.key, new.subject, new.origin) == ("SUP-2", "By the way, the door is stuck.", "split")
    assert (new.customer, new.created_time) == (old.customer, second.created_time)
    assert kinds(new) == ["created", "customer_messages", "staff_replies"]
    assert new.timeline.facts[2].staff_replies.agent_id == "anna"
    assert (old.message_count, new.message_count) == (1, 2)
    assert [each.id for each in await desk.messages(new.id)] == [second.id, reply.id]
    opened = await desk.watch.next(events_pb2.TicketOpened)
    assert (opened.ticket, opened.message.id, opened.from_robot) == (new, second.id, True)
    links = (await desk.call("ListLinks", ticket=old.id)).links
    assert [(each.kind, each.ticket_key) for each in links] == [(1, "SUP-2")]
    # The thread stays with the old ticket; the new one has one of its own, by which its answers come.
    assert list(old.conversation_ids) == ["one"]
    assert list(new.conversation_ids) not in ([], ["one"])
    await mail(desk, new.conversation_ids[0])
    assert (await desk.watch.next(events_pb2.CustomerReplied)).ticket.id == new.id


async def test_a_conversation_goes_with_all_its_messages(desk: Desk) -> None:
    """What had joined by mistake is taken apart again."""
    ticket = await desk.receive(conversation_id="one")
    await mail(desk, "two", nudge=True, reply_text="Any news of my invoice?")
    joined = await desk.watch.next(events_pb2.CustomerReplied)
    answer = await desk.call(
        "SplitTicket", ticket=ticket.id, message_ids=[joined.message.id], subject="Invoice"
    )
    assert (list(answer.ticket.conversation_ids), list(answer.created.conversation_ids)) == (["one"], ["two"])
    await mail(desk, "two")
    assert (await desk.watch.next(events_pb2.CustomerReplied)).ticket.subject == "Invoice"


async def test_what_cannot_be_split_is_refused_and_stays(desk: Desk) -> None:
    ticket = await desk.receive(conversation_id="one")
    other = await desk.create(contact=a_contact("lee@client.example"))
    await desk.call("AddNote", ticket=ticket.id, text="Odd")
    question, note = [each.id for each in await desk.messages(ticket.id)]
    (foreign,) = [each.id for each in await desk.messages(other.id)]
    bad: list[tuple[list[str], list[str]]] = [
        ([], ["message_ids"]),
        (["x"], ["message_ids[0]"]),
        ([question, foreign], ["message_ids[1]"]),
        ([note], ["message_ids"]),
        ([question, note], ["message_ids"]),
        ([question, question], ["message_ids"]),
    ]
    for ids, where in bad:
        refusal = await desk.refusal("SplitTicket", ticket=ticket.id, message_ids=ids)
        assert (refusal.code, refusal.fields) == (BAD, where), ids
    assert (await desk.ticket(ticket.id)).version == 2
    assert (await desk.call("ListTickets")).total_size == 2


async def test_a_moved_ticket_is_found_by_both_keys(desk: Desk) -> None:
    await desk.call(
        "PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="BILL", name="Bills", last_line=common.LINE_L2)
    )
    ticket = await desk.receive(conversation_id="one")
    await desk.create(queue="BILL")
    await desk.call("TakeTicket", ticket=ticket.id)
    await desk.call("EscalateTicket", ticket=ticket.id, reason=1, to_line=common.LINE_L3)
    moved = (await desk.call("MoveTicket", ticket=ticket.key, queue="BILL")).ticket
    assert (moved.id, moved.key, moved.queue) == (ticket.id, "BILL-2", "BILL")
    assert (moved.line, moved.HasField("escalation")) == (common.LINE_L2, False)
    for key in ("SUP-1", "BILL-2", "bill-2"):
        assert (await desk.ticket(key)).id == ticket.id
    event = await desk.watch.next(events_pb2.TicketUpdated)
    assert "queue" in event.changed
    assert [name for fact in event.ticket.timeline.facts for name in fact.attributes_changed.names] == [
        "queue"
    ]
    assert "SUP-1" in (await desk.messages(ticket.id))[-1].text
    await mail(desk, "one")
    assert (await desk.watch.next(events_pb2.CustomerReplied)).ticket.key == "BILL-2"
    assert (await desk.create()).key == "SUP-2"
    back = (await desk.call("MoveTicket", ticket="BILL-2", queue="SUP")).ticket
    assert back.key == "SUP-1"
    assert (await desk.ticket("BILL-2")).id == ticket.id


async def test_fields_that_the_other_queue_does_not_know_are_kept_in_words(desk: Desk) -> None:
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="BILL", name="Bills"))
    for queue, keys in (("SUP", ("city", "sum")), ("BILL", ("sum",))):
        setup = (await desk.call("GetSetup", "lead:olga", queue=queue)).setup
        setup.queue = queue
        for key in keys:
            setup.fields.add(key=key, type=fields_pb2.FIELD_TYPE_TEXT).name.en = key
        await desk.call("PutSetup", "lead:olga", setup=setup)
    text = {key: ticket_pb2.FieldValue(text=f"{key} of it") for key in ("city", "sum")}
    ticket = await desk.create(fields=text)
    moved = (await desk.call("MoveTicket", ticket=ticket.id, queue="BILL")).ticket
    assert {key: value.text for key, value in moved.fields.items()} == {"sum": "sum of it"}
    assert (await desk.messages(ticket.id))[-1].text == "Moved here; it was SUP-1.\ncity: city of it"


async def test_who_does_not_work_in_the_other_queue_gives_the_ticket_back(desk: Desk) -> None:
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="BILL", name="Bills"))
    agent = ticket_pb2.Agent(id="boris", name="Boris", queues=["SUP"], active=True)
    await desk.call("PutAgent", "admin:demo", agent=agent)
    for who, kept in (("boris", ("", "new")), ("anna", ("anna", "in_progress"))):
        ticket = await desk.create()
        await desk.call("TakeTicket", f"agent:{who}", ticket=ticket.id)
        moved = (await desk.call("MoveTicket", ticket=ticket.id, queue="BILL")).ticket
        assert (moved.assignee, moved.status) == kept


async def test_a_ticket_does_not_move_to_where_it_is_or_to_nowhere(desk: Desk) -> None:
    ticket = await desk.create()
    for queue, code, where in (("SUP", BAD, ["queue"]), ("NONE", MISSING, []), ("", BAD, ["queue"])):
        refusal = await desk.refusal("MoveTicket", ticket=ticket.id, queue=queue)
        assert (refusal.code, refusal.fields) == (code, where), queue
    assert await desk.ticket(ticket.id) == ticket


async def test_two_who_move_a_ticket_at_once_leave_it_with_one_key(desk: Desk) -> None:
    for key in ("BILL", "SALE"):
        await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key=key, name=key))
    ticket = await desk.create()
    await asyncio.gather(*(desk.call("MoveTicket", ticket=ticket.id, queue=key) for key in ("BILL", "SALE")))
    now = await desk.ticket(ticket.id)
    assert {(await desk.ticket(key)).id for key in ("SUP-1", "BILL-1", "SALE-1")} == {ticket.id}
    assert now.key in ("BILL-1", "SALE-1")


def _party(address: str, name: str) -> Any:
    return an_inbound().sender.__class__(address=address, name=name)


async def test_a_ticket_that_is_split_off_begins_by_the_workflow_of_its_queue(desk: Desk) -> None:
    """MP-03: with a status that its queue has."""
    await desk.call("CreateQueue", "admin:demo", key="BOARD", name="Board", template="kaiten")
    ticket = await desk.create(queue="BOARD")
    await desk.call("TakeTicket", ticket=ticket.id)
    await desk.call("ReplyToTicket", ticket=ticket.id, text="Which one?")
    first, _ = await desk.messages(ticket.id)
    new = (await desk.call("SplitTicket", ticket=ticket.id, message_ids=[first.id])).created
    assert (new.queue, new.status) == ("BOARD", "queue")
    assert (await desk.call("TakeTicket", ticket=new.id)).ticket.status == "doing"
