"""What can be typed to take data out of a desk or bring it in, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from tickdesk_cli import exports, imports, terminal
from tickdesk_cli.desk import Desk, default_folder
from tickdesk_cli.exports import KINDS, Wanted
from tickdesk_cli.importfiles import HEADERS, Reading
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


def import_tickets(  # noqa: PLR0913 - options are read from the signature
    file: Annotated[Path, typer.Argument(help="A .csv with a header, or a .jsonl.", metavar="FILE")],
    queue: Annotated[
        str, typer.Option("--queue", help="Queue that they come to. Default: that of each in a .jsonl.")
    ] = "",
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help=f"Column of a field: {', '.join(HEADERS)}, field.KEY. No column leaves the field out.",
            metavar="FIELD=COLUMN",
        ),
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="Name of the other desk: ids of a CSV are known under it.")
    ] = "csv",
    encoding: Annotated[str, typer.Option("--encoding", help="Of the file.")] = "utf-8-sig",
    zone: Annotated[str, typer.Option("--zone", help="Zone of times without one.")] = "UTC",
    day_first: Annotated[
        bool, typer.Option("--day-first", help="03/04/2024 is the 3rd of April and not the 4th of March.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; tell what would be made.")
    ] = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Bring in tickets of another desk with their history; no customer is told.

    A ticket that was imported before is left as it is. Exit code 0 when all are here, 1 when some were
    refused, 2 when the file cannot be read.

    Examples: `tickdesk import tickets.csv --queue SUP --source zendesk --dry-run`,
    `tickdesk import backup/tickets.jsonl`
    """
    asked = Asked(queue, maps or [], source, encoding, zone, day_first=day_first)
    terminal.run(_import(folder, file, asked, dry_run=dry_run))


@dataclass(frozen=True, slots=True)
class Asked:
    """How a file is read, as it was typed."""

    queue: str
    maps: Sequence[str]
    source: str
    encoding: str
    zone: str
    day_first: bool


async def _import(folder: Path | None, file: Path, asked: Asked, *, dry_run: bool) -> int:
    if file.suffix not in (".csv", ".jsonl"):
        raise terminal.bad_input(f"{file} is neither .csv nor .jsonl")
    if file.suffix == ".csv" and not asked.queue:
        raise terminal.bad_input("a CSV names no queue", "Add --queue KEY.")
    columns = {name: column for name, _, column in (each.partition("=") for each in asked.maps)}
    try:
        zone = ZoneInfo(asked.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise terminal.bad_input(f"there is no zone {asked.zone}", "Such as Europe/Moscow.") from None
    reading = Reading(asked.queue, columns, asked.source, asked.encoding, zone, asked.day_first)
    return await imports.bring(Desk(folder or default_folder()), file, reading, dry_run=dry_run)
