"""What `tickdesk policy` does beside `lint` and `test`; all return an exit code or None for 0."""

import asyncio
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from uuid import uuid4

from rich.table import Table
from rich.text import Text

from tickdesk.sla.v1 import policy_pb2
from tickdesk.sla.v1 import policy_service_pb2 as pb
from tickdesk_cli import explanation, planning, policyfiles, simulation
from tickdesk_cli.client import CHECK_SECONDS, SECONDS, Client, pages
from tickdesk_cli.desk import Desk
from tickdesk_cli.progress import moved, progressing
from tickdesk_cli.simulation import Limits
from tickdesk_cli.terminal import bad_input, console, instant, write

_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be explained: a ticket, or a case of a policy file; in which cycle, under which policy."""

    target: str
    clock: str
    case: str = ""
    tests: Path | None = None
    cycle: int = 0
    policy: Path | None = None


async def explain(desk: Desk, subject: Subject, as_json: bool) -> None:
    """Why a clock stands where it stands."""
    if subject.case or subject.target.endswith((".yaml", ".yml")):
        if subject.policy:
            raise bad_input("--policy is for live tickets", "A case is explained under the FILE named first.")
        told = explanation.explain_case(
            Path(subject.target), subject.tests, subject.case, subject.clock, subject.cycle
        )
    else:
        desk.require()
        async with desk.client() as client:
            told = await explanation.explain_live(
                client, subject.target, subject.clock, subject.cycle, subject.policy
            )
    explanation.show(told, as_json=as_json)


async def plan(desk: Desk, file: Path, queue: str, most: int, as_json: bool) -> None:
    """What would change for open tickets."""
    desk.require()
    async with desk.client() as client:
        await planning.plan(client, file, queue, most, as_json=as_json)


async def simulate(
    desk: Desk, file: Path, sources: tuple[Path | None, Path | None], limits: Limits
) -> policy_pb2.SimulationReport:
    """History under two policies; `sources` are the base and the CSV."""
    base, csv = sources
    if csv is not None and base is not None:
        return await simulation.simulate_csv(file, policyfiles.read_policy(base), csv, limits)
    desk.require()
    async with desk.client() as client:
        if csv is None:
            return await simulation.simulate_live(client, file, base, limits)
        return await simulation.simulate_csv(file, await simulation.policy_in_force(client), csv, limits)


async def report(
    desk: Desk, file: Path, sources: tuple[Path | None, Path | None], limits: Limits, as_json: bool
) -> None:
    """Simulate and print."""
    simulation.show(await simulate(desk, file, sources, limits), as_json=as_json)


async def apply(desk: Desk, file: Path, check: bool) -> None:
    """Put a policy in force and follow the open tickets under it."""
    policyfiles.read_policy(file)
    desk.require()
    request = pb.ApplyPolicyRequest(
        request_id=str(uuid4()), yaml=policyfiles.read_text(file), check_only=check
    )
    async with desk.client() as client:
        told = await client.policies.ApplyPolicy(request, timeout=CHECK_SECONDS)
        if check:
            console.print(Text.assemble(("fine", "green"), f": {told.name} can be put in force; nothing was"))
            return
        console.print(Text.assemble((f"{told.name} {told.version}", "bold green"), " is in force"))
        await _follow(client, told.version)


async def _follow(client: Client, version: int) -> None:
    request = pb.GetRecalculationRequest(version=version)
    with progressing("recalculating open tickets") as bar:
        while True:
            told = (await client.policies.GetRecalculation(request, timeout=SECONDS)).recalculation
            moved(bar, told.done, told.total)
            if told.HasField("finished_time"):
                break
            await asyncio.sleep(_PAUSE)
    console.print(_outcome(told))


def _outcome(told: policy_pb2.Recalculation) -> Text:
    counts = [(told.earlier, "earlier"), (told.later, "later"), (told.added, "new"), (told.dropped, "gone")]
    words = ", ".join(f"{number} {word}" for number, word in counts if number) or "no clock moved"
    seconds = told.took.ToTimedelta().total_seconds()
    return Text(f"{told.done} open tickets recalculated in {seconds:.1f} s: {words}")


async def show(desk: Desk, version: int, as_json: bool) -> None:
    """The text of a policy as it was applied."""
    desk.require()
    async with desk.client() as client:
        told = await client.policies.GetPolicy(pb.GetPolicyRequest(version=version), timeout=SECONDS)
    if as_json:
        write(planning.plain(told))
    else:
        # As it is, so that it can be kept in a file.
        console.file.write(told.yaml)


async def overview(desk: Desk, as_json: bool) -> None:
    """The versions of the policy."""
    desk.require()
    async with desk.client() as client:
        told = [
            one
            async for page in pages(client.policies.ListPolicies, pb.ListPoliciesRequest())
            for one in page.policies
        ]
    if as_json:
        write([planning.plain(one) for one in told])
        return
    if not told:
        console.print("No policy is in force: `tickdesk policy apply FILE` takes one.")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("version", justify="right", no_wrap=True)
    for name in ("policy", "from", "in force since"):
        table.add_column(name, overflow="fold")
    for at, one in enumerate(told):
        since = instant(one.applied_time.ToDatetime(UTC))
        table.add_row(str(one.version), one.name, one.origin, since, style="" if at else "bold")
    console.print(table)
