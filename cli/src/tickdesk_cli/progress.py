"""A bar for calls that tell how far they have come."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tickdesk_cli.terminal import console, live


@contextmanager
def progressing(words: str) -> Iterator[Progress]:
    """A bar while something is under way; nothing where it could not move."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not live()) as bar:
        bar.add_task(words, total=None)
        yield bar


def moved(bar: Progress, done: float, total: float) -> None:
    """Show how far it has come."""
    bar.update(bar.task_ids[0], completed=done, total=total)
