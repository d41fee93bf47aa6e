"""A real cluster on this machine: three nodes, the slots split among them, each with a replica if wanted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import redis.asyncio as redis
from redis.crc import key_slot

from chassis.recipes import Instance, Kind
from chassis.servers import Server, free_port
from chassis.testing import eventually
from sla_clock.timers import SHARDS

NODES = 3
SLOTS = 16384


@dataclass
class Cluster:
    """Its nodes, replicas last. One that is killed and started again has kept its name, not its data."""

    nodes: tuple[Server, ...]

    @classmethod
    async def start(cls, kind: Kind, folder: Path, *, timeout_seconds: int = 60, replicas: int = 0) -> Self:
        """Start the nodes, make them meet and wait until they agree.

        A node that is silent for the timeout is declared dead by the others, which then serve nothing.
        """
        nodes = (_node(kind, folder / str(number), timeout_seconds) for number in range(NODES + replicas))
        cluster = cls(tuple(node.start() for node in nodes))
        for number, node in enumerate(cluster.nodes[:NODES]):
            last = (number + 1) * SLOTS // NODES - 1
            await _ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            await _ask(node, "CLUSTER", "ADDSLOTSRANGE", number * SLOTS // NODES, last)
        first, *others = cluster.nodes
        for node in others:
            await _ask(first, "CLUSTER", "MEET", "127.0.0.1", node.port, _bus_port(node))
        await eventually(cluster.whole)
        for number in range(replicas):
            primary = (await cluster.ask(number, "CLUSTER", "MYID")).decode()
            await cluster.ask(NODES + number, "CLUSTER", "REPLICATE", primary)
            await eventually(partial(cluster.replicates, NODES + number))
        return cluster

    def kill(self) -> None:
        """Kill all nodes."""
        for node in self.nodes:
            node.kill()

    @property
    def url(self) -> str:
        """For a client that speaks with clusters."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    async def whole(self) -> bool:
        """Whether every node knows all nodes and takes every slot for served."""
        told = [await self.state(node) for node in self.nodes]
        return all(
            "cluster_state:ok" in one and f"cluster_known_nodes:{len(self.nodes)}" in one for one in told
        )

    async def replicates(self, number: int) -> bool:
        """Whether a node is a replica and has all that its primary holds."""
        role = await self.ask(number, "ROLE")
        return bool(role[0] == b"slave" and role[3] == b"connected")

    async def state(self, node: Server) -> list[str]:
        """What a node thinks of its cluster, as `name:value`."""
        told: bytes | str = await _ask(node, "CLUSTER", "INFO")
        return (told.decode() if isinstance(told, bytes) else told).split()

    async def ask(self, number: int, *command: str) -> Any:
        """The answer of one node to a command."""
        return await _ask(self.nodes[number], *command)

    async def each(self, *command: str) -> list[Any]:
        """The answers of all nodes to one command."""
        return list(await asyncio.gather(*(_ask(node, *command) for node in self.nodes)))

    def shards(self, number: int) -> list[int]:
        """The shards of timers on a node."""
        slots = range(number * SLOTS // NODES, (number + 1) * SLOTS // NODES)
        return [shard for shard in range(SHARDS) if key_slot(f"sla:{shard:02}".encode()) in slots]


def _node(kind: Kind, folder: Path, timeout_seconds: int) -> Server:
    # Told, and the same after a restart: by itself it takes the port 10,000 higher, which there may not be.
    options = {"enabled": "yes", "port": str(free_port()), "node-timeout": str(timeout_seconds * 1000)}
    command = partial(_clustered, kind, options)
    return Server(replace(kind, command=command), folder)


def _clustered(kind: Kind, options: dict[str, str], server: Instance) -> list[str]:
    flags = [part for name, value in options.items() for part in (f"--cluster-{name}", value)]
    return [*kind.command(server), *flags]


def _bus_port(node: Server) -> int:
    command = node.kind.command(node)
    return int(command[command.index("--cluster-port") + 1])


async def _ask(node: Server, *command: Any) -> Any:
    async with redis.Redis.from_url(node.url) as client:
        asked: Any = client
        return await asked.execute_command(*command)
