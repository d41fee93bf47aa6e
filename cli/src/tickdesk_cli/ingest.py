"""`tickdesk ingest`: messages out of files into a running desk, and what became of each."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
from rich.console import Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from chassis.clock import utcnow
from tickdesk.intake.v1.intake_service_pb2 import GetMessageRequest
from tickdesk.tickets.v1.ticket_pb2 import Ticket
from tickdesk.tickets.v1.tickets_service_pb2 import (
    ListQueuesRequest,
    ListTicketMessagesRequest,
    ListTicketsRequest,
)
from tickdesk_cli import mailbox
from tickdesk_cli.client import SECONDS, Client, pages
from tickdesk_cli.lmtp import Answer, Sender, envelope_of
from tickdesk_cli.mailbox import Letter
from tickdesk_cli.terminal import Problem, bad_input, console, live

OUTCOMES = ("created", "joined", "duplicate", "rejected")
_WORDS = {
    "created": "opened a ticket",
    "joined": "joined a ticket",
    "duplicate": "known already",
    "rejected": "refused",
    "pending": "stored, ticket not seen yet",
}
_STYLES = {
    "created": "green",
    "joined": "cyan",
    "duplicate": "yellow",
    "rejected": "red",
    "pending": "magenta",
}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SETTLE_SECONDS = 30.0
_SETTLE_SECONDS_EACH = 0.1
_FIRST_PAUSE, _LAST_PAUSE = 0.2, 2.0
_SHOWN = 20


@dataclass(slots=True)
class Result:
    """What became of one message: an outcome, the reason of a refusal, the ids the desk gave."""

    name: str
    outcome: str
    reason: str = ""
    message_id: str = ""
    ticket: str = ""


@dataclass(slots=True)
class Report:
    """Results in the order of delivery."""

    results: list[Result] = field(default_factory=list)
    seconds: float = 0

    @property
    def counts(self) -> Counter[str]:
        """How many of each outcome."""
        return Counter(each.outcome for each in self.results)

    @property
    def complete(self) -> bool:
        """True when nothing was refused and every message is known or was seen in a ticket."""
        return not self.counts["rejected"] and not self.counts["pending"]


async def deliver(
    letters: Iterable[Letter],
    sender: Sender,
    mailboxes: list[str],
    told: Callable[[Result], None] = lambda _: None,
) -> Report:
    """Deliver messages one after the other over LMTP; accepted ones are `pending` until `settle`."""
    report, began = Report(), time.monotonic()
    known: set[str] = set()
    for letter in letters:
        result = await _deliver_one(letter, sender, mailboxes, known)
        report.results.append(result)
        told(result)
    report.seconds = time.monotonic() - began
    return report


async def _deliver_one(letter: Letter, sender: Sender, mailboxes: list[str], known: set[str]) -> Result:
    if letter.flaw:
        return Result(letter.name, "rejected", letter.flaw)
    answer = await sender.send(envelope_of(letter.raw, mailboxes), letter.raw)
    if not answer.accepted:
        return Result(letter.name, "rejected", f"{answer.code} {answer.text}")
    return _accepted(letter.name, answer, known)


def _accepted(name: str, answer: Answer, known: set[str]) -> Result:
    match = _UUID.search(answer.text)
    identity = match[0] if match else ""
    # After a broken connection the second try may be told of the first one's copy: that is no duplicate.
    first = answer.unsure and identity not in known
    known.add(identity)
    duplicate = "duplicate" in answer.text.lower() and not first
    return Result(name, "duplicate" if duplicate else "pending", message_id=identity)


def patience(count: int) -> float:
    """Seconds to wait for this many messages to reach their tickets."""
    return max(_SETTLE_SECONDS, count * _SETTLE_SECONDS_EACH)


def pauses() -> Iterator[float]:
    """Seconds between two looks at the tickets; they grow, as a look reads all tickets that changed."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.5, _LAST_PAUSE)


async def settle(client: Client, report: Report, since: datetime, seconds: float = 0) -> None:
    """Wait until tickets has every accepted message; say of each whether it opened a ticket or joined one.

    Waits `seconds`, 0 meaning the `patience` that so many messages ask for; what is not seen by then stays
    `pending`. A service that restarts meanwhile is waited for, within the same time."""
    conversations: dict[str, str] = {}
    firsts: dict[str, str] = {}
    deadline = time.monotonic() + (seconds or patience(len(report.results)))
    breaks = pauses()
    while _open(report) and time.monotonic() < deadline:
        try:
            await _look(client, report, since, conversations, firsts)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        if _open(report):
            await asyncio.sleep(max(0, min(next(breaks), deadline - time.monotonic())))


async def _look(
    client: Client, report: Report, since: datetime, conversations: dict[str, str], firsts: dict[str, str]
) -> None:
    """One look at the tickets; what is known stays in `conversations` and `firsts` for the next one."""
    for result in _open(report):
        if result.message_id not in conversations:
            conversations[result.message_id] = await _conversation(client, result.message_id)
    tickets = await tickets_by_conversation(client, since)
    for result in _open(report):
        ticket = tickets.get(conversations[result.message_id])
        if ticket is not None:
            await _resolve(client, result, ticket, firsts)


def _open(report: Report) -> list[Result]:
    return [each for each in report.results if each.outcome == "pending" and each.message_id]


async def _conversation(client: Client, identity: str) -> str:
    answer = await client.intake.GetMessage(GetMessageRequest(message_id=identity), timeout=SECONDS)
    return answer.message.conversation_id


async def tickets_by_conversation(client: Client, since: datetime) -> dict[str, Ticket]:
    """Tickets that changed since then, by each of their conversations."""
    request = ListTicketsRequest()
    request.updated_after.FromDatetime(since)
    found: dict[str, Ticket] = {}
    async for page in pages(client.tickets.ListTickets, request):
        for ticket in page.tickets:
            found.update(dict.fromkeys(ticket.conversation_ids, ticket))
    return found


async def _resolve(client: Client, result: Result, ticket: Ticket, firsts: dict[str, str]) -> None:
    """The message that a ticket began with is its first one; every other one joined it."""
    if ticket.id not in firsts:
        request = ListTicketMessagesRequest(ticket=ticket.id, page_size=1)
        answer = await client.tickets.ListTicketMessages(request, timeout=SECONDS)
        firsts[ticket.id] = answer.messages[0].id if answer.messages else ""
    result.ticket = ticket.key
    result.outcome = "created" if firsts[ticket.id] == result.message_id else "joined"


async def mailboxes(client: Client) -> list[str]:
    """The addresses of all queues, each queue's own in its order. Raises Problem when there is no queue."""
    found: list[str] = []
    async for page in pages(client.tickets.ListQueues, ListQueuesRequest()):
        found += [address for queue in page.queues for address in queue.addresses]
    if not found:
        raise Problem(
            "the desk has no queue with an address", "`tickdesk up` makes the queues of examples/desk.yaml."
        )
    return found


async def ingest(client: Client, port: int, paths: list[Path], recipient: str) -> int:
    """The command: deliver, count, print. Returns 0, or 1 when a message was refused or is pending."""
    total = mailbox.count(paths)
    boxes = await mailboxes(client)
    if recipient and recipient.lower() not in boxes:
        raise bad_input(f"--to {recipient}: no queue has this address", f"There are: {', '.join(boxes)}")
    since = utcnow() - timedelta(seconds=5)
    with _progress() as progress:
        task = progress.add_task("delivering", total=total)
        sender = Sender(port, notice=lambda text: progress.console.print(text, style="yellow"))
        chosen = [recipient.lower()] if recipient else boxes
        async with sender:
            report = await deliver(mailbox.letters(paths), sender, chosen, lambda _: progress.advance(task))
        progress.update(task, description="counting")
        await settle(client, report, since)
    console.print(summary(report))
    return 0 if report.complete else 1


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not live(),
        transient=True,
    )


def summary(report: Report) -> Group:
    """The final count, and why what was refused was refused."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column()
    counts = report.counts
    for outcome in (*OUTCOMES, "pending"):
        if counts[outcome] or outcome in OUTCOMES:
            style = _STYLES[outcome] if counts[outcome] else "dim"
            table.add_row(Text(str(counts[outcome]), style), Text(_WORDS[outcome], style))
    refused = [each for each in report.results if each.outcome == "rejected"]
    lines = [Text.assemble((each.name, "bold"), f"\n  {each.reason}") for each in refused[:_SHOWN]]
    if len(refused) > _SHOWN:
        lines.append(Text(f"and {len(refused) - _SHOWN} more", style="dim"))
    total = f"{len(report.results)} messages in {report.seconds:.1f} s"
    if counts["pending"]:
        lines.append(Text(_waiting(counts["pending"]), style="magenta"))
    return Group(table, Text(total, style="dim"), *lines)


def _waiting(count: int) -> str:
    who = "1 message is" if count == 1 else f"{count} messages are"
    return (
        f"{who} stored, but no ticket was seen in time. Nothing is lost: the desk goes on with what is "
        "stored. `tickdesk doctor` looks for what holds it up."
    )
