"""Two customers become one, and two again; what happens at the same time."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import sqlalchemy as sa

from chassis.principal import Principal
from chassis.testing import eventually
from services.tickets.tests.builders import Desk, a_contact
from tickdesk.intake.v1 import message_pb2 as intake
from tickdesk.tickets.v1 import events_pb2, ticket_pb2
from tickets.domain.customers import Merge
from tickets.handlers.change import Caller
from tickets.handlers.customer_merges import merge_customers, undo_merge
from tickets.store import customer_merges as merges
from tickets.store import desk as store
from tickets.store import tickets

BAD, STATE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
NOBODY = "01900000-0000-7000-8000-000000000000"


async def pair(desk: Desk) -> tuple[ticket_pb2.Ticket, ticket_pb2.Ticket]:
    """Tickets of the source and of the target."""
    source = await desk.create(contact=a_contact("old@client.example"), customer_number="1")
    target = await desk.create(contact=a_contact("new@client.example"), customer_number="2")
    return source, target


async def merge(desk: Desk, source: ticket_pb2.Ticket, target: ticket_pb2.Ticket) -> Any:
    told = {"source_id": source.customer.id, "target_id": target.customer.id}
    return await desk.call("MergeCustomers", "lead:olga", **told)


async def owners(desk: Desk, *tickets: ticket_pb2.Ticket) -> list[str]:
    return [(await desk.ticket(each.id)).customer.id for each in tickets]


async def test_contacts_numbers_and_tickets_move_and_come_back(desk: Desk) -> None:
    source, target = await pair(desk)
    one, other = source.customer.id, target.customer.id
    over = await desk.create(contact=a_contact("old@client.example"))
    await desk.call("ResolveTicket", ticket=over.id)
    answer = await merge(desk, source, target)
    assert (answer.merge.ticket_count, list(answer.merge.numbers)) == (2, ["1"])
    assert [each.address for each in answer.merge.contacts] == ["old@client.example"]
    assert (len(answer.customer.contacts), list(answer.customer.numbers)) == (2, ["2", "1"])
    assert await owners(desk, source, target, over) == [other] * 3
    updated = await desk.watch.next(events_pb2.TicketUpdated)
    assert (updated.ticket.customer.id, list(updated.changed)) == (other, ["customer"])
    changed = [
        (each.customer.id, each.customer.merged_into) for each in desk.watch.of(events_pb2.CustomerChanged)
    ]
    assert changed == [(one, other), (other, "")]
    gone = await desk.refusal("GetCustomer", customer_id=one)
    assert (gone.code, gone.reason, gone.metadata) == (STATE, "CUSTOMER_MERGED", {"customer": other})
    fresh = await desk.create(contact=a_contact("old@client.example"))
    assert fresh.customer.id == other

    undone = await desk.call("UndoMerge", "lead:olga", merge_id=answer.merge.id)
    assert undone.merge.HasField("undone_time")
    assert await owners(desk, source, target, over, fresh) == [one, other, one, other]
    back = (await desk.call("GetCustomer", customer_id=one)).customer
    assert ([each.address for each in back.contacts], list(back.numbers)) == (["old@client.example"], ["1"])
    kept = (await desk.call("GetCustomer", customer_id=other)).customer
    assert ([each.address for each in kept.contacts], list(kept.numbers)) == (["new@client.example"], ["2"])
    again = await desk.refusal("UndoMerge", "lead:olga", merge_id=answer.merge.id)
    assert (again.code, again.reason) == (STATE, "ALREADY_UNDONE")
    listed = (await desk.call("ListMerges", customer_id=one)).merges
    assert listed == (await desk.call("ListMerges", customer_id=other)).merges
    assert [each.id for each in listed] == [answer.merge.id]


async def test_an_undo_is_refused_by_name_when_something_moved_on(desk: Desk) -> None:
    source, target = await pair(desk)
    third = await desk.create(contact=a_contact("third@client.example"))
    first = await merge(desk, source, target)
    second = await merge(desk, target, third)
    refusal = await desk.refusal("UndoMerge", "lead:olga", merge_id=first.merge.id)
    assert (refusal.code, refusal.reason) == (STATE, "CUSTOMER_MERGED")
    await desk.call("UndoMerge", "lead:olga", merge_id=second.merge.id)
    await desk.call("RemoveContact", customer_id=target.customer.id, contact=a_contact("old@client.example"))
    await desk.call("RemoveNumber", customer_id=target.customer.id, number="1")
    refusal = await desk.refusal("UndoMerge", "lead:olga", merge_id=first.merge.id)
    assert (refusal.code, refusal.reason) == (STATE, "CHANGED_SINCE")
    assert "contact old@client.example, number 1" in refusal.message
    assert await owners(desk, source) == [target.customer.id]


async def test_an_undo_takes_back_the_merge_alone_and_leaves_what_was_done_since(desk: Desk) -> None:
    """New contacts, numbers, names and tickets are the target's; what moved goes back as it is by now."""
    source, target = await pair(desk)
    other = target.customer.id
    closed = await desk.create(contact=a_contact("old@client.example"))
    made = (await merge(desk, source, target)).merge
    late = await desk.create(contact=a_contact("old@client.example"), customer_number="3")
    await desk.call("AddContact", customer_id=other, contact=a_contact("more@client.example"))
    await desk.call("UpdateCustomer", customer_id=other, name="Renamed")
    await desk.call("UpdateTicket", ticket=source.id, customer_number="4")
    await desk.call("ResolveTicket", ticket=closed.id)
    await desk.call("CloseTicket", ticket=closed.id)
    await desk.call("MergeTickets", ticket=late.id, into=target.id)
    await desk.call("UndoMerge", "lead:olga", merge_id=made.id)
    assert await owners(desk, source, closed, target, late) == [source.customer.id] * 2 + [other] * 2
    kept = (await desk.call("GetCustomer", customer_id=other)).customer
    assert kept.name == "Renamed"
    assert sorted(each.address for each in kept.contacts) == ["more@client.example", "new@client.example"]
    assert list(kept.numbers) == ["2", "3", "4"]
    back = (await desk.call("GetCustomer", customer_id=source.customer.id)).customer
    assert ([each.address for each in back.contacts], list(back.numbers)) == (["old@client.example"], ["1"])
    assert back.name != "Renamed"
    again = (await merge(desk, source, target)).merge
    assert (again.ticket_count, list(again.numbers)) == (2, ["1"])


async def test_an_undo_comes_too_late_after_thirty_days(desk: Desk) -> None:
    made = await merge(desk, *await pair(desk))
    aged = sa.update(merges.customer_merge).values(time=sa.func.now() - sa.text("interval '31 days'"))
    async with desk.db.tx() as tx:
        await tx.execute(aged)
    refusal = await desk.refusal("UndoMerge", "lead:olga", merge_id=made.merge.id)
    assert (refusal.code, refusal.reason) == (STATE, "UNDO_TOO_LATE")


async def test_bad_merges_are_refused_and_change_nothing(desk: Desk) -> None:
    source, target = await pair(desk)
    one, other = source.customer.id, target.customer.id
    for fields, reason in (
        ({"source_id": one, "target_id": one}, "INVALID_INPUT"),
        ({"source_id": one, "target_id": one.upper()}, "INVALID_INPUT"),
        ({"source_id": one, "target_id": NOBODY}, "CUSTOMER_NOT_FOUND"),
        ({"source_id": "kim", "target_id": other}, "INVALID_INPUT"),
    ):
        assert (await desk.refusal("MergeCustomers", "lead:olga", **fields)).reason == reason, fields
    agent = await desk.refusal("MergeCustomers", source_id=one, target_id=other)
    assert agent.reason == "ROLE_NOT_PERMITTED"
    assert (await desk.refusal("UndoMerge", "lead:olga", merge_id=NOBODY)).reason == "MERGE_NOT_FOUND"
    assert await owners(desk, source, target) == [one, other]


async def test_of_two_merges_at_once_the_second_sees_the_first(desk: Desk) -> None:
    source, target = await pair(desk)
    both = (merge(desk, source, target), merge(desk, target, source))
    results = await asyncio.gather(*both, return_exceptions=True)
    lost = [each for each in results if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in lost] == [STATE]
    assert len(set(await owners(desk, source, target))) == 1


async def _waits(desk: Desk, words: str) -> bool:
    """Whether a statement with these words waits for a lock."""
    query = "select query from pg_stat_activity where wait_event_type = 'Lock'"
    async with desk.db.tx() as tx:
        return any(words in each for each in (await tx.execute(sa.text(query))).scalars())


async def test_a_merge_waits_for_who_changes_a_ticket_and_then_its_customer(desk: Desk) -> None:
    """One order of locks for everybody, tickets before customers: nobody is made to try again."""
    source, target = await pair(desk)
    caller = Caller(Principal("service:test", "service"))

    async def merged() -> Merge:
        async with desk.db.tx() as tx:
            return (await merge_customers(tx, caller, source.customer.id, target.customer.id))[0]

    async def undone() -> Merge:
        async with desk.db.tx() as tx:
            return await undo_merge(tx, caller, made.result().id)

    async with asyncio.TaskGroup() as both, desk.db.tx() as tx:
        await tickets.load_ticket(tx, source.id, lock=True)
        made = both.create_task(merged())
        await eventually(lambda: _waits(desk, "ticket"))
        await store.add_number(tx, source.customer.id, "9")
    assert (made.result().ticket_count, made.result().numbers) == (1, ["1", "9"])
    async with asyncio.TaskGroup() as both, desk.db.tx() as tx:
        await tickets.load_ticket(tx, source.id, lock=True)
        both.create_task(undone())
        await eventually(lambda: _waits(desk, "ticket"))
        await store.add_number(tx, target.customer.id, "10")
    assert await owners(desk, source) == [source.customer.id]


async def test_mail_that_arrives_during_a_merge_belongs_to_the_target(desk: Desk) -> None:
    """No ticket is left with a customer who is no more."""
    source, target = await pair(desk)
    sender = intake.Party(address="old@client.example", name="Old")
    arrivals = (desk.receive(sender=sender, subject=f"Mail {number}") for number in range(8))
    calls = (desk.create(contact=a_contact("old@client.example"), subject=f"Call {n}") for n in range(8))
    await asyncio.gather(*arrivals, merge(desk, source, target), *calls)

    async def all_moved() -> bool:
        tickets = (await desk.call("ListTickets", page_size=200)).tickets
        return len(tickets) == 18 and {each.customer.id for each in tickets} == {target.customer.id}

    await eventually(all_moved)
