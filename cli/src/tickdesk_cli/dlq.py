"""`tickdesk dlq`: the events a consumer gave up on; see why, send them back, or drop them."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import nats.errors
from google.protobuf.json_format import MessageToDict
from rich.console import Group
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from chassis.bus import DEAD_LETTERS, Bus
from chassis.dlq import DeadLetter, drop_letter, find_letter, list_letters, replay_letter
from chassis.errors import NotFound, Unavailable
from tickdesk_cli.desk import Desk
from tickdesk_cli.feed import decode
from tickdesk_cli.terminal import Problem, bad_input, clean, console, instant, write

_SECONDS = 5.0


@asynccontextmanager
async def connected(desk: Desk) -> AsyncIterator[Bus]:
    """A bus on the desk's NATS. Raises Problem without a desk (code 2), or when NATS is away or fails."""
    desk.require()
    _ = desk.servers.running  # looks up what an earlier process started
    if not desk.servers.nats.running:
        raise Problem("NATS does not run, and it holds the dead letters", "`tickdesk up` starts it.")
    try:
        async with Bus(desk.servers.nats.url, "cli", startup_seconds=_SECONDS) as bus:
            yield bus
    except BrokenPipeError:
        raise
    except (nats.errors.Error, OSError, Unavailable) as error:
        text = str(error) or type(error).__name__
        raise Problem(f"NATS failed: {text}", "`tickdesk doctor` looks for the reason.") from error


async def find(bus: Bus, numbers: Iterable[int]) -> list[DeadLetter]:
    """These letters, each once. Raises Problem (code 2) when one of them is not there."""
    found = []
    for number in dict.fromkeys(numbers):
        try:
            found.append(await find_letter(bus, number))
        except NotFound as error:
            raise bad_input(
                f"there is no dead letter {number}", "`tickdesk dlq list` shows those there are."
            ) from error
    return found


async def overview(desk: Desk, limit: int, *, as_json: bool) -> None:
    """Print the oldest letters, at most `limit` of them, and how many more there are."""
    async with connected(desk) as bus:
        letters = [letter async for letter in list_letters(bus, limit)]
        more = await total(bus) - len(letters)
    if as_json:
        write([facts(letter) for letter in letters])
        return
    if not letters:
        console.print("No dead letters: every event was handled.")
        return
    console.print(table(letters))
    if more > 0:
        console.print(f"and {more} more: --limit {limit + more} shows all", style="dim")
    console.print(
        "`tickdesk dlq show ID` shows one whole, `tickdesk dlq replay ID` sends it back.", style="dim"
    )


async def total(bus: Bus) -> int:
    """How many dead letters there are."""
    await bus.ensure_stream(DEAD_LETTERS)
    return (await bus.js.stream_info(DEAD_LETTERS)).state.messages


async def show(desk: Desk, number: int, *, as_json: bool) -> None:
    """Print one letter and the event in it."""
    async with connected(desk) as bus:
        letter = (await find(bus, [number]))[0]
    if as_json:
        write({**facts(letter), "payload": payload(letter)})
    else:
        console.print(card(letter))


async def look(desk: Desk, numbers: list[int]) -> None:
    """Print the table of these letters. Raises Problem (code 2) when one of them is not there."""
    async with connected(desk) as bus:
        letters = await find(bus, numbers)
    console.print(table(letters))


async def replay(desk: Desk, numbers: list[int], *, everything: bool) -> None:
    """Send letters back to their consumers. Raises Problem (code 2) before anything is sent."""
    if everything == bool(numbers):
        raise bad_input(
            "replay takes either numbers of dead letters or --all", "`tickdesk dlq list` shows the numbers."
        )
    async with connected(desk) as bus:
        if everything:
            # All that are there now; one that fails again meanwhile gets a new number and is left out.
            numbers = [letter.number async for letter in list_letters(bus, await total(bus))]
        else:
            numbers = [letter.number for letter in await find(bus, numbers)]
        await _each(bus, numbers, replay_letter, "sent back")
    if not numbers:
        console.print("No dead letters: nothing to send back.")
        return
    console.print("An event that fails again comes back under a new number.", style="dim")


async def drop(desk: Desk, numbers: list[int]) -> None:
    """Delete letters for good. Raises Problem (code 2) before anything is deleted."""
    async with connected(desk) as bus:
        numbers = [letter.number for letter in await find(bus, numbers)]
        await _each(bus, numbers, drop_letter, "dropped")


async def _each(
    bus: Bus, numbers: list[int], work: Callable[[Bus, int], Awaitable[DeadLetter]], word: str
) -> None:
    """Do it to one letter after the other; a line that is printed is done, whatever comes after it."""
    for number in numbers:
        letter = await work(bus, number)
        console.print(Text(f"{word}: {number} {clean(letter.event)} of {clean(letter.key)}"))


def facts(letter: DeadLetter) -> dict[str, Any]:
    """A letter for programs, without the event's content; `time` is when the event happened."""
    return {
        "id": letter.number,
        "consumer": letter.consumer,
        "event": letter.event,
        "event_id": letter.event_id,
        "key": letter.key,
        "time": letter.time.isoformat(),
        "reason": letter.reason,
        "detail": letter.detail,
    }


def payload(letter: DeadLetter) -> Any:
    """The event as an object of its fields; base64 when it is not what its name says."""
    event = decode(letter.event, letter.payload)
    if event is None:
        return base64.b64encode(letter.payload).decode()
    return MessageToDict(event, preserving_proto_field_name=True)


def table(letters: list[DeadLetter]) -> Table:
    """One row a letter."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    shown.add_column("id", justify="right", no_wrap=True)
    for name in ("consumer", "event", "key", "when", "reason"):
        shown.add_column(name, overflow="fold")
    for letter in letters:
        reason = Text(clean(letter.reason), style="red")
        if letter.detail:
            reason.append(f": {clean(letter.detail)}", style="default")
        words = (letter.consumer, letter.event.removeprefix("tickdesk."), letter.key, instant(letter.time))
        shown.add_row(str(letter.number), *(Text(clean(word)) for word in words), reason)
    return shown


def card(letter: DeadLetter) -> Group:
    """A letter whole: its facts, then the event."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in {**facts(letter), "time": instant(letter.time)}.items():
        grid.add_row(name.replace("_", " "), Text(clean(str(value))))
    content = payload(letter)
    if isinstance(content, str):
        content = {"not decodable, base64": content}
    return Group(grid, Rule(style="dim"), Text(clean(json.dumps(content, ensure_ascii=False, indent=2))))
