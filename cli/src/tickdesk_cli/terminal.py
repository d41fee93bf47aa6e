"""What the commands share of the terminal: consoles, and errors that say what to do."""

import asyncio
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, NoReturn

import grpc
import grpc.aio
import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from chassis.errors import DeskError
from chassis.servers import ServerFailed


class _Output(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Leave it to `run`, as for what is written without a console."""
        raise BrokenPipeError


console = _Output(highlight=False, soft_wrap=False)
errors = Console(stderr=True, highlight=False)
# Emoji of several people are one sign by it.
_JOINER = "\u200d"


class Problem(Exception):
    """Something the user can act on: what is wrong, what to do, and the exit code (2: bad input)."""

    def __init__(self, message: str, remedy: str = "", code: int = 1) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.code = code


def bad_input(message: str, remedy: str = "") -> Problem:
    """A problem with what was typed or given: exit code 2."""
    return Problem(message, remedy, 2)


def clean(text: str) -> str:
    """Text of customers and events without what could steer a terminal; a tab or a hard space is a space."""
    return "".join(map(_shown, text))


def _shown(each: str) -> str:
    if each.isprintable() or each in ("\n", _JOINER):
        return each
    return " " if each == "\t" or unicodedata.category(each) == "Zs" else "\ufffd"


def instant(time: datetime) -> str:
    """An aware time as people read it, in UTC to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def write(content: object) -> None:
    """JSON for programs."""
    console.file.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def live() -> bool:
    """True when moving pictures make sense: a real terminal, not CI, NO_COLOR not set."""
    return sys.stdout.isatty() and not any(os.environ.get(name) for name in ("NO_COLOR", "CI"))


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """Run a command to its end; every foreseen failure becomes two lines and an exit code."""
    # What the chassis would log for a service is told here in other words.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    try:
        code = asyncio.run(work)
    except BrokenPipeError:
        # The reader of a pipe went away (`| head`): nobody is left to tell.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        raise typer.Exit(141) from None
    except _FORESEEN as error:
        _fail(*_explain(error))
    if code:
        raise typer.Exit(code)


_FORESEEN = (
    Problem,
    DeskError,
    ServerFailed,
    grpc.aio.AioRpcError,
    KeyboardInterrupt,
    asyncio.CancelledError,
)


def _explain(error: BaseException) -> tuple[str, str, int]:
    """What is wrong, what to do, and the exit code."""
    match error:
        case Problem():
            return str(error), error.remedy, error.code
        case DeskError():
            return (
                "\n".join([str(error), *(f"{each.field}: {each.description}" for each in error.violations)]),
                "",
                2,
            )
        case ServerFailed():
            return str(error), "`tickdesk doctor` looks for the reason.", 1
        case grpc.aio.AioRpcError():
            return *describe(error), 1
        case asyncio.CancelledError():
            return "terminated", "", 143
        case _:
            return "interrupted", "", 130


def describe(error: grpc.aio.AioRpcError) -> tuple[str, str]:
    """A failed call in words, and what to do about it."""
    detail = error.details() or "no answer"
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        # What is full, and what to do, is in the answer itself.
        return detail, "Nothing was changed."
    remedies = {
        grpc.StatusCode.UNAVAILABLE: "`tickdesk status` shows what does not run, `tickdesk up` starts it.",
        grpc.StatusCode.DEADLINE_EXCEEDED: "`tickdesk doctor` looks for what is slow or stuck.",
        grpc.StatusCode.UNAUTHENTICATED: "The token does not fit: is it the folder of this desk?",
    }
    return f"{error.code().name.lower().replace('_', ' ')}: {detail}", remedies.get(error.code(), "")


def _fail(message: str, remedy: str, code: int) -> NoReturn:
    errors.print(Text.assemble(("error: ", "bold red"), clean(message)), soft_wrap=True)
    if remedy:
        errors.print(Text(remedy, style="dim"), soft_wrap=True)
    raise typer.Exit(code)


def agree(question: str, otherwise: str) -> None:
    """Ask before something that cannot be undone; a no, or nobody to answer, ends the command with 1."""
    try:
        agreed = typer.confirm(question)
    except typer.Abort:
        agreed = False
        console.print()
    if not agreed:
        _fail(otherwise, "--yes does it without asking.", 1)


class Steps:
    """Progress of a start in words: a spinner on a terminal, one line a step elsewhere."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._status = console.status("") if live() and not quiet else None

    def __enter__(self) -> Callable[[str], None]:
        if self._status:
            self._status.start()
        return self.show

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def show(self, text: str) -> None:
        """Show the step that begins now."""
        if self._status:
            self._status.update(escape(text))
        elif not self._quiet:
            console.print(escape(text), style="dim")
