"""The demo in the terminal: what happens beside the tickets and their clocks; plain lines elsewhere."""

import time
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from chassis.clock import utcnow
from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1.ticket_pb2 import Ticket
from tickdesk_cli.board import Board, Card, Dial, Line
from tickdesk_cli.catcher import Catcher
from tickdesk_cli.terminal import live

_BAR = 10
_STATUS = {
    "new": "white",
    "in_progress": "bright_blue",
    "waiting": "yellow",
    "escalated": "bold magenta",
    "resolved": "green",
    "closed": "dim",
}
_SIDE_BY_SIDE = 100


class View:
    """Shows a board while it changes. `phase` is the sentence at the top."""

    def __init__(self, console: Console, board: Board, catcher: Catcher, began: float) -> None:
        self.board = board
        self.catcher = catcher
        self.phase = ""
        self.began = began
        self._console = console
        self._live: Live | None = None
        board.said = self._print

    def __enter__(self) -> Self:
        if live():
            self._live = Live(
                console=self._console,
                get_renderable=self.picture,
                refresh_per_second=8,
                screen=True,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.board.said = lambda _: None
        if self._live is not None:
            self._live.stop()

    def enter(self, phase: str) -> None:
        """Say which part begins."""
        self.phase = phase
        if self._live is None:
            self._console.print(Text(f"{self._clock()}  {phase}", style="bold"))

    def picture(self) -> RenderableType:
        """The whole screen."""
        layout = Layout()
        layout.split_column(Layout(self._head(), size=1), Layout(name="body"), Layout(self._foot(), size=1))
        width, height = self._console.size
        body = layout["body"]
        feed, tickets = Layout(name="feed"), Layout(name="tickets")
        if width >= _SIDE_BY_SIDE:
            body.split_row(feed, tickets)
            rows = height - 5
            layout["feed"].update(self.feed(rows))
            layout["tickets"].update(self.tickets(rows))
        else:
            body.split_column(tickets, feed)
            rows = max((height - 8) // 2, 3)
            layout["tickets"].update(self.tickets(rows))
            layout["feed"].update(self.feed(rows))
        return layout

    def feed(self, rows: int) -> Panel:
        """The last sentences."""
        text = Text(overflow="ellipsis", no_wrap=True)
        for line in self.board.lines[-rows:]:
            text.append(f"{line.who:>7} ", style="bold dim")
            text.append(f"{line.text}\n", style=line.style)
        return Panel(text, title="what happens", title_align="left", border_style="dim", padding=(0, 1))

    def tickets(self, rows: int) -> Panel:
        """Tickets, the most urgent first, with their clocks."""
        now = utcnow()
        table = Table(box=None, expand=True, padding=(0, 1, 0, 0), show_header=False)
        for ratio in (None, None, None, 1, None):
            table.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis")
        cards = sorted(self.board.cards.values(), key=lambda card: _urgency(card, now))
        for card in cards[: rows + 1]:
            table.add_row(*_row(card, now))
        open_ones = sum(not card.closed for card in cards)
        title = f"{len(cards)} tickets, {open_ones} open"
        return Panel(table, title=title, title_align="left", border_style="dim", padding=(0, 1))

    def _head(self) -> Text:
        return Text.assemble(
            (" tickdesk demo ", "bold reverse"), f"  {self._clock()}  ", (self.phase, "bold")
        )

    def _foot(self) -> Text:
        seen = self.board.seen
        counts = [
            (seen["MessageReceived"], "messages"),
            (seen["TicketOpened"], "opened"),
            (seen["CustomerReplied"], "joined"),
            (seen["MarkReached"], "marks"),
            (seen["TicketEscalated"], "escalations"),
            (len(self.catcher.letters), "letters caught"),
            (seen["SurveyAnswered"], "votes"),
        ]
        return Text("  ".join(f"{number} {word}" for number, word in counts), style="dim")

    def _clock(self) -> str:
        return f"{time.monotonic() - self.began:5.1f} s"

    def _print(self, line: Line) -> None:
        if self._live is None and not line.minor:
            self._console.print(
                Text.assemble(
                    (f"{self._clock()}  ", "dim"), (f"{line.who:>7} ", "bold"), (line.text, line.style)
                ),
                overflow="ellipsis",
                no_wrap=True,
                crop=self._console.is_terminal,
            )


def _urgency(card: Card, now: datetime) -> tuple[bool, float, str]:
    dial = card.dial(now)
    return card.closed, dial.remaining(now) if dial else 1e6, card.key


def _row(card: Card, now: datetime) -> tuple[Text, ...]:
    ticket = card.ticket
    line = common_pb2.Line.Name(ticket.line).removeprefix("LINE_")
    style = "dim" if card.closed else ""
    return (
        Text(card.key, "bold" if not card.closed else "dim"),
        Text(ticket.status.replace("_", " "), _STATUS.get(ticket.status, "")),
        Text(f"{line} {ticket.assignee:<5}"[:9], style),
        _about(ticket, style),
        bar(card.dial(now), now) if not card.closed else Text(_score(ticket), "yellow"),
    )


def _about(ticket: Ticket, style: str) -> Text:
    """The subject, and the topic with the customer's number behind it."""
    vip = ticket.customer.tier == common_pb2.CUSTOMER_TIER_VIP
    topic = " ".join(filter(None, (ticket.category, ticket.component, ticket.customer_number)))
    return Text.assemble(
        ("VIP ", "bold yellow") if vip else "",
        (ticket.subject or "(no subject)", style),
        (f"  {topic}" if topic else "", "dim"),
    )


def _score(ticket: object) -> str:
    csat = getattr(ticket, "csat", None)
    return "★" * csat.raw if csat is not None and csat.raw else ""


def bar(dial: Dial | None, now: datetime) -> Text:
    """What is left of a clock: a bar that shrinks and reddens, and the seconds."""
    if dial is None or not dial.target:
        return Text("")
    left = dial.remaining(now)
    share = min(max(left / dial.target, 0.0), 1.0)
    full = round(share * _BAR)
    style = "red" if left <= 0 else "yellow" if share < 0.3 else "green"
    word = f"{left:5.1f} s" if left > 0 else f"{left:+5.1f} s"
    name = {"first_response": "answer", "next_response": "answer", "resolution": "solve"}.get(
        dial.name, dial.name
    )
    return Text.assemble(("█" * full, style), ("░" * (_BAR - full), "dim"), (f" {word} {name}", style))
