"""Asks one Redis, or those nodes of a cluster that hold the keys, and waits no longer than is good."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from typing import Any, TypeAlias

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

__all__ = ["AWAY", "SECONDS", "Client", "ask", "client", "or_raise"]

AWAY = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What is raised while Redis is away; nothing is lost by that."""

SECONDS = 2.0
"""How long an answer may take."""

Client: TypeAlias = "redis.Redis | redis.RedisCluster"


def client(url: str) -> Client:
    """A client of redis://..., or of the cluster at redis+cluster://...; it connects when first used."""
    scheme, plus, rest = url.partition("+cluster")
    # Deadlines are set here, not by the client: before Python 3.12 its way of timing a write can
    # swallow a cancellation.
    options: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": 1.0}
    if plus:
        # Tried once: a second try would find the shards held by the first, whose answer was lost.
        return redis.RedisCluster.from_url(scheme + rest, retry=Retry(NoBackoff(), 0), **options)
    return redis.Redis.from_url(url, **options)


async def ask(client: Client, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """The answers in one round trip, of which some may be errors; may raise AWAY as well."""
    if not isinstance(client, redis.RedisCluster):
        return await _pipe(client, commands)
    async with asyncio.timeout(SECONDS):
        await client.initialize()
    nodes: dict[Any, list[int]] = {}
    for place, command in enumerate(commands):
        key = command[3] if command[0] == "EVALSHA" else command[1]
        nodes.setdefault(client.get_node_from_key(key), []).append(place)
    # Node by node: the client forgets what the others have answered when one is away.
    asked = [_ask_node(client, [commands[place] for place in places]) for places in nodes.values()]
    answers = zip(chain(*nodes.values()), chain(*await asyncio.gather(*asked)), strict=True)
    return [answer for _, answer in sorted(answers, key=itemgetter(0))]


def or_raise(answers: list[Any]) -> list[Any]:
    """The answers if none is an error."""
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


async def _ask_node(client: redis.RedisCluster, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    try:
        return await _pipe(client, commands)
    except AWAY as error:
        with suppress(*AWAY):
            async with asyncio.timeout(SECONDS):
                # Another may have its slots by now.
                await client.nodes_manager.initialize()
        return [error] * len(commands)


async def _pipe(client: Client, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    pipe = client.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    async with asyncio.timeout(SECONDS):
        return list(await pipe.execute(raise_on_error=False))
