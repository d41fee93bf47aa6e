"""The command starts at once: each command imports what it needs, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickdesk_cli.exports import KINDS
from tickdesk_cli.main import app
from tickets.convert import templates

ANYWHERE = {"grpc", "google.protobuf", "structlog"}
STARTED = {
    "sqlalchemy",
    "alembic",
    "asyncpg",
    "nats",
    "redis",
    "aiohttp",
    "uvicorn",
    "intake",
    "tickets.store",
}
CHECKED = {"protovalidate", "sla_clock", "tickets"}
MEASURE = """
import json, sys
from typer.testing import CliRunner
from tickdesk_cli.main import app
for command in json.load(sys.stdin):
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, SystemExit | None), result.exception
json.dump(sorted(sys.modules), sys.stdout)
"""


def imported(folder: Path, *commands: list[str]) -> set[str]:
    """The modules of a process that ran these commands where there is no desk."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        input=json.dumps(commands),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_help_imports_nothing_that_a_command_needs(tmp_path: Path) -> None:
    groups = ("mail", "dlq", "tickets", "report", "policy", "queue", "calendar", "kb", "keys")
    commands = (["--help"], *([name, "--help"] for name in groups), ["tickets", "list", "--help"])
    found = imported(tmp_path, *commands)
    assert "tickdesk_cli.typed_tickets" in found
    assert found & (ANYWHERE | STARTED | CHECKED) == set()


@pytest.mark.parametrize(
    ("commands", "needed"),
    [
        (
            [
                ["tickets", "list"],
                ["tickets", "count"],
                ["tickets", "trail", "SUP-1"],
                ["tickets", "bulks"],
                ["report", "month"],
                ["report", "show", "created"],
                ["export", "--out", "backup"],
            ],
            set(),
        ),
        ([["queue", "versions", "SUP"], ["kb", "list"], ["policy", "list"]], CHECKED),
        ([["status"], ["down"], ["ingest", "letter.eml"]], set()),
    ],
)
def test_a_command_of_a_running_desk_imports_nothing_that_starts_one(
    tmp_path: Path, commands: list[list[str]], needed: set[str]
) -> None:
    found = imported(tmp_path, *commands)
    assert "tickdesk_cli.desk" in found
    assert found & (STARTED | CHECKED) == needed


def test_policies_are_checked_without_a_way_to_a_desk(tmp_path: Path) -> None:
    found = imported(tmp_path, ["policy", "lint", "nowhere.yaml"], ["policy", "test", "nowhere.yaml"])
    assert "sla_clock.lint" in found
    assert found & (STARTED | {"protovalidate", "tickdesk_cli.client"}) == set()


def test_keys_are_looked_at_without_a_way_to_a_desk(tmp_path: Path) -> None:
    found = imported(tmp_path, ["keys", "list", "nowhere.jsonl"], ["keys", "check", "nowhere.jsonl"])
    assert "chassis.identity" in found
    assert found & (STARTED | CHECKED | {"tickdesk_cli.client"}) == set()


def test_help_names_what_rooms_that_it_does_not_import_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "900")
    assert ", ".join(KINDS) in CliRunner().invoke(app, ["export", "--help"]).output
    told = CliRunner().invoke(app, ["queue", "create", "--help"]).output
    assert f"[default: {templates.DEFAULT}]" in told
