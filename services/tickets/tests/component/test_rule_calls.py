"""Rules that call other systems, which may call back."""

from datetime import timedelta

import sqlalchemy as sa

from chassis.clock import utcnow, uuid7
from services.tickets.tests.builders import Desk
from services.tickets.tests.component.test_triggers import DONE, FAILED, NOT_RUN, a_rule, runs, with_rules
from tickdesk.tickets.v1 import events_pb2, ticket_pb2
from tickets.domain.model import ActorKind
from tickets.domain.rule_actions import CALLS_AN_HOUR
from tickets.store.access_tables import audit


async def ran(
    desk: Desk, ticket: ticket_pb2.Ticket, rule: str, times: int, minutes_ago: int, event: str = "RuleDone"
) -> None:
    """The trail says that a rule was done to the ticket so many times, so long ago."""
    row = {"time": utcnow() - timedelta(minutes=minutes_ago), "actor_kind": int(ActorKind.ROBOT),
           "actor_id": f"rule/{rule}", "ticket_id": ticket.id, "event": event, "version": 1,
           "changes": [["action", "", "webhook crm"]], "about": "",
           "principal": "", "source": "", "request_id": ""}  # fmt: skip
    async with desk.db.tx() as tx:
        await tx.execute(sa.insert(audit), [{"id": str(uuid7()), **row} for _ in range(times)])


async def test_a_webhook_whose_receiver_changes_the_ticket_ends_and_says_so_once(desk: Desk) -> None:
    """faults.md: every loop has a bound; other rules and other tickets go on."""
    await with_rules(
        desk,
        a_rule("sync", {"webhook": "crm"}, when=["TicketUpdated"]),
        a_rule("status", {"status": "waiting"}, when=["TicketUpdated"], **{"if": '"last" in ticket.tags'}),
    )
    looped, other = await desk.create(), await desk.create(subject="other")
    await ran(desk, looped, "sync", CALLS_AN_HOUR - 2, 5)
    for tag in ("1", "2", "3", "4", "last"):
        await desk.call("UpdateTicket", ticket=looped.id, add_tags=[tag])
    await desk.call("UpdateTicket", ticket=other.id, add_tags=["1"])
    trail = (await desk.call("ListRuleRuns", ticket=looped.id, page_size=200)).runs
    told = [(each.rule, each.outcome) for each in reversed(trail)][CALLS_AN_HOUR - 2 :]
    assert told == [("sync", DONE), ("sync", DONE), ("sync", NOT_RUN), ("status", DONE)]
    assert trail[1].reason == "the rule called webhooks 60 times for this ticket within an hour"
    assert await runs(desk, other) == [("sync", DONE, ["webhook crm"])]
    called = [await desk.watch.next(events_pb2.WebhookRequested) for _ in range(3)]
    assert [each.ticket.id for each in called] == [looped.id, looped.id, other.id]


async def test_an_hour_later_a_rule_calls_its_webhook_again(desk: Desk) -> None:
    await with_rules(desk, a_rule("sync", {"webhook": "crm"}, when=["TicketUpdated"]))
    ticket = await desk.create()
    await ran(desk, ticket, "sync", CALLS_AN_HOUR, 61)
    await desk.call("UpdateTicket", ticket=ticket.id, add_tags=["1"])
    assert (await runs(desk, ticket))[-1] == ("sync", DONE, ["webhook crm"])


async def test_runs_that_failed_do_not_hide_webhooks_that_were_called(desk: Desk) -> None:
    """A receiver whose changes fail the rule more often than not has no more calls for that."""
    await with_rules(desk, a_rule("sync", {"webhook": "crm"}, when=["TicketUpdated"]))
    ticket = await desk.create()
    await ran(desk, ticket, "sync", CALLS_AN_HOUR, 5)
    await ran(desk, ticket, "sync", 200, 4, "RuleFailed")
    for tag in "12":
        await desk.call("UpdateTicket", ticket=ticket.id, add_tags=[tag])
    assert [each[1] for each in await runs(desk, ticket)][-2:] == [FAILED, NOT_RUN]
