"""One ticket with what was written in it, as a page for the terminal."""

from datetime import UTC

from google.protobuf.json_format import MessageToDict
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tickdesk.common.v1.common_pb2 import Actor, Line, Priority
from tickdesk.tickets.v1.ticket_pb2 import VISIBILITY_INTERNAL, SlaClock, Ticket, TicketMessage
from tickdesk.tickets.v1.tickets_service_pb2 import GetTicketRequest, ListTicketMessagesRequest
from tickdesk_cli.client import SECONDS, pages
from tickdesk_cli.desk import Desk
from tickdesk_cli.terminal import clean, console, instant, write


async def show(desk: Desk, key: str, *, as_json: bool) -> None:
    """Print a ticket and its messages, oldest first."""
    desk.require()
    async with desk.client() as client:
        ticket = (await client.tickets.GetTicket(GetTicketRequest(ticket=key), timeout=SECONDS)).ticket
        request = ListTicketMessagesRequest(ticket=ticket.id)
        told = pages(client.tickets.ListTicketMessages, request)
        messages = [each async for page in told for each in page.messages]
    if as_json:
        parts = [MessageToDict(each, preserving_proto_field_name=True) for each in (ticket, *messages)]
        write({"ticket": parts[0], "messages": parts[1:]})
        return
    console.print(Text.assemble((ticket.key, "bold"), "  ", clean(ticket.subject)))
    console.print(_facts(ticket))
    for message in messages:
        console.print()
        console.print(_heading(message))
        console.print(Padding(Text(clean(message.text)), (0, 0, 0, 2)))


def _facts(ticket: Ticket) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    customer = ticket.customer
    addresses = ", ".join(each.address for each in customer.contacts)
    work = (ticket.status, Line.Name(ticket.line).removeprefix("LINE_"), ticket.assignee or "nobody's")
    facts = {
        "work": ", ".join(work),
        "priority": Priority.Name(ticket.priority).removeprefix("PRIORITY_").lower(),
        "customer": f"{customer.name} ({addresses})" if addresses else customer.name,
        "topic": "/".join(each for each in (ticket.category, ticket.component) if each),
        "tags": ", ".join(ticket.tags),
        "created": instant(ticket.created_time.ToDatetime(UTC)),
        "resolved": instant(ticket.resolved_time.ToDatetime(UTC)) if ticket.HasField("resolved_time") else "",
        "merged into": ticket.merged_into_key,
    }
    for name, value in facts.items():
        if value:
            table.add_row(name, Text(clean(value)))
    for clock in ticket.sla.clocks:
        table.add_row(clock.clock.replace("_", " "), _clock(clock))
    return table


def _clock(clock: SlaClock) -> Text:
    words = [clock.state]
    if clock.HasField("due_time"):
        words.append(f"due {instant(clock.due_time.ToDatetime(UTC))}")
    if clock.breached:
        words.append("breached")
    return Text(clean(", ".join(words)), "red" if clock.breached else "")


def _heading(message: TicketMessage) -> Text:
    author = message.author
    kind = Actor.Kind.Name(author.kind).removeprefix("KIND_").lower()
    files = ", ".join(each.filename for each in message.attachments)
    return Text.assemble(
        (clean(author.name or author.id), "bold"),
        (f", {kind}, {instant(message.created_time.ToDatetime(UTC))}", "dim"),
        ("  internal" if message.visibility == VISIBILITY_INTERNAL else "", "yellow"),
        (f"  files: {clean(files)}" if files else "", "dim"),
    )
