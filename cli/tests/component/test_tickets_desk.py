"""`tickdesk tickets` on a running desk: lists, numbers, and what is said of a wrong query."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_desk import EXAMPLES, LETTERS, Owner

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("desk")]


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    """Of a desk with three tickets."""
    owner = Owner(tmp_path / "desk")
    owner.types("up")
    owner.types("ingest", *(str(EXAMPLES / "mailbox" / f"{name}.eml") for name in LETTERS))
    yield owner
    owner.types("down")


def test_tickets_are_listed_and_counted(owner: Owner) -> None:
    """YT-30, YT-33; the commands of docs/guides/query.md."""
    mine = ("tickets", "list", "Assignee: me() AND Resolution: empty() ORDER BY Due", "--as", "anna")
    assert "No tickets." in owner.types(*mine)
    table = owner.types("tickets", "list", "ORDER BY Key", "--limit", "2").splitlines()
    assert table[0].split() == ["key", "due", "status", "line", "assignee", "customer", "subject"]
    assert [line.split()[0] for line in table[1:3]] == ["SUP-1", "SUP-2"]
    assert table[3].strip() == "2 of 3: --limit shows more"
    listed = json.loads(owner.types("tickets", "list", "Resolution: empty()", "--json"))
    assert sorted(each["key"] for each in listed) == ["SUP-1", "SUP-2", "SUP-3"]

    pivot = owner.types(
        "tickets", "count", "Created: >= today() - 30d", "--by", "Assignee", "--by", "Status"
    ).splitlines()
    assert [line.split() for line in pivot] == [
        ["Assignee", "new", "all"],
        ["-", "3", "3"],
        ["all", "3", "3"],
    ]
    assert owner.types("tickets", "count", "Queue: BIL").strip() == "0"

    wrong = owner.types("tickets", "list", "Queue: SUP AND Asignee: me()", code=2)
    assert 'unknown field "Asignee", did you mean "Assignee"?\n  Queue: SUP AND Asignee: me()\n' in wrong
    assert f"\n{' ' * 17}^^^^^^^\n" in wrong
    assert "counted by one field" in owner.types("tickets", "count", *(["--by", "Line"] * 3), code=2)
