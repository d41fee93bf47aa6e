"""`tickdesk policy simulate`: history under two policies, side by side."""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from chassis.clock import utcnow
from chassis.errors import InvalidInput
from sla_clock import convert_policy
from sla_clock.calendar import micros, wall_instant
from sla_clock.domain import Timeline
from sla_clock.history import Skipped, read
from sla_clock.hours import zone
from sla_clock.policy import Policy
from sla_clock.policyfile import load
from sla_clock.simulate import Replay, Report
from tickdesk.sla.v1 import policy_pb2
from tickdesk.sla.v1 import policy_service_pb2 as pb
from tickdesk_cli.client import SECONDS, Client
from tickdesk_cli.planning import LONG_SECONDS, plain
from tickdesk_cli.policyfiles import read_policy, read_text
from tickdesk_cli.progress import moved, progressing
from tickdesk_cli.terminal import Problem, bad_input, console, write

_EVERY = 100
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """Which tickets, and up to when: what was typed. Times without an offset are wall times of the zone."""

    since: str = ""
    until: str = ""
    queue: str = ""
    zone: str = ""

    def tz(self, policy: Policy) -> ZoneInfo:
        """The zone named, or that of the policy's calendar."""
        try:
            return zone(self.zone) if self.zone else policy.calendars[policy.calendar].zone
        except InvalidInput as error:
            raise bad_input(f"--zone: {error}") from None


def instant(option: str, text: str, tz: ZoneInfo) -> int | None:
    """Microseconds of a date or time that was typed; None when nothing was."""
    if not text:
        return None
    try:
        typed = datetime.fromisoformat(text)
        return micros(typed) if typed.tzinfo else wall_instant(tz, typed)
    except (ValueError, OverflowError):
        raise bad_input(
            f"{option}: {text!r} is not a time; write 2026-11-01 or 2026-11-01T09:00+03:00"
        ) from None


async def simulate_live(
    client: Client, path: Path, base: Path | None, limits: Limits
) -> policy_pb2.SimulationReport:
    """Let the desk replay its own tickets."""
    tz = limits.tz(read_policy(path))
    request = pb.SimulatePolicyRequest(
        yaml=read_text(path),
        base_yaml=read_text(base) if base else "",
        from_time=_stamp(instant("--from", limits.since, tz)),
        until_time=_stamp(instant("--until", limits.until, tz)),
        queue=limits.queue,
        timezone=tz.key,
    )
    with progressing("replaying tickets") as bar:
        async for one in client.policies.SimulatePolicy(request, timeout=LONG_SECONDS):
            if one.HasField("report"):
                return one.report
            moved(bar, one.progress.done, one.progress.total)
    raise Problem("the desk ended the simulation without a report", "`tickdesk doctor` looks for the reason.")


def _stamp(at: int | None) -> Timestamp | None:
    if at is None:
        return None
    told = Timestamp()
    told.FromMicroseconds(at)
    return told


async def policy_in_force(client: Client) -> Policy:
    """The policy that the desk counts by."""
    found = await client.policies.GetPolicy(pb.GetPolicyRequest(), timeout=SECONDS)
    return load(found.yaml, file=found.name, version=found.version)


async def simulate_csv(path: Path, base: Policy, csv: Path, limits: Limits) -> policy_pb2.SimulationReport:
    """Replay the histories of a CSV file in this process, a row at a time."""
    candidate = read_policy(path)
    tz = limits.tz(candidate)
    since = instant("--from", limits.since, tz) or 0
    until = instant("--until", limits.until, tz)
    until = micros(utcnow()) if until is None else until
    if until < since:
        raise bad_input("--until: must not lie before --from")
    replay = Replay(base, candidate, tz, Report(until), since)
    try:
        with csv.open(encoding="utf-8-sig", newline="") as file, closing(_rows(file, csv, tz)) as rows:
            for life in rows:
                _count(replay, life, limits.queue)
                # The loop hears of an interruption only when it is asked.
                await asyncio.sleep(0)
    except FileNotFoundError:
        raise bad_input(f"{csv}: no such file") from None
    except UnicodeDecodeError:
        raise bad_input(f"{csv}: is not text in UTF-8") from None
    except InvalidInput as error:
        raise bad_input("\n".join(f"{csv}: {line}" for line in str(error).splitlines())) from None
    except OSError as error:
        raise bad_input(f"{csv}: {(error.strerror or str(error)).lower()}") from None
    return convert_policy.report(replay.report)


def _rows(file: TextIO, csv: Path, tz: ZoneInfo) -> Generator[tuple[str, Timeline] | Skipped, None, None]:
    """The rows of the file, with a bar that follows them."""
    size = max(1, csv.stat().st_size)
    with progressing(f"replaying {csv.name}") as bar:
        for number, life in enumerate(read(file, tz)):
            if number % _EVERY == 0:
                moved(bar, file.buffer.raw.tell(), size)  # type: ignore[attr-defined]
            yield life


def _count(replay: Replay, life: tuple[str, Timeline] | Skipped, queue: str) -> None:
    if isinstance(life, Skipped):
        replay.report.skip(str(life))
    elif queue in ("", life[1].attributes.queue):
        replay.take(*life)


def show(told: policy_pb2.SimulationReport, *, as_json: bool) -> None:
    """Print the report: days and clocks under the base and under the candidate."""
    if as_json:
        write(plain(told))
        return
    for title, rows in (("day", told.days), ("clock", told.clocks)):
        if rows:
            console.print(_table(title, [*rows, told.total] if title == "clock" else rows))
            console.print()
    tickets = f"{told.tickets} tickets replayed"
    console.print(Text.assemble((tickets, "bold"), "; each figure is told as base → candidate"))
    if told.skipped:
        console.print(Text("skipped:", "dark_orange"))
        for reason in told.skipped[:_SHOWN]:
            console.print(Text(f"  {reason}"), soft_wrap=True)
        if len(told.skipped) > _SHOWN:
            console.print(Text(f"  and more; --json tells {len(told.skipped)}", "dim"))


def _table(title: str, rows: Iterable[policy_pb2.SimulatedRow]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(title, no_wrap=True)
    for name in ("cycles", "in time", "missed", "alerts", "escalations"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        base, after = row.base, row.candidate
        style = "bold" if row.label == "total" else ""
        table.add_row(
            Text(row.label, style),
            _pair(base.started, after.started, 0),
            _shares(base.compliance, after.compliance),
            _pair(base.breached, after.breached, -1),
            _pair(base.alerts, after.alerts, -1),
            _pair(base.escalations, after.escalations, -1),
            style=style,
        )
    return table


def _pair(base: int, after: int, good: int) -> Text:
    """Both figures, or one when they are equal; `good` says whether more of it is."""
    if base == after:
        return Text(str(base))
    better = (after > base) == (good > 0)
    return Text.assemble(f"{base} → ", (str(after), "" if not good else "green" if better else "red"))


def _shares(base: int, after: int) -> Text:
    """Both shares in per cent; a dash where nothing was met or missed."""
    told = [f"{each / 10_000:.1f}" if each >= 0 else "-" for each in (base, after)]
    unit = " %" if after >= 0 else ""
    if base == after:
        return Text(told[0] + unit)
    style = "" if -1 in (base, after) else "green" if after > base else "red"
    return Text.assemble(f"{told[0]} → ", (told[1] + unit, style))
