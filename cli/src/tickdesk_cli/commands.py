"""What `tickdesk up`, `down` and `ingest` do; all return an exit code or None for 0."""

from pathlib import Path

from rich.text import Text

from tickdesk_cli import ingest as ingesting
from tickdesk_cli import seed
from tickdesk_cli import status as states
from tickdesk_cli.desk import Desk, directions, example
from tickdesk_cli.terminal import Problem, Steps, console


async def up(desk: Desk, file: Path | None) -> None:
    """Start the desk and say how to use it."""
    new = not desk.exists
    seeds = seed.read(file or example("desk.yaml")) if new or file else None
    complete = not new and not any(row.problem for row in await states.rows(desk))
    if new:
        desk.adopt_policy(example("policies/playbook.yaml"))
    if not complete:
        with Steps() as say:
            await desk.start(say, tuple(agent.id for agent in seeds.agents) if seeds else ())
    async with desk.client() as client:
        planted = await seed.plant(client, seeds or seed.read(example("desk.yaml")), force=file is not None)
    word = "already ran" if complete else "runs"
    console.print(Text.assemble((f"The desk {word}", "bold green"), f" in {desk.folder}"))
    if planted and seeds:
        keys = ", ".join(queue.key for queue in seeds.queues)
        console.print(f"Queues {keys} and {len(seeds.agents)} people were set up.", style="dim")
    console.print(directions(desk))


async def down(desk: Desk) -> None:
    """Stop everything."""
    desk.require()
    with Steps() as say:
        await desk.stop(say)
    console.print(f"The desk is down, its data stays in {desk.folder}")


async def ingest(desk: Desk, files: list[Path], recipient: str) -> int:
    """Deliver messages to the desk."""
    desk.require()
    if not desk.service("intake").pid:
        raise Problem("the desk does not run", "`tickdesk up` starts it.")
    async with desk.client() as client:
        return await ingesting.ingest(client, desk.ports["intake.lmtp"], files, recipient)
