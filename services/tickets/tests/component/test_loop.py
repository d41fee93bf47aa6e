"""The background: closing by term and the gauges."""

from datetime import timedelta

from prometheus_client import REGISTRY

from chassis.testing import eventually
from services.tickets.tests.builders import furnish
from services.tickets.tests.conftest import Start
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import events_pb2
from tickets.handlers import work


async def test_what_nobody_confirms_is_closed_once_by_any_number_of_replicas(start: Start) -> None:
    """CA-09: closed when the confirmation term expires."""
    quick = {"confirmation_seconds": 0.01, "close_poll_seconds": 0.05, "close_batch": 2}
    desk = await start(**quick)
    await furnish(desk)
    await start(url=desk.url, **quick)
    tickets = [await desk.create(subject=str(number)) for number in range(5)]
    for ticket in tickets[1:]:
        await desk.call("ResolveTicket", ticket=ticket.id)
    closed = [await desk.watch.next(events_pb2.TicketClosed) for _ in range(4)]
    assert {each.ticket.id for each in closed} == {each.id for each in tickets[1:]}
    assert {(each.confirmed, each.actor.kind) for each in closed} == {(False, common.Actor.KIND_ROBOT)}
    assert all(each.ticket.version == 3 for each in closed)
    assert (await desk.ticket(tickets[0].id)).status == "new"
    assert len(desk.watch.of(events_pb2.TicketClosed)) == 4


async def test_a_term_that_has_not_run_out_closes_nothing(start: Start) -> None:
    desk = await start()
    await furnish(desk)
    ticket = await desk.create()
    await desk.call("ResolveTicket", ticket=ticket.id)
    async with desk.db.tx() as tx:
        found = await work.close_expired(tx, timedelta(seconds=3600), 10)
        assert (found, await work.close_expired(tx, timedelta(), 10)) == (0, 1)
    assert (await desk.ticket(ticket.id)).status == "closed"


async def test_gauges_count_what_is_open_and_the_oldest_that_nobody_has(start: Start) -> None:
    desk = await start(gauge_seconds=0.05)
    await furnish(desk)
    first, _ = await desk.create(), await desk.create()
    await eventually(lambda: open_tickets("new") == 2)
    age = REGISTRY.get_sample_value("tickdesk_ticket_oldest_unassigned_age_seconds", {"queue": "SUP"})
    assert age is not None
    assert age > 0
    await desk.call("TakeTicket", ticket=first.id)
    await eventually(lambda: open_tickets("in_progress") == 1)
    assert open_tickets("new") == 1


def open_tickets(status: str) -> float | None:
    return REGISTRY.get_sample_value("tickdesk_tickets_open", {"queue": "SUP", "status": status})
