"""The life of a ticket over RPCs and events."""

from services.tickets.tests.builders import Desk, kinds
from tickdesk.tickets.v1 import events_pb2, timeline_pb2


async def test_a_message_becomes_a_ticket_and_goes_its_way_to_closed(desk: Desk) -> None:
    """CA-06, CA-08, MP-11: number, customer, responsible, observers, history; every event one version."""
    ticket = await desk.receive()
    assert (ticket.key, ticket.version, ticket.status) == ("SUP-1", 1, "new")
    await desk.call("TakeTicket", ticket=ticket.key)
    await desk.call("ReplyToTicket", ticket=ticket.key, text="Unplug it.", status="waiting")
    await desk.call("ResolveTicket", ticket=ticket.key)
    answer = await desk.call("CloseTicket", ticket=ticket.key, confirmed=True)
    assert answer.ticket.status_kind == timeline_pb2.STATUS_KIND_CLOSED
    assert answer.ticket.observers == ["olga"]
    assert kinds(answer.ticket) == [
        "created",
        "customer_messages",
        "taken",
        "status_changed",
        "staff_replies",
        "status_changed",
        "status_changed",
        "resolved",
        "status_changed",
        "closed",
    ]
    await desk.watch.next(events_pb2.TicketClosed)
    seen = [event for event in desk.watch.seen if hasattr(event, "ticket")]
    assert [type(event).__name__ for event in seen] == [
        "TicketOpened",
        "TicketTaken",
        "TicketReplied",
        "TicketStatusChanged",
        "TicketResolved",
        "TicketClosed",
    ]
    assert [event.ticket.version for event in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[-1].ticket == answer.ticket
