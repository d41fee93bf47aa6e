"""Bulks over RPCs: one action on many tickets, each by itself, none twice."""

import asyncio
from typing import Any
from uuid import uuid4

import grpc
import pytest
import sqlalchemy as sa

from chassis.errors import Unavailable
from chassis.testing import eventually
from services.tickets.tests.builders import Desk, a_contact, furnish, kinds
from services.tickets.tests.component.test_access import contents
from services.tickets.tests.conftest import Start
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import bulk_pb2, events_pb2, ticket_pb2
from tickdesk.tickets.v1.bulk_pb2 import BulkAction
from tickdesk.tickets.v1.bulk_service_pb2 import TicketReferences
from tickets.handlers import bulk
from tickets.store import bulk as bulk_store

BAD, STATE, MISSING = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
)
HIGH = BulkAction(prioritize=bulk_pb2.BulkPrioritize(priority=common.PRIORITY_HIGH))
CLOSE = BulkAction(close=bulk_pb2.BulkClose())
QUICK, SLOW = {"bulk_poll_seconds": 0.05}, {"bulk_poll_seconds": 300}


@pytest.fixture
async def quick(start: Start) -> Desk:
    desk = await start(**QUICK)
    await furnish(desk)
    return desk


@pytest.fixture
async def slow(start: Start) -> Desk:
    """A desk whose background has looked once, so that a test can take the steps itself."""
    desk = await start(**SLOW)
    await furnish(desk)
    return desk


async def create_many(desk: Desk, count: int, **fields: Any) -> list[ticket_pb2.Ticket]:
    calls = (
        desk.create(contact=a_contact(f"kim{number}@client.example"), **fields) for number in range(count)
    )
    return list(await asyncio.gather(*calls))


async def begin(desk: Desk, action: BulkAction, who: str = "agent:anna", **fields: Any) -> bulk_pb2.Bulk:
    found: bulk_pb2.Bulk = (await desk.call("StartBulk", who, action=action, **fields)).bulk
    return found


async def settled(desk: Desk, bulk_id: str, who: str = "agent:anna") -> bulk_pb2.Bulk:
    """The bulk once it does not run any more."""

    async def over() -> bulk_pb2.Bulk | None:
        found: bulk_pb2.Bulk = (await desk.call("GetBulk", who, bulk_id=bulk_id)).bulk
        return found if found.state != bulk_pb2.Bulk.STATE_RUNNING else None

    found = await eventually(over, timeout=60)
    assert found is not None
    return found


async def failures(desk: Desk, bulk_id: str, who: str = "agent:anna") -> list[tuple[str, str, str]]:
    listed = (await desk.call("ListBulkFailures", who, bulk_id=bulk_id)).failures
    return [(each.ticket_key, each.code, each.reason) for each in listed]


async def notes(desk: Desk, ticket: ticket_pb2.Ticket) -> int:
    """How often the bulk wrote its note; the desk may have written others."""
    return [each.text for each in await desk.messages(ticket.id)].count("Odd")


def these(*tickets: ticket_pb2.Ticket) -> TicketReferences:
    return TicketReferences(tickets=[each.key for each in tickets])


async def test_every_ticket_of_a_query_is_changed_and_the_audit_names_the_bulk(quick: Desk) -> None:
    """YT-13."""
    desk = quick
    tickets = await create_many(desk, 12)
    other = await desk.create(subject="Keyboard")
    made = await begin(desk, HIGH, query='Subject: "Printer"')
    assert (made.total, made.dry_run, made.principal) == (12, False, "agent:anna")
    found = await settled(desk, made.id)
    assert (found.state, found.done, found.failed, found.percent) == (
        bulk_pb2.Bulk.STATE_FINISHED,
        12,
        0,
        100,
    )
    assert {(await desk.ticket(each.id)).priority for each in tickets} == {common.PRIORITY_HIGH}
    assert (await desk.ticket(other.id)).priority == common.PRIORITY_NORMAL
    entries = (await desk.call("ListAudit", "lead:olga", ticket=tickets[0].id)).entries
    told = entries[0]
    assert (told.event, told.actor.id, told.principal) == ("TicketUpdated", "anna", "agent:anna")
    assert (told.source, told.request_id) == ("tickdesk.tickets.v1.BulkService/StartBulk", made.id)
    own = [each for each in (await desk.call("ListAudit", "admin:demo")).entries if each.about]
    assert (own[0].about, own[0].event) == (f"bulk/{made.id}", "BulkStarted")
    assert [(each.name, each.new) for each in own[0].changes] == [("action", "prioritize"), ("tickets", "12")]


async def test_a_refused_ticket_is_listed_with_its_remedy_and_spoils_no_other(quick: Desk) -> None:
    """YT-13: partial failure is told with code and reason."""
    desk = quick
    first, second, third = await create_many(desk, 3)
    for each in (first, third):
        await desk.call("ResolveTicket", ticket=each.id)
    made = await begin(desk, CLOSE, list=these(first, second, third))
    found = await settled(desk, made.id)
    assert (found.total, found.done, found.failed) == (3, 2, 1)
    assert await failures(desk, made.id) == [(second.key, "FAILED_PRECONDITION", "TRANSITION_NOT_ALLOWED")]
    listed = (await desk.call("ListBulkFailures", bulk_id=made.id)).failures[0]
    assert "resolved" in listed.message or "closed" in listed.message
    assert [(await desk.ticket(each.id)).status for each in (first, second, third)] == [
        "closed",
        "new",
        "closed",
    ]


async def test_a_refusal_after_the_letter_was_written_leaves_no_letter(quick: Desk) -> None:
    """A unit of work a ticket: what a refused one had done is undone, its event too."""
    desk = quick
    ticket = await desk.create()
    reply = BulkAction(reply=bulk_pb2.BulkReply(text="Hello", status="closed"))
    made = await begin(desk, reply, list=these(ticket))
    await settled(desk, made.id)
    assert [reason for _, _, reason in await failures(desk, made.id)] == ["TRANSITION_NOT_ALLOWED"]
    assert len(await desk.messages(ticket.id)) == 1
    assert desk.watch.of(events_pb2.TicketReplied) == []
    assert (await desk.ticket(ticket.id)).version == ticket.version


async def test_a_bad_value_names_its_field(quick: Desk) -> None:
    desk = quick
    ticket = await desk.create()
    values = {"no_such": ticket_pb2.FieldValue(text="x")}
    made = await begin(desk, BulkAction(update=bulk_pb2.BulkUpdate(set_fields=values)), list=these(ticket))
    await settled(desk, made.id)
    listed = (await desk.call("ListBulkFailures", bulk_id=made.id)).failures
    assert [(each.code, each.field) for each in listed] == [("INVALID_ARGUMENT", "fields.no_such")]


async def test_a_dry_run_tells_the_same_and_changes_nothing(slow: Desk) -> None:
    """YT-13."""
    desk = slow
    first, second = await create_many(desk, 2)
    await desk.call("ResolveTicket", ticket=first.id)
    before = [await desk.ticket(each.id) for each in (first, second)]
    events = (await contents(desk))["outbox"]
    made = await begin(desk, CLOSE, list=these(first, second), dry_run=True)
    while await bulk.advance(desk.db):
        pass
    found = await settled(desk, made.id)
    assert (found.dry_run, found.done, found.failed) == (True, 1, 1)
    assert await failures(desk, made.id) == [(second.key, "FAILED_PRECONDITION", "TRANSITION_NOT_ALLOWED")]
    assert [await desk.ticket(each.id) for each in (first, second)] == before
    assert (await contents(desk))["outbox"] == events


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (BulkAction(status=bulk_pb2.BulkStatus(status="waiting")), {"status": "waiting"}),
        (BulkAction(assign=bulk_pb2.BulkAssign(assignee="boris")), {"assignee": "boris"}),
        (BulkAction(escalate=bulk_pb2.BulkEscalate()), {"line": common.LINE_L2}),
        (BulkAction(update=bulk_pb2.BulkUpdate(add_tags=["fire"])), {"tags": ["fire"]}),
        (BulkAction(note=bulk_pb2.BulkNote(text="Odd")), {"message_count": 2}),
        (BulkAction(reply=bulk_pb2.BulkReply(text="Hi", status="waiting")), {"status": "waiting"}),
        (BulkAction(resolve=bulk_pb2.BulkResolve(text="Done")), {"status": "resolved"}),
        (BulkAction(take=bulk_pb2.BulkTake()), {"assignee": "anna"}),
        (BulkAction(move=bulk_pb2.BulkMove(queue="OTH")), {"queue": "OTH"}),
    ],
    ids=lambda each: each.WhichOneof("kind") if isinstance(each, BulkAction) else "",
)
async def test_each_action_does_what_its_single_call_does(
    slow: Desk, action: BulkAction, expected: dict[str, Any]
) -> None:
    desk = slow
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    ticket = await desk.create()
    await desk.call("TakeTicket", ticket=ticket.id)
    made = await begin(desk, action, list=these(ticket))
    assert await bulk.advance(desk.db)
    assert await failures(desk, made.id) == []
    now = await desk.ticket(ticket.id)
    assert {name: getattr(now, name) for name in expected} == expected


def test_every_action_of_the_contract_has_its_call() -> None:
    assert set(bulk.VERBS) == {each.name for each in BulkAction.DESCRIPTOR.oneofs_by_name["kind"].fields}


async def test_a_killed_process_goes_on_and_changes_no_ticket_twice(slow: Desk, monkeypatch: Any) -> None:
    """YT-13: a transaction that ends before its commit leaves the ticket waiting; one that ended is done."""
    desk = slow
    tickets = await create_many(desk, 6)
    made = await begin(desk, BulkAction(note=bulk_pb2.BulkNote(text="Odd")), list=these(*tickets))
    assert [await bulk.advance(desk.db) for _ in range(2)] == [True, True]
    real = bulk_store.finish

    async def dies(*args: Any) -> None:
        await real(*args)
        raise ConnectionError

    monkeypatch.setattr(bulk_store, "finish", dies)
    with pytest.raises(ConnectionError):
        await bulk.advance(desk.db)
    monkeypatch.undo()
    while await bulk.advance(desk.db):
        pass
    found = await settled(desk, made.id)
    assert (found.done, found.failed) == (6, 0)
    assert [await notes(desk, each) for each in tickets] == [1] * 6


async def test_many_workers_at_once_change_each_ticket_once(slow: Desk) -> None:
    """YT-13: races of replicas."""
    desk = slow
    tickets = await create_many(desk, 20)
    made = await begin(desk, BulkAction(note=bulk_pb2.BulkNote(text="Odd")), list=these(*tickets))

    async def worker() -> None:
        while await bulk.advance(desk.db):
            pass

    await asyncio.gather(*(worker() for _ in range(4)))
    assert (await settled(desk, made.id)).done == 20
    assert [await notes(desk, each) for each in tickets] == [1] * 20


async def test_a_ticket_that_is_held_stops_nobody_and_comes_later(slow: Desk) -> None:
    desk = slow
    first, second = await create_many(desk, 2)
    made = await begin(desk, HIGH, list=these(first, second))
    async with desk.db.tx() as tx:
        await tx.execute(sa.text("select 1 from bulk_item where position = 1 for update"))
        assert await bulk.advance(desk.db)
        assert not await bulk.advance(desk.db)
    assert await bulk.advance(desk.db)
    assert (await settled(desk, made.id)).done == 2


async def test_a_short_list_does_not_wait_behind_a_long_one(slow: Desk) -> None:
    desk = slow
    tickets = await create_many(desk, 6)
    await begin(desk, HIGH, list=these(*tickets))
    short = await begin(desk, BulkAction(take=bulk_pb2.BulkTake()), list=these(tickets[5]))
    for _ in range(2):
        await bulk.advance(desk.db)
    assert (await settled(desk, short.id)).done == 1


async def test_rights_are_asked_when_a_ticket_is_changed_not_when_the_list_is_made(slow: Desk) -> None:
    """YT-03: whoever left, or lost a right, changes nothing more."""
    desk = slow
    first, second = await create_many(desk, 2)
    made = await begin(desk, HIGH, list=these(first, second))
    assert await bulk.advance(desk.db)
    await desk.call("PutAgent", "admin:demo", agent=ticket_pb2.Agent(id="anna", name="Anna", active=False))
    assert await bulk.advance(desk.db)
    assert await failures(desk, made.id, "admin:demo") == [(second.key, "NOT_FOUND", "AGENT_NOT_FOUND")]
    assert (await desk.call("GetTicket", "admin:demo", ticket=second.id)).ticket.version == second.version


async def test_what_the_starter_does_not_see_is_not_in_the_list(slow: Desk) -> None:
    """YT-03."""
    desk = slow
    ticket = await desk.create()
    frank = ticket_pb2.Agent(id="boris", name="Boris", queues=["OTH"], active=True)
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    await desk.call("PutAgent", "admin:demo", agent=frank)
    assert (await begin(desk, HIGH, "agent:boris", query="Queue: SUP")).total == 0
    refusal = await desk.refusal("StartBulk", "agent:boris", list=these(ticket), action=HIGH)
    assert (refusal.code, refusal.reason, refusal.fields) == (BAD, "TICKETS_UNKNOWN", ["list.tickets[0]"])


async def test_a_bulk_is_seen_by_who_started_it_and_who_sees_all(slow: Desk) -> None:
    """It holds the text of a note, and keys of tickets."""
    desk = slow
    ticket = await desk.create()
    made = await begin(desk, BulkAction(note=bulk_pb2.BulkNote(text="secret")), list=these(ticket))
    for method in ("GetBulk", "ListBulkFailures", "CancelBulk", "ResumeBulk"):
        refusal = await desk.refusal(method, "lead:olga", bulk_id=made.id)
        assert (refusal.code, refusal.reason) == (MISSING, "BULK_NOT_FOUND"), method
    for who, count in (("lead:olga", 0), ("agent:anna", 1), ("admin:demo", 1), ("auditor:eve", 1)):
        assert len((await desk.call("ListBulks", who)).bulks) == count, who


async def test_cancelled_tickets_stay_as_they_are_until_the_bulk_is_resumed(slow: Desk) -> None:
    """YT-13."""
    desk = slow
    first, second, third = await create_many(desk, 3)
    await desk.call("ResolveTicket", ticket=third.id)
    made = await begin(desk, CLOSE, list=these(first, third, second))
    assert await bulk.advance(desk.db)
    stopped = (await desk.call("CancelBulk", bulk_id=made.id)).bulk
    assert (stopped.state, stopped.failed, stopped.cancelled) == (bulk_pb2.Bulk.STATE_CANCELLED, 1, 2)
    assert not await bulk.advance(desk.db)
    assert (await desk.refusal("CancelBulk", bulk_id=made.id)).reason == "BULK_OVER"
    await desk.call("ResolveTicket", ticket=first.id)
    await desk.call("ResumeBulk", bulk_id=made.id)
    while await bulk.advance(desk.db):
        pass
    assert [key for key, _, _ in await failures(desk, made.id)] == [first.key, second.key]
    again = (await desk.call("ResumeBulk", bulk_id=made.id, failures=True)).bulk
    assert (again.done, again.failed) == (1, 0)
    while await bulk.advance(desk.db):
        pass
    assert [key for key, _, _ in await failures(desk, made.id)] == [second.key]
    assert (await desk.ticket(first.id)).status == "closed"
    refusal = await desk.refusal("ResumeBulk", bulk_id=made.id)
    assert (refusal.code, refusal.reason) == (STATE, "NOTHING_TO_RESUME")


async def test_a_list_of_more_than_ten_thousand_is_refused_with_its_length(
    slow: Desk, monkeypatch: Any
) -> None:
    desk = slow
    await create_many(desk, 4)
    monkeypatch.setattr(bulk, "MAX_TICKETS", 3)
    refusal = await desk.refusal("StartBulk", query="Queue: SUP", action=HIGH)
    assert (refusal.code, refusal.reason, refusal.metadata) == (BAD, "TOO_MANY_TICKETS", {"count": "4"})
    assert (await desk.call("ListBulks")).bulks == []
    monkeypatch.setattr(bulk, "MAX_TICKETS", 4)
    assert (await begin(desk, HIGH, query="Queue: SUP")).total == 4


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"query": "Colour: red"}, "QUERY_INVALID", "query"),
        ({"list": TicketReferences(tickets=["SUP-999"])}, "TICKETS_UNKNOWN", "list.tickets[0]"),
        ({"query": "Queue: SUP", "timezone": "Mars"}, "INVALID_INPUT", "timezone"),
        ({}, "INVALID_INPUT", "tickets"),
        ({"query": "Queue: SUP", "action": BulkAction()}, "INVALID_INPUT", "action.kind"),
    ],
)
async def test_what_cannot_be_begun_is_refused_whole(
    slow: Desk, fields: dict[str, Any], reason: str, field: str
) -> None:
    desk = slow
    refusal = await desk.refusal("StartBulk", **{"action": HIGH, **fields})
    assert (refusal.code, refusal.reason) == (BAD, reason)
    assert refusal.fields == [field] or reason == "QUERY_INVALID"
    assert (await desk.call("ListBulks")).bulks == []


async def test_the_same_request_begins_one_bulk(slow: Desk) -> None:
    desk = slow
    await desk.create()
    first, second = [await begin(desk, HIGH, query="Queue: SUP", request_id="the-same-one") for _ in range(2)]
    assert first == second
    assert len((await desk.call("ListBulks")).bulks) == 1


async def test_a_database_that_goes_away_fails_no_ticket(slow: Desk, monkeypatch: Any) -> None:
    desk = slow
    ticket = await desk.create()
    made = await begin(desk, HIGH, list=these(ticket))

    async def away(*_: Any) -> None:
        raise Unavailable("away")

    monkeypatch.setitem(bulk.VERBS, "prioritize", away)
    with pytest.raises(Unavailable):
        await bulk.advance(desk.db)
    monkeypatch.undo()
    assert await bulk.advance(desk.db)
    assert (await settled(desk, made.id)).done == 1
    assert "priority_changed" in kinds(await desk.ticket(ticket.id))


async def test_the_note_of_a_bulk_is_in_no_event_and_no_answer_to_a_stranger(slow: Desk) -> None:
    """Faults 7: neither the ticket's events nor the bulk itself let it out of the desk."""
    desk, word = slow, f"marker-{uuid4().hex}"
    ticket = await desk.create()
    made = await begin(desk, BulkAction(note=bulk_pb2.BulkNote(text=word)), list=these(ticket))
    assert await bulk.advance(desk.db)
    assert word in [each.text for each in await desk.messages(ticket.id)]
    async with desk.db.tx() as tx:
        payloads = (await tx.execute(sa.text("select payload from outbox"))).scalars().all()
    assert not [each for each in payloads if word.encode() in each]
    for who in ("adapter:crm", "nobody", "service:sla-clock", "agent:boris", "lead:olga"):
        refusal = await desk.refusal("GetBulk", who, bulk_id=made.id)
        assert word not in repr(refusal)
