"""`tickdesk report` on a running desk: the commands of its guide."""

import csv
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis.clock import utcnow

from .test_desk import EXAMPLES, LETTERS, Owner

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("desk")]
GUIDE = (EXAMPLES.parent / "docs" / "guides" / "reports.md").read_text("utf-8")


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    """Of a desk with some tickets."""
    owner = Owner(tmp_path / "desk")
    owner.types("up")
    owner.types("ingest", *(str(EXAMPLES / "mailbox" / f"{name}.eml") for name in LETTERS))
    yield owner
    owner.types("down")


def test_the_commands_of_the_guide_tell_figures(owner: Owner, tmp_path: Path) -> None:
    """CA-26, CA-31, YT-34: tables, files and the page of a month."""
    page = tmp_path / "november.html"
    commands = [
        line for block in re.findall(r"```\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()
    ]
    assert len(commands) >= 12
    for line in commands:
        name, *arguments = shlex.split(line.replace(page.name, str(page)))
        assert name == "tickdesk"
        assert owner.asks(*arguments), line
    assert "Ноябрь 2026" in page.read_text("utf-8")

    today = utcnow().date().isoformat()
    shown = owner.asks("report", "show", "created", "--by", "day", "--csv", "--to", today)
    rows = list(csv.reader(io.StringIO(shown)))
    assert rows[0] == ["day", "created"]
    assert rows[-2] == [today, rows[-1][1]]
    assert int(rows[-1][1]) > 1
    wrong = owner.asks("report", "show", "creatd", code=2)
    assert 'did you mean "created"?' in wrong
    assert "no month" in owner.asks("report", "month", "November", code=2)
