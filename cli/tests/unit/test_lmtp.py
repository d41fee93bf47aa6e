"""Envelopes out of stored messages, and delivery to a listener that comes and goes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chassis.servers import free_port
from tickdesk_cli import lmtp
from tickdesk_cli.lmtp import Envelope, Sender, envelope_of
from tickdesk_cli.terminal import Problem

BOXES = ["support@desk.example.org", "billing@desk.example.org"]
RAW = b"From: a@example.org\n\n.leading dot\nend\n"
Session = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize(
    ("head", "envelope"),
    [
        (b"Return-Path: <a@example.org>\nTo: billing@desk.example.org", ("a@example.org", BOXES[1])),
        (b"Return-Path: <>\nFrom: a@example.org\nTo: support@desk.example.org", ("", BOXES[0])),
        (
            b"From: Anna <a@example.org>\nTo: list@example.net\nDelivered-To: billing@desk.example.org",
            ("a@example.org", BOXES[1]),
        ),
        (b"From: a@example.org\nTo:\n Billing\n <Billing@Desk.example.org>", ("a@example.org", BOXES[1])),
        (
            b"From: a@example.org\nTo: support+x.y@desk.example.org",
            ("a@example.org", "support+x.y@desk.example.org"),
        ),
        (b"From: a@example.org\nTo: me@example.com", ("a@example.org", BOXES[0])),
        (
            b"From: =?utf-8?B?0JA=?= <evil@example.org> RCPT TO:<x>\nTo: nobody",
            ("evil@example.org", BOXES[0]),
        ),
        (b"Subject: none of both", ("", BOXES[0])),
    ],
)
def test_the_envelope_follows_the_headers(head: bytes, envelope: tuple[str, str]) -> None:
    found = envelope_of(head + b"\n\nTo: inside@the.body\n", BOXES)
    assert (found.sender.lower(), found.recipient.lower()) == envelope


def test_a_given_recipient_wins() -> None:
    assert envelope_of(b"To: billing@desk.example.org\n\n", BOXES, BOXES[0]).recipient == BOXES[0]


@asynccontextmanager
async def listening(session: Session) -> AsyncIterator[int]:
    """A listener on a free port; ends when every session has."""
    sessions: list[asyncio.Task[Any]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        sessions.append(task)
        writer.write(b"220 test LMTP\r\n")
        try:
            await session(reader, writer)
        finally:
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*sessions)


async def test_a_message_goes_by_lhlo_with_its_dots_doubled() -> None:
    verbs: list[bytes] = []
    bodies: list[bytes] = []

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            verbs.append(line[:4])
            data = line[:4] == b"DATA"
            writer.write(b"354 go\r\n" if data else b"250 ok\r\n")
            if data:
                bodies.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 2.0.0 stored\r\n")

    async with listening(session) as port, Sender(port) as sender:
        answer = await sender.send(Envelope("a@example.org", BOXES[0]), RAW)
    assert answer.accepted
    assert verbs[:4] == [b"LHLO", b"MAIL", b"RCPT", b"DATA"]
    assert b"\r\n..leading dot\r\nend\r\n.\r\n" in bodies[0]


async def test_a_refusal_is_told_with_its_words_and_not_repeated() -> None:
    recipients: list[bytes] = []

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            refused = line.startswith(b"RCPT")
            recipients.extend([line] if refused else [])
            writer.write(b"550 5.1.1 no such queue\r\n" if refused else b"250 ok\r\n")

    async with listening(session) as port, Sender(port) as sender:
        answer = await sender.send(Envelope("", "x@desk.example.org"), RAW)
    assert (answer.code, answer.text, len(recipients)) == (550, "5.1.1 no such queue", 1)


async def test_a_listener_that_comes_back_gets_the_message_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """CA-33: a service that dies and returns loses no mail."""
    monkeypatch.setattr(lmtp, "_BACKOFF", (0.01, 0.01, 0.01))
    told: list[str] = []
    answers = iter([b"", b"451 4.3.0 later", b"250 2.0.0 stored"])

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if not line.startswith(b"DATA"):
                writer.write(b"250 ok\r\n")
                continue
            writer.write(b"354 go\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            answer = next(answers)
            if not answer:
                return
            writer.write(answer + b"\r\n")

    async with listening(session) as port, Sender(port, notice=told.append) as sender:
        answer = await sender.send(Envelope("a@example.org", BOXES[0]), RAW)
    assert (answer.code, answer.tries, answer.unsure) == (250, 3, True)
    assert len(told) == 2


async def test_a_listener_that_stays_away_is_a_problem_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmtp, "_BACKOFF", (0.01,))
    async with Sender(free_port()) as sender:
        with pytest.raises(Problem) as caught:
            await sender.send(Envelope("", BOXES[0]), RAW)
    assert "tickdesk up" in caught.value.remedy
