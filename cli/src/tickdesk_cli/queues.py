"""What each `tickdesk queue` command does; all return an exit code or None for 0."""

from datetime import UTC
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import grpc.aio
from rich.table import Table
from rich.text import Text

from tickdesk.common.v1.common_pb2 import Line
from tickdesk.tickets.v1 import setup_pb2
from tickdesk.tickets.v1 import setup_service_pb2 as pb
from tickdesk.tickets.v1.tickets_service_pb2 import ListQueuesRequest
from tickdesk.tickets.v1.triggers_service_pb2 import DryRunRulesRequest
from tickdesk_cli import queuefiles, rules
from tickdesk_cli.client import SECONDS, pages
from tickdesk_cli.desk import Desk
from tickdesk_cli.terminal import Problem, clean, console, describe, instant, write
from tickets.convert import templates as known


async def templates(as_json: bool) -> None:
    """What a new queue can begin with."""
    if as_json:
        write([queuefiles.plain(each) for each in known.all_templates()])
        return
    table = _table("template", "name", "statuses", "for")
    for each in known.all_templates():
        statuses = ", ".join(status.key for status in each.setup.workflow.statuses)
        table.add_row(each.key, each.name.en, statuses, each.description.en)
    console.print(table)


async def show_all(desk: Desk, as_json: bool) -> None:
    """The queues of the desk, by key."""
    desk.require()
    async with desk.client() as client:
        told = pages(client.tickets.ListQueues, ListQueuesRequest())
        queues = [each async for page in told for each in page.queues]
    if as_json:
        write([queuefiles.plain(each) for each in queues])
        return
    if not queues:
        console.print("No queues: `tickdesk queue create` makes one.")
        return
    table = _table("queue", "name", "lines", "addresses", "setup")
    for each in queues:
        first, last = (Line.Name(line).removeprefix("LINE_") for line in (each.first_line, each.last_line))
        lines = first if first == last else f"{first} to {last}"
        setup = str(each.setup_version) if each.setup_version else known.DEFAULT
        cells = (each.name, lines, ", ".join(each.addresses), setup)
        table.add_row(Text(each.key, "bold"), *(Text(clean(cell)) for cell in cells))
    console.print(table)


async def create(desk: Desk, key: str, template: str, name: str, addresses: list[str]) -> None:
    """A queue out of a template."""
    desk.require()
    request = pb.CreateQueueRequest(key=key, template=template, name=name, addresses=addresses)
    request.request_id = str(uuid4())
    async with desk.client() as client:
        made = await client.setups.CreateQueue(request, timeout=SECONDS)
    statuses = ", ".join(each.key for each in made.setup.workflow.statuses)
    console.print(Text.assemble((made.queue.key, "bold green"), f" is there: {statuses}"))


async def export(desk: Desk, key: str, version: int) -> None:
    """How a queue works, as a file."""
    desk.require()
    request = pb.GetSetupRequest(queue=key, version=version)
    async with desk.client() as client:
        found = await client.setups.GetSetup(request, timeout=SECONDS)
    # As it is, so that it can be kept in a file.
    console.file.write(queuefiles.to_yaml(found.setup))


async def check(file: Path, as_json: bool) -> int:
    """What is wrong or doubtful in a file."""
    return _tell(file, queuefiles.check(queuefiles.read(file)), as_json=as_json)


async def apply(desk: Desk, file: Path, only_check: bool) -> int:
    """A file in force, or only looked at."""
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


async def dry_run(
    desk: Desk, request: DryRunRulesRequest, file: Path | None, events: int, *, as_json: bool
) -> None:
    """What rules, those of a file when it is named, would have done."""
    if file:
        request.setup.CopyFrom(queuefiles.read(file))
    await rules.dry_run(desk, request, events, as_json=as_json)


async def versions(desk: Desk, key: str, as_json: bool) -> None:
    """Who changed how a queue works, and when."""
    desk.require()
    async with desk.client() as client:
        request = pb.ListSetupsRequest(queue=key)
        told = [each async for page in pages(client.setups.ListSetups, request) for each in page.setups]
    if as_json:
        write([queuefiles.plain(each) for each in told])
        return
    if not told:
        console.print(f"{key} works like the template {known.DEFAULT}: nobody changed it.")
        return
    table = _table("version", "by", "in force since")
    for at, each in enumerate(told):
        since = instant(each.created_time.ToDatetime(UTC))
        table.add_row(str(each.version), each.actor.name or each.actor.id, since, style="" if at else "bold")
    console.print(table)


def _tell(file: Path, findings: Any, *, as_json: bool = False) -> int:
    """Print what is wrong or doubtful; 1 when something is wrong."""
    if as_json:
        write([queuefiles.found(file, each) for each in findings])
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
