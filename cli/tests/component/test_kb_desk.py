"""`tickdesk kb` on a running desk: the starter goes in, is found, comes out the same."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chassis.clock import utcnow
from tickdesk_cli.main import app

from .test_desk import EXAMPLES, Owner

STARTER = EXAMPLES / "knowledge"
GUIDE = EXAMPLES.parent / "docs" / "guides" / "knowledge.md"
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("desk")]


class Keeper(Owner):
    """Types `kb` commands into this process: there are many, and a process takes seconds to load."""

    def keeps(self, *arguments: str, code: int = 0) -> str:
        """Run a command, expect an exit code, return what it printed."""
        environment = {"TICKDESK_HOME": str(self.folder), "COLUMNS": "200", "NO_COLOR": "1"}
        done = CliRunner(env=environment).invoke(app, ["kb", *arguments])
        assert done.exit_code == code, done.output
        return done.output


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path / "desk")
    keeper.types("up")
    yield keeper
    keeper.types("down")


def test_the_knowledge_base_goes_in_is_found_and_comes_out(owner: Keeper, tmp_path: Path) -> None:
    """CA-29."""
    assert "No articles" in owner.keeps("list")
    assert "20 created if it were no dry run" in owner.keeps("import", str(STARTER), "--dry-run")
    assert "No articles" in owner.keeps("list")
    shown = re.findall(r"^tickdesk kb (.+)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    told = [owner.keeps(*(word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line))) for line in shown]
    assert "20 created" in told[0]
    assert "reset-password-ru" in told[1]
    assert told[2].startswith("reset-password-ru")
    assert "20 unchanged" in owner.keeps("import", str(STARTER))

    hits = json.loads(owner.keeps("search", "вазврат денег", "--json"))
    assert hits["corrected_text"].startswith("возврат")
    letter = EXAMPLES / "mailbox" / "01-login-code-ru.eml"
    owner.types("ingest", str(letter))
    assert owner.keeps("search", "код", "--ticket", "SUP-1").startswith("login-code-ru")
    assert "Nothing found" in owner.keeps("search", "квжцщ", code=1)

    out = tmp_path / "out"
    owner.keeps("export", str(out))
    for file in STARTER.glob("*.md"):
        assert (out / file.name).read_bytes() == file.read_bytes()
    mine = out / "contacts-en.md"
    mine.write_text(mine.read_text().replace("9:00-21:00", "8:00-20:00"))
    assert "say something else" in owner.keeps("export", str(out), code=2)
    assert "1 updated, 19 unchanged" in owner.keeps("import", str(out), "--comment", "earlier")
    mine.write_text(mine.read_text().replace("owner: dana", "owner: ghost"))
    refused = owner.keeps("import", str(out), code=1)
    assert re.search(r"contacts-en.md:5: content.owner: no active agent ghost", refused)
    assert "19 unchanged, 1 failed" in refused
    owner.keeps("export", str(out), "--force")
    assert "20 unchanged" in owner.keeps("import", str(out))


def test_articles_grow_stale_and_are_archived_by_their_files(owner: Keeper, tmp_path: Path) -> None:
    out = tmp_path / "kb"
    shutil.copytree(STARTER, out)
    mine = out / "contacts-en.md"
    # Those of the examples pass one after the other.
    for file in out.glob("*.md"):
        file.write_text(
            re.sub("review_date: .*", f"review_date: {utcnow().year + 1}-12-31", file.read_text())
        )
    owner.keeps("import", str(out))
    assert "Nothing is stale" in owner.keeps("stale")
    mine.write_text(re.sub("review_date: .*", "review_date: 2020-01-01", mine.read_text()))
    assert "1 updated" in owner.keeps("import", str(out))
    assert "its review date has passed" in owner.keeps("stale", code=1)
    assert json.loads(owner.keeps("stale", "--owner", "anna", "--json")) == []
    mine.write_text(mine.read_text().replace("state: published", "state: archived"))
    assert "1 updated" in owner.keeps("import", str(out))
    listed = owner.keeps("list", "--state", "archived")
    # A narrow terminal wraps long titles into lines of their own.
    keys = {path.stem for path in out.glob("*.md")}
    assert [word for line in listed.splitlines()[1:] if (word := line.split()[0]) in keys] == ["contacts-en"]
    mine.write_text(mine.read_text().replace("9:00", "8:00"))
    assert "1 updated" in owner.keeps("import", str(out))
    assert "no articles here" in owner.keeps("import", str(tmp_path / "desk" / "logs"), code=2)
