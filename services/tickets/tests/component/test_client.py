"""The Python client against the service: what it does by itself, and the example of its guide."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from chassis.clock import utcnow
from chassis.testing import eventually
from services.tickets.tests.builders import METHODS
from services.tickets.tests.builders import Desk as Service
from tickdesk import client
from tickdesk.client import Desk, DeskError, StaleVersion

GUIDE = Path(__file__).parents[4] / "docs" / "guides" / "clients.md"
TYPES = Path(client.__file__).with_name("methods.pyi")
CONTACT = {"channel": "CHANNEL_EMAIL", "address": "kim@client.example.com"}
OPENING: Any = {"queue": "SUP", "subject": "Export hangs", "text": "At 99 %.", "contact": CONTACT}


@pytest.fixture
async def anna(desk: Service) -> AsyncIterator[Desk]:
    async with Desk(desk.target, key="token-of-agent:anna") as opened:
        yield opened


async def test_the_example_of_the_guide_works(desk: Service) -> None:
    """YT-36: it is run as its reader would."""
    (script,) = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    told = {"TICKDESK_TARGET": desk.target, "TICKDESK_KEY": "token-of-agent:anna"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-c", script),
        env={**os.environ, **told},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    assert process.stderr
    lines = [(await process.stdout.readline()).decode().strip() for _ in range(3)]
    assert lines[0].startswith("opened SUP-"), (await process.stderr.read()).decode()
    assert lines[1].startswith("changed meanwhile: assignee")
    assert lines[2] == f"{lines[0].split()[1]} Export hangs at 99 %"
    # Its watch begins some time after that line: it hears what happens then, and may hear again of what the
    # script did before while a transaction of anybody is open (here: of the other tests on this server).
    out = asyncio.get_running_loop().create_task(process.stdout.readline())
    while not out.done():
        await desk.call("AddNote", ticket=lines[0].split()[1], text="Odd")
        await asyncio.wait([out], timeout=0.5)
    heard = {"TicketOpened new", "TicketTaken in_progress", "NoteAdded in_progress"}
    assert out.result().decode().strip() in heard, (await process.stderr.read()).decode()
    assert await process.wait() == 0


async def test_calls_are_found_by_their_names_and_answers_are_what_was_asked_for(anna: Desk) -> None:
    ticket = await anna.tickets.create(**OPENING)
    assert await anna.tickets.get(ticket.key) == ticket == await anna.tickets.get_ticket(ticket=ticket.id)
    answer = await anna.tickets.reply(ticket.key, text="Hello")
    assert (answer.message.text, answer.ticket.id) == ("Hello", ticket.id)
    assert {"create_ticket", "list_links", "watch_queue"} <= set(dir(anna.tickets))
    names = [re.sub("(?<!^)([A-Z])", r"_\1", method).lower() for method in METHODS]
    assert {type(getattr(anna.tickets, name)) for name in names} == {client.Call}
    types = TYPES.read_text()
    assert set(names) <= set(re.findall(r"^    def (\w+)\(", types, re.MULTILINE))
    for short, full in re.findall(r"^    (\w+) = (\w+)", types, re.MULTILINE):
        assert getattr(anna.tickets, short).path == getattr(anna.tickets, full).path
    untyped: Any = anna.tickets
    with pytest.raises(AttributeError, match="no method Fly in the contracts"):
        untyped.fly()
    with pytest.raises(TypeError, match="takes its fields by name"):
        untyped.get("SUP-1", "SUP-2")
    with pytest.raises(ValueError, match="colour"):
        untyped.get("SUP-1", colour="red")


async def test_lists_are_read_page_by_page_as_they_are_asked_for(anna: Desk) -> None:
    since = utcnow() - timedelta(minutes=1)
    keys = [(await anna.tickets.create(**OPENING)).key for _ in range(5)]
    assert [each.key async for each in anna.tickets.list(updated_after=since, page_size=2)] == keys
    pages = [page async for page in anna.tickets.search("Queue: SUP", page_size=2).pages()]
    assert [len(page.tickets) for page in pages] == [2, 2, 1]
    assert pages[0].total_size == 5


async def test_errors_tell_code_reason_fields_and_the_present_state(anna: Desk) -> None:
    ticket = await anna.tickets.create(**OPENING)
    await anna.tickets.take(ticket.key)
    with pytest.raises(StaleVersion) as stale:
        await anna.tickets.take(ticket.key, version=ticket.version)
    assert (stale.value.code, stale.value.present.ticket.assignee) == ("ABORTED", "anna")
    with pytest.raises(DeskError) as bad:
        await anna.tickets.create(**{**OPENING, "subject": "x" * 5000})
    assert (bad.value.code, list(bad.value.fields)) == ("INVALID_ARGUMENT", ["subject"])
    with pytest.raises(DeskError) as unknown:
        await anna.tickets.get("SUP-999")
    assert (unknown.value.reason, unknown.value.metadata) == ("TICKET_NOT_FOUND", {"ticket": "SUP-999"})
    with pytest.raises(DeskError) as late:
        await anna.tickets.get(ticket.key, timeout=0)
    assert late.value.code == "DEADLINE_EXCEEDED"


async def test_the_same_request_id_does_a_thing_once(anna: Desk) -> None:
    first = await anna.tickets.create(**OPENING, request_id="order-4711")
    assert await anna.tickets.create(**OPENING, request_id="order-4711") == first
    assert len([each async for each in anna.tickets.list()]) == 1


async def test_a_key_that_nobody_has_and_an_address_that_is_missing_are_told(
    desk: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Desk(desk.target, key="wrong") as nobody:
        with pytest.raises(DeskError) as refused:
            await nobody.tickets.get("SUP-1")
    assert (refused.value.code, refused.value.reason) == ("UNAUTHENTICATED", "BAD_TOKEN")
    monkeypatch.delenv("TICKDESK_TARGET", raising=False)
    with pytest.raises(ValueError, match="say where the desk is"):
        Desk()


async def test_a_watch_says_that_it_has_begun_and_then_news_only_and_ends_with_its_reader(anna: Desk) -> None:
    """YT-31: who reads the list after the first answer misses nothing between the two."""
    seen: list[str] = []
    begun = asyncio.Event()

    async def follow() -> None:
        async for news in anna.tickets.watch("SUP"):
            begun.set()
            seen.append(news.change.event)

    reading = asyncio.get_running_loop().create_task(follow())
    await asyncio.wait_for(begun.wait(), 10)
    await anna.tickets.create(**OPENING)
    await eventually(lambda: seen[-1])
    reading.cancel()
    await asyncio.wait([reading])
    assert seen == ["", "TicketOpened"]


@pytest.mark.parametrize(
    ("target", "fields", "secure"),
    [
        ("desk.example.com:7000", {}, True),
        ("localhost.example.com:7000", {}, True),
        ("ipv4:127.0.0.1:7000,10.0.0.1:7000", {}, True),
        ("dns://10.0.0.1/localhost:7000", {}, True),
        ("desk.example.com:7000", {"insecure": True}, False),
        ("localhost:7000", {}, False),
        ("[::1]:7000", {}, False),
        ("unix:/run/desk.sock", {}, False),
        ("127.0.0.1:7000", {"ca": __file__}, True),
    ],
)
async def test_a_key_goes_to_no_other_machine_without_tls_unasked(
    target: str, fields: Any, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def note(kind: str) -> Any:
        def make(*args: Any, **options: Any) -> Any:
            made.append(kind)
            return real(target, options=options["options"])

        return make

    real = grpc.aio.insecure_channel
    for kind in ("secure_channel", "insecure_channel"):
        monkeypatch.setattr(grpc.aio, kind, note(kind))
    async with Desk(target, key="secret", **fields):
        assert made == ["secure_channel" if secure else "insecure_channel"]


async def test_a_key_as_it_stands_in_a_file_is_good_and_one_that_is_none_is_told_without_it(
    desk: Service,
) -> None:
    async with Desk(desk.target, key="token-of-agent:anna\n") as anna:
        assert (await anna.tickets.create(**OPENING)).version == 1
    with pytest.raises(ValueError, match="characters that no key has") as refused:
        Desk(desk.target, key="sec\nret")
    assert "sec" not in str(refused.value)
