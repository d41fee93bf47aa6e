"""Imports over RPCs: history comes in whole, once, and nobody is told of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa

from chassis.clock import utcnow
from services.tickets.tests.builders import Desk, a_contact, furnish, kinds
from services.tickets.tests.component.test_export import exported
from services.tickets.tests.conftest import Start
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import events_pb2, export_pb2, ticket_pb2, timeline_pb2
from tickdesk.tickets.v1.importing_pb2 import ImportMessage, ImportResult, ImportTicket
from tickdesk_cli.exports import to_line
from tickdesk_cli.importfiles import Reading, read

CREATED, KNOWN, REFUSED = (
    ImportResult.OUTCOME_CREATED,
    ImportResult.OUTCOME_KNOWN,
    ImportResult.OUTCOME_REFUSED,
)
THEN = datetime(2024, 3, 4, 9, tzinfo=UTC)
CUSTOMER, AGENT = common.Actor.KIND_CUSTOMER, common.Actor.KIND_AGENT


def said(
    text: str, kind: common.Actor.Kind.ValueType = CUSTOMER, hours: int = 0, **fields: Any
) -> ImportMessage:
    message = ImportMessage(text=text, visibility=ticket_pb2.VISIBILITY_PUBLIC)
    message.author.kind = kind
    message.created_time.FromDatetime(THEN + timedelta(hours=hours))
    message.MergeFrom(ImportMessage(**fields))
    return message


def a_ticket(**fields: Any) -> ImportTicket:
    """One that was asked and answered two years ago, and is closed."""
    given: dict[str, Any] = {
        "external_id": "old:1",
        "queue": "SUP",
        "subject": "Printer on fire",
        "contact": a_contact(),
        "status": "closed",
        "messages": [
            said("It burns."),
            said("Pour water.", AGENT, 2),
            said("Odd one.", AGENT, 3, visibility=ticket_pb2.VISIBILITY_INTERNAL),
        ],
    }
    ticket = ImportTicket(**{**given, **fields})
    if not ticket.HasField("created_time"):
        ticket.created_time.FromDatetime(THEN)
    return ticket


async def bring(desk: Desk, *tickets: ImportTicket, **fields: Any) -> list[ImportResult]:
    answer = await desk.call("ImportTickets", "admin:demo", tickets=tickets, **fields)
    return list(answer.results)


async def emitted(desk: Desk) -> list[str]:
    async with desk.db.tx() as tx:
        names = (await tx.execute(sa.text("select type from outbox order by id"))).scalars()
        return [each.rpartition(".")[2] for each in names]


async def test_history_comes_in_with_its_instants(desk: Desk) -> None:
    """MP-30, MP-31."""
    result = (await bring(desk, a_ticket(assignee="boris", tags=["fire"])))[0]
    assert (result.outcome, result.ticket_key) == (CREATED, "SUP-1")
    ticket = await desk.ticket(result.ticket_key)
    assert (ticket.status, ticket.assignee, ticket.origin) == ("closed", "boris", "import")
    assert (list(ticket.tags), ticket.cycle, ticket.message_count) == (["fire"], 1, 3)
    assert ticket.created_time.ToDatetime(tzinfo=UTC) == THEN
    assert ticket.closed_time.ToDatetime(tzinfo=UTC) == THEN + timedelta(hours=3)
    assert ticket.updated_time == ticket.closed_time
    messages = await desk.messages(ticket.id)
    assert [each.text for each in messages] == ["It burns.", "Pour water.", "Odd one."]
    assert messages[0].author.id == ticket.customer.id
    assert [each.delivery_state for each in messages] == ["", "", ""]
    assert [fact.time.ToDatetime(tzinfo=UTC).year for fact in ticket.timeline.facts] == [2024] * 7


async def test_nothing_but_its_own_event_is_told_of_an_imported_ticket(desk: Desk) -> None:
    """MP-31: no letter, notice or question can come of an event that nobody gets."""
    before = len(await emitted(desk))
    await bring(desk, a_ticket(), a_ticket(external_id="old:2", status="new"))
    assert (await emitted(desk))[before:] == ["TicketImported", "TicketImported"]
    event = await desk.watch.next(events_pb2.TicketImported)
    assert event.external_id == "old:1"
    assert b"Odd one." not in event.SerializeToString()


async def test_what_waits_for_a_confirmation_comes_closed(desk: Desk) -> None:
    """MP-31: or the desk would close it by itself, and the customer would be asked about it."""
    result = (await bring(desk, a_ticket(status="resolved")))[0]
    ticket = await desk.ticket(result.ticket_key)
    assert (ticket.status, ticket.HasField("closed_time")) == ("closed", True)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"status": "new"}, "new"),
        ({"status": "waiting"}, "waiting"),
        ({"status": "in_progress", "assignee": "anna"}, "in_progress"),
        ({"status": "in_progress"}, "new"),
        ({"status": "escalated", "line": common.LINE_L2}, "new"),
        ({"status": "", "status_kind": timeline_pb2.STATUS_KIND_WAITING}, "waiting"),
        ({"status": "", "status_kind": timeline_pb2.STATUS_KIND_RESOLVED}, "closed"),
        ({"status": ""}, "new"),
    ],
)
async def test_an_open_ticket_goes_on_here(desk: Desk, fields: dict[str, Any], status: str) -> None:
    """MP-31: its clocks begin now, and everything can be done to it."""
    began = utcnow()
    result = (await bring(desk, a_ticket(**fields)))[0]
    ticket = await desk.ticket(result.ticket_key)
    assert ticket.status == status
    if status != "closed":
        assert ticket.created_time.ToDatetime(tzinfo=UTC) == THEN
        assert ticket.timeline.facts[0].time.ToDatetime(tzinfo=UTC) >= began
        assert kinds(ticket)[:3] == ["created", "customer_messages", "staff_replies"]
        await desk.call(
            "ReplyToTicket", "lead:olga", ticket=ticket.id, text="We look at it.", agent_id="dina"
        )
        await desk.call("ResolveTicket", "lead:olga", ticket=ticket.id, agent_id="dina")
    else:
        assert (await desk.call("ReopenTicket", ticket=ticket.id)).ticket.cycle == 2


async def test_a_second_run_changes_nothing_and_says_so(desk: Desk) -> None:
    """MP-30: however it is repeated, in one call or in two at once."""
    tickets = [a_ticket(), a_ticket(external_id="old:2"), a_ticket()]
    first = await bring(desk, *tickets)
    assert [each.outcome for each in first] == [CREATED, CREATED, KNOWN]
    version = (await desk.ticket("SUP-1")).version
    again = await asyncio.gather(*(bring(desk, *tickets) for _ in range(3)))
    assert {each.outcome for results in again for each in results} == {KNOWN}
    assert again[0][1].ticket_key == first[1].ticket_key
    assert (await desk.ticket("SUP-1")).version == version
    found = await asyncio.gather(*(bring(desk, a_ticket(external_id="old:3")) for _ in range(4)))
    assert sorted(results[0].outcome for results in found) == [CREATED, KNOWN, KNOWN, KNOWN]


async def test_a_wrong_ticket_is_told_with_every_fault_and_spoils_no_other(desk: Desk) -> None:
    """MP-30: partial failure."""
    late = a_ticket(external_id="old:2", status="lost", assignee="ghost")
    late.updated_time.FromDatetime(THEN - timedelta(days=1))
    late.fields["colour"].text = "red"
    results = await bring(
        desk,
        a_ticket(),
        late,
        a_ticket(external_id="old:3", queue="NONE"),
        a_ticket(external_id="old:4", contact=a_contact("nobody")),
        a_ticket(external_id="old:5"),
    )
    assert [each.outcome for each in results] == [CREATED, REFUSED, REFUSED, REFUSED, CREATED]
    assert {each.field for each in results[1].faults} == {
        *("status", "updated_time", "fields.colour", "assignee"),
    }
    assert "in_progress" in results[1].faults[0].message
    assert (results[2].reason, results[3].faults[0].field) == ("QUEUE_NOT_FOUND", "contact.address")
    assert len((await desk.call("ListTickets")).tickets) == 2


async def test_what_this_desk_could_not_work_with_is_told_and_spoils_no_other(desk: Desk) -> None:
    """A line that the queue lacks holds a ticket for ever; numbers that the contract lacks have no name."""
    queue = ticket_pb2.Queue(key="TWO", name="Two lines", last_line=common.LINE_L2)
    await desk.call("PutQueue", "admin:demo", queue=queue)
    nowhere = a_ticket(external_id="old:2", queue="TWO", line=common.LINE_L3, status="new")
    unknown = a_ticket(external_id="old:3", contact=a_contact(channel_=77))
    stranger = a_ticket(external_id="old:4")
    stranger.messages[1].author.kind = 99  # type: ignore[assignment]
    results = await bring(desk, nowhere, unknown, stranger, a_ticket())
    assert [each.outcome for each in results] == [REFUSED, REFUSED, REFUSED, CREATED]
    told = [each.faults[0].field for each in results[:3]]
    assert told == ["line", "contact.channel", "messages[1].author.kind"]


async def test_a_dry_run_tells_the_same_and_changes_nothing(desk: Desk) -> None:
    """MP-30."""
    await bring(desk, a_ticket())
    before = len(await emitted(desk))
    given = (a_ticket(), a_ticket(external_id="old:2"), a_ticket(external_id="old:3", status="lost"))
    tried = await bring(desk, *given, dry_run=True)
    assert [each.outcome for each in tried] == [KNOWN, CREATED, REFUSED]
    assert tried[1].ticket_key == ""
    assert len(await emitted(desk)) == before
    assert len((await desk.call("ListTickets")).tickets) == 1
    done = await bring(desk, *given)
    assert [each.outcome for each in done] == [each.outcome for each in tried]
    assert done[1].ticket_key == "SUP-2"


async def test_a_known_customer_is_found_by_the_contact(desk: Desk) -> None:
    here = await desk.create()
    await bring(desk, a_ticket(customer_name="Somebody else"))
    assert (await desk.ticket("SUP-2")).customer.id == here.customer.id


async def test_whoever_is_no_admin_imports_nothing(desk: Desk) -> None:
    for who in ("lead:olga", "agent:anna", "service:sla-clock", "adapter:crm", "auditor:eve"):
        refusal = await desk.refusal("ImportTickets", who, tickets=[a_ticket()])
        assert refusal.code == grpc.StatusCode.PERMISSION_DENIED


async def test_the_contract_bounds_every_field(desk: Desk) -> None:
    bad: list[tuple[ImportTicket, str]] = [
        (a_ticket(external_id=""), "tickets[0].external_id"),
        (a_ticket(subject="x" * 501), "tickets[0].subject"),
        (a_ticket(messages=[]), "tickets[0].messages"),
        (a_ticket(messages=[said("x" * 262_145)]), "tickets[0].messages[0].text"),
        (a_ticket(tags=["a", "a"]), "tickets[0].tags"),
    ]
    for ticket, field in bad:
        refusal = await desk.refusal("ImportTickets", "admin:demo", tickets=[ticket])
        assert refusal.fields == [field]
    crowd = [a_ticket(external_id=f"old:{number}") for number in range(101)]
    assert (await desk.refusal("ImportTickets", "admin:demo", tickets=crowd)).fields == ["tickets"]


async def test_an_export_makes_the_same_tickets_in_another_desk(start: Start, tmp_path: Path) -> None:
    """MP-30: what goes out comes in again, but for ids, numbers, and what clocks count."""
    old = await start()
    await furnish(old)
    asked = await old.create(subject="Printer", tags=["fire"], priority=common.PRIORITY_HIGH)
    answered = await old.create(subject="Keyboard", contact=a_contact("lee@client.example"))
    await old.call("ReplyToTicket", ticket=answered.id, text="Which one?", status="waiting")
    await old.call("AddNote", ticket=answered.id, text="The old one.")
    closed = await old.create(subject="Mouse", type=ticket_pb2.TICKET_TYPE_WISH)
    for verb in ("TakeTicket", "ResolveTicket", "CloseTicket"):
        await old.call(verb, ticket=closed.id)
    path = tmp_path / "tickets.jsonl"
    path.write_bytes(b"".join(map(to_line, await exported(old, export_pb2.EXPORT_KIND_TICKETS))))
    new = await start()
    await furnish(new)
    rows = list(read(path, Reading()))
    results = await bring(new, *(row.ticket for row in rows))
    assert [each.outcome for each in results] == [CREATED] * 3
    keys = {each.external_id: each.ticket_key for each in results}
    for ticket in (asked, answered, closed):
        before, after = await old.ticket(ticket.id), await new.ticket(keys[ticket.id])
        assert like(after) == like(before)
        assert [spoken(each) for each in await new.messages(after.id)] == [
            spoken(each) for each in await old.messages(before.id)
        ]


def like(ticket: ticket_pb2.Ticket) -> dict[str, Any]:
    """What a ticket is, wherever it is."""
    names = (
        *("queue", "subject", "type", "priority", "status", "line", "assignee", "category", "language"),
        *("created_time", "resolved_time", "closed_time", "message_count", "channel"),
    )
    contacts = [(each.channel, each.address) for each in ticket.customer.contacts]
    return {**{name: getattr(ticket, name) for name in names}, "tags": list(ticket.tags), "who": contacts}


def spoken(message: ticket_pb2.TicketMessage) -> tuple[Any, ...]:
    return message.text, message.visibility, message.author.kind, message.created_time.ToNanoseconds()
