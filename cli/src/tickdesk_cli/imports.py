"""`tickdesk import`: tickets of another desk into this one, each once, with what is wrong told by line."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from chassis.errors import InvalidInput
from chassis.guard import check_request
from tickdesk.tickets.v1.importing_pb2 import ImportResult
from tickdesk.tickets.v1.importing_service_pb2 import ImportTicketsRequest
from tickdesk.tickets.v1.setup_service_pb2 import GetSetupRequest
from tickdesk_cli.client import SECONDS, Client
from tickdesk_cli.desk import Desk
from tickdesk_cli.importfiles import Reading, Row, read
from tickdesk_cli.terminal import bad_input, clean, console, live

_AT_ONCE, _BYTES, _SECONDS = 50, 2_000_000, 120.0
_SHOWN = 20
_CREATED, _KNOWN = ImportResult.OUTCOME_CREATED, ImportResult.OUTCOME_KNOWN


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong on a line, in which column."""

    line: int
    external_id: str
    column: str
    message: str


@dataclass(slots=True)
class Report:
    """What became of the tickets of a file."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)

    def refuse(self, row: Row, faults: Iterable[tuple[str, str]]) -> None:
        """Note what is wrong with a ticket."""
        self.counts["refused"] += 1
        self.faults += [Fault(row.line, row.ticket.external_id, *each) for each in faults]


@dataclass(frozen=True, slots=True)
class Asked:
    """How a file is read, as it was typed."""

    queue: str
    maps: Sequence[str]
    source: str
    encoding: str
    zone: str
    day_first: bool


async def bring_typed(desk: Desk, file: Path, asked: Asked, *, dry_run: bool) -> int:
    """Import a file as it was typed; 1 when some tickets were refused."""
    if file.suffix not in (".csv", ".jsonl"):
        raise bad_input(f"{file} is neither .csv nor .jsonl")
    if file.suffix == ".csv" and not asked.queue:
        raise bad_input("a CSV names no queue", "Add --queue KEY.")
    columns = {name: column for name, _, column in (each.partition("=") for each in asked.maps)}
    try:
        zone = ZoneInfo(asked.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise bad_input(f"there is no zone {asked.zone}", "Such as Europe/Moscow.") from None
    reading = Reading(asked.queue, columns, asked.source, asked.encoding, zone, asked.day_first)
    return await bring(desk, file, reading, dry_run=dry_run)


async def bring(desk: Desk, path: Path, reading: Reading, *, dry_run: bool) -> int:
    """Import a file; 1 when some tickets were refused."""
    desk.require()
    report, columns = Report(), (SpinnerColumn(), TextColumn("{task.description} {task.completed}"))
    async with desk.client() as client:
        reading = await _with_types(client, reading) if path.suffix == ".csv" else reading
        with Progress(
            columns[0], columns[1], console=console, disable=not live(), transient=True
        ) as progress:
            task = progress.add_task("checking" if dry_run else "importing", total=None)
            for batch in _batches(_sound(read(path, reading), report)):
                await _send(client, batch, report, dry_run=dry_run)
                progress.advance(task, len(batch))
    return _tell(path, report, dry_run=dry_run)


async def _with_types(client: Client, reading: Reading) -> Reading:
    """What custom fields of the queue are: a CSV has nothing but text."""
    request = GetSetupRequest(queue=reading.queue)
    setup = (await client.setups.GetSetup(request, timeout=SECONDS)).setup
    return replace(reading, types={each.key: each.type for each in setup.fields})


def _sound(rows: Iterable[Row], report: Report) -> Iterator[Row]:
    """Rows that the contract accepts; the others are noted."""
    for row in rows:
        if row.faults:
            report.refuse(row, row.faults)
            continue
        try:
            check_request(row.ticket)
            yield row
        except InvalidInput as error:
            report.refuse(row, ((_column(each.field), each.description) for each in error.violations))


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and (len(batch) == _AT_ONCE or size + row.ticket.ByteSize() > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row.ticket.ByteSize()
    if batch:
        yield batch


async def _send(client: Client, batch: list[Row], report: Report, *, dry_run: bool) -> None:
    request = ImportTicketsRequest(
        request_id=uuid4().hex, tickets=[row.ticket for row in batch], dry_run=dry_run
    )
    answer = await client.imports.ImportTickets(request, timeout=_SECONDS)
    for row, result in zip(batch, answer.results, strict=True):
        if result.outcome == _CREATED:
            report.counts["created"] += 1
        elif result.outcome == _KNOWN:
            report.counts["known"] += 1
        else:
            report.refuse(row, ((_column(each.field), each.message) for each in result.faults))


def _column(path: str) -> str:
    """A field of the contract as people of a file call it."""
    names = {"contact.address": "email", "contact": "email", "messages[0].text": "text"}
    return names.get(path, path.replace("fields.", "field.") if path.partition(".")[0] == "fields" else path)


def _tell(path: Path, report: Report, *, dry_run: bool) -> int:
    created, known, refused = (report.counts[each] for each in ("created", "known", "refused"))
    made = "would be made" if dry_run else "made"
    console.print(f"{created} {made}, {known} known already, {refused} refused.")
    if not report.faults:
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("line", "ticket", "column"):
        table.add_column(name, no_wrap=True)
    table.add_column("what is wrong", ratio=1)
    for each in report.faults[:_SHOWN]:
        table.add_row(str(each.line), clean(each.external_id), clean(each.column), Text(clean(each.message)))
    console.print(table)
    kept = path.with_name(f"{path.name}.refused.jsonl")
    _keep(kept, report.faults)
    console.print(f"All of it is in {kept}. Mend these lines and import the file again.", soft_wrap=True)
    return 1


def _keep(path: Path, faults: Iterable[Fault]) -> None:
    path.unlink(missing_ok=True)
    # JSON and not CSV: no cell of it can be a formula.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        for each in faults:
            row = {name: getattr(each, name) for name in ("line", "external_id", "column", "message")}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
