"""Links between tickets, and the tasks of other systems that they wait for."""

import asyncio
from typing import Any

import grpc
import pytest

from services.tickets.tests.builders import Desk, a_contact, kinds
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import events_pb2, links_pb2, ticket_pb2

BAD, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
STATE = grpc.StatusCode.FAILED_PRECONDITION
RELATES, BLOCKS, BLOCKED_BY = links_pb2.LINK_KIND_RELATES, links_pb2.LINK_KIND_BLOCKS, 3
PARENT_OF, CHILD_OF = links_pb2.LINK_KIND_PARENT_OF, links_pb2.LINK_KIND_CHILD_OF
DEVELOPMENT, TEST, PAGE = 2, 3, 1
OPEN, IN_PROGRESS, DONE, DROPPED = 1, 2, 3, 4
URL = "https://tracker.example.com/DEV-1"
TESTS = "https://tracker.example.com/QA-1"


async def linked(desk: Desk, ticket: str) -> list[tuple[int, str]]:
    return [(each.kind, each.ticket_key) for each in (await desk.call("ListLinks", ticket=ticket)).links]


async def test_a_link_is_seen_from_both_ends_and_made_once(desk: Desk) -> None:
    """YT-04: the tasks that a solution depends on."""
    one, other = await desk.create(), await desk.create(subject="Roof")
    for ticket, far, kind in ((one, other, BLOCKS), (other, one, BLOCKED_BY), (one, other, RELATES)):
        await desk.call("LinkTickets", ticket=ticket.key, other=far.id, kind=kind)
    assert await linked(desk, one.id) == [(RELATES, "SUP-2"), (BLOCKS, "SUP-2")]
    assert await linked(desk, other.id) == [(RELATES, "SUP-1"), (BLOCKED_BY, "SUP-1")]
    told = [await desk.watch.next(events_pb2.TicketUpdated) for _ in range(4)]
    assert [list(event.changed) for event in told] == [["links"]] * 4
    assert (await desk.ticket(one.id)).version == 3
    await desk.call("UnlinkTickets", ticket=other.id, other=one.key, kind=BLOCKED_BY)
    answer = await desk.call("UnlinkTickets", ticket=other.id, other=one.key, kind=BLOCKED_BY)
    assert (answer.ticket.version, await linked(desk, one.id)) == (4, [(RELATES, "SUP-2")])


async def test_links_come_in_pages(desk: Desk) -> None:
    first, *others = [await desk.create(subject=str(number)) for number in range(4)]
    for other in others:
        await desk.call("LinkTickets", ticket=first.id, other=other.id, kind=BLOCKS)
    page = await desk.call("ListLinks", ticket=first.id, page_size=2)
    rest = await desk.call("ListLinks", ticket=first.id, page_size=2, page_token=page.next_page_token)
    keys = [each.ticket_key for each in [*page.links, *rest.links]]
    assert (keys, rest.next_page_token) == (["SUP-2", "SUP-3", "SUP-4"], "")
    refusal = await desk.refusal("ListLinks", ticket=others[0].id, page_token=page.next_page_token)
    assert refusal.fields == ["page_token"]


BAD_LINKS: list[tuple[dict[str, Any], grpc.StatusCode, list[str]]] = [
    ({"other": "SUP-1"}, BAD, ["other"]),
    ({"other": "SUP-99"}, MISSING, ["other"]),
    ({"other": "what?"}, BAD, ["other"]),
    ({"other": ""}, BAD, ["other"]),
    ({"ticket": "SUP-99"}, MISSING, []),
    ({"kind": 0}, BAD, ["kind"]),
    ({"kind": 77}, BAD, ["kind"]),
    ({"version": 1}, grpc.StatusCode.ABORTED, []),
]


async def test_a_bad_link_is_refused_and_changes_nothing(desk: Desk) -> None:
    ticket, _ = await desk.create(), await desk.create()
    await desk.call("AddNote", ticket=ticket.id, text="now it is version 2")
    for method in ("LinkTickets", "UnlinkTickets"):
        for fields, code, where in BAD_LINKS:
            refusal = await desk.refusal(
                method, **{"ticket": "SUP-1", "other": "SUP-2", "kind": BLOCKS, **fields}
            )
            assert (refusal.code, refusal.fields) == (code, where), (method, fields)
    assert (await desk.ticket(ticket.id)).version == 2
    assert await linked(desk, ticket.id) == []


@pytest.mark.parametrize(
    "kind", [BLOCKS, links_pb2.LINK_KIND_DUPLICATES, PARENT_OF, links_pb2.LINK_KIND_CAUSES]
)
async def test_links_that_lead_back_are_refused(desk: Desk, kind: int) -> None:
    a, b, c = [await desk.create() for _ in range(3)]
    for one, other in ((a, b), (b, c)):
        await desk.call("LinkTickets", ticket=one.id, other=other.id, kind=kind)
    for ticket, other, by in ((c, a, kind), (a, c, kind + 1), (b, a, kind)):
        refusal = await desk.refusal("LinkTickets", ticket=ticket.id, other=other.id, kind=by)
        assert (refusal.code, refusal.reason) == (STATE, "CYCLE_OF_LINKS")
    assert len(await linked(desk, a.id)) == 1
    await desk.call("LinkTickets", ticket=c.id, other=a.id, kind=RELATES)


async def test_four_halves_of_a_circle_at_once_do_not_close_it(desk: Desk) -> None:
    tickets = [await desk.create() for _ in range(4)]
    pairs = zip(tickets, [*tickets[1:], tickets[0]], strict=True)
    calls = (desk.call("LinkTickets", ticket=a.id, other=b.id, kind=BLOCKS) for a, b in pairs)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in refused] == [STATE]


async def test_a_ticket_has_one_parent(desk: Desk) -> None:
    child, one, other = [await desk.create() for _ in range(3)]
    await desk.call("LinkTickets", ticket=child.id, other=one.id, kind=CHILD_OF)
    refusal = await desk.refusal("LinkTickets", ticket=other.id, other=child.id, kind=PARENT_OF)
    assert (refusal.code, refusal.reason) == (STATE, "PARENT_TAKEN")


async def task(desk: Desk, ticket: ticket_pb2.Ticket, url: str = URL, **fields: Any) -> None:
    await desk.call("PutExternalLink", ticket=ticket.id, url=url, **{"kind": DEVELOPMENT, **fields})


async def test_when_all_tasks_are_done_the_customer_is_told_and_the_ticket_resolved(desk: Desk) -> None:
    """MP-02, MP-15, MP-20: told in their language, once, from whatever line it is on."""
    ticket = await desk.receive(language="ru")
    await desk.call("TakeTicket", ticket=ticket.id)
    await desk.call("EscalateTicket", ticket=ticket.id, reason=1, to_line=common.LINE_L3)
    await task(desk, ticket, title="Починить")
    await task(desk, ticket, TESTS, kind=TEST)
    await task(desk, ticket, "https://wiki.example.com/", kind=PAGE)
    for url, state, resolved in ((URL, IN_PROGRESS, 0), (URL, DONE, 0), (TESTS, DONE, 1), (TESTS, DONE, 0)):
        answer = await desk.call("SetTaskState", "adapter:crm", url=url, state=state)
        assert (answer.tickets, answer.resolved) == (1, resolved), (url, state)
    told = await desk.watch.next(events_pb2.TicketReplied)
    assert "SUP-1" in told.message.text
    assert "исправлена" in told.message.text
    assert (told.actor.kind, told.actor.id) == (common.Actor.KIND_ROBOT, "tasks")
    assert (told.message.address, told.message.conversation_id) == (
        "client@client.example",
        ticket.conversation_ids[0],
    )
    now = await desk.ticket(ticket.id)
    assert now.status == "resolved"
    assert kinds(now)[-4:] == ["robot_replies", "escalation_ended", "status_changed", "resolved"]
    assert (await desk.watch.next(events_pb2.TicketResolved)).ticket.version == now.version


async def test_a_wish_is_told_as_delivered(desk: Desk) -> None:
    """MP-20."""
    ticket = await desk.create(type=ticket_pb2.TICKET_TYPE_WISH)
    await task(desk, ticket)
    await desk.call("SetTaskState", "adapter:crm", url=URL, state=DONE)
    assert "wished for" in (await desk.messages(ticket.id))[-1].text


async def test_a_dropped_task_is_waited_for_no_more_but_ends_nothing_alone(desk: Desk) -> None:
    ticket = await desk.create()
    await task(desk, ticket)
    answer = await desk.call("SetTaskState", "agent:anna", url=URL, state=DROPPED)
    assert (answer.resolved, (await desk.ticket(ticket.id)).status) == (0, "new")
    await task(desk, ticket, TESTS, kind=TEST, state=IN_PROGRESS)
    answer = await desk.call("SetTaskState", "service:sla-clock", url=TESTS, state=DONE)
    assert (answer.resolved, (await desk.ticket(ticket.id)).status) == (1, "resolved")


async def test_one_task_resolves_every_ticket_that_waits_for_it(desk: Desk) -> None:
    """MP-16: a common error, and many who met it."""
    tickets = [await desk.create(contact=a_contact(f"{number}@client.example")) for number in range(3)]
    for ticket in tickets:
        await task(desk, ticket)
    await desk.call("ResolveTicket", ticket=tickets[0].id)
    answer = await desk.call("SetTaskState", "adapter:crm", url=URL, state=DONE)
    assert (answer.tickets, answer.resolved) == (3, 2)
    told = [await desk.watch.next(events_pb2.TicketReplied) for _ in range(2)]
    assert {event.ticket.key for event in told} == {"SUP-2", "SUP-3"}


async def test_the_last_two_tasks_that_end_at_once_tell_the_customer_once(desk: Desk) -> None:
    ticket = await desk.create()
    for url, kind in ((URL, DEVELOPMENT), (TESTS, TEST)):
        await task(desk, ticket, url, kind=kind)
    calls = (desk.call("SetTaskState", "adapter:crm", url=url, state=DONE) for url in (URL, TESTS))
    assert sorted([(await each).resolved for each in asyncio.as_completed(list(calls))]) == [0, 1]
    assert [each.author.id for each in await desk.messages(ticket.id)][1:] == ["tasks"]


async def test_pages_and_tasks_are_listed_changed_and_taken_away(desk: Desk) -> None:
    """MP-20: their states are visible meanwhile."""
    ticket = await desk.create()
    await task(desk, ticket, title="Fix")
    before = (await desk.ticket(ticket.id)).version
    await task(desk, ticket, title="Fix", state=OPEN)
    assert (await desk.ticket(ticket.id)).version == before
    await task(desk, ticket, title="Fix it", state=IN_PROGRESS)
    await task(desk, ticket, "HTTPS://docs.example.com/x?y=1", kind=PAGE)
    links = (await desk.call("ListExternalLinks", ticket=ticket.key)).links
    assert [(each.url, each.title, each.kind, each.state) for each in links] == [
        (URL, "Fix it", DEVELOPMENT, IN_PROGRESS),
        ("HTTPS://docs.example.com/x?y=1", "", PAGE, 0),
    ]
    await desk.call("RemoveExternalLink", ticket=ticket.id, url=URL)
    assert len((await desk.call("ListExternalLinks", ticket=ticket.key)).links) == 1
    refusal = await desk.refusal("SetTaskState", "adapter:crm", url=URL, state=DONE)
    assert (refusal.code, refusal.reason) == (MISSING, "TASK_NOT_FOUND")


BAD_TASKS: list[tuple[dict[str, Any], list[str]]] = [
    ({"url": "javascript:alert(1)"}, ["url"]),
    ({"url": "ftp://files.example.com"}, ["url"]),
    ({"url": "https://x y"}, ["url"]),
    ({"url": "https://сайт.example"}, ["url"]),
    ({"url": "https://" + "x" * 2000}, ["url"]),
    ({"title": "x" * 501}, ["title"]),
    ({"kind": 0}, ["kind"]),
    ({"kind": PAGE, "state": DONE}, ["state"]),
    ({"state": 9}, ["state"]),
]


async def test_a_bad_page_or_task_is_refused_and_changes_nothing(desk: Desk) -> None:
    ticket = await desk.create()
    for fields, where in BAD_TASKS:
        good = {"ticket": ticket.id, "url": URL, "kind": DEVELOPMENT}
        refusal = await desk.refusal("PutExternalLink", **{**good, **fields})
        assert (refusal.code, refusal.fields) == (BAD, where), fields
    assert (await desk.refusal("SetTaskState", url=URL, state=0)).fields == ["state"]
    assert (await desk.ticket(ticket.id)).version == 1
