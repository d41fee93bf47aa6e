"""`tickdesk tickets`: what a query finds, as a table or as numbers."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
import grpc.aio
from google.protobuf.json_format import MessageToDict
from rich.table import Table
from rich.text import Text

from chassis.clock import utcnow
from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import query_pb2
from tickdesk.tickets.v1 import query_service_pb2 as pb
from tickdesk_cli.client import SECONDS, Client
from tickdesk_cli.desk import Desk
from tickdesk_cli.terminal import bad_input, clean, console, write

_PAGE, _COUNTED = 200, 1000
_SOON = timedelta(hours=1)
_COLUMNS = ("key", "due", "status", "line", "assignee", "customer", "subject")
# What is typed or acted on is of no use cut short.
_WHOLE = frozenset(("key", "due", "status", "line"))
_AT_MOST = {"assignee": 12, "customer": 20}
_GUIDE = "The language is told in docs/guides/query.md; `tickdesk tickets list --help` has examples."


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, the agent that me() means, and the zone in which days begin."""

    query: str
    agent: str = ""
    zone: str = ""

    def fields(self) -> dict[str, str]:
        """As fields of a request."""
        return {"query": self.query, "agent_id": self.agent, "timezone": self.zone}


async def overview(desk: Desk, asked: Asked, limit: int, *, as_json: bool) -> None:
    """Print the tickets that a query finds, at most `limit` of them."""
    desk.require()
    async with desk.client() as client, refusing():
        tickets, total, corrected = await _found(client, asked, limit)
    if as_json:
        write([MessageToDict(each, preserving_proto_field_name=True) for each in tickets])
        return
    if corrected:
        console.print(Text(f"Nothing is spelt like that; found by: {clean(corrected)}", style="yellow"))
    if not tickets:
        console.print("No tickets.")
        return
    console.print(table_of(tickets, utcnow()))
    if total > len(tickets):
        at_least = "at least " if total >= _COUNTED else ""
        console.print(f"{len(tickets)} of {at_least}{total}: --limit shows more", style="dim")


async def count(desk: Desk, asked: Asked, by: list[str], *, as_json: bool) -> None:
    """Print how many tickets a query finds, by one field or by two with their sums."""
    if len(by) > 2:
        raise bad_input("tickets are counted by one field or by two", "Name --by once or twice.")
    desk.require()
    group_by, split_by = [*by, "", ""][:2]
    request = pb.CountTicketsRequest(**asked.fields(), group_by=group_by, split_by=split_by)
    async with desk.client() as client, refusing():
        counts = await client.queries.CountTickets(request, timeout=SECONDS)
    if as_json:
        write(
            MessageToDict(counts, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        )
    elif not by:
        console.print(str(counts.total))
    else:
        console.print(_pivot(counts, by))
        if counts.truncated:
            console.print("only the largest numbers are shown", style="dim")


async def _found(client: Client, asked: Asked, limit: int) -> tuple[list[query_pb2.TicketSummary], int, str]:
    request = pb.SearchTicketsRequest(**asked.fields(), page_size=min(limit, _PAGE))
    answer = await client.queries.SearchTickets(request, timeout=SECONDS)
    tickets, total = list(answer.tickets), answer.total_size
    corrected = answer.corrected_query
    request.query = corrected or asked.query
    while answer.next_page_token and len(tickets) < limit:
        request.page_token = answer.next_page_token
        answer = await client.queries.SearchTickets(request, timeout=SECONDS)
        tickets += answer.tickets
    return tickets[:limit], total, corrected


@asynccontextmanager
async def refusing() -> AsyncIterator[None]:
    """What is wrong with a query is the user's to mend: exit code 2, the caret as the service drew it."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.INVALID_ARGUMENT:
            raise
        raise bad_input(error.details() or "bad query", _GUIDE) from error


def table_of(tickets: Iterable[query_pb2.TicketSummary], now: datetime) -> Table:
    """A ticket a line; names and subjects give way where the terminal is narrow."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    rows = [_row(each, now) for each in tickets]
    for place, name in enumerate(_COLUMNS):
        widest = max([len(name), *(row[place].cell_len for row in rows)])
        whole = widest if name in _WHOLE else None
        table.add_column(name, no_wrap=True, min_width=whole, max_width=_AT_MOST.get(name))
    for row in rows:
        table.add_row(*row)
    return table


def _row(ticket: query_pb2.TicketSummary, now: datetime) -> list[Text]:
    vip = ticket.customer_tier == common_pb2.CUSTOMER_TIER_VIP
    return [
        Text(ticket.key, "bold"),
        _due(ticket, now),
        Text(clean(ticket.status)),
        Text(common_pb2.Line.Name(ticket.line).removeprefix("LINE_")),
        Text(clean(ticket.assignee) or "-"),
        Text(clean(ticket.customer_name), "yellow" if vip else ""),
        Text(clean(ticket.subject)),
    ]


def _due(ticket: query_pb2.TicketSummary, now: datetime) -> Text:
    """What is left until the first clock runs out."""
    if not ticket.HasField("due_time"):
        return Text("-", "dim")
    left = ticket.due_time.ToDatetime(tzinfo=UTC) - now
    words = _words(abs(left))
    if left < timedelta(0):
        return Text(f"{words} late", "red")
    return Text(f"in {words}", "yellow" if left < _SOON else "green")


def _words(length: timedelta) -> str:
    """A length in its two largest units."""
    hours, minutes = divmod(max(length // timedelta(minutes=1), 1), 60)
    days, hours = divmod(hours, 24)
    parts = [f"{days}d" if days else "", f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    return " ".join([part for part in parts if part][:2])


def _pivot(counts: pb.CountTicketsResponse, by: list[str]) -> Table:
    """Rows and columns of a pivot with sums on both axes."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(by[0], no_wrap=True)
    columns = [cell.split for cell in counts.splits]
    for name in [*(_name(each) for each in columns), "all"]:
        table.add_column(name, justify="right", no_wrap=True)
    numbers = {(cell.group, cell.split): cell.count for cell in counts.cells}
    for row in counts.groups:
        cells = (str(numbers.get((row.group, column), "")) for column in columns)
        table.add_row(_name(row.group), *cells, str(row.count))
    table.add_row("all", *(str(cell.count) for cell in counts.splits), str(counts.total), style="bold")
    return table


def _name(value: str) -> str:
    return clean(value) or "-"
