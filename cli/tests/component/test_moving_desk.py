"""Many tickets at once on a running desk: the commands of docs/guides/moving-data.md, and what they leave."""

import hashlib
import json
import os
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickdesk_cli import terminal
from tickdesk_cli.exports import KINDS, POLICIES
from tickdesk_cli.main import app

from .test_desk import EXAMPLES, LETTERS, Owner

GUIDE = EXAMPLES.parent / "docs" / "guides" / "moving-data.md"
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("desk")]


class Mover(Owner):
    """Types commands into this process: there are many, and a process takes seconds to load."""

    def moves(self, line: str, code: int = 0) -> str:
        """Run a line of a shell that begins with tickdesk, expect an exit code."""
        environment = {"TICKDESK_HOME": str(self.folder), "COLUMNS": "200", "NO_COLOR": "1"}
        done = CliRunner(env=environment).invoke(app, shlex.split(line)[1:])
        assert done.exit_code == code, done.output
        return done.output


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mover]:
    """Of a desk with some tickets, in a folder of its own."""
    owner = Mover(tmp_path / "desk")
    owner.types("up")
    owner.types("ingest", *(str(EXAMPLES / "mailbox" / f"{name}.eml") for name in LETTERS))
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    # Who asked first in this process may have had a narrower terminal.
    monkeypatch.setattr(terminal.console, "width", 200)
    yield owner
    owner.types("down")


def test_the_commands_of_the_guide_do_what_it_says(owner: Mover, tmp_path: Path) -> None:
    """YT-13, MP-30, MP-31."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    told = {line: owner.moves(line) for line in lines[:7]}
    tried, done = told[lines[0]].split(), told[lines[1]].split()
    bulks = owner.moves(lines[3]).splitlines()
    assert [line.split()[4:] for line in bulks[1:]] == [
        ["update", "finished", "1", "0", "1"],
        ["prioritize", "finished", done[0], "0", done[2]],
        ["prioritize", "(dry", "run)", "finished", tried[0], "0", tried[2]],
    ]
    assert (done[0], tried[0]) == (done[2], tried[2])
    assert "would be changed" in told[lines[0]]
    check_export(tmp_path / "backup", owner)
    check_import(owner, lines, told)


def check_export(folder: Path, owner: Mover) -> None:
    """Whole, told of by the manifest, readable by its owner alone."""
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [each["name"] for each in manifest["files"]] == [
        *(f"{kind}.jsonl" for kind in KINDS if kind != POLICIES),
        "policies/1.yaml",
    ]
    for each in manifest["files"]:
        content = (folder / each["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == each["sha256"]
        assert each["records"] == (content.count(b"\n") if each["name"].endswith(".jsonl") else 1)
    kept = [folder, *folder.rglob("*")]
    assert {(each.is_dir(), stat.S_IMODE(os.stat(each).st_mode)) for each in kept} == {
        (False, 0o600),
        (True, 0o700),
    }
    assert not list(folder.rglob("*.part"))
    owner.moves(f"tickdesk policy lint {folder / POLICIES / '1.yaml'}")
    assert "holds an export already" in owner.moves(f"tickdesk export --out {folder}", code=2)


def check_import(owner: Mover, lines: list[str], told: dict[str, str]) -> None:
    """Tried, done, known the second time."""
    tried, done, back = lines[6:9]
    assert told[tried].strip() == "3 would be made, 0 known already, 0 refused."
    assert owner.moves(done).strip() == "3 made, 0 known already, 0 refused."
    assert owner.moves(done).strip() == "0 made, 3 known already, 0 refused."
    assert "0 refused" in owner.moves(back)
    found = json.loads(owner.moves('tickdesk tickets list "Origin: import ORDER BY Created" --json'))
    assert [(each["subject"], each["status"]) for each in found] == [
        ("Cannot sign in", "closed"),
        ("Оплата не прошла", "closed"),
        ("Export of orders", "new"),
    ]
    bad = Path("bad.csv")
    bad.write_text(
        "id,subject,email,created\n1,A,nobody,2024-03-04\n2,,kim@client.example,soon\n3,C,kim@client.example,2024-03-04\n"
    )
    output = owner.moves(f"tickdesk import {bad} --queue SUP", code=1)
    assert "1 made, 0 known already, 2 refused." in output
    rows = [json.loads(line) for line in Path("bad.csv.refused.jsonl").read_text().splitlines()]
    assert {(each["line"], each["column"]) for each in rows} == {(2, "email"), (3, "created")}
