"""Customers over RPCs: contacts, cabinets, organisations, account managers, history, search."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
import sqlalchemy as sa

from chassis.testing import eventually
from services.tickets.tests.builders import Desk, a_contact, kinds
from services.tickets.tests.conftest import Start
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import customers_pb2, events_pb2, ticket_pb2

BAD, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
STATE = grpc.StatusCode.FAILED_PRECONDITION
NOBODY = "01900000-0000-7000-8000-000000000000"
VIP = common.CUSTOMER_TIER_VIP
PHONE = ticket_pb2.Contact(channel=common.CHANNEL_PHONE, address="+7 900")


async def put(desk: Desk, key: str = "acme", **fields: Any) -> customers_pb2.Organisation:
    organisation = customers_pb2.Organisation(key=key, **{"name": key.title(), **fields})
    answer = await desk.call("PutOrganisation", "lead:olga", organisation=organisation)
    kept: customers_pb2.Organisation = answer.organisation
    return kept


async def test_contacts_and_cabinets_are_added_removed_and_told(desk: Desk) -> None:
    """KT-06, YT-36."""
    who = (await desk.create()).customer.id
    added = await desk.call("AddContact", customer_id=who, contact=PHONE)
    assert [each.address for each in added.customer.contacts] == ["client@client.example", "+7 900"]
    told = await desk.watch.next(events_pb2.CustomerChanged)
    assert (told.customer, told.actor.id, list(told.changed)) == (added.customer, "anna", ["contacts"])
    phoned = await desk.create(contact=PHONE)
    assert phoned.customer.id == who
    for number in ("40017", "40018"):
        await desk.call("AddNumber", customer_id=who, number=number)
    left = await desk.call("RemoveNumber", customer_id=who, number="40017")
    assert list(left.customer.numbers) == ["40018"]
    await desk.call("RemoveContact", customer_id=who, contact=PHONE)
    stranger = await desk.create(contact=PHONE)
    assert stranger.customer.id != who
    taken = await desk.refusal("AddContact", customer_id=who, contact=PHONE)
    assert (taken.code, taken.reason) == (STATE, "CONTACT_TAKEN")
    assert taken.metadata == {"customer": stranger.customer.id}
    await eventually(lambda: len(desk.watch.of(events_pb2.CustomerChanged)) >= 5)
    seen = [list(each.changed) for each in desk.watch.of(events_pb2.CustomerChanged)]
    assert seen == [["contacts"], ["numbers"], ["numbers"], ["numbers"], ["contacts"]]


async def test_of_two_customers_who_claim_a_contact_at_once_one_has_it(desk: Desk) -> None:
    tickets = [await desk.create(contact=a_contact(f"{name}@client.example")) for name in "ab"]
    claims = (desk.call("AddContact", customer_id=each.customer.id, contact=PHONE) for each in tickets)
    results = await asyncio.gather(*claims, return_exceptions=True)
    lost = [each for each in results if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in lost] == [STATE]


async def test_customers_of_an_organisation_follow_it_and_their_tickets_follow_them(desk: Desk) -> None:
    """CA-34, MP-19: tier and account manager of a client reach every open ticket."""
    before = await desk.create(contact=a_contact("ann@acme.example"))
    await put(desk, tier=VIP, account_manager="boris", domains=["ACME.example"])
    joined = await desk.create(contact=a_contact("ben@acme.example"))
    assert (joined.customer.organisation, joined.customer.tier) == ("Acme", VIP)
    assert list(joined.observers) == ["boris"]
    stranger = await desk.create(contact=a_contact("cid@sub.acme.example"))
    assert (stranger.customer.organisation_key, list(stranger.observers)) == ("", [])
    late = await desk.call("JoinOrganisation", customer_id=before.customer.id, organisation="acme")
    assert (late.customer.tier, late.customer.account_manager) == (VIP, "boris")
    updated = await desk.watch.next(events_pb2.TicketUpdated)
    assert (updated.ticket.key, updated.ticket.customer.tier) == (before.key, VIP)
    assert set(updated.changed) == {"tier", "organisation", "account_manager"}
    assert list(updated.ticket.observers) == ["boris"]
    assert kinds(updated.ticket)[-1] == "attributes_changed"
    await put(desk, name="Acme Ltd", account_manager="dina", domains=["acme.example"])
    for _ in range(2):
        updated = await desk.watch.next(events_pb2.TicketUpdated)
        assert updated.ticket.customer.organisation == "Acme Ltd"
        assert (updated.ticket.customer.tier, list(updated.ticket.observers)) == (1, ["boris", "dina"])
    mine = (await desk.call("ListTickets", account_manager="dina")).tickets
    assert {each.key for each in mine} == {before.key, joined.key}
    own = await desk.call(
        "SetAccountManager", "lead:olga", customer_id=before.customer.id, account_manager="anna"
    )
    assert own.customer.account_manager == "anna"
    assert [each.key for each in (await desk.call("ListTickets", account_manager="anna")).tickets] == [
        before.key
    ]
    one = await desk.call("GetOrganisation", organisation="acme")
    assert (one.customer_count, one.organisation.version) == (2, 2)
    left = await desk.call("JoinOrganisation", customer_id=joined.customer.id, organisation="")
    assert (left.customer.organisation, left.customer.account_manager) == ("", "")


async def test_organisations_are_listed_and_refuse_bad_input(desk: Desk) -> None:
    for key in ("acme", "bolt", "coil"):
        await put(desk, key, domains=[f"{key}.example"])
    page = await desk.call("ListOrganisations", page_size=2)
    rest = await desk.call("ListOrganisations", page_token=page.next_page_token)
    assert [each.key for each in (*page.organisations, *rest.organisations)] == ["acme", "bolt", "coil"]
    bad: tuple[tuple[dict[str, Any], str, list[str]], ...] = (
        ({"key": "A"}, "INVALID_INPUT", ["organisation.key"]),
        ({"name": ""}, "INVALID_INPUT", ["organisation.name"]),
        ({"tier": 9}, "INVALID_INPUT", ["organisation.tier"]),
        ({"domains": ["acme"]}, "INVALID_INPUT", ["organisation.domains[0]"]),
        ({"domains": ["gmail.com"]}, "PUBLIC_DOMAIN", ["organisation.domains[0]"]),
        ({"domains": ["bolt.example"]}, "DOMAIN_TAKEN", ["organisation.domains"]),
        ({"account_manager": "ghost"}, "AGENT_NOT_FOUND", []),
    )
    for fields, reason, where in bad:
        told = customers_pb2.Organisation(**{"key": "acme", "name": "Acme", **fields})
        refusal = await desk.refusal("PutOrganisation", "lead:olga", organisation=told)
        assert (refusal.reason, refusal.fields) == (reason, where), fields
    assert (await desk.call("GetOrganisation", organisation="acme")).organisation.version == 1
    good = customers_pb2.Organisation(key="acme", name="A")
    assert (await desk.refusal("PutOrganisation", organisation=good)).reason == "ROLE_NOT_PERMITTED"
    assert (await desk.refusal("GetOrganisation", organisation="none")).reason == "ORGANISATION_NOT_FOUND"


async def test_customers_refuse_bad_changes_and_nothing_is_kept(desk: Desk) -> None:
    who = (await desk.create()).customer.id
    before = (await desk.call("GetCustomer", customer_id=who)).customer
    bad: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("AddContact", {"contact": a_contact("nobody")}, "INVALID_INPUT"),
        ("AddContact", {"contact": a_contact(channel_=0)}, "INVALID_INPUT"),
        ("RemoveContact", {"contact": PHONE}, "CONTACT_NOT_FOUND"),
        ("RemoveContact", {"contact": a_contact()}, "LAST_CONTACT"),
        ("AddNumber", {"number": ""}, "INVALID_INPUT"),
        ("AddNumber", {"number": "1" * 101}, "INVALID_INPUT"),
        ("RemoveNumber", {"number": "1"}, "NUMBER_NOT_FOUND"),
        ("JoinOrganisation", {"organisation": "none"}, "ORGANISATION_NOT_FOUND"),
        ("SetAccountManager", {"account_manager": "ghost"}, "AGENT_NOT_FOUND"),
    )
    for method, fields, reason in bad:
        refusal = await desk.refusal(method, "lead:olga", customer_id=who, **fields)
        assert refusal.reason == reason, method
        good: dict[str, dict[str, Any]] = {
            "AddContact": {"contact": PHONE},
            "AddNumber": {"number": "1"},
            "RemoveContact": {"contact": PHONE},
        }
        gone = await desk.refusal(method, "lead:olga", customer_id=NOBODY, **good.get(method, fields))
        assert gone.code in (MISSING, BAD), method
    assert (await desk.call("GetCustomer", customer_id=who)).customer == before
    await put(desk)
    await desk.call("JoinOrganisation", customer_id=who, organisation="acme")
    words = await desk.refusal("UpdateCustomer", customer_id=who, organisation="Other")
    assert words.fields == ["organisation"]
    assert not desk.watch.of(events_pb2.CustomerChanged)[1:]


@pytest.mark.timeout(300)
async def test_ten_thousand_open_tickets_follow_in_batches(start: Start) -> None:
    """CA-34: a change of a large client is one short transaction, and reaches all of them."""
    # So many alike look like a mass incident, whose proposal would change one of them once more.
    desk = await start(spread_batch=1000, spread_poll_seconds=0.05, burst_poll_seconds=300)
    await desk.call(
        "PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="SUP", name="S", addresses=["a@b.example"])
    )
    first = await desk.create()
    columns = "queue, customer_id, subject, type, priority, status, status_kind, line, channel, tags, cycle"
    copied = f"{columns}, message_count, created_time, updated_time, body, version"
    many = sa.text(
        f"insert into ticket (id, number, {copied}) select gen_random_uuid(), number + n, {copied}"
        " from ticket, generate_series(1, 9999) n"
    )
    async with desk.db.tx() as tx:
        await tx.execute(many)
    who = first.customer.id
    await desk.call("UpdateCustomer", "service:sla-clock", customer_id=who, tier=VIP)
    reached = sa.text(
        "select count(*) from ticket where version = 2 and body::text like '%attributes_changed%'"
    )

    async def all_followed() -> bool:
        async with desk.db.tx() as tx:
            return bool((await tx.execute(reached)).scalar_one() == 10_000)

    await eventually(all_followed, timeout=200)
    async with desk.db.tx() as tx:
        assert (await tx.execute(sa.text("select count(*) from customer_spread"))).scalar_one() == 0


async def test_a_ticket_that_cannot_follow_holds_up_neither_the_others_nor_the_service(desk: Desk) -> None:
    """Its event would be larger than any stream takes; faults: one bad row is not an outage."""
    heavy, light = await desk.create(), await desk.create()
    swell = sa.text("update ticket set subject = repeat('x', 1000000) where id = :id")
    async with desk.db.tx() as tx:
        await tx.execute(swell, {"id": heavy.id})
    await desk.call("UpdateCustomer", customer_id=heavy.customer.id, tier=VIP)

    async def followed() -> bool:
        return (await desk.ticket(light.id)).version == light.version + 1

    await eventually(followed)
    async with desk.db.tx() as tx:
        left = await tx.execute(sa.text("select count(*) from customer_spread"))
        assert left.scalar_one() == 0
    assert (await desk.ticket(heavy.id)).version == heavy.version


async def test_a_change_during_a_change_reaches_all_tickets_with_both(desk: Desk) -> None:
    ticket = await desk.create()
    who = ticket.customer.id
    changes: tuple[dict[str, Any], ...] = ({"tier": VIP}, {"timezone": "Asia/Almaty"}, {"tier": 1})
    for change in changes:
        await desk.call("UpdateCustomer", customer_id=who, **change)

    async def followed() -> bool:
        now = await desk.ticket(ticket.id)
        names = [name for fact in now.timeline.facts for name in fact.attributes_changed.names]
        return {"tier", "timezone"} <= set(names) and now.customer.timezone == "Asia/Almaty"

    await eventually(followed)


async def test_the_whole_history_is_in_the_ticket(desk: Desk) -> None:
    """KT-15: earlier requests of this user with their answers."""
    old = [await desk.create(subject=f"Old {number}") for number in range(3)]
    await desk.create(contact=a_contact("other@client.example"), subject="Of somebody else")
    await desk.call("ReplyToTicket", ticket=old[1].id, text="first")
    await desk.call("ReplyToTicket", ticket=old[1].id, text="second, the last")
    await desk.call("AddNote", ticket=old[1].id, text="secret")
    await desk.call("ResolveTicket", ticket=old[1].id)
    now = await desk.create(subject="New")
    page = await desk.call("ListEarlierTickets", ticket=now.key, page_size=2)
    rest = await desk.call("ListEarlierTickets", ticket=now.key, page_token=page.next_page_token)
    told = [*page.tickets, *rest.tickets]
    assert [each.subject for each in told] == ["Old 2", "Old 1", "Old 0"]
    assert [each.answer for each in told] == ["", "second, the last", ""]
    assert (told[1].key, told[1].answer_author, told[1].status_kind) == (old[1].key, "Anna", 5)
    assert told[1].HasField("resolved_time")
    assert (await desk.refusal("ListEarlierTickets", ticket="SUP-99")).code == MISSING


async def test_the_history_leaves_out_what_the_caller_may_not_see(desk: Desk) -> None:
    """YT-03: as every list of tickets; pages stay full."""
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    anna = ticket_pb2.Agent(id="anna", name="Anna", queues=["SUP"], active=True)
    await desk.call("PutAgent", "admin:demo", agent=anna)
    for number in range(4):
        await desk.create(queue="SUP" if number % 2 else "OTH", subject=f"Old {number}")
    now = await desk.create(subject="New")

    async def told(who: str) -> list[str]:
        page = await desk.call("ListEarlierTickets", who, ticket=now.key, page_size=2)
        return [each.subject for each in page.tickets]

    assert await told("agent:anna") == ["Old 3", "Old 1"]
    assert await told("auditor:eve") == ["Old 3", "Old 2"]


async def test_customers_are_found_by_name_contact_number_and_organisation(desk: Desk) -> None:
    await put(desk, name="Рога и копыта", domains=["horns.example"])
    for name, address in (
        ("Иванов Пётр Сергеевич", "petr@horns.example"),
        ("Maria Gonzalez", "maria.gonzalez@client.example"),
        ("Kim", "kim@client.example"),
    ):
        made = await desk.create(customer_name=name, contact=a_contact(address))
        await desk.call("AddNumber", customer_id=made.customer.id, number=f"N-{len(name)}")
    for text, name in (
        ("иванов", "Иванов Пётр Сергеевич"),
        ("Ивонов", "Иванов Пётр Сергеевич"),
        ("рога", "Иванов Пётр Сергеевич"),
        ("gonzales", "Maria Gonzalez"),
        ("maria.gonzalez@client.example", "Maria Gonzalez"),
        ("N-3", "Kim"),
        ("kim@", "Kim"),
    ):
        hits = (await desk.call("SearchCustomers", text=text)).hits
        assert hits[0].customer.name == name, text
    assert not (await desk.call("SearchCustomers", text="zzzzzz")).hits
    keys, token = [], ""
    while True:
        answer = await desk.call("SearchCustomers", text="client.example", page_size=1, page_token=token)
        keys += [each.customer.name for each in answer.hits]
        if not (token := answer.next_page_token):
            break
    assert sorted(keys[:2]) == ["Kim", "Maria Gonzalez"]
    assert len(keys) == len(set(keys))
    assert (await desk.refusal("SearchCustomers", text="x")).fields == ["text"]
