"""`tickdesk status`: what runs, where, and why not."""

import asyncio
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from chassis.servers import Server
from tickdesk_cli.desk import Desk
from tickdesk_cli.process import Process, resident
from tickdesk_cli.terminal import console


@dataclass(frozen=True, slots=True)
class Row:
    """One server or service: `problem` is "" when all is well."""

    name: str
    pid: int
    ports: str
    memory: int
    problem: str


async def rows(desk: Desk) -> list[Row]:
    """The state of everything the desk consists of."""
    _ = desk.servers.running  # looks up what an earlier process started
    servers = [_server(each) for each in desk.servers.all]
    services = await asyncio.gather(*(_service(desk, each) for each in desk.services))
    return [*servers, *services]


def _server(server: Server) -> Row:
    pid = server.pid if server.running else 0
    return Row(server.kind.name, pid, str(server.port or ""), resident(pid), "" if pid else "not running")


async def _service(desk: Desk, process: Process) -> Row:
    problem = await process.unready()
    own = {
        key.partition(".")[2]: port for key, port in desk.ports.items() if key.startswith(f"{process.name}.")
    }
    ports = " ".join(f"{use} {port}" for use, port in own.items() if port)
    return Row(process.name, process.pid, ports, process.memory, problem)


async def show(desk: Desk) -> int:
    """Print the table. Returns 0 when all runs and is ready, else 1."""
    desk.require()
    found = await rows(desk)
    console.print(table(found))
    return 1 if any(row.problem for row in found) else 0


def table(found: list[Row]) -> Table:
    """The rows as a table that stays readable in a narrow terminal."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    shown.add_column("what", no_wrap=True)
    shown.add_column("state", no_wrap=True)
    shown.add_column("pid", justify="right", no_wrap=True)
    shown.add_column("memory", justify="right", no_wrap=True)
    shown.add_column("ports", overflow="fold")
    for row in found:
        state = (
            Text("ready", "green")
            if not row.problem
            else Text(row.problem, "red" if not row.pid else "yellow")
        )
        memory = f"{row.memory / 1024**2:.0f} MB" if row.memory else ""
        shown.add_row(row.name, state, str(row.pid or ""), memory, row.ports)
    return shown
