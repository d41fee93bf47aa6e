"""What can be typed after `tickdesk tickets`, and nothing else."""

from enum import Enum
from typing import Annotated

import typer

from tickdesk_cli.typed import AsJson, Folder, NoColor

app = typer.Typer(no_args_is_help=True, help="Find, count and change tickets by the query language.")

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
    from tickdesk_cli import terminal, tickets
    from tickdesk_cli.desk import Desk

    asked = tickets.Asked(query, agent, zone)
    terminal.run(tickets.overview(Desk(folder), asked, limit, as_json=as_json))


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
    from tickdesk_cli import terminal, tickets
    from tickdesk_cli.desk import Desk

    asked = tickets.Asked(query, agent, zone)
    terminal.run(tickets.count(Desk(folder), asked, by or [], as_json=as_json))


@app.command("show")
def show_ticket(
    ticket: Annotated[str, typer.Argument(help="Key of the ticket, such as SUP-12.", metavar="KEY")],
    as_json: AsJson = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Show a ticket, its clocks and what was written in it, internal notes too, oldest first.

    Example: `tickdesk tickets show SUP-12`
    """
    from tickdesk_cli import terminal, ticketpage
    from tickdesk_cli.desk import Desk

    terminal.run(ticketpage.show(Desk(folder), ticket, as_json=as_json))


@app.command("trail")
def show_trail(
    ticket: Annotated[str, typer.Argument(help="Key of the ticket, such as SUP-12.", metavar="KEY")],
    as_json: AsJson = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Show which rule did what to a ticket, newest first, and why one did not.

    Example: `tickdesk tickets trail SUP-12`
    """
    from tickdesk_cli import rules, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(rules.trail(Desk(folder), ticket, as_json=as_json))


class Verb(Enum):
    """Actions that need no value."""

    TAKE = "take"
    RESOLVE = "resolve"
    CLOSE = "close"
    REOPEN = "reopen"


Texts = list[str] | None


@app.command("bulk")
def start_bulk(  # noqa: PLR0913 - options are read from the signature
    query: Annotated[str, typer.Option("--query", help="Change what this query finds.")] = "",
    keys: Annotated[
        Texts, typer.Option("--ticket", help="Change this ticket; can be repeated.", metavar="KEY")
    ] = None,
    sets: Annotated[
        Texts,
        typer.Option(
            "--set",
            help="status, assignee, priority, line, queue, type, category, component, edition, or "
            "field.KEY (field.KEY:number and :time, :choices, :user for those types).",
            metavar="NAME=VALUE",
        ),
    ] = None,
    add_tags: Annotated[Texts, typer.Option("--add-tag", help="Add a label.")] = None,
    remove_tags: Annotated[Texts, typer.Option("--remove-tag", help="Take a label away.")] = None,
    note: Annotated[str, typer.Option("--note", help="Add an internal note.")] = "",
    reply: Annotated[str, typer.Option("--reply", help="Write to each customer.")] = "",
    verb: Annotated[Verb | None, typer.Option("--do", help="Take, resolve, close or reopen them.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; tell what would be refused.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    agent: Agent = "",
    zone: Zone = "",
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Do one thing to up to 10,000 tickets, in the background of the desk, each ticket by itself.

    Exit code 0 when all were changed, 1 when some refused, 2 for a query that is wrong. Interrupting only
    ends the watching.

    Examples: `tickdesk tickets bulk --query "Queue: SUP AND Tag: fire" --set priority=high --dry-run`,
    `tickdesk tickets bulk --ticket SUP-1 --ticket SUP-2 --do close --as anna`
    """
    from tickdesk.tickets.v1 import bulk_service_pb2
    from tickdesk_cli import bulk, terminal
    from tickdesk_cli.desk import Desk

    change = bulk.Change(
        sets or (), add_tags or (), remove_tags or (), note, reply, verb.value if verb else ""
    )
    if bool(query) == bool(keys):
        raise typer.BadParameter("say which tickets: either --query or --ticket")
    listed = bulk_service_pb2.TicketReferences(tickets=dict.fromkeys(keys)) if keys else None
    request = bulk_service_pb2.StartBulkRequest(agent_id=agent, timezone=zone, dry_run=dry_run, list=listed)
    if query:
        request.query = query
    terminal.run(bulk.start(Desk(folder), request, change, yes=yes))


@app.command("bulks")
def show_bulks(  # noqa: PLR0913 - options are read from the signature
    bulk_id: Annotated[str, typer.Argument(help="Id of a bulk; without one the newest.", metavar="ID")] = "",
    stop: Annotated[bool, typer.Option("--cancel", help="Stop it before the next ticket.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what was cancelled.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="The same, and try refused ones again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every refused ticket as JSON.")] = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """List the newest bulks, or follow one to its end, stop it, or let it go on.

    Exit code 0 when all its tickets were changed, else 1.

    Examples: `tickdesk tickets bulks`, `tickdesk tickets bulks ID --cancel`
    """
    from tickdesk_cli import bulk, terminal
    from tickdesk_cli.desk import Desk

    desk = Desk(folder)
    if not bulk_id:
        terminal.run(bulk.overview(desk))
    elif stop:
        terminal.run(bulk.cancel(desk, bulk_id))
    elif resume or retry:
        terminal.run(bulk.resume(desk, bulk_id, failures=retry))
    elif as_json:
        terminal.run(bulk.failures(desk, bulk_id))
    else:
        terminal.run(bulk.look(desk, bulk_id))
