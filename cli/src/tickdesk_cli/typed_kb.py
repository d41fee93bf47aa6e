"""What can be typed after `tickdesk kb`, and nothing else."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tickdesk_cli.typed import AsJson, Folder

kb = typer.Typer(
    no_args_is_help=True, help="The knowledge base: articles in and out of a folder, found, looked after."
)

Source = Annotated[Path, typer.Argument(help="A folder of KEY.md files.", metavar="FOLDER")]
Owner = Annotated[str, typer.Option("--owner", help="Only articles of this owner.")]
Language = Annotated[Literal["", "ru", "en"], typer.Option("--language", help="Only in this language.")]
Queue = Annotated[str, typer.Option("--queue", help="Only for this queue, those for all among them.")]
State = Annotated[
    Literal["", "draft", "published", "archived"], typer.Option("--state", help="Only in this state.")
]


@kb.command("import")
def import_folder(
    source: Source,
    comment: Annotated[str, typer.Option("--comment", help="Why, for those who read the versions.")] = (
        "imported"
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    folder: Folder = None,
) -> None:
    """Bring articles in from Markdown files with front matter; articles that have no file here stay.

    Nothing is sent unless every file can be read. Exit code 0 when all came in, 1 when the desk refused
    some, 2 when a file is wrong; each fault is told with file and line.

    Examples: `tickdesk kb import examples/knowledge`, `tickdesk kb import kb --dry-run`
    """
    from tickdesk_cli import articles, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(articles.import_folder(Desk(folder), source, comment, dry_run))


@kb.command("export")
def export_folder(
    target: Source,
    state: State = "",
    force: Annotated[bool, typer.Option("--force", help="Write over files that say something else.")] = False,
    folder: Folder = None,
) -> None:
    """Write articles to a folder, one KEY.md each, as `tickdesk kb import` reads them.

    Examples: `tickdesk kb export kb`, `tickdesk kb export kb --state published --force`
    """
    from tickdesk_cli import articles, terminal
    from tickdesk_cli.desk import Desk

    work = articles.export_folder(Desk(folder), target, articles.Wanted(state), force)
    terminal.run(work)


@kb.command("list")
def overview(  # noqa: PLR0913 - options are read from the signature
    state: State = "",
    owner: Owner = "",
    language: Language = "",
    queue: Queue = "",
    as_json: AsJson = False,
    folder: Folder = None,
) -> None:
    """List articles by key: state, kind, owner, review date, in how many tickets each was used.

    Examples: `tickdesk kb list --owner boris`, `tickdesk kb list --state draft --json`
    """
    from tickdesk_cli import articles, terminal
    from tickdesk_cli.desk import Desk

    wanted = articles.Wanted(state, owner, language, queue)
    terminal.run(articles.overview(Desk(folder), wanted, as_json))


@kb.command()
def search(
    text: Annotated[str, typer.Argument(help='Words, "a phrase", -without.', metavar="TEXT")],
    ticket: Annotated[str, typer.Option("--ticket", help="For this ticket: its queue and topic count.")] = "",
    limit: Annotated[int, typer.Option("--limit", help="At most this many.", min=1, max=200)] = 10,
    as_json: AsJson = False,
    folder: Folder = None,
) -> None:
    """Search published articles, the best first; word forms count as the word, misspelt words are corrected.

    Exit code 0 when something was found, else 1.

    Examples: `tickdesk kb search "забыл пароль"`, `tickdesk kb search refund --ticket SUP-12`
    """
    from tickdesk_cli import articles, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(articles.search(Desk(folder), text, ticket, limit, as_json))


@kb.command()
def stale(
    days: Annotated[
        int, typer.Option("--days", help="Unused for this many days counts as stale.", min=1, max=3650)
    ] = 180,
    owner: Owner = "",
    as_json: AsJson = False,
    folder: Folder = None,
) -> None:
    """List published articles whose review date has passed or that no ticket used for long.

    Exit code 0 when there is none, else 1.

    Examples: `tickdesk kb stale`, `tickdesk kb stale --days 90 --owner boris`
    """
    from tickdesk_cli import articles, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(articles.stale(Desk(folder), days, owner, as_json))
