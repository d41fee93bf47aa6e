"""What can be typed to take data out of a desk or bring it in, and nothing else."""

from pathlib import Path
from typing import Annotated

import typer

from tickdesk_cli.headers import HEADERS
from tickdesk_cli.typed import Folder, NoColor

_KINDS = (
    "tickets, customers, organisations, queues, setups, agents, teams, articles, article_versions, "
    "audit, links, external_links, filters, drafts, votes, incidents, incident_tickets, incident_tasks, "
    "bulks, bulk_items, customer_merges, article_uses, missing_articles, clock_results, former_keys, "
    "imported_tickets, policies"
)


def export(  # noqa: PLR0913 - options are read from the signature
    out: Annotated[Path, typer.Option("--out", help="Folder for the files; made if it is not there.")],
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", help=f"Only this kind; can be repeated. {_KINDS}.", metavar="KIND"),
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
    from tickdesk_cli import exports, terminal
    from tickdesk_cli.desk import Desk

    wanted = exports.Wanted(out, kinds or exports.KINDS, query, public, files)
    terminal.run(exports.export(Desk(folder), wanted))


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
    from tickdesk_cli import imports, terminal
    from tickdesk_cli.desk import Desk

    asked = imports.Asked(queue, maps or [], source, encoding, zone, day_first=day_first)
    terminal.run(imports.bring_typed(Desk(folder), file, asked, dry_run=dry_run))
