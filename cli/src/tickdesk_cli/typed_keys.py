"""What can be typed after `tickdesk keys`, and nothing else."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="API keys: make one, look at a file of them, check it.")

File = Annotated[Path, typer.Argument(help="File of keys, one JSON object a line.", metavar="FILE")]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Whose key: role:name, as adapter:crm.", metavar="NAME")],
    scope: Annotated[
        list[str],
        typer.Option(
            "--scope", help="What it may call: tickets, tickets.read, a service, a service/Method. Repeat it."
        ),
    ],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="Days until it expires.")] = 90,
) -> None:
    """Make a key: the secret is shown once, on standard error; its entry goes to standard output.

    Example: `tickdesk keys new adapter:crm --scope tickets --days 30 >> keys.jsonl`
    """
    from tickdesk_cli import keys, terminal

    terminal.run(keys.new(name, scope, days))


@app.command("list")
def overview(file: File) -> None:
    """Show the keys of a file, what they may call and when they expire; no secret can be read out of it.

    Example: `tickdesk keys list keys.jsonl`
    """
    from tickdesk_cli import keys, terminal

    terminal.run(keys.overview(file))


@app.command()
def check(file: File) -> None:
    """Read a file as the services do, and find scopes and roles that do not exist. Exit code 1 for faults.

    Example: `tickdesk keys check keys.jsonl`
    """
    from tickdesk_cli import keys, terminal

    terminal.run(keys.check(file))
