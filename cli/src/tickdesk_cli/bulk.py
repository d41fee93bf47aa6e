"""`tickdesk tickets bulk` and `bulks`: one action on many tickets, and how far it is."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import bulk_pb2, ticket_pb2
from tickdesk.tickets.v1 import bulk_service_pb2 as pb
from tickdesk.tickets.v1 import query_service_pb2 as queries
from tickdesk_cli.client import SECONDS, Client, pages
from tickdesk_cli.desk import Desk
from tickdesk_cli.terminal import agree, bad_input, clean, console, live, write
from tickdesk_cli.tickets import Asked, refusing

_PAUSE = 0.5
_SHOWN = 20
_STATES = {
    bulk_pb2.Bulk.STATE_RUNNING: "running",
    bulk_pb2.Bulk.STATE_FINISHED: "finished",
    bulk_pb2.Bulk.STATE_CANCELLED: "cancelled",
}
_UPDATES = ("category", "component", "edition")


@dataclass(frozen=True, slots=True)
class Change:
    """What was typed: `--set`, tags, texts and verbs."""

    sets: Sequence[str] = ()
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    note: str = ""
    reply: str = ""
    verb: str = ""


def action_of(change: Change) -> bulk_pb2.BulkAction:
    """The one action of a bulk. Raises Problem for none, for two, and for what is no value."""
    actions = _sets(change)
    if change.note:
        actions.append(bulk_pb2.BulkAction(note=bulk_pb2.BulkNote(text=change.note)))
    if change.reply:
        actions.append(bulk_pb2.BulkAction(reply=bulk_pb2.BulkReply(text=change.reply)))
    if change.verb:
        action = bulk_pb2.BulkAction()
        getattr(action, change.verb).SetInParent()
        actions.append(action)
    if len(actions) != 1:
        told = "nothing is said to be done" if not actions else "a bulk does one thing"
        raise bad_input(
            told, "`tickdesk tickets bulk --help` has examples; tags and values of --set go together."
        )
    return actions[0]


def _sets(change: Change) -> list[bulk_pb2.BulkAction]:
    """Values and tags as one update, and an action for each of what has a verb of its own."""
    update = bulk_pb2.BulkUpdate(add_tags=change.add_tags, remove_tags=change.remove_tags)
    actions, updates = [], bool(change.add_tags or change.remove_tags)
    for each in change.sets:
        name, found, value = each.partition("=")
        if not found:
            raise bad_input(f"--set {each} has no =", "Write --set status=waiting.")
        if name in (*_UPDATES, "type") or name.startswith("field."):
            _put(update, name, value)
            updates = True
        else:
            actions.append(_single(name, value))
    return [*actions, bulk_pb2.BulkAction(update=update)] if updates else actions


def _single(name: str, value: str) -> bulk_pb2.BulkAction:
    match name:
        case "status":
            return bulk_pb2.BulkAction(status=bulk_pb2.BulkStatus(status=value))
        case "assignee":
            return bulk_pb2.BulkAction(assign=bulk_pb2.BulkAssign(assignee=value))
        case "priority":
            priority = _enum(common_pb2.Priority, "PRIORITY", value)
            return bulk_pb2.BulkAction(prioritize=bulk_pb2.BulkPrioritize(priority=priority))
        case "line":
            line = _enum(common_pb2.Line, "LINE", value)
            return bulk_pb2.BulkAction(escalate=bulk_pb2.BulkEscalate(to_line=line))
        case "queue":
            return bulk_pb2.BulkAction(move=bulk_pb2.BulkMove(queue=value))
    known = ["status", "assignee", "priority", "line", "queue", "type", *_UPDATES, "field.KEY"]
    raise bad_input(f"--set knows no {name}", f"It knows {', '.join(known)}.")


def _put(update: bulk_pb2.BulkUpdate, name: str, value: str) -> None:
    if name == "type":
        update.type = _enum(ticket_pb2.TicketType, "TICKET_TYPE", value)
    elif not name.startswith("field."):
        setattr(update, name, value)
    elif not value:
        update.clear_fields.append(name.removeprefix("field."))
    else:
        key, _, kind = name.removeprefix("field.").partition(":")
        update.set_fields[key].CopyFrom(field_value(kind or "text", value))


def field_value(kind: str, value: str) -> ticket_pb2.FieldValue:
    """A value of a custom field by its kind. Raises Problem."""
    try:
        match kind:
            case "text":
                return ticket_pb2.FieldValue(text=value)
            case "user":
                return ticket_pb2.FieldValue(user=value)
            case "number":
                return ticket_pb2.FieldValue(number=float(value))
            case "choices":
                return ticket_pb2.FieldValue(choices=ticket_pb2.Choices(values=value.split(",")))
            case "time":
                found, moment = ticket_pb2.FieldValue(), datetime.fromisoformat(value)
                found.time.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
                return found
    except ValueError as error:
        raise bad_input(f"{value} is no {kind}: {error}") from error
    raise bad_input(f"there is no kind {kind}", "It is text, number, time, choices or user.")


def _enum(kind: Any, prefix: str, value: str) -> Any:
    names = [each.removeprefix(f"{prefix}_").lower() for each in kind.keys()[1:]]
    if value.lower() not in names:
        raise bad_input(f"there is no {prefix.lower()} {value}", f"It is one of {', '.join(names)}.")
    return kind.Value(f"{prefix}_{value.upper()}")


async def start(desk: Desk, request: pb.StartBulkRequest, change: Change, *, yes: bool) -> int:
    """Begin a bulk after asking, and follow it to its end."""
    request.action.CopyFrom(action_of(change))
    desk.require()
    request.request_id = uuid4().hex
    async with desk.client() as client, refusing():
        if not yes and not request.dry_run:
            agree(f"Change {await _count(client, request)} tickets?", "nothing was changed")
        made = (await client.bulks.StartBulk(request, timeout=SECONDS)).bulk
        return await _follow(client, made)


async def _count(client: Client, request: pb.StartBulkRequest) -> int:
    if request.WhichOneof("tickets") == "list":
        return len(request.list.tickets)
    asked = Asked(request.query, request.agent_id, request.timezone)
    counts = await client.queries.CountTickets(queries.CountTicketsRequest(**asked.fields()), timeout=SECONDS)
    return counts.total


async def look(desk: Desk, bulk_id: str) -> int:
    """Follow a bulk to its end."""
    desk.require()
    async with desk.client() as client, refusing():
        return await _follow(client, await _load(client, bulk_id))


async def cancel(desk: Desk, bulk_id: str) -> None:
    """Stop a bulk."""
    desk.require()
    request = pb.CancelBulkRequest(request_id=uuid4().hex, bulk_id=bulk_id)
    async with desk.client() as client, refusing():
        bulk = (await client.bulks.CancelBulk(request, timeout=SECONDS)).bulk
    console.print(f"Cancelled: {bulk.done} were changed, {bulk.cancelled} stay as they are.")


async def resume(desk: Desk, bulk_id: str, *, failures: bool) -> int:
    """Let a bulk go on, and follow it to its end."""
    desk.require()
    request = pb.ResumeBulkRequest(request_id=uuid4().hex, bulk_id=bulk_id, failures=failures)
    async with desk.client() as client, refusing():
        return await _follow(client, (await client.bulks.ResumeBulk(request, timeout=SECONDS)).bulk)


async def overview(desk: Desk) -> None:
    """Print the newest bulks."""
    desk.require()
    async with desk.client() as client:
        bulks = (await client.bulks.ListBulks(pb.ListBulksRequest(), timeout=SECONDS)).bulks
    if not bulks:
        console.print("No bulks.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("id", "started", "by", "action", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("done", "refused", "of"):
        table.add_column(name, justify="right")
    for each in bulks:
        kind = f"{each.action.WhichOneof('kind')}{' (dry run)' if each.dry_run else ''}"
        started = f"{each.created_time.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M}"
        numbers = (str(number) for number in (each.done, each.failed, each.total))
        table.add_row(each.id, started, clean(each.principal), kind, _STATES[each.state], *numbers)
    console.print(table)


async def _follow(client: Client, bulk: bulk_pb2.Bulk) -> int:
    """Show how far it is until it is over, then what was refused; 1 when anything was."""
    try:
        bulk = await _watch(client, bulk)
    except asyncio.CancelledError:
        console.print(
            f"It goes on at the desk. `tickdesk tickets bulks {bulk.id}` looks again, --cancel stops it.",
            soft_wrap=True,
        )
        raise
    word = "would be changed" if bulk.dry_run else "changed"
    stopped = f", {bulk.cancelled} cancelled" if bulk.cancelled else ""
    console.print(f"{bulk.done} of {bulk.total} {word}, {bulk.failed} refused{stopped}.")
    if bulk.failed:
        await _print_failures(client, bulk)
    return 1 if bulk.failed or bulk.cancelled else 0


async def _watch(client: Client, bulk: bulk_pb2.Bulk) -> bulk_pb2.Bulk:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn())
    with Progress(
        *columns, TaskProgressColumn(), console=console, disable=not live(), transient=True
    ) as progress:
        task = progress.add_task("changing", total=bulk.total)
        while bulk.state == bulk_pb2.Bulk.STATE_RUNNING:
            progress.update(task, completed=bulk.done + bulk.failed)
            await asyncio.sleep(_PAUSE)
            bulk = await _load(client, bulk.id)
    return bulk


async def _load(client: Client, bulk_id: str) -> bulk_pb2.Bulk:
    return (await client.bulks.GetBulk(pb.GetBulkRequest(bulk_id=bulk_id), timeout=SECONDS)).bulk


async def _print_failures(client: Client, bulk: bulk_pb2.Bulk) -> None:
    request = pb.ListBulkFailuresRequest(bulk_id=bulk.id)
    async for page in pages(client.bulks.ListBulkFailures, request):
        console.print(failure_table(page.failures[:_SHOWN]))
        if bulk.failed > _SHOWN:
            console.print(
                f"and {bulk.failed - _SHOWN} more: `tickdesk tickets bulks {bulk.id} --json`", style="dim"
            )
        return


def failure_table(failures: Iterable[bulk_pb2.BulkFailure]) -> Table:
    """Tickets that refused, and why."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("key", no_wrap=True)
    table.add_column("reason", no_wrap=True)
    table.add_column("what to do", ratio=1)
    for each in failures:
        table.add_row(Text(each.ticket_key, "bold"), each.reason, Text(clean(each.message)))
    return table


async def failures(desk: Desk, bulk_id: str) -> None:
    """Print every refused ticket of a bulk."""
    desk.require()
    found: list[dict[str, str]] = []
    async with desk.client() as client, refusing():
        async for page in pages(client.bulks.ListBulkFailures, pb.ListBulkFailuresRequest(bulk_id=bulk_id)):
            found += [
                {name: getattr(each, name) for name in ("ticket_key", "code", "reason", "field", "message")}
                for each in page.failures
            ]
    write(found)
