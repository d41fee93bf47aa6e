"""`tickdesk demo`: a whole desk for a minute, from an empty folder to the table at the end."""

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from rich.console import Group
from rich.text import Text

from tickdesk_cli import acts, seed, story, tally
from tickdesk_cli.acts import Stage
from tickdesk_cli.board import Board
from tickdesk_cli.catcher import Catcher
from tickdesk_cli.desk import Desk, directions, example
from tickdesk_cli.feed import Feed
from tickdesk_cli.terminal import Steps, bad_input, console
from tickdesk_cli.view import View

_ANSWERS = ("anna", "boris", "clara")
_QUIET_SECONDS = 10.0


async def play(folder: Path | None, *, keep: bool) -> int:
    """Run the demo. Returns 0 when every number is as expected, else 1."""
    began = time.monotonic()
    _end_on_sigterm()
    place = _place(folder)
    desk, kept = Desk(place, detached=keep), False
    try:
        async with Catcher() as catcher:
            desk.configure(settings(catcher.url))
            desk.adopt_policy(example("policies/demo.yaml"))
            code = await _watch(desk, catcher, began)
        if keep:
            await _hand_over(desk, catcher.port)
            kept = True
        return code
    finally:
        if not kept:
            await _clean_up(desk, place, folder)
        console.print(f"{time.monotonic() - began:.1f} s in all", style="dim")


async def _watch(desk: Desk, catcher: Catcher, began: float) -> int:
    async with _stage(desk, catcher, began) as (stage, view):
        with view:
            await acts.perform(stage)
            await _calm(stage)
        return await _sum_up(stage)


def settings(relay: str) -> dict[str, str]:
    """What a demo's services get beside the usual: short terms, and the local mail server as the relay."""
    return {
        "TICKDESK_TICKETS_CONFIRMATION_SECONDS": "3",
        "TICKDESK_TICKETS_CLOSE_POLL_SECONDS": "0.5",
        "TICKDESK_NOTIFIER_SMTP_URL": relay,
        "TICKDESK_NOTIFIER_DEFAULT_FROM": "Orbita Support <support@desk.example.org>",
        "TICKDESK_NOTIFIER_DEFAULT_TIMEZONE": "Europe/Moscow",
        "TICKDESK_NOTIFIER_DIGEST_SECONDS": "5",
        "TICKDESK_SURVEY_DELAY_SECONDS": "1.5",
    }


@asynccontextmanager
async def _stage(desk: Desk, catcher: Catcher, began: float) -> AsyncIterator[tuple[Stage, View]]:
    """Everything set up: the desk with its people, the feed, the picture."""
    seeds = seed.read(example("desk.yaml"))
    board = Board()
    view = View(console, board, catcher, began)
    async with AsyncExitStack() as stack:
        with Steps() as say:
            await desk.start(say, tuple(agent.id for agent in seeds.agents))
            admin = await stack.enter_async_context(desk.client())
            await seed.plant(admin, seeds)
        feed = await stack.enter_async_context(Feed(desk.servers.nats.url, board.take))
        catcher.told = lambda _: feed.stir()
        agents = {name: await stack.enter_async_context(desk.client(f"agent:{name}")) for name in _ANSWERS}
        told = story.read(example("demo.yaml"))
        yield Stage(desk, admin, agents, feed, board, catcher, told, example("mailbox"), view.enter), view


async def _calm(stage: Stage) -> None:
    """Wait until no letter to a customer is under way, so that what is counted does not move."""
    stage.enter("the last letters leave")

    def settled() -> bool:
        to_customers = sum(not each.to_staff for each in stage.catcher.letters)
        return stage.board.sent_to_customers >= to_customers

    await stage.feed.until(settled, _QUIET_SECONDS)


async def _sum_up(stage: Stage) -> int:
    wanted = story.expected(stage.mails)
    rows = await tally.count(stage, wanted)
    misplaced = await tally.misplaced(stage, wanted)
    wrong = [*misplaced, *stage.missed]
    console.print(tally.table(rows))
    fine = all(row.holds for row in rows) and not wrong
    parts = [Text(f"! {each}", style="red") for each in wrong]
    verdict = Text(
        f"All as expected, each of the {len(wanted)} messages where it belongs."
        if fine
        else "Not as expected: see the lines marked NO or !.",
        style="bold green" if fine else "bold red",
    )
    console.print(Group(*parts, verdict))
    return 0 if fine else 1


async def _hand_over(desk: Desk, port: int) -> None:
    """Leave the desk running, with a mail server of its own in the place of ours."""
    await desk.keep_mail(port)
    console.print(Text.assemble(("The desk goes on running", "bold green"), f" in {desk.folder}"))
    console.print(directions(desk))
    console.print(f"API token  {desk.token}", highlight=False)


def _place(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="tickdesk-"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise bad_input(f"{folder} is not empty", "Name a new folder for the demo, or leave --folder out.")
    return folder


def _end_on_sigterm() -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _clean_up(desk: Desk, place: Path, given: Path | None) -> None:
    with suppress(asyncio.CancelledError):
        await desk.stop()
    if given is None:
        shutil.rmtree(place, ignore_errors=True)
