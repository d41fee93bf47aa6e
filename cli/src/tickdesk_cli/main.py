"""The `tickdesk` command: what can be typed, and nothing else."""

from pathlib import Path
from typing import Annotated

import typer

from tickdesk_cli import typed, typed_kb, typed_keys, typed_moves, typed_queue, typed_report, typed_tickets
from tickdesk_cli.typed import AsJson, Folder

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A support desk kept in time by an SLA clock, on this machine.",
)
mails = typer.Typer(no_args_is_help=True, help="Look at messages without delivering them.")
app.add_typer(mails, name="mail")
letters = typer.Typer(
    no_args_is_help=True,
    help="Dead letters: events a consumer gave up on. See why, send them back, or drop them.",
)
app.add_typer(letters, name="dlq")
app.add_typer(typed_tickets.app, name="tickets")
app.add_typer(typed_report.app, name="report")
app.add_typer(typed.policy, name="policy")
app.add_typer(typed_queue.app, name="queue")
app.add_typer(typed.calendar, name="calendar")
app.add_typer(typed_kb.kb, name="kb")
app.add_typer(typed_keys.app, name="keys")
app.command("export")(typed_moves.export)
app.command("import")(typed_moves.import_tickets)

Files = Annotated[
    list[Path], typer.Argument(help=".eml files, mbox files, Maildirs, folders of .eml.", metavar="FILE")
]

Numbers = Annotated[
    list[int], typer.Argument(help="Numbers of dead letters, see `tickdesk dlq list`.", metavar="ID", min=1)
]


@app.command()
def up(
    folder: Folder = None,
    desk: Annotated[
        Path | None,
        typer.Option("--desk", help="Queues and people of a new desk. Default: examples/desk.yaml."),
    ] = None,
) -> None:
    """Start the desk, its data kept in a folder; on a running desk, start what does not run.

    Starts PostgreSQL, NATS and Valkey on free loopback ports, brings the databases up to date, starts the
    five services and waits until all are ready. A new desk gets its queues and people from a YAML file.

    Example: `tickdesk up --folder ~/desk`
    """
    from tickdesk_cli import commands, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(commands.up(Desk(folder), desk))


@app.command()
def down(folder: Folder = None) -> None:
    """Stop the services gracefully, then the servers. The data stays.

    Example: `tickdesk down`
    """
    from tickdesk_cli import commands, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(commands.down(Desk(folder)))


@app.command()
def status(folder: Folder = None) -> None:
    """Show what runs, where, and why not. Exit code 0 when all is ready, else 1.

    Example: `tickdesk status`
    """
    from tickdesk_cli import terminal
    from tickdesk_cli.desk import Desk
    from tickdesk_cli.status import show

    terminal.run(show(Desk(folder)))


@app.command()
def doctor(folder: Folder = None) -> None:
    """Look for what is wrong and say what to do about it. Exit code 0 without failures, else 1.

    Example: `tickdesk doctor`
    """
    from tickdesk_cli import terminal
    from tickdesk_cli.desk import Desk
    from tickdesk_cli.doctor import examine

    terminal.run(examine(Desk(folder)))


@app.command()
def ingest(
    files: Files,
    to: Annotated[
        str,
        typer.Option(
            "--to", help="Queue address that takes all. Default: the one each message names, else the first."
        ),
    ] = "",
    folder: Folder = None,
) -> None:
    """Deliver messages to the running desk and count what became of them.

    Takes .eml files, mbox files, Maildirs and folders of .eml. Nothing is delivered unless every path can be
    read. Then waits until tickets has them: 30 seconds, or a tenth of a second for each message when that is
    more. Exit code 0 when all were taken, 1 when some were refused or not seen in a ticket by then.

    Examples: `tickdesk ingest letter.eml`, `tickdesk ingest ~/Maildir old.mbox --to support@desk.example.org`
    """
    from tickdesk_cli import commands, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(commands.ingest(Desk(folder), files, to))


@app.command()
def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the desk running and say how to reach it.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Folder to use; it must be empty or new.", show_default=False),
    ] = None,
) -> None:
    """Watch the whole desk work for a minute: a real mailbox, real servers, targets in seconds.

    Tickets open and join, clocks run, a breach, an escalation, notices, an answer, a survey. The table at the
    end is counted from the services' own APIs; exit code 0 when it is as expected.

    Example: `tickdesk demo --keep`
    """
    from tickdesk_cli import terminal
    from tickdesk_cli.demo import play

    terminal.run(play(folder, keep=keep))


@mails.command("show")
def mail_show(
    file: Annotated[Path, typer.Argument(help="A file with one message.")],
    as_json: AsJson = False,
) -> None:
    """Print what intake understands of a message: who, what, the reply without quotes, files, robot or not.

    Examples: `tickdesk mail show letter.eml`, `tickdesk mail show letter.eml --json`
    """
    from tickdesk_cli import mail, terminal

    terminal.run(mail.show(file, as_json))


@letters.command("list")
def dlq_list(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most this many, oldest first.")] = 100,
    as_json: AsJson = False,
    folder: Folder = None,
) -> None:
    """List dead letters, oldest first: number, consumer, event, key, when it happened, and the reason.

    Examples: `tickdesk dlq list`, `tickdesk dlq list --json`
    """
    from tickdesk_cli import dlq, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(dlq.overview(Desk(folder), limit, as_json=as_json))


@letters.command("show")
def dlq_show(
    number: Annotated[int, typer.Argument(help="Number of the dead letter.", metavar="ID", min=1)],
    as_json: AsJson = False,
    folder: Folder = None,
) -> None:
    """Show one dead letter with the content of its event, which may hold what a customer wrote.

    Examples: `tickdesk dlq show 7`, `tickdesk dlq show 7 --json`
    """
    from tickdesk_cli import dlq, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(dlq.show(Desk(folder), number, as_json=as_json))


@letters.command("replay")
def dlq_replay(
    numbers: Annotated[
        list[int] | None,
        typer.Argument(help="Numbers of dead letters, see `tickdesk dlq list`.", metavar="ID", min=1),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Send back all there are now.")] = False,
    folder: Folder = None,
) -> None:
    """Send events back to their consumers, once the reason is mended; who has handled one already skips it.

    Nothing is sent unless all the numbers exist. One that fails again comes back under a new number.

    Examples: `tickdesk dlq replay 7 9`, `tickdesk dlq replay --all`
    """
    from tickdesk_cli import dlq, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(dlq.replay(Desk(folder), numbers or [], everything=everything))


@letters.command("drop")
def dlq_drop(
    numbers: Numbers,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    folder: Folder = None,
) -> None:
    """Delete dead letters for good, after asking. Nothing is deleted unless all the numbers exist.

    Examples: `tickdesk dlq drop 7`, `tickdesk dlq drop 7 9 --yes`
    """
    from tickdesk_cli import dlq, terminal
    from tickdesk_cli.desk import Desk

    desk = Desk(folder)
    if not yes:
        terminal.run(dlq.look(desk, numbers))
        terminal.agree("Drop for good?", "nothing was dropped")
    terminal.run(dlq.drop(desk, numbers))
