"""`tickdesk kb` on a running desk: the starter goes in, is found, comes out the same."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_desk import EXAMPLES, Owner

STARTER = EXAMPLES / "knowledge"
GUIDE = EXAMPLES.parent / "docs" / "guides" / "knowledge.md"
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("desk")]


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path / "desk")
    owner.types("up")
    yield owner
    owner.types("down")


def test_the_knowledge_base_goes_in_is_found_and_comes_out(owner: Owner, tmp_path: Path) -> None:
    """CA-29."""
    assert "No articles" in owner.types("kb", "list")
    assert "20 created if it were no dry run" in owner.types("kb", "import", str(STARTER), "--dry-run")
    assert "No articles" in owner.types("kb", "list")
    shown = re.findall(r"^tickdesk (kb .+)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    told = [owner.types(*(word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line))) for line in shown]
    assert "20 created" in told[0]
    assert "reset-password-ru" in told[1]
    assert told[2].startswith("reset-password-ru")
    assert "20 unchanged" in owner.types("kb", "import", str(STARTER))

    hits = json.loads(owner.types("kb", "search", "вазврат денег", "--json"))
    assert hits["corrected_text"].startswith("возврат")
    letter = EXAMPLES / "mailbox" / "01-login-code-ru.eml"
    owner.types("ingest", str(letter))
    assert owner.types("kb", "search", "код", "--ticket", "SUP-1").startswith("login-code-ru")
    assert "Nothing found" in owner.types("kb", "search", "квжцщ", code=1)

    out = tmp_path / "out"
    owner.types("kb", "export", str(out))
    for file in STARTER.glob("*.md"):
        assert (out / file.name).read_bytes() == file.read_bytes()
    mine = out / "contacts-en.md"
    mine.write_text(mine.read_text().replace("9:00-21:00", "8:00-20:00"))
    assert "say something else" in owner.types("kb", "export", str(out), code=2)
    assert "1 updated, 19 unchanged" in owner.types("kb", "import", str(out), "--comment", "earlier")
    mine.write_text(mine.read_text().replace("owner: dana", "owner: ghost"))
    refused = owner.types("kb", "import", str(out), code=1)
    assert re.search(r"contacts-en.md:5: content.owner: no active agent ghost", refused)
    assert "19 unchanged, 1 failed" in refused
    owner.types("kb", "export", str(out), "--force")
    assert "20 unchanged" in owner.types("kb", "import", str(out))


def test_articles_grow_stale_and_are_archived_by_their_files(owner: Owner, tmp_path: Path) -> None:
    out = tmp_path / "kb"
    shutil.copytree(STARTER, out)
    mine = out / "contacts-en.md"
    owner.types("kb", "import", str(out))
    assert "Nothing is stale" in owner.types("kb", "stale")
    mine.write_text(re.sub("review_date: .*", "review_date: 2020-01-01", mine.read_text()))
    assert "1 updated" in owner.types("kb", "import", str(out))
    assert "its review date has passed" in owner.types("kb", "stale", code=1)
    assert json.loads(owner.types("kb", "stale", "--owner", "anna", "--json")) == []
    mine.write_text(mine.read_text().replace("state: published", "state: archived"))
    assert "1 updated" in owner.types("kb", "import", str(out))
    listed = owner.types("kb", "list", "--state", "archived")
    assert [line.split()[0] for line in listed.splitlines()[1:]] == ["contacts-en"]
    mine.write_text(mine.read_text().replace("9:00", "8:00"))
    assert "1 updated" in owner.types("kb", "import", str(out))
    assert "no articles here" in owner.types("kb", "import", str(tmp_path / "desk" / "logs"), code=2)
