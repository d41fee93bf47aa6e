"""One service as a process of its own: started, found again, asked whether it is ready, stopped, killed."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.servers import birth, die_with_parent
from tickdesk_cli.terminal import Problem

_TICK, _SECONDS = 0.05, 5.0


@dataclass(slots=True)
class Process:
    """A service process; what is known of it is kept in `<name>.json`, so that a later command finds it.

    A pid alone is never trusted: the process must have been born when ours was, else it is somebody else's.
    """

    name: str
    module: str
    folder: Path
    environment: Mapping[str, str]
    ops_port: int
    detached: bool = True
    arguments: tuple[str, ...] = ()
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _since: int = 0

    @property
    def log(self) -> Path:
        """The file its output is appended to."""
        return self.folder / "logs" / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The pid while it runs, else 0."""
        if self._child is not None:
            return self._child.pid if self._child.poll() is None else 0
        known = self._known()
        pid = int(known.get("pid", 0))
        return pid if pid and birth(pid) == known.get("birth") else 0

    @property
    def memory(self) -> int:
        """Memory in bytes; 0 when it does not run."""
        return resident(self.pid)

    def start(self) -> None:
        """Start it unless it runs; it appends to its log file."""
        if self.pid:
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._since = self.log.stat().st_size if self.log.exists() else 0
        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=None if self.detached else die_with_parent(signal.SIGTERM),
            )
        state = {"pid": self._child.pid, "birth": birth(self._child.pid)}
        self._state.write_text(json.dumps(state), encoding="utf-8")

    async def stop(self, grace: float = 25) -> None:
        """Ask it to drain and leave; kill it when it has not after `grace` seconds."""
        pid = self.pid
        if not pid:
            return
        os.kill(pid, signal.SIGTERM)
        if not await self._gone(grace):
            await self.kill()
        self._state.unlink(missing_ok=True)

    async def kill(self) -> None:
        """Kill -9: nothing is drained, as in a power cut."""
        pid = self.pid
        if pid:
            os.kill(pid, signal.SIGKILL)
            await self._gone(10)

    async def unready(self) -> str:
        """Why it is not ready, "" when it is."""
        if not self.pid:
            return "not running"
        try:
            body = await asyncio.to_thread(self._readiness)
        except ConnectionRefusedError:
            return "starting"
        except (http.client.HTTPException, OSError, ValueError) as error:
            return type(error).__name__
        return "" if body.get("ready") else ", ".join(body.get("failing", [])) or "not ready"

    def _readiness(self) -> dict[str, Any]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.ops_port, timeout=_SECONDS)) as connection:
            connection.request("GET", "/readyz")
            body: dict[str, Any] = json.load(connection.getresponse())
        return body

    async def ready(self, seconds: float = 90) -> None:
        """Wait until it is ready. Raises Problem with the end of its log when it dies or takes too long."""
        deadline = time.monotonic() + seconds
        reason = "not started"
        while time.monotonic() < deadline:
            if not self.pid:
                raise Problem(f"{self.name} ended while starting:\n{self.tail()}", f"Its log: {self.log}")
            reason = await self.unready()
            if not reason:
                return
            await asyncio.sleep(_TICK)
        raise Problem(
            f"{self.name} was not ready within {seconds:.0f} s ({reason}):\n{self.tail()}",
            f"Its log: {self.log}",
        )

    def tail(self, lines: int = 5) -> str:
        """The last lines of its log; of this run when it was started here."""
        try:
            text = self.log.read_bytes()[self._since :].decode(errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:])

    @property
    def _state(self) -> Path:
        return self.folder / f"{self.name}.json"

    def _known(self) -> dict[str, int | str]:
        try:
            known: dict[str, int | str] = json.loads(self._state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return known

    async def _gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pid:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_TICK)
        return True


def resident(pid: int) -> int:
    """Memory of a process and its children in bytes, shared pages counted once; 0 when it cannot be told."""
    if not pid:
        return 0
    if Path("/proc/self/smaps_rollup").exists():
        return _resident(pid)
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=False)
    return int(shown.stdout.strip() or 0) * 1024


def _resident(pid: int) -> int:
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0
    share = next((int(row.split()[1]) for row in rows if row.startswith("Pss:")), 0)
    return share * 1024 + sum(_resident(int(child)) for child in children)
