"""What can be typed after `tickdesk tickets`, and nothing else."""

from typing import Annotated

import typer

from tickdesk_cli import terminal, tickets
from tickdesk_cli.desk import Desk, default_folder
from tickdesk_cli.tickets import Asked
from tickdesk_cli.typed import AsJson, Folder, NoColor

app = typer.Typer(no_args_is_help=True, help="Find and count tickets by the query language.")

Query = Annotated[
    str, typer.Argument(help="A query, see docs/guides/query.md; without one every ticket.", metavar="QUERY")
]
Agent = Annotated[str, typer.Option("--as", help="The agent that me() means.", metavar="AGENT")]
Zone = Annotated[str, typer.Option("--zone", help="Zone in which days begin. Default: UTC.")]


@app.command("list")
def list_tickets(  # noqa: PLR0913 - options are read from the signature
    query: Query = "",
    limit: Annotated[int, typer.Option("--limit", help="Show at most this many.", min=1, max=10_000)] = 50,
    agent: Agent = "",
    zone: Zone = "",
    as_json: AsJson = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """List the tickets that a query finds, in its order; without one the newest first.

    Exit code 0 whether any were found or not, 2 for a query that is wrong, with a caret under the place.

    Examples: `tickdesk tickets list "Assignee: me() AND Resolution: empty() ORDER BY Due" --as anna`,
    `tickdesk tickets list '"does not open"'`
    """
    asked = Asked(query, agent, zone)
    terminal.run(tickets.overview(Desk(folder or default_folder()), asked, limit, as_json=as_json))


@app.command("count")
def count_tickets(  # noqa: PLR0913 - options are read from the signature
    query: Query = "",
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Count by this field; a second one makes columns.", metavar="FIELD"),
    ] = None,
    agent: Agent = "",
    zone: Zone = "",
    as_json: AsJson = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Count the tickets that a query finds, by one field or by two, with sums.

    Examples: `tickdesk tickets count "Resolution: empty()"`,
    `tickdesk tickets count "Created: >= today() - 30d" --by Assignee --by Status`
    """
    asked = Asked(query, agent, zone)
    terminal.run(tickets.count(Desk(folder or default_folder()), asked, by or [], as_json=as_json))
