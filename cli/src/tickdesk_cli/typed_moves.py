"""What can be typed to take data out of a desk or bring it in, and nothing else."""

from pathlib import Path
from typing import Annotated

import typer

from tickdesk_cli import exports, terminal
from tickdesk_cli.desk import Desk, default_folder
from tickdesk_cli.exports import KINDS, Wanted
from tickdesk_cli.typed import Folder, NoColor


def export(  # noqa: PLR0913 - options are read from the signature
    out: Annotated[Path, typer.Option("--out", help="Folder for the files; made if it is not there.")],
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", help=f"Only this kind; can be repeated. {', '.join(KINDS)}.", metavar="KIND"),
    ] = None,
    query: Annotated[str, typer.Option("--query", help="Only tickets that this finds.")] = "",
    public: Annotated[bool, typer.Option("--public", help="Leave out internal notes.")] = False,
    files: Annotated[bool, typer.Option("--files", help="Also the files of messages.")] = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Write everything that the desk keeps as JSON Lines, a file a kind, and a manifest with digests.

    A file has its name when it is whole. Typed again after an interruption, it goes on where it was.

    Examples: `tickdesk export --out backup`,
    `tickdesk export --out wishes --kind tickets --query "Type: wish" --public`
    """
    wanted = Wanted(out, kinds or KINDS, query, public, files)
    terminal.run(exports.export(Desk(folder or default_folder()), wanted))
