"""The list of tickets as a terminal shows it."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from tickdesk.common.v1.common_pb2 import LINE_L2
from tickdesk.tickets.v1.query_pb2 import TicketSummary
from tickdesk_cli.tickets import table_of

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_what_a_ticket_is_called_and_when_it_is_due_is_whole_on_a_narrow_terminal(width: int) -> None:
    """A list that hides the keys is of no use."""
    ticket = TicketSummary(
        key="SUPPORT-123456",
        status="waiting_customer",
        line=LINE_L2,
        assignee="anna",
        customer_name="Бухгалтерия СтройСервис",
        subject="Закрывающие документы за октябрь",
    )
    ticket.due_time.FromDatetime(NOW + timedelta(hours=20, minutes=3))
    written = io.StringIO()
    page = Console(file=written, width=width)
    page.print(table_of([ticket], NOW))
    shown = written.getvalue()
    assert all(word in shown for word in ("SUPPORT-123456", "in 20h 3m", "waiting_customer"))
    assert (ticket.subject in shown) == (width == 200)


def test_no_tickets_are_a_heading() -> None:
    written = io.StringIO()
    Console(file=written, width=80).print(table_of([], NOW))
    assert written.getvalue().startswith("key  due  status  line  assignee  customer  subject")
