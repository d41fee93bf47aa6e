"""Real PostgreSQL, NATS and Valkey out of wheels, for one machine and for tests; loopback only."""

import atexit
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from chassis.recipes import NATS, POSTGRES, VALKEY, Kind, ServerFailed, write_private

__all__ = [
    "Server",
    "ServerFailed",
    "Servers",
    "birth",
    "die_with_parent",
    "free_port",
    "is_free",
    "start_nats",
    "start_postgres",
    "start_valkey",
]

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1
_FIRST_PORT = 10_240
_MOST_HELD = 200
_held: deque[socket.socket] = deque()


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
            if not is_free(self.port):
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
        write_private(self.folder / "server.json", json.dumps(state))

    def _recall(self) -> None:
        """Find a server that an earlier process started in this folder."""
        state = self._state()
        if self._process is None:
            self.pid = state.get("pid", 0)
        recorded = state.get("port", 0)
        if self.durable and not self.port and (self.running or is_free(recorded)):
            self.port = recorded
        secret = self.folder / "password"
        if self.durable and secret.exists():
            self.password = secret.read_text()

    def _forget(self) -> None:
        atexit.unregister(self.kill)
        self._process, self.pid = None, 0
        state = self._state()
        if state:
            write_private(self.folder / "server.json", json.dumps({"port": state.get("port", 0)}))


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
    """Return a loopback port that nobody has, outside the range that outgoing connections use.

    One of those could take it before the server starts, or while a killed one is away. Another process that
    asks does not get it either while this one lives, or has asked for so many more that it is forgotten.
    """
    while True:
        port = _FIRST_PORT + secrets.randbelow(_ephemeral() - _FIRST_PORT)
        if _hold(port):
            return port


def _hold(port: int) -> bool:
    """Bind it without listening: whoever it is for reuses addresses, whoever looks for one does not."""
    sock = socket.socket()
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        return False
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _held.append(sock)
    if len(_held) > _MOST_HELD:
        _held.popleft().close()
    return True


def _ephemeral() -> int:
    """The lowest port that the system gives to outgoing connections."""
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        lowest = 32768
    return lowest if lowest > _FIRST_PORT + 1000 else 32768


def is_free(port: int) -> bool:
    """Whether a server may listen on a loopback port."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def birth(pid: int) -> str:
    """Return when a process began, so that a reused pid is not taken for it; empty when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        state, *rest = stat.rpartition(")")[2].split()
        # A first thread that has ended while others have not is no ended process yet.
        return "" if state == "Z" and int(rest[16]) <= 1 else rest[18]
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
