"""A desk as its owner uses it: up, status, doctor, ingest, down, and up again; every step a command."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chassis.servers import birth
from tickdesk_cli import terminal
from tickdesk_cli.main import app

EXAMPLES = Path(__file__).parents[3] / "examples"
LETTERS = ("01-login-code-ru", "10-any-news-ru", "05-api-500-log-en", "20-duplicate-of-05-en")
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("desk")]


class Owner:
    """Types commands; each is a process of its own, as in a terminal, or is asked of this one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def types(self, *arguments: str, code: int = 0) -> str:
        """Run a command, expect an exit code, return what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", "from tickdesk_cli.main import app; app()", *arguments],
            env={**os.environ, "TICKDESK_HOME": str(self.folder), "COLUMNS": "200", "NO_COLOR": "1"},
            cwd=EXAMPLES.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == code, output
        assert "Traceback" not in output
        return output

    def asks(self, *arguments: str, code: int = 0) -> str:
        """Run a command of a running desk in this process, where many are typed; otherwise as `types`."""
        environment = {"TICKDESK_HOME": str(self.folder), "COLUMNS": "200", "NO_COLOR": "1"}
        with pytest.MonkeyPatch.context() as patch:
            # Who asked first in this process may have had a narrower terminal.
            patch.setattr(terminal.console, "width", 200)
            done = CliRunner(env=environment).invoke(app, arguments)
        assert done.exit_code == code, done.output
        assert isinstance(done.exception, SystemExit | None)
        return done.output

    def pid(self, service: str) -> int:
        """Where a service runs."""
        return int(json.loads((self.folder / f"{service}.json").read_text())["pid"])


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path / "desk")


@pytest.fixture
def running(owner: Owner) -> object:
    owner.types("up")
    yield owner
    owner.types("down")


def test_a_desk_lives_from_up_to_down(running: Owner) -> None:
    """CA-33, YT-05: one command starts all, the next feeds it, nobody's process is left."""
    owner = running
    assert "already ran" in owner.types("up")
    assert owner.types("status").count("ready") == 8
    assert "fail " not in owner.types("doctor")
    assert (owner.folder / "token").stat().st_mode & 0o077 == 0

    files = [str(EXAMPLES / "mailbox" / f"{name}.eml") for name in LETTERS]
    counted = owner.types("ingest", *files)
    assert [line.split()[0] for line in counted.splitlines()[:4]] == ["2", "1", "1", "0"]

    os.kill(owner.pid("notifier"), signal.SIGKILL)
    assert "not running" in owner.types("status", code=1)
    assert "`tickdesk up` starts it" in owner.types("doctor", code=1)
    assert "The desk runs" in owner.types("up")
    assert owner.types("status").count("ready") == 8

    pids = [owner.pid(name) for name in ("tickets", "intake", "sla-clock", "notifier", "survey")]
    owner.types("down")
    # A zombie that its new parent has not buried yet is gone all the same.
    assert not [pid for pid in pids if birth(pid)]
    assert "the desk does not run" in owner.types("ingest", files[0], code=1)

    owner.types("up")
    again = owner.types("ingest", *files)
    assert [line.split()[0] for line in again.splitlines()[:4]] == ["0", "0", "4", "0"]


def test_a_pid_that_belongs_to_somebody_else_is_left_alone(owner: Owner) -> None:
    owner.folder.mkdir()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        for name in ("tickets", "intake", "sla-clock", "notifier", "survey", "mail"):
            (owner.folder / f"{name}.json").write_text(json.dumps({"pid": stranger.pid, "birth": "1"}))
        (owner.folder / "desk.json").write_text(json.dumps({"ports": dict.fromkeys(PORTS, 0)}))
        (owner.folder / "secrets.json").write_text(json.dumps(SECRETS))
        owner.types("down")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


SECRETS = {"tokens": {"admin:desk": "a"}, "keys": {"reply": "r"}}
PORTS = [
    *(
        f"{name}.{use}"
        for name in ("tickets", "intake", "sla-clock", "notifier", "survey")
        for use in ("grpc", "ops")
    ),
    "intake.lmtp",
    "intake.smtp",
    "survey.http",
]
