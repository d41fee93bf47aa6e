"""`tickdesk policy explain`: why a clock stands where it stands, as tables and a picture of the week."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from rich.table import Table
from rich.text import Text

from chassis.errors import NotFound
from sla_clock.convert_policy import explanation
from sla_clock.durations import said
from sla_clock.explain import explain
from sla_clock.walltime import shown
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import sla_service_pb2 as pb
from tickdesk.tickets.v1.tickets_service_pb2 import GetTicketRequest
from tickdesk_cli.client import CHECK_SECONDS, SECONDS, Client
from tickdesk_cli.picture import DUE, GLYPHS, HEADING, MET, WORDS, Life, Stretch, legend, life_of, week, when
from tickdesk_cli.policyfiles import find_case, read_policy, read_text, tests_of
from tickdesk_cli.terminal import bad_input, console, write

_MOST, _ENDS = 44, 20
_STATES = {
    clock_pb2.CLOCK_STATE_PENDING: "has not begun",
    clock_pb2.CLOCK_STATE_RUNNING: "running",
    clock_pb2.CLOCK_STATE_PAUSED: "paused",
    clock_pb2.CLOCK_STATE_MET: "met",
    clock_pb2.CLOCK_STATE_CANCELLED: "cancelled",
}


def explain_case(
    path: Path, tests: Path | None, name: str, clock: str, cycle: int
) -> pb.ExplainClockResponse:
    """Explain a clock of a golden case as of its last step. Raises Problem (code 2)."""
    policy = read_policy(path)
    case = find_case(path, tests_of(path, tests), policy, name)
    now = case.timeline.facts[-1].at
    try:
        found = explain(case.timeline, policy, clock, cycle, now)
    except NotFound as error:
        raise bad_input(f"case {name!r}: {error}") from None
    told = explanation(found, policy, now)
    told.ticket.subject = name
    return told


async def explain_live(
    client: Client, ticket: str, clock: str, cycle: int, policy: Path | None
) -> pb.ExplainClockResponse:
    """Explain a clock of a live ticket, under its own policy or another one."""
    text = read_text(policy) if policy else ""
    found = await client.tickets.GetTicket(GetTicketRequest(ticket=ticket), timeout=SECONDS)
    request = pb.ExplainClockRequest(ticket_id=found.ticket.id, clock=clock, cycle=cycle, yaml=text)
    told: pb.ExplainClockResponse = await client.sla.ExplainClock(request, timeout=CHECK_SECONDS)
    return told


def show(told: pb.ExplainClockResponse, *, as_json: bool) -> None:
    """Print it."""
    if as_json:
        write(MessageToDict(told, preserving_proto_field_name=True))
        return
    life = life_of(told)
    console.print(_head(told, life))
    if life.stretches:
        console.print()
        console.print(_stretches(told, life))
        console.print()
        console.print(week(life, console.width), no_wrap=True, crop=True)
        console.print(legend(life))
    for part in (_marks(told, life), _rows(told)):
        console.print()
        console.print(part)


def _head(told: pb.ExplainClockResponse, life: Life) -> Text:
    clock, policy = told.clock, told.policy
    name = " ".join(word for word in (told.ticket.key, told.ticket.subject) if word)
    cycle = f", cycle {clock.cycle}" if clock.cycle > 1 else ""
    head = Text.assemble((name, "bold"), "\n", (clock.name, "bold"), f"{cycle}: ", *_standing(clock, life))
    version = f" {policy.version}" if policy.version else ""
    head.append(
        f"\npolicy {policy.name}{version}, row {clock.policy_row}, target {_said(clock.target)}; "
        f"calendar {policy.calendar} {policy.calendar_version}, {told.timezone}, tzdata {policy.tzdata}",
        "dim",
    )
    return head


def _standing(clock: clock_pb2.Clock, life: Life) -> Iterator[str | tuple[str, str]]:
    yield _STATES.get(clock.state, "unknown")
    if life.met is not None:
        yield f" {shown(life.met, life.zone)}, "
        yield ("too late", "bold red") if clock.breached else ("in time", "green")
    elif clock.breached:
        yield (", missed", "bold red")
    left = clock.target.ToMicroseconds() - clock.elapsed.ToMicroseconds()
    if life.met is None and life.stretches:
        yield f", {said(left)} left" if left >= 0 else f", {said(-left)} over"
    if life.due is not None:
        yield f", due {shown(life.due, life.zone)}"


def _said(length: Any) -> str:
    return said(length.ToMicroseconds())


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        right = name in ("counted", "sum", "target")
        # Only what is told in words is folded when the terminal is narrow.
        folds = name in ("what", "why")
        table.add_column(name, justify="right" if right else "left", no_wrap=not folds, overflow="fold")
    return table


def _stretches(told: pb.ExplainClockResponse, life: Life) -> Table:
    table = _table("from", "to", "what", "counted", "sum")
    total, target = 0, told.clock.target.ToMicroseconds()
    many = len(life.stretches) > _MOST
    for at, one in enumerate(life.stretches):
        total += one.counted
        if not many or not _ENDS <= at < len(life.stretches) - _ENDS:
            sums = [said(one.counted), said(total)] if one.counted else ["", ""]
            table.add_row(when(one.start, life.zone), when(one.end, life.zone), _what(one, life), *sums)
        elif at == _ENDS:
            table.add_row("...", "", f"{len(life.stretches) - 2 * _ENDS} more", "", "")
        if one.end == life.met:
            table.add_row("", when(one.end, life.zone), Text.assemble(MET, " met"), "", "")
        if one.end == life.due and total == target:
            table.add_row("", when(one.end, life.zone), Text.assemble(DUE, " due"), "", "= target")
    return table


def _what(one: Stretch, life: Life) -> Text:
    over = life.met is not None and one.start >= life.met and one.counted
    glyph, style = HEADING if over else GLYPHS[one.kind]
    word = "not needed" if over else WORDS[one.kind]
    return Text.assemble((glyph, style), f" {word}", f": {one.name}" if one.name else "")


def _marks(told: pb.ExplainClockResponse, life: Life) -> Table:
    table = _table("mark", "asks for", "at", "")
    for mark in told.clock.marks:
        at = when(mark.due_time.ToMicroseconds(), life.zone) if mark.HasField("due_time") else "-"
        action = clock_pb2.MarkAction.Name(mark.action).removeprefix("MARK_ACTION_").lower()
        tells = f" ({', '.join(mark.tell)})" if mark.tell else ""
        state = Text("reached", "dark_orange") if mark.reached else Text("")
        table.add_row(mark.name, action.replace("_", " ") + tells, at, state)
    return table


def _rows(told: pb.ExplainClockResponse) -> Table:
    table = _table("row", "target", "why")
    for row in told.rows:
        target = _said(row.target) if row.HasField("target") else "-"
        style = "bold green" if row.won else ""
        table.add_row(Text(("✓ " if row.won else "  ") + row.row, style), target, Text(row.reason, style))
    return table
