"""`tickdesk policy plan`: what a policy would change for the open tickets of a desk."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from google.protobuf.json_format import MessageToDict
from rich.table import Table
from rich.text import Text

from sla_clock.durations import said
from tickdesk.sla.v1 import clock_pb2, policy_pb2
from tickdesk.sla.v1 import policy_service_pb2 as pb
from tickdesk_cli.client import Client
from tickdesk_cli.picture import when
from tickdesk_cli.policyfiles import read_policy, read_text
from tickdesk_cli.progress import moved, progressing
from tickdesk_cli.terminal import console, write

LONG_SECONDS = 3600.0
"""How long a long call may take."""

_KINDS = {
    policy_pb2.PLANNED_KIND_ADDED: ("new", "cyan"),
    policy_pb2.PLANNED_KIND_DROPPED: ("gone", "cyan"),
    policy_pb2.PLANNED_KIND_EARLIER: ("earlier", "dark_orange"),
    policy_pb2.PLANNED_KIND_LATER: ("later", "green"),
    policy_pb2.PLANNED_KIND_TERMS: ("other terms", ""),
}


async def plan(client: Client, path: Path, queue: str, most: int, *, as_json: bool) -> None:
    """Print what would change for open tickets."""
    policy = read_policy(path)
    request = pb.PlanPolicyRequest(yaml=read_text(path), queue=queue, max_changes=most)
    changes, summary = [], policy_pb2.PlanSummary()
    with progressing("looking at open tickets") as bar:
        async for one in client.policies.PlanPolicy(request, timeout=LONG_SECONDS):
            match one.WhichOneof("kind"):
                case "progress":
                    moved(bar, one.progress.done, one.progress.total)
                case "change":
                    changes.append(one.change)
                case "summary":
                    summary = one.summary
    if as_json:
        write({"changes": [plain(one) for one in changes], "summary": plain(summary)})
    else:
        if changes:
            console.print(_changes(changes, policy.calendars[policy.calendar].zone))
        console.print(_summary(summary, len(changes)))


def plain(message: Any) -> Any:
    """A message for programs, with its zeros."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _changes(changes: Iterable[policy_pb2.PlannedChange], tz: ZoneInfo) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("ticket", "clock", "", "before", "after"):
        table.add_column(column, no_wrap=True)
    table.add_column("at once", overflow="fold")
    for one in changes:
        word, style = _KINDS[one.kind]
        at_once = Text("missed ", "bold red") if one.breaches else Text()
        at_once.append(", ".join(one.fires), "dark_orange")
        name = one.after.name or one.before.name
        table.add_row(
            one.ticket.key, name, Text(word, style), _due(one, "before", tz), _due(one, "after", tz), at_once
        )
    return table


def _due(change: policy_pb2.PlannedChange, side: str, tz: ZoneInfo) -> str:
    if not change.HasField(side):  # type: ignore[arg-type]
        return "-"
    clock: clock_pb2.Clock = getattr(change, side)
    if clock.HasField("due_time"):
        return when(clock.due_time.ToMicroseconds(), tz)
    if clock.HasField("met_time"):
        return "met late" if clock.breached else "met"
    if clock.state == clock_pb2.CLOCK_STATE_PENDING:
        return "not begun"
    left = clock.target.ToMicroseconds() - clock.elapsed.ToMicroseconds()
    return f"paused, {said(left)} left" if clock.state == clock_pb2.CLOCK_STATE_PAUSED else "cancelled"


def _summary(told: policy_pb2.PlanSummary, shown: int) -> Text:
    if not told.changed_tickets:
        return Text.assemble(("nothing changes", "green"), f": {told.tickets} open tickets looked at")
    counts = [(told.earlier, "earlier"), (told.later, "later"), (told.added, "new"), (told.dropped, "gone")]
    words = ", ".join(
        f"{number} {word}" for number, word in (*counts, (told.terms, "of other terms")) if number
    )
    summary = Text.assemble(
        (f"{told.changed_tickets} of {told.tickets} open tickets change", "bold"), f": {words}"
    )
    if told.breaches or told.fires:
        summary.append(f"\nat once: {told.breaches} targets missed, {told.fires} marks told", "bold red")
    if told.left_out:
        summary.append(
            f"\n{told.left_out} changes are not shown: --limit {shown + told.left_out} shows all", "dim"
        )
    return summary
