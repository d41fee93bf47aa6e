"""Searching: what is found, in which order, page by page, and what is refused."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.clock import utcnow
from chassis.testing import eventually
from services.tickets.tests.builders import Desk, a_contact, furnish, set_up
from services.tickets.tests.component.test_flow import of_calls, statements
from services.tickets.tests.conftest import Start
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.tickets.v1 import ticket_pb2
from tickets.domain.statuses import LINES
from tickets.store.catalog import PARTS
from tickets.store.setup import REMEMBERED

BAD, COSTLY = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED


async def found(desk: Desk, query: str, who: str = "agent:anna", **fields: Any) -> list[str]:
    """Keys of the tickets that a query finds."""
    answer = await desk.call("SearchTickets", who, query=query, **fields)
    return [ticket.key for ticket in answer.tickets]


async def clock(desk: Desk, ticket: ticket_pb2.Ticket, name: str, minutes: int, **fields: Any) -> None:
    """What sla-clock tells of a running clock that is due in so many minutes."""
    now = utcnow()
    due, as_of = Timestamp(), Timestamp()
    due.FromDatetime(now + timedelta(minutes=minutes))
    as_of.FromDatetime(now)
    told = clock_pb2.Clock(
        name=name, cycle=1, state=clock_pb2.CLOCK_STATE_RUNNING, due_time=due, as_of_time=as_of
    )
    told.MergeFrom(clock_pb2.Clock(**fields))
    reference = clock_pb2.TicketRef(id=ticket.id, key=ticket.key, version=ticket.version)
    await desk.tell(sla.ClockStarted(ticket=reference, clock=told), key=ticket.id)

    async def noted() -> bool:
        clocks = (await desk.ticket(ticket.id)).sla.clocks
        return any(each.clock == name and each.due_time == due for each in clocks)

    await eventually(noted)


@pytest.fixture
async def tickets(desk: Desk) -> dict[str, ticket_pb2.Ticket]:
    """Three tickets: SUP-1 of anna, SUP-2 on the second line, SUP-3; nobody has taken the last two."""
    one = await desk.create(subject="Принтер не печатает", tags=["fire", "paper"], category="tech/printer")
    two = await desk.create(
        subject="Invoice is wrong",
        text="The sum of invoice 77 differs.",
        category="payment",
        priority=common.PRIORITY_HIGH,
        type=ticket_pb2.TICKET_TYPE_COMPLAINT,
        contact=a_contact("kim@client.example"),
        customer_name="Ким Иванова",
        customer_number="K-7",
        origin="crm",
    )
    three = await desk.create(subject="How to pay", parent_ticket=two.key)
    await desk.call("TakeTicket", "agent:anna", ticket=one.id)
    await desk.call("TakeTicket", "agent:boris", ticket=two.id)
    await desk.call("EscalateTicket", "agent:boris", ticket=two.id, reason=1)
    return {each.key: each for each in (one, two, three)}


QUERIES = {
    "": ["SUP-3", "SUP-2", "SUP-1"],
    "ORDER BY Key": ["SUP-1", "SUP-2", "SUP-3"],
    "Queue: SUP AND Assignee: me() AND Resolution: empty() AND Created: >= today() - 30d": ["SUP-1"],
    "Assignee: unassigned()": ["SUP-2", "SUP-3"],
    "NOT Assignee: unassigned()": ["SUP-1"],
    "Assignee: anna, boris": ["SUP-1"],
    "ORDER BY Assignee DESC, Key": ["SUP-1", "SUP-2", "SUP-3"],
    "Исполнитель: anna ИЛИ Линия: L2 УПОРЯДОЧИТЬ ПО Приоритет ПО УБЫВАНИЮ, Ключ": ["SUP-2", "SUP-1"],
    "Status: escalated, new ORDER BY Status": ["SUP-3", "SUP-2"],
    '"Status kind": open': ["SUP-1"],
    "Status: != new AND NOT Status: escalated": ["SUP-1"],
    "Line: > L1": ["SUP-2"],
    "Priority: normal..high ORDER BY Priority DESC, Created": ["SUP-2", "SUP-1", "SUP-3"],
    "Type: complaint": ["SUP-2"],
    "Category: tech": ["SUP-1"],
    "Category: tech/printer, payment ORDER BY Key": ["SUP-1", "SUP-2"],
    "Category: tech/other": [],
    "Category: empty()": ["SUP-3"],
    "Tag: paper, none": ["SUP-1"],
    "Tag: empty() ORDER BY Key": ["SUP-2", "SUP-3"],
    "Origin: crm AND Cabinet: K-7": ["SUP-2"],
    "Customer: иванова": ["SUP-2"],
    "Customer: kim@client.example": ["SUP-2"],
    'Customer: "100%"': [],
    "Tier: standard ORDER BY Key": ["SUP-1", "SUP-2", "SUP-3"],
    "Organisation: empty() ORDER BY Key": ["SUP-1", "SUP-2", "SUP-3"],
    "Channel: email AND Key: SUP-2, SUP-9": ["SUP-2"],
    "Parent: SUP-2": ["SUP-3"],
    "Parent: empty() ORDER BY Key": ["SUP-1", "SUP-2"],
    "Escalation: by_agent": ["SUP-2"],
    "Escalation: empty() ORDER BY Key": ["SUP-1", "SUP-3"],
    "CSAT: empty() AND Messages: 1 AND Cycle: 1 ORDER BY Messages, Key": ["SUP-1", "SUP-2", "SUP-3"],
    "Observer: olga": ["SUP-1", "SUP-2"],
    "Observer: empty()": ["SUP-3"],
    "Resolved: empty() AND Resolved: < now()": [],
    "NOT Resolved: < now() ORDER BY Resolved DESC, Key": ["SUP-1", "SUP-2", "SUP-3"],
    '"принтеры печатают"': ["SUP-1"],
    'Text: "invoices burns"': [],
    'Text: "wrong sums"': ["SUP-2"],
    "Subject: invoice": ["SUP-2"],
    "Subject: sum": [],
}


async def test_a_query_finds_what_it_says(desk: Desk, tickets: dict[str, ticket_pb2.Ticket]) -> None:
    """YT-30, YT-21, YT-32, MP-10: one language for every list."""
    wrong = {}
    for query, expected in QUERIES.items():
        keys = await found(desk, query)
        if (keys if "ORDER" in query or "УПОР" in query or not query else sorted(keys)) != expected:
            wrong[query] = keys
    assert wrong == {}


async def test_a_row_shows_what_a_list_needs(desk: Desk, tickets: dict[str, ticket_pb2.Ticket]) -> None:
    """YT-31: a list with a column of the SLA timer."""
    await clock(desk, tickets["SUP-2"], "resolution", 60)
    row = (await desk.call("SearchTickets", query="Key: SUP-2")).tickets[0]
    whole = await desk.ticket("SUP-2")
    for name in (
        "id",
        "key",
        "version",
        "queue",
        "subject",
        "type",
        "category",
        "priority",
        "status",
        "line",
    ):
        assert getattr(row, name) == getattr(whole, name), name
    for name in (
        "status_kind",
        "assignee",
        "channel",
        "tags",
        "message_count",
        "created_time",
        "updated_time",
        "sla",
    ):
        assert getattr(row, name) == getattr(whole, name), name
    assert (row.customer_id, row.customer_name) == (whole.customer.id, "Ким Иванова")
    assert row.due_time == whole.sla.clocks[0].due_time


async def test_what_is_due_first_stands_first_and_what_is_never_due_last(
    desk: Desk, tickets: dict[str, ticket_pb2.Ticket]
) -> None:
    """YT-31, YT-32: mine, open, by remaining SLA."""
    await clock(desk, tickets["SUP-3"], "first_response", -5, breached=True)
    await clock(desk, tickets["SUP-1"], "resolution", 90)
    await clock(desk, tickets["SUP-1"], "first_response", 30)
    assert await found(desk, "ORDER BY Due") == ["SUP-3", "SUP-1", "SUP-2"]
    assert await found(desk, "ORDER BY Due DESC") == ["SUP-1", "SUP-3", "SUP-2"]
    assert await found(desk, "Due: < now() + 1h ORDER BY Due") == ["SUP-3", "SUP-1"]
    assert await found(desk, "Due: > now()") == ["SUP-1"]
    assert await found(desk, "Due: empty()") == ["SUP-2"]
    assert await found(desk, "SLA.first_response: breached") == ["SUP-3"]
    assert await found(desk, "SLA.resolution: > now() + 1h") == ["SUP-1"]
    assert await found(desk, "SLA: running AND NOT SLA: breached") == ["SUP-1"]
    assert await found(desk, "SLA.resolution: empty() ORDER BY Key") == ["SUP-2", "SUP-3"]
    await clock(desk, tickets["SUP-1"], "first_response", 30, state=clock_pb2.CLOCK_STATE_MET)
    row = (await desk.call("SearchTickets", query="Key: SUP-1")).tickets[0]
    assert row.due_time == next(each.due_time for each in row.sla.clocks if each.clock == "resolution")


@pytest.mark.parametrize(
    "order",
    [
        "",
        "ORDER BY Due",
        "ORDER BY Due DESC",
        "ORDER BY Assignee, Created DESC",
        "ORDER BY Resolved, Priority DESC",
    ],
)
async def test_pages_give_each_ticket_once_in_every_order(desk: Desk, order: str) -> None:
    for number in range(7):
        ticket = await desk.create(subject=f"ticket {number}")
        if number % 3 == 0:
            await desk.call("TakeTicket", "agent:anna" if number else "agent:boris", ticket=ticket.id)
        if number % 4 == 0:
            await clock(desk, ticket, "resolution", 10 * number)
        if number == 3:
            await desk.call("ResolveTicket", "agent:anna", ticket=ticket.id)
    whole = [ticket.key for ticket in (await desk.call("SearchTickets", query=order)).tickets]
    assert len(whole) == 7
    keys: list[str] = []
    token = ""
    while True:
        answer = await desk.call("SearchTickets", query=order, page_size=2, page_token=token)
        assert answer.total_size == (0 if token else 7)
        keys += [ticket.key for ticket in answer.tickets]
        token = answer.next_page_token
        if not token:
            break
    assert keys == whole


async def test_a_token_is_good_for_its_query_only(desk: Desk, tickets: dict[str, ticket_pb2.Ticket]) -> None:
    token = (await desk.call("SearchTickets", query="Queue: SUP", page_size=1)).next_page_token
    for query, given, zone in (
        ("", token, ""),
        ("Queue: SUP", "nonsense", ""),
        ("Queue: SUP", token, "Asia/Tokyo"),
    ):
        refusal = await desk.refusal("SearchTickets", query=query, page_token=given, timezone=zone)
        assert (refusal.code, refusal.reason, refusal.fields) == (BAD, "PAGE_TOKEN_INVALID", ["page_token"])


async def test_misspelt_words_are_understood_and_it_is_said(
    desk: Desk, tickets: dict[str, ticket_pb2.Ticket]
) -> None:
    """CA-29, MP-10: typos, and words typed in the other layout."""
    for words in ("принтир", "ghbynth", "Принтре"):
        answer = await desk.call("SearchTickets", query=f'Queue: SUP AND "{words}"')
        assert [ticket.key for ticket in answer.tickets] == ["SUP-1"], words
        assert answer.corrected_query == "Queue: SUP AND Text: принтер"
    assert await found(desk, "Customer: иваново") == ["SUP-2"]
    answer = await desk.call("SearchTickets", query='"qwertyuiopasdf"')
    assert (list(answer.tickets), answer.corrected_query) == ([], "")


async def test_new_messages_are_found_and_notes_by_staff_only(
    desk: Desk, tickets: dict[str, ticket_pb2.Ticket]
) -> None:
    """Internal notes never leave by a search."""
    await desk.call("ReplyToTicket", "agent:anna", ticket="SUP-1", text="Проверьте картридж")
    await desk.call("AddNote", "agent:anna", ticket="SUP-1", text="Клиент скандалист")
    assert (
        await found(desk, '"картриджи"') == await found(desk, '"картриджи"', "service:sla-clock") == ["SUP-1"]
    )
    for who in ("agent:anna", "lead:olga", "admin:demo"):
        assert await found(desk, '"скандалист картридж"', who) == ["SUP-1"]
    for query in ('"скандалист"', '"скандалист картридж"', 'NOT Text: "картридж" AND "скандалист"'):
        assert await found(desk, query, "service:sla-clock") == []
    others = await found(desk, 'NOT Text: "скандалист"', "service:sla-clock")
    assert sorted(others) == ["SUP-1", "SUP-2", "SUP-3"]


async def test_another_subject_is_found_and_the_old_one_is_not(
    desk: Desk, tickets: dict[str, ticket_pb2.Ticket]
) -> None:
    await desk.call("AddNote", "agent:anna", ticket="SUP-1", text="Уже ремонтировали")
    await desk.call("UpdateTicket", "agent:anna", ticket="SUP-1", subject="Сканер гудит")
    assert await found(desk, '"сканер ремонтировали burns"') == ["SUP-1"]
    assert await found(desk, '"сконер"') == ["SUP-1"]
    assert await found(desk, "Subject: принтер") == []


async def test_me_is_the_agent_who_asks_or_is_named(
    desk: Desk, tickets: dict[str, ticket_pb2.Ticket]
) -> None:
    assert await found(desk, "Assignee: me()", "agent:boris") == []
    assert await found(desk, "Assignee: me()", "agent:anna") == ["SUP-1"]
    assert await found(desk, "Assignee: me()", "admin:demo", agent_id="anna") == ["SUP-1"]
    refusal = await desk.refusal("SearchTickets", "agent:boris", query="Assignee: me()", agent_id="anna")
    assert refusal.reason == "AGENT_ID_NOT_YOURS"
    refusal = await desk.refusal("SearchTickets", "admin:demo", query="Assignee: me()")
    assert (refusal.code, refusal.reason, refusal.fields) == (BAD, "QUERY_INVALID", ["query"])


async def test_days_begin_in_the_zone_that_is_named(
    desk: Desk, tickets: dict[str, ticket_pb2.Ticket]
) -> None:
    assert len(await found(desk, "Created: today()", timezone="Pacific/Auckland")) == 3
    refusal = await desk.refusal("SearchTickets", timezone="Mars/Olympus")
    assert (refusal.code, refusal.fields) == (BAD, ["timezone"])


async def test_a_bad_query_is_refused_with_a_caret(desk: Desk) -> None:
    refusal = await desk.refusal("SearchTickets", query="Queue: SUP AND Asignee: me() AND x: y")
    assert (refusal.code, refusal.reason, refusal.fields) == (BAD, "QUERY_INVALID", ["query", "query"])
    assert refusal.metadata == {"line": "1", "column": "16"}
    assert refusal.message.startswith(
        'line 1, column 16: unknown field "Asignee", did you mean "Assignee"?\n'
        "  Queue: SUP AND Asignee: me() AND x: y\n                 ^^^^^^^\nline 1, column 34: "
    )
    for fields, where in (
        ({"page_size": 201}, "page_size"),
        ({"query": "x" * 16_001}, "query"),
        ({"query": "\0"}, "query"),
    ):
        assert (await desk.refusal("SearchTickets", **fields)).fields == [where]
    refusal = await desk.refusal("SearchTickets", query="x" * 4001)
    assert (refusal.code, refusal.reason) == (BAD, "QUERY_TOO_COSTLY")


async def test_a_search_that_takes_too_long_is_ended(start: Start) -> None:
    desk = await start(search_seconds=0.3)
    await furnish(desk)
    async with desk.db.tx() as tx:
        # A table that answers slowly: whoever reads it waits for what this transaction holds.
        await tx.execute(sa.text("lock table ticket in access exclusive mode"))
        refusal = await desk.refusal("SearchTickets")
    assert (refusal.code, refusal.reason) == (COSTLY, "QUERY_TOO_COSTLY")
    assert await found(desk, "") == []


async def test_a_list_takes_at_most_four_statements(
    desk: Desk, tickets: dict[str, ticket_pb2.Ticket]
) -> None:
    """A page of a list: at most four statements, whatever is asked."""
    again = [
        await desk.create(subject="Принтер", contact=a_contact(f"{each}@client.example")) for each in "ab"
    ]
    for query, size, keys in (
        ("", 1, 1),
        ("Queue: SUP ORDER BY Due", 2, 2),
        ('"принтир"', 1, 1),
        ('Status: new AND "принтир"', 1, 1),
        ('Status: new AND "принтир"', 50, 2),
        ('"nowhere"', 50, 0),
        ('Status: new AND "принтер"', 2, 2),
    ):
        with statements() as seen:
            assert len(await found(desk, query, page_size=size)) == keys, query
        assert 1 <= len(of_calls(seen)) <= 4, query
    answer = await desk.call("SearchTickets", query='Status: new AND "принтир"', page_size=1)
    assert (answer.total_size, answer.tickets[0].id) == (2, again[-1].id)


async def test_a_query_is_checked_and_completed(desk: Desk) -> None:
    answer = await desk.call("CheckQuery", query="Очередь: SUP и status: new", cursor=0)
    assert (list(answer.faults), answer.normal) == ([], "Очередь: SUP AND status: new")
    answer = await desk.call("CheckQuery", query="Queue: SUP\nAND Stauts: new")
    assert (answer.normal, len(answer.suggestions)) == ("", 0)
    fault = answer.faults[0]
    assert (fault.line, fault.column, fault.start, fault.end) == (2, 5, 15, 21)
    assert fault.message == 'unknown field "Stauts", did you mean "Status"?'
    answer = await desk.call("CheckQuery", query="Assignee: b", cursor=11)
    assert (answer.start, [(each.text, each.description) for each in answer.suggestions]) == (
        10,
        [("boris", "Boris")],
    )
    answer = await desk.call("CheckQuery", query="Queue: ", cursor=7)
    assert [(each.text, each.description) for each in answer.suggestions] == [("SUP", "Support")]
    answer = await desk.call("CheckQuery", query="Assignee: me()")
    assert list(answer.faults) == []


async def test_tickets_are_counted_by_two_fields_with_sums(
    desk: Desk, tickets: dict[str, ticket_pb2.Ticket]
) -> None:
    """YT-33: rows are assignees, columns statuses, sums on both axes; YT-35: by topic."""
    answer = await desk.call(
        "CountTickets", query="Created: >= today() - 30d", group_by="Assignee", split_by="Status"
    )
    cells = {(cell.group, cell.split): cell.count for cell in answer.cells}
    assert cells == {("anna", "in_progress"): 1, ("", "new"): 1, ("", "escalated"): 1}
    assert {cell.group: cell.count for cell in answer.groups} == {"": 2, "anna": 1}
    assert [cell.split for cell in answer.splits] == ["new", "in_progress", "escalated"]
    assert (answer.total, answer.truncated) == (3, False)
    answer = await desk.call("CountTickets", query="", group_by="Tag")
    assert {cell.group: cell.count for cell in answer.groups} == {"": 2, "fire": 1, "paper": 1}
    assert answer.total == 3
    answer = await desk.call("CountTickets", query="", group_by="Created", timezone="Europe/Moscow")
    assert [cell.count for cell in answer.groups] == [3]
    assert (await desk.call("CountTickets", query="Line: L2")).total == 1
    refusal = await desk.refusal("CountTickets", group_by="Assignee", split_by="Text")
    assert (refusal.code, refusal.reason, refusal.fields) == (BAD, "FIELD_NOT_GROUPED", ["split_by"])


async def test_queries_work_when_more_setups_are_known_than_are_remembered(desk: Desk) -> None:
    """A queue whose setup is forgotten while another one is read is read again."""
    await set_up(desk, fields=[{"key": "asked", "name": {"en": "Asked"}, "type": "FIELD_TYPE_TEXT"}])
    fill(REMEMBERED)
    assert await found(desk, "Asked: empty()") == []
    fill(REMEMBERED - 1)
    await desk.call("CreateQueue", "admin:demo", key="AAA", name="First", template="general")
    assert await found(desk, "Asked: empty()") == []


def fill(count: int) -> None:
    """Setups of queues that are no more."""
    for _ in range(count):
        PARTS.keep(str(uuid4()), (LINES, ()))
