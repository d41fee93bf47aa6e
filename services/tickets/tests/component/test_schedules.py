"""Rules that run by the clock: once a ticket while it matches, by one replica, in batches."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from chassis.db import Tx
from services.tickets.tests.builders import Desk, a_contact, furnish, set_up
from services.tickets.tests.component.test_rule_calls import ran
from services.tickets.tests.component.test_triggers import DONE, FAILED, NOT_RUN, a_rule, runs
from services.tickets.tests.conftest import Start
from tickdesk.tickets.v1 import ticket_pb2
from tickets.domain.model import Ticket
from tickets.domain.rule_actions import CALLS_AN_HOUR
from tickets.handlers import schedules
from tickets.store import schedules as store
from tickets.store.tickets import changeable


@pytest.fixture
async def desk(start: Start) -> Desk:
    """A desk whose own loop leaves the rules to the tests."""
    desk = await start(rule_poll_seconds=300)
    await furnish(desk)
    return desk


def scheduled(key: str, *then: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return a_rule(key, *then, **{"every": "3600s", **parts})


async def tickets(desk: Desk, count: int) -> list[ticket_pb2.Ticket]:
    return [await desk.create(contact=a_contact(f"{n}@client.example")) for n in range(count)]


async def round_of(desk: Desk, limit: int = 50) -> int:
    """All rules run as if their time had come; returns how many batches that took."""
    async with desk.db.tx() as tx:
        await tx.execute(sa.text("update rule_schedule set next_time = now() - interval '1 second'"))
    batches = 0
    while await one_batch(desk, limit):
        batches += 1
    return batches


async def one_batch(desk: Desk, limit: int = 50) -> bool:
    async with desk.db.tx() as tx:
        return await schedules.run_due(tx, limit)


async def test_a_scheduled_rule_does_its_work_once_a_ticket_while_it_matches(desk: Desk) -> None:
    """CA-21, MP-04: tickets of which a query tells, in batches, and again only when they matched anew."""
    rule = scheduled("waits", {"webhook": "crm"}, query="Priority: high")
    await set_up(desk, scheduled_rules=[rule])
    found = await tickets(desk, 3)
    for each in found[:2]:
        await desk.call("PrioritizeTicket", ticket=each.id, priority=3)
    assert await round_of(desk, limit=1) == 3
    assert await round_of(desk) == 1
    one = ("waits", DONE, ["webhook crm"])
    assert [await runs(desk, each) for each in found] == [[one], [one], []]
    await desk.call("PrioritizeTicket", ticket=found[0].id, priority=2)
    await round_of(desk)
    await desk.call("PrioritizeTicket", ticket=found[0].id, priority=3)
    await round_of(desk)
    assert [await runs(desk, each) for each in found] == [[one, one], [one], []]


async def test_a_webhook_that_makes_its_ticket_match_anew_ends(desk: Desk) -> None:
    await set_up(desk, scheduled_rules=[scheduled("waits", {"webhook": "crm"}, query="Priority: high")])
    (ticket,) = await tickets(desk, 1)
    await ran(desk, ticket, "waits", CALLS_AN_HOUR - 1, 5)
    for _ in range(3):
        await desk.call("PrioritizeTicket", ticket=ticket.id, priority=3)
        await round_of(desk)
        await desk.call("PrioritizeTicket", ticket=ticket.id, priority=2)
        await round_of(desk)
    trail = (await desk.call("ListRuleRuns", ticket=ticket.id, page_size=200)).runs
    assert [each.outcome for each in trail].count(DONE) == CALLS_AN_HOUR
    assert [each.outcome for each in trail][:2] == [NOT_RUN, DONE]


async def test_two_replicas_do_a_rule_once(desk: Desk) -> None:
    await set_up(desk, scheduled_rules=[scheduled("once", {"webhook": "crm"}, query="Status: new")])
    found = await tickets(desk, 6)

    async def replica() -> None:
        while await one_batch(desk, 2):
            pass

    await asyncio.gather(replica(), replica())
    await round_of(desk)
    assert [len(await runs(desk, each)) for each in found] == [1] * 6


async def test_a_refused_ticket_is_noted_once_and_the_others_go_on(desk: Desk) -> None:
    rule = scheduled("close", {"status": "resolved"}, query="Status: new", **{"if": "ticket.messages > 0"})
    await set_up(desk, scheduled_rules=[rule])
    first, second = await tickets(desk, 2)
    setup = (await desk.call("GetSetup", queue="SUP")).setup
    # From now on nobody can resolve what is new.
    setup.workflow.transitions[4].__getattribute__("from").remove("new")
    await desk.call("PutSetup", "admin:demo", setup=setup)
    await desk.call("EscalateTicket", ticket=second.id, reason=1)
    for _ in range(3):
        await round_of(desk)
    assert [outcome for _, outcome, _ in await runs(desk, first)] == [FAILED]
    assert (await desk.ticket(first.id)).status == "new"


async def test_a_condition_beside_the_query_decides_each_time(desk: Desk) -> None:
    rule = scheduled("tagged", {"webhook": "crm"}, query="Status: new", **{"if": '"go" in ticket.tags'})
    await set_up(desk, scheduled_rules=[rule])
    (ticket,) = await tickets(desk, 1)
    await round_of(desk)
    assert await runs(desk, ticket) == []
    changes: list[dict[str, Any]] = [{"add_tags": ["go"]}, {"remove_tags": ["go"]}, {"add_tags": ["go"]}]
    for change in changes:
        await desk.call("UpdateTicket", ticket=ticket.id, **change)
        await round_of(desk)
    assert len(await runs(desk, ticket)) == 2


async def test_what_a_scheduled_rule_does_sets_triggers_off(desk: Desk) -> None:
    trigger = a_rule("tell", {"set": {"add_tags": ["told"]}}, when=["TicketStatusChanged"])
    rule = scheduled("wait", {"status": "waiting"}, query="Status: new")
    await set_up(desk, triggers=[trigger], scheduled_rules=[rule, {**rule, "key": "off", "off": True}])
    (ticket,) = await tickets(desk, 1)
    await round_of(desk)
    assert list((await desk.ticket(ticket.id)).tags) == ["told"]
    assert [rule for rule, _, _ in await runs(desk, ticket)] == ["wait", "tell"]


async def test_a_rule_that_is_to_run_more_often_does_not_wait_for_its_old_round(desk: Desk) -> None:
    rule = scheduled("often", {"webhook": "crm"}, query="Status: new", every="2592000s")
    await set_up(desk, scheduled_rules=[rule])
    await round_of(desk)
    assert await next_round(desk) > timedelta(days=29)
    await set_up(desk, scheduled_rules=[{**rule, "every": "60s"}])
    assert await next_round(desk) <= timedelta(minutes=1)
    await set_up(desk, scheduled_rules=[rule])
    assert await next_round(desk) <= timedelta(minutes=1)


async def next_round(desk: Desk) -> timedelta:
    async with desk.db.tx() as tx:
        found: timedelta = (
            await tx.execute(sa.text("select next_time - now() from rule_schedule"))
        ).scalar_one()
    return found


async def test_a_query_that_takes_too_long_holds_no_other_rule_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules of a queue do not wait for those of another."""
    one = scheduled("slow", {"webhook": "crm"}, query="Status: new")
    await set_up(desk, scheduled_rules=[one, {**one, "key": "well"}])
    (ticket,) = await tickets(desk, 1)
    look, slow = changeable, ["set local statement_timeout = 50", "select pg_sleep(5)"]

    async def waits(tx: Tx, query: sa.Select[Any]) -> list[Ticket]:
        while slow:
            await tx.execute(sa.text(slow.pop(0)))
        return await look(tx, query)

    monkeypatch.setattr(store, "changeable", waits)
    assert await round_of(desk) == 2
    assert len(await runs(desk, ticket)) == 1
    await round_of(desk)
    assert sorted(rule for rule, _, _ in await runs(desk, ticket)) == ["slow", "well"]
