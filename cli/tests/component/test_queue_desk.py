"""`tickdesk queue` on a running desk: the commands of the guide, and what is refused."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickdesk_cli.main import app
from tickdesk_cli.terminal import console

from .test_desk import EXAMPLES, Owner

GUIDE = EXAMPLES.parent / "docs" / "guides" / "queues.md"
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("desk")]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    owner = Owner(tmp_path / "desk")
    monkeypatch.setenv("TICKDESK_HOME", str(owner.folder))
    monkeypatch.setattr(console, "width", 200)
    owner.types("up")
    yield
    owner.types("down")


def typed(*words: str, code: int = 0) -> str:
    """What a command prints; in this process, as many are typed here."""
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done.output


def commands_of_the_guide() -> Iterator[list[str]]:
    """Words of each command in a block of the shell, without `tickdesk`."""
    blocks = GUIDE.read_text(encoding="utf-8").split("```sh\n")[1:]
    for block in blocks:
        for line in block.partition("```")[0].splitlines():
            yield shlex.split(line)[1:]


def test_the_guide_makes_a_queue_changes_it_and_puts_it_back(desk: None, tmp_path: Path) -> None:
    """YT-01, MP-03."""
    file, output = tmp_path / "push.yaml", ""
    for words in commands_of_the_guide():
        into = words[-1] if ">" in words else ""
        command = [str(file) if word == "push.yaml" else word for word in (words[:-2] if into else words)]
        output = typed(*command)
        if into:
            text = output.replace("key: new\n", "key: new_one\n").replace("to: new}", "to: new_one}")
            file.write_text(text.replace("from: [new]", "from: [new_one]"), encoding="utf-8")
    assert [line.split()[:2] for line in output.splitlines()[1:]] == [
        ["2", "admin:desk"],
        ["1", "admin:desk"],
    ]
    queues = [line.split()[0] for line in typed("queue", "list").splitlines()]
    assert queues == ["queue", *sorted(["BIL", "PUSH", "SUP"])]
    assert [each["key"] for each in json.loads(typed("queue", "list", "--json"))] == queues[1:]

    stale = typed("queue", "apply", str(file), code=1)
    assert "read version 2 and decide again" in stale
    back = typed("queue", "export", "PUSH", "--version", "1").replace("version: 1", "version: 2")
    file.write_text(back, encoding="utf-8")
    assert "PUSH 3 is in force" in typed("queue", "apply", str(file))
    assert json.loads(typed("queue", "versions", "PUSH", "--json"))[0]["version"] == "3"
    assert "works like the template lines" in typed("queue", "versions", "SUP")

    assert "there is a queue PUSH already" in typed("queue", "create", "PUSH", code=1)
    assert "no template magic: there are chatpush" in typed(
        "queue", "create", "NEW", "--template", "magic", code=1
    )
    assert "no queue NONE" in typed("queue", "export", "NONE", code=1)
