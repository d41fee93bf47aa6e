"""The demo's parts that need no desk: the board, the clock bars, the browser, the mail catcher."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest
from rich.console import Console

from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1.events_pb2 import ClockStarted, MarkReached
from tickdesk.tickets.v1.events_pb2 import TicketOpened, TicketTaken
from tickdesk_cli import page, seed, story
from tickdesk_cli.board import Board, Dial
from tickdesk_cli.catcher import Catcher
from tickdesk_cli.view import View, bar

EXAMPLES = Path(__file__).parents[3] / "examples"
NOW = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)


def opened(version: int = 1) -> TicketOpened:
    event = TicketOpened()
    event.ticket.id, event.ticket.key, event.ticket.version = "t", "SUP-1", version
    event.ticket.subject, event.message.id = "Broken", "m"
    return event


def test_the_board_follows_events_and_keeps_the_newest_version() -> None:
    board = Board()
    board.take(opened())
    taken = TicketTaken()
    taken.ticket.CopyFrom(opened(3).ticket)
    taken.ticket.assignee = "anna"
    board.take(taken)
    board.take(opened(2))
    card = board.card("SUP-1")
    assert card is not None
    assert (card.ticket.version, card.ticket.assignee) == (3, "anna")
    assert board.by_message == {"m": "t"}


def test_a_ticket_shows_its_topic_and_the_number_of_the_customer() -> None:
    """KT-07."""
    event = opened()
    event.ticket.category, event.ticket.customer_number = "payment/refund", "4417"
    console = Console(width=120)
    board = Board()
    view = View(console, board, Catcher(), began=0)
    board.take(event)
    with console.capture() as shown:
        console.print(view.tickets(3))
    assert "Broken  payment/refund 4417" in shown.get()


def test_a_mark_is_remembered_by_clock_and_action() -> None:
    """CA-14, CA-16."""
    board = Board()
    board.take(opened())
    started = ClockStarted()
    started.ticket.id, started.clock.name = "t", "first_response"
    started.clock.state = clock_pb2.CLOCK_STATE_RUNNING
    started.clock.target.FromTimedelta(timedelta(seconds=16))
    started.clock.due_time.FromDatetime(NOW + timedelta(seconds=4))
    board.take(started)
    mark = MarkReached(clock="first_response")
    mark.ticket.id, mark.mark.action = "t", clock_pb2.MARK_ACTION_BREACH
    board.take(mark)
    assert board.reached("t", "first_response", clock_pb2.MARK_ACTION_BREACH)
    assert not board.reached("t", "resolution", clock_pb2.MARK_ACTION_BREACH)
    dial = board.cards["t"].dial(NOW)
    assert dial is not None
    assert (dial.remaining(NOW), dial.breached) == (4, True)


@pytest.mark.parametrize(("left", "full", "style"), [(16, 10, "green"), (4, 2, "yellow"), (-3, 0, "red")])
def test_a_bar_shrinks_and_reddens(left: float, full: int, style: str) -> None:
    dial = Dial("first_response", clock_pb2.CLOCK_STATE_RUNNING, 16, NOW + timedelta(seconds=left))
    drawn = bar(dial, NOW)
    assert drawn.plain.count("█") == full
    assert style in {str(span.style) for span in drawn.spans}
    assert f"{left:.1f} s" in drawn.plain


async def test_a_vote_presses_the_button_and_leaves_words_where_they_are_asked_for() -> None:
    """CA-23: one click, words only when the page asks."""
    got: list[str] = []

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = next(
            (int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0
        )
        body = (await reader.readexactly(size)).decode()
        got.append(f"{head.split()[0]} {body}".strip())
        asks = '<form method="post"><textarea name="comment"></textarea></form>' if body else ""
        page_ = f'{asks}<form method="post"><button name="score" value="2">2</button></form>'
        writer.write(
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(page_)}\r\nConnection: close\r\n\r\n{page_}".encode()
        )
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    async with server:
        link = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/s/x"
        await page.look(link)
        await page.vote(link, 2, "slow")
    assert got == ["GET", "GET", "POST score=2", "POST comment=slow"]


async def test_the_catcher_keeps_a_repeated_letter_once_and_reads_it() -> None:
    message = EmailMessage()
    message["From"], message["To"] = "support@desk.example.org", "olga@romashka.test"
    message["Reply-To"], message["Message-ID"] = "support+token@desk.example.org", "<1@desk.example.org>"
    message.set_content("Оцените ответ: http://127.0.0.1:1/s/abc.\n")
    async with Catcher() as catcher:
        for _ in range(2):
            await aiosmtplib.send(message, hostname="127.0.0.1", port=catcher.port)
    (letter,) = catcher.letters
    assert catcher.repeated == 1
    assert letter.reply_to == "support+token@desk.example.org"
    assert letter.links == ["http://127.0.0.1:1/s/abc"]
    assert not letter.to_staff


def test_the_story_speaks_of_every_ticket_of_the_mailbox() -> None:
    told = story.read(EXAMPLES / "demo.yaml")
    expected = story.expected(EXAMPLES / "mailbox")
    created = {name for name, each in expected.items() if each.outcome == "created"}
    spoken = [*(each.file for each in told.answers), *told.left, *told.junk]
    assert sorted(spoken) == sorted(created)
    assert {each.file for each in told.late} < set(told.left)
    people = {agent.id for agent in seed.read(EXAMPLES / "desk.yaml").agents}
    assert {each.agent for each in (*told.answers, *told.late)} <= people
