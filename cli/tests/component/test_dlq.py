"""Dead letters as an operator meets them: typed commands on a real NATS that holds some."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chassis.bus import Bus, Outgoing, Poison
from chassis.clock import utcnow
from chassis.consume import dead_letter
from chassis.testing import events, open_bus
from tickdesk.tickets.v1.events_pb2 import TicketOpened
from tickdesk_cli.desk import Desk
from tickdesk_cli.doctor import dead_letters
from tickdesk_cli.main import app
from tickdesk_cli.terminal import console

EVENT = TicketOpened.DESCRIPTOR.full_name
Types = Callable[..., Awaitable[str]]


@pytest.fixture
def desk(tmp_server_folder: Path) -> Iterator[Desk]:
    """A desk of which only NATS runs."""
    made = Desk(tmp_server_folder, detached=False)
    (tmp_server_folder / "desk.json").write_text("{}")
    made.servers.nats.start()
    yield made
    made.servers.nats.kill()


@pytest.fixture
async def bus(desk: Desk) -> AsyncIterator[Bus]:
    async with open_bus(desk.servers.nats.url) as opened:
        yield opened


@pytest.fixture
def types(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Types:
    """Type `tickdesk dlq ...`, expect an exit code, return what is shown."""
    runner = CliRunner(env={"TICKDESK_HOME": str(desk.folder), "NO_COLOR": "1"})
    monkeypatch.setattr(console, "width", 240)

    async def run(*words: str, code: int = 0, answer: str = "") -> str:
        done = await asyncio.to_thread(runner.invoke, app, ["dlq", *words], input=answer)
        assert done.exit_code == code, done.output
        return done.output

    return run


async def bury(bus: Bus, *keys: str, why: str = "no such calendar") -> None:
    """Let one event of each ticket fail for good, as a consumer does it."""
    await bus.ensure_stream("TICKETS")
    await bus.ensure_stream("DLQ")
    for key in keys:
        event = TicketOpened()
        event.ticket.key = key
        content = event.SerializeToString()
        await bus.publish([Outgoing(EVENT, content, f"event-of-{key}", key, utcnow(), {})])
    pull = await bus.js.pull_subscribe("tickdesk.tickets.>", durable="sla-clock", stream="TICKETS")
    for msg in await pull.fetch(len(keys), timeout=5):
        await bus.publish([dead_letter(msg, "sla-clock", Poison(why))])
        await msg.ack()


async def ids(types: Types) -> list[int]:
    return [each["id"] for each in json.loads(await types("list", "--json"))]


async def test_letters_are_listed_with_their_reasons(bus: Bus, types: Types) -> None:
    assert "No dead letters" in await types("list")
    assert json.loads(await types("list", "--json")) == []
    await bury(bus, "SUP-1", "SUP-2", "SUP-3")
    rows = (await types("list")).splitlines()
    assert rows[0].split() == ["id", "consumer", "event", "key", "when", "reason"]
    assert rows[1].split()[:4] == ["1", "sla-clock", EVENT.removeprefix("tickdesk."), "SUP-1"]
    assert rows[1].endswith("Poison: no such calendar")
    assert "and 1 more" in await types("list", "--limit", "2")
    listed = json.loads(await types("list", "--json"))
    assert [(each["id"], each["key"], each["event"]) for each in listed] == [
        (number, f"SUP-{number}", EVENT) for number in (1, 2, 3)
    ]


async def test_one_letter_is_shown_with_its_event(bus: Bus, types: Types) -> None:
    await bury(bus, "SUP-1", why="odd \x1b[2J name")
    shown = await types("show", "1")
    assert '"key": "SUP-1"' in shown
    assert "event-of-SUP-1" in shown
    assert "\x1b" not in shown + await types("list")
    assert json.loads(await types("show", "1", "--json"))["payload"] == {"ticket": {"key": "SUP-1"}}


async def test_letters_go_back_to_the_stream_under_their_event_id(bus: Bus, types: Types) -> None:
    await bury(bus, "SUP-1", "SUP-2", "SUP-3")
    async with events(bus, TicketOpened) as watch:
        for _ in range(3):
            await watch.next()
        assert "sent back: 2" in await types("replay", "2")
        assert (await watch.next()).ticket.key == "SUP-2"
        assert await ids(types) == [1, 3]
        assert (await types("replay", "--all")).count("sent back") == 2
        assert [(await watch.next()).ticket.key for _ in range(2)] == ["SUP-1", "SUP-3"]
        assert watch.ids[3:] == ["event-of-SUP-2", "event-of-SUP-1", "event-of-SUP-3"]
    assert await ids(types) == []
    assert "nothing to send back" in await types("replay", "--all")


async def test_a_letter_is_dropped_after_a_yes_only(bus: Bus, types: Types) -> None:
    await bury(bus, "SUP-1", "SUP-2", "SUP-3")
    asked = await types("drop", "1", answer="n\n", code=1)
    assert "no such calendar" in asked
    assert "nothing was dropped" in asked
    assert "--yes" in await types("drop", "1", code=1)
    assert await ids(types) == [1, 2, 3]
    assert "dropped: 1" in await types("drop", "1", answer="y\n")
    assert (await types("drop", "3", "2", "3", "--yes")).count("dropped") == 2
    assert await ids(types) == []


@pytest.mark.parametrize("words", [("drop", "--yes"), ("replay",), ("show",), ("drop",)])
async def test_an_unknown_number_changes_nothing(bus: Bus, types: Types, words: tuple[str, ...]) -> None:
    await bury(bus, "SUP-1")
    numbers = ("7",) if words == ("show",) else ("1", "7")
    told = await types(*words, *numbers, code=2)
    assert "there is no dead letter 7" in told
    assert "`tickdesk dlq list`" in told
    assert await ids(types) == [1]
    assert (await bus.js.stream_info("TICKETS")).state.messages == 1


async def test_without_nats_the_remedy_is_named(desk: Desk, types: Types) -> None:
    desk.servers.nats.kill()
    assert "`tickdesk up` starts it" in await types("list", code=1)


async def test_doctor_names_the_command_when_there_are_letters(bus: Bus) -> None:
    assert (await dead_letters(bus)).verdict == "ok"
    await bury(bus, "SUP-1")
    finding = await dead_letters(bus)
    assert (finding.verdict, finding.text) == ("fail", "1 event could not be handled")
    assert "`tickdesk dlq list`" in finding.remedy
