"""What can be typed after `tickdesk queue`, and nothing else."""

from pathlib import Path
from typing import Annotated

import typer

from tickdesk_cli.typed import AsJson, Folder

app = typer.Typer(
    no_args_is_help=True,
    help="Queues out of templates, and how a queue works as a file: export, change, check and apply it.",
)

Key = Annotated[str, typer.Argument(help="Key of the queue, such as SUP.", metavar="KEY")]
File = Annotated[Path, typer.Argument(help="A setup, as `tickdesk queue export` writes it.", metavar="FILE")]


@app.command()
def templates(as_json: AsJson = False) -> None:
    """Show what a new queue can begin with; needs no desk.

    Example: `tickdesk queue templates`
    """
    from tickdesk_cli import queues, terminal

    terminal.run(queues.templates(as_json))


@app.command("list")
def show_all(as_json: AsJson = False, folder: Folder = None) -> None:
    """Show the queues of the desk: lines, addresses, and which version of their setup is in force.

    Example: `tickdesk queue list`
    """
    from tickdesk_cli import queues, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(queues.show_all(Desk(folder), as_json))


@app.command()
def create(
    key: Key,
    template: Annotated[
        str, typer.Option("--template", help="What it begins with, see `tickdesk queue templates`.")
    ] = "lines",
    name: Annotated[str, typer.Option("--name", help="What people see. Default: the key.")] = "",
    addresses: Annotated[
        list[str] | None,
        typer.Option("--address", help="Address whose mail becomes its tickets; the first is its From."),
    ] = None,
    folder: Folder = None,
) -> None:
    """Make a queue out of a template.

    Example: `tickdesk queue create BIL --template crmai --name Billing --address billing@desk.example.org`
    """
    from tickdesk_cli import queues, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(queues.create(Desk(folder), key, template, name or key, addresses or []))


@app.command()
def export(
    key: Key,
    version: Annotated[
        int, typer.Option("--version", help="An earlier version. Default: the one in force.", min=0)
    ] = 0,
    folder: Folder = None,
) -> None:
    """Print how a queue works, as a file that can be changed and applied.

    Example: `tickdesk queue export SUP > sup.yaml`
    """
    from tickdesk_cli import queues, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(queues.export(Desk(folder), key, version))


@app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Tell what is wrong or doubtful in a file; needs no desk.

    Exit code 0 when it can be applied, 1 with errors, 2 when it cannot be read.

    Example: `tickdesk queue check sup.yaml`
    """
    from tickdesk_cli import queues, terminal

    terminal.run(queues.check(file, as_json))


@app.command()
def apply(
    file: File,
    only_check: Annotated[
        bool, typer.Option("--check", help="Ask the desk whether it would take it; change nothing.")
    ] = False,
    folder: Folder = None,
) -> None:
    """Put a file in force as the next version of its queue's setup.

    The file names the version it was made from: when another one is in force by now, it is refused.

    Example: `tickdesk queue apply sup.yaml`
    """
    from tickdesk_cli import queues, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(queues.apply(Desk(folder), file, only_check))


@app.command()
def versions(key: Key, as_json: AsJson = False, folder: Folder = None) -> None:
    """Show who changed how a queue works, and when.

    Example: `tickdesk queue versions SUP`
    """
    from tickdesk_cli import queues, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(queues.versions(Desk(folder), key, as_json))


@app.command("dry-run")
def dry_run(  # noqa: PLR0913 - options are read from the signature
    key: Key,
    file: Annotated[
        Path | None, typer.Option("--file", help="Try the rules of this file instead of those in force.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--rule", help="Only this rule, even if it is off; can be repeated.")
    ] = None,
    events: Annotated[int, typer.Option("--events", help="Look at this many.", min=1, max=10_000)] = 200,
    as_json: AsJson = False,
    folder: Folder = None,
) -> None:
    """Tell what rules would have done to what happened in a queue, newest first; changes nothing.

    Example: `tickdesk queue dry-run SUP --file sup.yaml`
    """
    from tickdesk.tickets.v1 import triggers_service_pb2
    from tickdesk_cli import queues, terminal
    from tickdesk_cli.desk import Desk

    request = triggers_service_pb2.DryRunRulesRequest(queue=key, rules=only or [])
    terminal.run(queues.dry_run(Desk(folder), request, file, events, as_json=as_json))
