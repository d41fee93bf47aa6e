"""Each RPC: what it does, what it refuses and with which code, reason and field."""

import asyncio
from typing import Any

import grpc
import grpc.aio

from services.tickets.tests.builders import COMMANDS, Desk, a_contact, kinds
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import events_pb2, ticket_pb2, timeline_pb2

BAD, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
STATE, STALE = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.ABORTED
TAKEN = grpc.StatusCode.ALREADY_EXISTS
NOBODY = "01900000-0000-7000-8000-000000000000"


async def test_create_makes_ticket_customer_and_event(desk: Desk) -> None:
    """CA-06, YT-36: a CRM creates tickets; the caller is told apart from the customer who asks."""
    ticket = await desk.create(
        who="adapter:crm",
        customer_name="Kim",
        type=ticket_pb2.TICKET_TYPE_INCIDENT,
        category="tech/printer",
        customer_number="77",
        tags=["fire", "fire"],
        origin="crm",
    )
    assert (ticket.key, ticket.status, ticket.version, ticket.cycle) == ("SUP-1", "new", 1, 1)
    assert (ticket.line, ticket.priority) == (common.LINE_L1, common.PRIORITY_NORMAL)
    assert (ticket.customer.name, list(ticket.customer.numbers)) == ("Kim", ["77"])
    assert (list(ticket.tags), ticket.account, ticket.origin) == (["fire"], "help@desk.example", "crm")
    assert kinds(ticket) == ["created", "customer_messages"]
    event = await desk.watch.next(events_pb2.TicketOpened)
    assert (event.ticket, event.actor.id, event.from_robot) == (ticket, "adapter:crm", False)
    assert (event.message.text, event.message.author.kind) == ("It burns.", common.Actor.KIND_CUSTOMER)
    assert await desk.ticket(ticket.key) == ticket


async def test_the_same_contact_is_the_same_customer(desk: Desk) -> None:
    first = await desk.create(contact=a_contact("Kim@Client.example"))
    second = await desk.create(contact=a_contact("kim@client.EXAMPLE"), customer_number="5")
    third = await desk.create(contact=a_contact("42", common.CHANNEL_TELEGRAM))
    assert first.customer.id == second.customer.id != third.customer.id
    assert [first.key, second.key, third.key] == ["SUP-1", "SUP-2", "SUP-3"]
    answer = await desk.call("GetCustomer", customer_id=first.customer.id)
    assert (answer.ticket_count, answer.open_count, list(answer.customer.numbers)) == (2, 2, ["5"])


async def test_at_once_every_ticket_gets_its_own_number_and_one_customer(desk: Desk) -> None:
    """KT-16: many requests in one minute."""
    tickets = await asyncio.gather(*(desk.create() for _ in range(24)))
    assert len({ticket.key for ticket in tickets}) == 24
    assert len({ticket.customer.id for ticket in tickets}) == 1
    assert all(ticket.customer.contacts == tickets[0].customer.contacts for ticket in tickets)


BAD_TICKETS: list[tuple[dict[str, Any], grpc.StatusCode, list[str]]] = [
    ({"queue": "NOPE"}, MISSING, []),
    ({"queue": ""}, BAD, ["queue"]),
    ({"subject": ""}, BAD, ["subject"]),
    ({"text": ""}, BAD, ["text"]),
    ({"text": "x\0y"}, BAD, ["text"]),
    ({"text": "\U0001f525" * 200_000}, BAD, ["text"]),
    ({"contact": None}, BAD, ["contact"]),
    ({"contact": a_contact("nobody")}, BAD, ["contact.address"]),
    ({"contact": a_contact(channel_=0)}, BAD, ["contact.channel"]),
    ({"priority": 99}, BAD, ["priority"]),
    ({"parent_ticket": "SUP-99"}, BAD, ["parent_ticket"]),
    ({"request_id": "short"}, BAD, ["request_id"]),
]


async def test_create_refuses_bad_input_and_keeps_nothing(desk: Desk) -> None:
    good = {"queue": "SUP", "subject": "s", "text": "t", "contact": a_contact()}
    for fields, code, where in BAD_TICKETS:
        refusal = await desk.refusal("CreateTicket", **{**good, **fields})
        assert (refusal.code, refusal.fields) == (code, where), fields
    assert (await desk.call("ListTickets")).total_size == 0


async def test_every_command_refuses_unknown_stale_and_broken_references(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("AddNote", ticket=ticket.id, text="now it is version 2")
    for method, fields in COMMANDS.items():
        for reference, code in ((NOBODY, MISSING), ("SUP-99", MISSING), ("not a key", BAD), ("", BAD)):
            refusal = await desk.refusal(method, ticket=reference, **fields)
            assert refusal.code == code, (method, reference)
            assert refusal.reason == "TICKET_NOT_FOUND" if code == MISSING else refusal.fields == ["ticket"]
        stale = await desk.refusal(method, ticket=ticket.id, version=1, **fields)
        assert (stale.code, stale.reason, stale.metadata["version"]) == (STALE, "STALE_VERSION", "2"), method
    assert (await desk.ticket(ticket.id)).version == 2


async def test_a_request_id_is_good_for_one_request(desk: Desk) -> None:
    ticket = await desk.create()
    first = await desk.call("AddNote", ticket=ticket.id, text="once", request_id="request-1")
    again = await desk.call("AddNote", ticket=ticket.id, text="once", request_id="request-1")
    assert again == first
    assert [each.text for each in await desk.messages(ticket.id)] == ["It burns.", "once"]
    for method, fields in {**COMMANDS, "AddNote": {"text": "other"}}.items():
        refusal = await desk.refusal(method, ticket=ticket.id, request_id="request-1", **fields)
        assert (refusal.code, refusal.reason) == (TAKEN, "REQUEST_ID_REUSED"), method


async def test_of_two_who_take_at_once_exactly_one_has_it(desk: Desk) -> None:
    """CA-06: one responsible."""
    ticket = await desk.create()
    takes = (desk.call("TakeTicket", f"agent:{name}", ticket=ticket.id) for name in ("anna", "boris"))
    results = await asyncio.gather(*takes, return_exceptions=True)
    lost = [each for each in results if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in lost] == [STATE]
    now = await desk.ticket(ticket.id)
    assert (now.status, now.version, now.assignee in ("anna", "boris")) == ("in_progress", 2, True)
    loser = "boris" if now.assignee == "anna" else "anna"
    refusal = await desk.refusal("TakeTicket", f"agent:{loser}", ticket=ticket.id)
    assert (refusal.reason, refusal.metadata) == ("ALREADY_TAKEN", {"assignee": now.assignee})


async def test_taking_again_changes_nothing(desk: Desk) -> None:
    ticket = await desk.create()
    first = await desk.call("TakeTicket", ticket=ticket.id)
    assert (await desk.call("TakeTicket", ticket=ticket.id)).ticket == first.ticket


async def test_assign_gives_takes_back_and_tells_who_had_it(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("AssignTicket", "lead:olga", ticket=ticket.id, assignee="boris")
    back = await desk.call("AssignTicket", ticket=ticket.id, assignee="")
    assert (back.ticket.status, back.ticket.assignee) == ("new", "")
    given = await desk.watch.next(events_pb2.TicketAssigned)
    assert (given.actor.id, given.previous_assignee, given.ticket.assignee) == ("olga", "", "boris")
    assert (await desk.watch.next(events_pb2.TicketAssigned)).previous_assignee == "boris"
    refusal = await desk.refusal("AssignTicket", ticket=ticket.id, assignee="ghost")
    assert (refusal.code, refusal.reason) == (MISSING, "AGENT_NOT_FOUND")


async def test_a_reply_leaves_on_the_customers_channel_and_may_move_the_ticket(desk: Desk) -> None:
    """YT-07, YT-09: To is the author of the mail, From the queue's address."""
    ticket = await desk.receive(conversation_id="abcdefghijklmnop")
    answer = await desk.call("ReplyToTicket", ticket=ticket.id, text="Unplug it.", status="waiting")
    letter = answer.message
    assert (letter.channel, letter.address) == (common.CHANNEL_EMAIL, "client@client.example")
    assert (letter.conversation_id, letter.delivery_state) == ("abcdefghijklmnop", "queued")
    assert (answer.ticket.status, answer.ticket.version, answer.ticket.account) == (
        "waiting",
        3,
        "help@desk.example",
    )
    event = await desk.watch.next(events_pb2.TicketReplied)
    assert (event.message, event.ticket.version, event.actor.name) == (letter, 2, "Anna")
    assert (await desk.watch.next(events_pb2.TicketStatusChanged)).previous_status == "new"


async def test_a_reply_that_cannot_move_the_ticket_is_not_sent(desk: Desk) -> None:
    ticket = await desk.create()
    refusal = await desk.refusal("ReplyToTicket", ticket=ticket.id, text="Hi", status="closed")
    assert (refusal.code, refusal.reason) == (STATE, "TRANSITION_NOT_ALLOWED")
    assert len(await desk.messages(ticket.id)) == 1


async def test_a_line_without_permission_cannot_write_but_can_note(desk: Desk) -> None:
    """CA-04: the third line never talks to the customer."""
    ticket = await desk.create()
    step: dict[str, Any] = {"reason": timeline_pb2.ESCALATION_REASON_SECURITY, "to_line": common.LINE_L3}
    await desk.call("EscalateTicket", ticket=ticket.id, **step)
    refusal = await desk.refusal("ReplyToTicket", "agent:dina", ticket=ticket.id, text="Hello")
    assert (refusal.code, refusal.reason) == (STATE, "LINE_MAY_NOT_REPLY")
    assert refusal.metadata == {"line": "L3", "public_lines": "L1, L2", "remedy": "ReturnTicket"}
    await desk.call("AddNote", "agent:dina", ticket=ticket.id, text="Fixed")


async def test_a_note_stays_inside(desk: Desk) -> None:
    ticket = await desk.create()
    answer = await desk.call("AddNote", ticket=ticket.id, text="secret of the desk")
    assert answer.message.visibility == ticket_pb2.VISIBILITY_INTERNAL
    event = await desk.watch.next(events_pb2.NoteAdded)
    assert event.message_id == answer.message.id
    assert b"secret of the desk" not in event.SerializeToString()


async def test_status_moves_by_hand_and_names_what_is_allowed(desk: Desk) -> None:
    """CA-08."""
    ticket = await desk.create()
    await desk.call("TakeTicket", ticket=ticket.id)
    moved = await desk.call("ChangeTicketStatus", ticket=ticket.id, status="waiting")
    assert moved.ticket.status_kind == timeline_pb2.STATUS_KIND_WAITING
    same = await desk.call("ChangeTicketStatus", ticket=ticket.id, status="waiting")
    assert same.ticket.version == moved.ticket.version
    refusal = await desk.refusal("ChangeTicketStatus", ticket=ticket.id, status="closed")
    assert (refusal.code, refusal.metadata["allowed"]) == (STATE, "in_progress")
    unknown = await desk.refusal("ChangeTicketStatus", ticket=ticket.id, status="parked")
    assert (unknown.code, unknown.fields) == (BAD, ["status"])


async def test_priority_changes_once(desk: Desk) -> None:
    """CP-02."""
    ticket = await desk.create()
    high = await desk.call("PrioritizeTicket", ticket=ticket.id, priority=common.PRIORITY_CRITICAL)
    same = await desk.call("PrioritizeTicket", ticket=ticket.id, priority=common.PRIORITY_CRITICAL)
    assert (high.ticket.version, same.ticket.version) == (2, 2)
    assert list((await desk.watch.next(events_pb2.TicketUpdated)).changed) == ["priority"]
    refusal = await desk.refusal("PrioritizeTicket", ticket=ticket.id)
    assert (refusal.code, refusal.fields) == (BAD, ["priority"])


async def test_an_escalation_is_announced_once_and_ends_when_the_new_line_takes_it(desk: Desk) -> None:
    """CA-18, CA-22: one escalation with a list of reasons."""
    ticket = await desk.create()
    await desk.call("TakeTicket", ticket=ticket.id)
    form = ticket_pb2.EscalationForm(done="restarted", ask="look at the log")
    by_agent = await desk.call("EscalateTicket", ticket=ticket.id, reason=1, form=form)
    assert (by_agent.ticket.status, by_agent.ticket.line) == ("escalated", common.LINE_L2)
    assert (by_agent.ticket.assignee, by_agent.ticket.escalation.form) == ("", form)
    more = await desk.call("EscalateTicket", ticket=ticket.id, reason=10, management=True)
    assert list(more.ticket.escalation.reasons) == [1, 10]
    told = [await desk.watch.next(events_pb2.TicketEscalated) for _ in range(2)]
    assert [(each.reason, each.started) for each in told] == [(1, True), (10, False)]
    refusal = await desk.refusal("TakeTicket", "agent:boris", ticket=ticket.id)
    assert refusal.reason == "NOT_ON_LINE"
    taken = await desk.call("TakeTicket", "agent:dina", ticket=ticket.id)
    assert (taken.ticket.status, taken.ticket.HasField("escalation")) == ("in_progress", False)
    assert "escalation_ended" in kinds(taken.ticket)


async def test_there_is_no_line_after_the_last(desk: Desk) -> None:
    short = ticket_pb2.Queue(key="ONE", name="One line", last_line=common.LINE_L1)
    await desk.call("PutQueue", "admin:demo", queue=short)
    ticket = await desk.create(queue="ONE")
    refusal = await desk.refusal("EscalateTicket", ticket=ticket.id, reason=1)
    assert (refusal.code, refusal.reason) == (STATE, "NO_FURTHER_LINE")
    answer = await desk.call("EscalateTicket", ticket=ticket.id, reason=1, management=True)
    assert (answer.ticket.status, answer.ticket.escalation.management) == ("new", True)


async def test_resolve_close_and_reopen_keep_the_cycles(desk: Desk) -> None:
    """CP-07, CP-10, CP-11."""
    ticket = await desk.create()
    early = await desk.refusal("CloseTicket", ticket=ticket.id)
    assert (early.code, early.reason) == (STATE, "TRANSITION_NOT_ALLOWED")
    resolved = await desk.call("ResolveTicket", ticket=ticket.id, text="All done.")
    assert (resolved.ticket.assignee, resolved.ticket.version) == ("anna", 3)
    assert (await desk.watch.next(events_pb2.TicketReplied)).message.text == "All done."
    closed = await desk.call("CloseTicket", ticket=ticket.id, confirmed=True)
    assert closed.ticket.HasField("closed_time")
    assert (await desk.watch.next(events_pb2.TicketClosed)).confirmed
    reopened = await desk.call("ReopenTicket", ticket=ticket.id)
    assert (reopened.ticket.cycle, reopened.ticket.status) == (2, "in_progress")
    assert kinds(reopened.ticket)[-2:] == ["reopened", "status_changed"]
    assert (await desk.refusal("ReopenTicket", ticket=ticket.id)).reason == "TRANSITION_NOT_ALLOWED"


async def test_a_closed_ticket_takes_only_notes_and_reopening(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("ResolveTicket", ticket=ticket.id)
    await desk.call("CloseTicket", ticket=ticket.id)
    for method in ("TakeTicket", "AssignTicket", "ReplyToTicket", "PrioritizeTicket", "EscalateTicket"):
        refusal = await desk.refusal(method, ticket=ticket.id, **COMMANDS[method])
        assert (refusal.code, refusal.reason) == (STATE, "TICKET_CLOSED"), method
    await desk.call("AddNote", ticket=ticket.id, text="afterthought")


async def test_lists_filter_and_page_without_gap_or_repetition(desk: Desk) -> None:
    """YT-32: mine, unresolved; unassigned to take."""
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="BIL", name="Billing"))
    made = [await desk.create(subject=f"n{i}") for i in range(5)]
    other = await desk.create(queue="BIL", contact=a_contact("lee@client.example"))
    await desk.call("TakeTicket", ticket=made[0].id)
    await desk.call("ResolveTicket", ticket=made[1].id)

    async def keys(**fields: Any) -> list[str]:
        found, token = [], ""
        while True:
            page = await desk.call("ListTickets", page_size=2, page_token=token, **fields)
            found += [each.key for each in page.tickets]
            token = page.next_page_token
            if not token:
                assert page.total_size == len(found)
                return found

    assert await keys() == ["BIL-1", "SUP-5", "SUP-4", "SUP-3", "SUP-2", "SUP-1"]
    assert await keys(queue="SUP", unassigned=True) == ["SUP-5", "SUP-4", "SUP-3"]
    assert await keys(assignee="anna", status_kinds=[1, 2]) == ["SUP-1"]
    assert await keys(customer_id=other.customer.id) == ["BIL-1"]
    assert await keys(line=common.LINE_L2) == []
    assert await keys(created_after=made[4].created_time) == ["BIL-1", "SUP-5"]
    changed = await desk.call("ListTickets", updated_after=made[0].created_time)
    assert [each.key for each in changed.tickets][-2:] == ["SUP-1", "SUP-2"]


async def test_a_page_token_works_only_where_it_was_given(desk: Desk) -> None:
    ticket, *_ = (await desk.create(), await desk.create(), await desk.create())
    token = (await desk.call("ListTickets", page_size=1)).next_page_token
    for fields in ({"queue": "SUP"}, {"unassigned": True}):
        refusal = await desk.refusal("ListTickets", page_token=token, **fields)
        assert (refusal.code, refusal.fields) == (BAD, ["page_token"])
    for broken in ("x", "%%%", token[:-3], token[:-2] + "zz", "é" * 9):
        assert (await desk.refusal("ListTickets", page_token=broken)).fields == ["page_token"]
        assert (await desk.refusal("ListQueues", page_token=broken)).fields == ["page_token"]
        where = {"ticket": ticket.id, "page_token": broken}
        assert (await desk.refusal("ListTicketMessages", **where)).fields == ["page_token"]
    assert (await desk.refusal("ListTickets", page_size=500)).fields == ["page_size"]
    assert (await desk.refusal("ListTickets", customer_id="me")).fields == ["customer_id"]


async def test_messages_come_in_order_over_pages(desk: Desk) -> None:
    ticket = await desk.create()
    for number in range(4):
        await desk.call("AddNote", ticket=ticket.id, text=f"note {number}")
    texts, token = [], ""
    for _ in range(3):
        page = await desk.call("ListTicketMessages", ticket=ticket.key, page_size=2, page_token=token)
        texts += [each.text for each in page.messages]
        token = page.next_page_token
    assert texts == ["It burns.", "note 0", "note 1", "note 2", "note 3"]
    assert token == ""
    assert (await desk.refusal("ListTicketMessages", ticket="SUP-9")).reason == "TICKET_NOT_FOUND"


async def test_versions_of_all_tickets_that_are_not_closed_come_by_id(desk: Desk) -> None:
    """What another service compares its copies with."""
    tickets = [await desk.create(subject=str(number)) for number in range(5)]
    await desk.call("ResolveTicket", ticket=tickets[0].id)
    for _ in range(2):
        await desk.call("ResolveTicket", ticket=tickets[3].id, request_id="resolve-it")
    await desk.call("CloseTicket", ticket=tickets[3].id)
    found: list[tuple[str, int]] = []
    token = ""
    while token or not found:
        page = await desk.call("ListTicketVersions", "service:sla-clock", page_size=2, page_token=token)
        found += [(each.ticket_id, each.version) for each in page.versions]
        token = page.next_page_token
    assert found == sorted([(tickets[0].id, 2), *((tickets[n].id, 1) for n in (1, 2, 4))])
    for broken in ("x", (await desk.call("ListTickets", page_size=1)).next_page_token):
        refusal = await desk.refusal("ListTicketVersions", page_token=broken)
        assert (refusal.code, refusal.fields) == (BAD, ["page_token"])
        assert (refusal.message, refusal.reason) == (
            "page_token must be the next_page_token of the same list with the same filters; "
            "empty is the first page",
            "PAGE_TOKEN_INVALID",
        )
    assert (await desk.refusal("ListTicketVersions", page_size=5001)).fields == ["page_size"]
