"""The audit: one entry with each change, in its transaction, for good."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from chassis.clock import utcnow
from services.tickets.tests.builders import COMMANDS, Desk, an_inbound
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.intake.v1 import events_pb2 as intake
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.tickets.v1 import audit_pb2, events_pb2, ticket_pb2
from tickets.handlers.work import close_expired


async def listed(desk: Desk, who: str = "auditor:eve", **wanted: Any) -> list[audit_pb2.AuditEntry]:
    return list((await desk.call("ListAudit", who, **wanted)).entries)


def told(entry: audit_pb2.AuditEntry) -> dict[str, tuple[str, str]]:
    return {each.name: (each.old, each.new) for each in entry.changes}


async def test_a_change_says_who_when_through_what_and_from_what_to_what(desk: Desk) -> None:
    ticket = await desk.create(subject="secret-subject", text="secret-text")
    request_id = uuid4().hex
    answer = await desk.call(
        "PrioritizeTicket", "lead:olga", ticket=ticket.id, agent_id="boris", priority=4, request_id=request_id
    )
    newest, first = await listed(desk, ticket=ticket.key)
    assert newest.actor == common.Actor(kind=common.Actor.KIND_AGENT, id="boris")
    assert newest.principal == "lead:olga", "who really called"
    assert newest.source == "tickdesk.tickets.v1.TicketService/PrioritizeTicket"
    assert (newest.request_id, newest.event, newest.ticket_id) == (request_id, "TicketUpdated", ticket.id)
    assert newest.version == answer.ticket.version
    assert newest.time == answer.ticket.updated_time
    assert told(newest) == {"priority": ("normal", "critical")}
    assert (first.event, first.principal, first.version) == ("TicketOpened", "service:sla-clock", 1)
    assert told(first).items() >= {"queue": ("", "SUP"), "status": ("", "new"), "subject": ("", "")}.items()
    assert "secret" not in str(first)


async def test_every_event_of_a_ticket_has_its_entry_with_the_same_version(desk: Desk) -> None:
    ticket = await desk.create()
    for method, fields in COMMANDS.items():
        await desk.call(method, "lead:olga", ticket=ticket.id, agent_id="boris", **fields)
    noted = {(each.event, each.version) for each in await listed(desk, ticket=ticket.id, page_size=200)}
    async with desk.db.tx() as tx:
        rows = (
            await tx.execute(sa.text("select type, payload from outbox where key = :id"), {"id": ticket.id})
        ).all()
    emitted = set()
    for row in rows:
        name = row.type.rpartition(".")[2]
        emitted.add((name, getattr(events_pb2, name).FromString(row.payload).ticket.version))
    assert noted == emitted
    assert len(noted) > len(COMMANDS)


async def test_what_an_event_or_a_loop_does_names_the_event_and_the_rule(desk: Desk) -> None:
    ticket = await desk.receive(text="secret-text", reply_text="secret-text")
    [opened] = await listed(desk, ticket=ticket.id)
    assert opened.actor.kind == common.Actor.KIND_CUSTOMER
    assert (opened.source, opened.principal) == ("tickdesk.intake.v1.MessageReceived", "service:tickets")
    assert opened.request_id
    mark = clock_pb2.Mark(name="80%", action=clock_pb2.MARK_ACTION_ESCALATE_LINE, reached=True)
    about = clock_pb2.TicketRef(id=ticket.id, key=ticket.key, version=1)
    await desk.tell(sla.MarkReached(ticket=about, clock="first_response", cycle=1, mark=mark))
    await desk.watch.next(events_pb2.TicketEscalated)
    escalated = (await listed(desk, ticket=ticket.id))[0]
    assert (escalated.actor.id, escalated.source) == ("sla-clock", "tickdesk.sla.v1.MarkReached")
    assert told(escalated)["line"] == ("l1", "l2")
    await desk.call("TakeTicket", "agent:dina", ticket=ticket.id)
    await desk.call("ResolveTicket", "agent:dina", ticket=ticket.id)
    async with desk.db.tx() as tx:
        tx.now += timedelta(days=9)
        assert await close_expired(tx, timedelta(days=3), 10) == 1
    closed = (await listed(desk, ticket=ticket.id))[0]
    assert (closed.actor.kind, closed.actor.id) == (common.Actor.KIND_ROBOT, "confirmation-term")
    assert (closed.event, closed.source) == ("TicketClosed", "")


async def test_an_event_that_comes_twice_is_noted_once(desk: Desk) -> None:
    event, event_id = intake.MessageReceived(message=an_inbound()), str(uuid4())
    await desk.tell(event, event_id=event_id)
    opened = await desk.watch.next(events_pb2.TicketOpened)
    await desk.tell(event, event_id=event_id)
    await desk.receive(sender={"address": "other@client.example"})
    assert len(await listed(desk, ticket=opened.ticket.id)) == 1


async def test_a_refused_change_leaves_no_entry(desk: Desk) -> None:
    ticket = await desk.create()
    before = await listed(desk)
    assert (await desk.refusal("CloseTicket", ticket=ticket.id)).reason == "TRANSITION_NOT_ALLOWED"
    assert (await desk.refusal("AddNote", ticket=ticket.id, text="x", version=7)).reason == "STALE_VERSION"
    assert await listed(desk) == before


async def test_people_queues_and_customers_have_entries_too(desk: Desk) -> None:
    ticket = await desk.create()
    anna = ticket_pb2.Agent(id="anna", name="Anna", email="anna@desk.example", queues=["SUP"], active=True)
    await desk.call("PutAgent", "admin:demo", agent=anna)
    await desk.call("UpdateCustomer", customer_id=ticket.customer.id, tier=2)
    found = {each.about: each for each in reversed(await listed(desk)) if each.about}
    assert told(found["agent/anna"]) == {"email": ("", ""), "lines": ("l1", ""), "queues": ("", "SUP")}
    assert found["agent/anna"].actor == common.Actor(kind=common.Actor.KIND_SERVICE, id="demo")
    customer = found[f"customer/{ticket.customer.id}"]
    assert (told(customer), customer.actor.id) == ({"tier": ("standard", "vip")}, "anna")
    assert found["queue/SUP"].event == "QueueChanged"
    assert not found["queue/SUP"].ticket_id
    await desk.call("PutAgent", "admin:demo", agent=anna)
    assert len([each for each in await listed(desk) if each.about == "agent/anna"]) == 2, "nothing changed"


async def test_pages_and_filters_find_what_they_name(desk: Desk) -> None:
    first, second = await desk.create(), await desk.create()
    await desk.call("TakeTicket", ticket=first.id)
    middle = utcnow()
    for _ in range(3):
        await desk.call("AddNote", ticket=first.id, text="x")
    everything = await listed(desk, page_size=200)
    ids = [each.id for each in everything]
    assert ids == sorted(ids, reverse=True)
    assert {each.ticket_id for each in await listed(desk, ticket=second.id)} == {second.id}
    by_anna = await listed(desk, actor_id="anna")
    assert [each.event for each in by_anna] == ["NoteAdded"] * 3 + ["TicketTaken"]
    late, early = await listed(desk, from_time=middle), await listed(desk, until_time=middle, page_size=200)
    assert [each.id for each in (*late, *early)] == ids
    pages, token = [], ""
    while True:
        answer = await desk.call("ListAudit", "admin:demo", page_size=2, page_token=token)
        pages += [each.id for each in answer.entries]
        token = answer.next_page_token
        if not token:
            break
    assert pages == ids
    bad = await desk.refusal("ListAudit", "admin:demo", page_token="made-up")
    assert bad.fields == ["page_token"]


async def test_a_lead_sees_no_entries_of_tickets_that_they_may_not_see(desk: Desk) -> None:
    ticket = await desk.create()
    assert ticket.id in {each.ticket_id for each in await listed(desk, "lead:olga")}
    olga = ticket_pb2.Agent(id="olga", name="Olga", leads=[common.LINE_L1], queues=["OTH"], active=True)
    await desk.call("PutAgent", "admin:demo", agent=olga)
    found = await listed(desk, "lead:olga")
    assert {each.ticket_id for each in found} == {""}
    assert found, "entries of people stay"
    assert (await desk.refusal("ListAudit", "lead:olga", ticket=ticket.id)).reason == "TICKET_NOT_FOUND"


@pytest.mark.parametrize(
    "statement", ["update audit set actor_id = 'nobody'", "delete from audit", "truncate audit"]
)
async def test_the_database_refuses_to_change_or_remove_entries(desk: Desk, statement: str) -> None:
    """By a trigger: the service owns its tables, and an owner's rights cannot be revoked for good."""
    await desk.create()
    before = await listed(desk)
    with pytest.raises(DBAPIError, match="rows of audit are only added"):
        async with desk.db.tx() as tx:
            await tx.execute(sa.text(statement))
    assert await listed(desk) == before
    assert before
