"""The embedded servers start as this user, and durable ones keep their data through a kill -9."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
import redis.asyncio as redis
import sqlalchemy as sa
from nats.js import api

from chassis.schema import plain_engine
from chassis.servers import (
    _MOST_HELD,
    Server,
    ServerFailed,
    Servers,
    free_port,
    start_nats,
    start_postgres,
    start_valkey,
)
from chassis.testing import Run, eventually


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="td-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def scalar(url: str, *statements: str) -> object:
    engine = plain_engine(url, autocommit=True)
    try:
        async with engine.connect() as conn:
            for statement in statements[:-1]:
                await conn.execute(sa.text(statement))
            return await conn.scalar(sa.text(statements[-1]))
    finally:
        await engine.dispose()


async def test_durable_data_outlives_kill_9_of_all_three(folder: Path) -> None:
    servers = Servers(folder).start()
    try:
        await scalar(servers.postgres.url, "create table t (x int)", "insert into t values (7)", "select 1")
        client = await nats.connect(servers.nats.url)
        await client.jetstream().add_stream(api.StreamConfig(name="S", subjects=["s.>"]))
        await client.jetstream().publish("s.a", b"kept")
        await client.close()
        async with redis.from_url(servers.valkey.url) as cache:
            await cache.set("k", "kept")
            await eventually(lambda: b"kept" in b"".join(p.read_bytes() for p in aof_files(servers.valkey)))
        ports = [server.port for server in servers.all]
        for server in servers.all:
            server.kill()
        servers.start()
        assert [server.port for server in servers.all] == ports
        assert await scalar(servers.postgres.url, "select x from t") == 7
        client = await nats.connect(servers.nats.url)
        assert (await client.jetstream().stream_info("S")).state.messages == 1
        await client.close()
        async with redis.from_url(servers.valkey.url) as cache:
            assert await cache.get("k") == b"kept"
    finally:
        servers.stop()


def aof_files(server: Server) -> list[Path]:
    return list(server.folder.glob("appendonlydir/*.aof"))


async def test_durable_servers_refuse_a_client_without_the_password(folder: Path) -> None:
    with Servers(folder) as servers:
        with pytest.raises(Exception, match="password"):
            await scalar(f"postgresql://postgres@127.0.0.1:{servers.postgres.port}/postgres", "select 1")
        async with redis.from_url(f"redis://127.0.0.1:{servers.valkey.port}/0") as cache:
            with pytest.raises(redis.AuthenticationError):
                await cache.ping()
        assert await hello_refused(servers.nats.port)
        assert servers.nats.password not in " ".join(command_line(servers.nats.pid))
        assert (servers.nats.folder / "nats.conf").stat().st_mode & 0o077 == 0


async def hello_refused(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(b"CONNECT {}\r\nPING\r\n")
    answer = await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    return b"Authorization" in answer


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def test_a_second_start_finds_the_running_server_and_stop_ends_it(folder: Path) -> None:
    first = start_nats(folder, durable=True)
    second = Server(first.kind, folder, durable=True).start()
    assert (second.pid, second.url) == (first.pid, first.url)
    second.stop()
    assert not first.running


def test_a_lock_left_by_a_killed_server_does_not_prevent_the_start(folder: Path) -> None:
    server = start_postgres(folder)
    server.kill()
    lock = folder / "pg" / "postmaster.pid"
    # The worst case: the pid in the lock belongs to somebody else now.
    lines = lock.read_text().splitlines() if lock.exists() else ["0", str(folder / "pg")]
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    try:
        server.start()
        assert server.running
    finally:
        server.kill()


def test_stop_leaves_a_process_alone_that_only_inherited_the_pid(folder: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (folder / "server.json").write_text(f'{{"pid": {other.pid}, "port": 1, "birth": "1"}}')
        server = start_valkey(folder)
        assert server.pid != other.pid
        server.stop()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    taken = start_valkey(folder / "one")
    try:
        with pytest.raises(ServerFailed, match=f"port {taken.port} of 127.0.0.1 is taken"):
            start_valkey(folder / "two", port=taken.port)
    finally:
        taken.kill()


def test_servers_die_with_the_process_that_started_them(folder: Path) -> None:
    code = (
        "import sys, pathlib, chassis.servers as s; f = pathlib.Path(sys.argv[1])\n"
        "for one in (s.start_postgres(f / 'p'), s.start_nats(f / 'n'), s.start_valkey(f / 'v')):\n"
        "    print(one.pid, flush=True)\n"
        "input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin
    assert child.stdout
    pids = [int(child.stdout.readline()) for _ in range(3)]
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdin.close()
    child.stdout.close()

    def gone() -> bool:
        return not any(alive(pid) for pid in pids)

    asyncio.run(eventually(gone))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


RUN = "from chassis.testing import Run; run = Run(); print(run.folder, flush=True); input()"


@pytest.mark.parametrize("killed", [True, False])
def test_the_next_run_removes_what_a_killed_one_left_in_memory_and_nothing_of_a_living_one(
    killed: bool,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        left = Path(other.stdout.readline().strip())
        try:
            if killed:
                other.kill()
                other.wait()
            assert left.is_dir()
            Run().close()
            assert left.is_dir() != (killed and left.is_relative_to("/dev/shm"))
        finally:
            other.kill()
            shutil.rmtree(left, ignore_errors=True)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the maps of a process are Linux's")
def test_a_killed_postgres_of_a_test_leaves_nothing_outside_of_its_folder(tmp_server_folder: Path) -> None:
    postgres = start_postgres(tmp_server_folder / "pg")
    mapped = Path(f"/proc/{postgres.pid}/maps").read_text()
    postgres.kill()
    assert str(tmp_server_folder) in mapped
    assert "/dev/shm/PostgreSQL" not in mapped


def test_a_port_that_was_given_out_is_given_to_nobody_else_until_it_is_forgotten() -> None:
    """Two desks that start at once on one machine; the server that it is for may listen there."""
    port = free_port()
    asked = [sys.executable, "-c", f"from chassis.servers import _hold; print(_hold({port}))"]
    assert subprocess.check_output(asked, text=True).strip() == "False"
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(server.getsockname()):
        pass
    for _ in range(_MOST_HELD):
        free_port()
    assert subprocess.check_output(asked, text=True).strip() == "True", "the control: nobody holds it"
