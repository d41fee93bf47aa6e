"""`tickdesk queue`: queues out of templates, and how they work as a file."""

from datetime import UTC
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import grpc
import grpc.aio
import typer
from rich.table import Table
from rich.text import Text

from tickdesk.tickets.v1 import setup_pb2, triggers_service_pb2
from tickdesk.tickets.v1 import setup_service_pb2 as pb
from tickdesk_cli import policyfiles, queuefiles, rules
from tickdesk_cli.client import SECONDS, pages
from tickdesk_cli.desk import Desk, default_folder
from tickdesk_cli.terminal import Problem, console, describe, run
from tickets.convert import templates as known

app = typer.Typer(
    no_args_is_help=True,
    help="Queues out of templates, and how a queue works as a file: export, change, check and apply it.",
)

Key = Annotated[str, typer.Argument(help="Key of the queue, such as SUP.", metavar="KEY")]
File = Annotated[Path, typer.Argument(help="A setup, as `tickdesk queue export` writes it.", metavar="FILE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        help="Folder of the desk. Default: $TICKDESK_HOME, else .tickdesk here.",
        show_default=False,
        file_okay=False,
    ),
]


@app.command()
def templates(as_json: AsJson = False) -> None:
    """Show what a new queue can begin with; needs no desk.

    Example: `tickdesk queue templates`
    """
    run(_templates(as_json))


@app.command()
def create(
    key: Key,
    template: Annotated[
        str, typer.Option("--template", help="What it begins with, see `tickdesk queue templates`.")
    ] = known.DEFAULT,
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
    request = pb.CreateQueueRequest(key=key, template=template, name=name or key, addresses=addresses or [])
    run(_create(Desk(folder or default_folder()), request))


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
    run(_export(Desk(folder or default_folder()), key, version))


@app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Tell what is wrong or doubtful in a file; needs no desk.

    Exit code 0 when it can be applied, 1 with errors, 2 when it cannot be read.

    Example: `tickdesk queue check sup.yaml`
    """
    run(_check(file, as_json))


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
    run(_apply(Desk(folder or default_folder()), file, only_check))


@app.command()
def versions(key: Key, as_json: AsJson = False, folder: Folder = None) -> None:
    """Show who changed how a queue works, and when.

    Example: `tickdesk queue versions SUP`
    """
    run(_versions(Desk(folder or default_folder()), key, as_json))


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
    request = triggers_service_pb2.DryRunRulesRequest(queue=key, rules=only or [])
    if file:
        request.setup.CopyFrom(queuefiles.read(file))
    run(rules.dry_run(Desk(folder or default_folder()), request, events, as_json=as_json))


async def _templates(as_json: bool) -> None:
    if as_json:
        policyfiles.write([queuefiles.plain(each) for each in known.all_templates()])
        return
    table = _table("template", "name", "statuses", "for")
    for each in known.all_templates():
        statuses = ", ".join(status.key for status in each.setup.workflow.statuses)
        table.add_row(each.key, each.name.en, statuses, each.description.en)
    console.print(table)


async def _create(desk: Desk, request: pb.CreateQueueRequest) -> None:
    desk.require()
    request.request_id = str(uuid4())
    async with desk.client() as client:
        made = await client.setups.CreateQueue(request, timeout=SECONDS)
    statuses = ", ".join(each.key for each in made.setup.workflow.statuses)
    console.print(Text.assemble((made.queue.key, "bold green"), f" is there: {statuses}"))


async def _export(desk: Desk, key: str, version: int) -> None:
    desk.require()
    request = pb.GetSetupRequest(queue=key, version=version)
    async with desk.client() as client:
        found = await client.setups.GetSetup(request, timeout=SECONDS)
    # As it is, so that it can be kept in a file.
    console.file.write(queuefiles.to_yaml(found.setup))


async def _check(file: Path, as_json: bool) -> int:
    return _tell(file, queuefiles.check(queuefiles.read(file)), as_json=as_json)


async def _apply(desk: Desk, file: Path, only_check: bool) -> int:
    setup = queuefiles.read(file)
    found = queuefiles.check(setup)
    if any(_is_error(each) for each in found):
        return _tell(file, found)
    desk.require()
    async with desk.client() as client:
        if only_check:
            told = await client.setups.CheckSetup(pb.CheckSetupRequest(setup=setup), timeout=SECONDS)
            return _tell(file, told.findings)
        request = pb.PutSetupRequest(request_id=str(uuid4()), setup=setup)
        try:
            put = await client.setups.PutSetup(request, timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _explained(error, file, setup.queue) from error
    for each in put.warnings:
        console.print(queuefiles.shown(file, each), soft_wrap=True)
    console.print(Text.assemble((f"{put.setup.queue} {put.setup.version}", "bold green"), " is in force"))
    return 0


async def _versions(desk: Desk, key: str, as_json: bool) -> None:
    desk.require()
    async with desk.client() as client:
        request = pb.ListSetupsRequest(queue=key)
        told = [each async for page in pages(client.setups.ListSetups, request) for each in page.setups]
    if as_json:
        policyfiles.write([queuefiles.plain(each) for each in told])
        return
    if not told:
        console.print(f"{key} works like the template {known.DEFAULT}: nobody changed it.")
        return
    table = _table("version", "by", "in force since")
    for at, each in enumerate(told):
        since = f"{each.created_time.ToDatetime(UTC):%Y-%m-%d %H:%M:%S}Z"
        table.add_row(str(each.version), each.actor.name or each.actor.id, since, style="" if at else "bold")
    console.print(table)


def _tell(file: Path, findings: Any, *, as_json: bool = False) -> int:
    """Print what is wrong or doubtful; 1 when something is wrong."""
    if as_json:
        policyfiles.write([queuefiles.found(file, each) for each in findings])
    else:
        for each in findings:
            console.print(queuefiles.shown(file, each), soft_wrap=True)
        if not findings:
            console.print(Text.assemble(("fine", "green"), f": {file}, nothing to say"), soft_wrap=True)
    return 1 if any(_is_error(each) for each in findings) else 0


def _is_error(finding: setup_pb2.SetupFinding) -> bool:
    return finding.severity == setup_pb2.SetupFinding.SEVERITY_ERROR


def _explained(error: grpc.aio.AioRpcError, file: Path, queue: str) -> Problem:
    """What a refused setup means to who wrote the file."""
    if error.code() == grpc.StatusCode.ABORTED:
        told = f"{file}: {error.details()}"
        return Problem(told, f"`tickdesk queue export {queue}` shows it; what you apply names its version.")
    message, remedy = describe(error)
    return Problem(f"{file}: {message}", remedy)


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in names:
        table.add_column(name, overflow="fold")
    return table
