"""`tickdesk tickets` on a running desk: lists, numbers, and what is said of a wrong query."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_desk import EXAMPLES, LETTERS, Owner

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("desk")]


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    """Of a desk with some tickets."""
    owner = Owner(tmp_path / "desk")
    owner.types("up")
    owner.types("ingest", *(str(EXAMPLES / "mailbox" / f"{name}.eml") for name in LETTERS))
    yield owner
    owner.types("down")


def test_tickets_are_listed_and_counted(owner: Owner) -> None:
    """YT-30, YT-33; the commands of docs/guides/query.md."""
    mine = ("tickets", "list", "Assignee: me() AND Resolution: empty() ORDER BY Due", "--as", "anna")
    assert "No tickets." in owner.asks(*mine)
    listed = json.loads(owner.asks("tickets", "list", "Resolution: empty()", "--json"))
    number = len(listed)
    assert number > 1
    table = owner.asks("tickets", "list", "ORDER BY Key", "--limit", "1").splitlines()
    assert table[0].split() == ["key", "due", "status", "line", "assignee", "customer", "subject"]
    assert table[1].split()[0] == min(each["key"] for each in listed)
    assert table[2].strip() == f"1 of {number}: --limit shows more"

    page = owner.asks("tickets", "show", listed[0]["key"])
    assert page.startswith(f"{listed[0]['key']}  {listed[0]['subject']}\n")
    shown = json.loads(owner.asks("tickets", "show", listed[0]["key"], "--json"))
    assert (shown["ticket"]["id"], len(shown["messages"])) == (listed[0]["id"], page.count(", customer, "))
    assert shown["messages"][0]["text"].splitlines()[0] in page
    assert "no ticket SUP-999" in owner.asks("tickets", "show", "SUP-999", code=1)

    by = ("--by", "Assignee", "--by", "Line")
    pivot = owner.asks("tickets", "count", "Created: >= today() - 30d", *by).splitlines()
    assert [line.split() for line in pivot] == [
        ["Assignee", "L1", "all"],
        ["-", str(number), str(number)],
        ["all", str(number), str(number)],
    ]
    assert owner.asks("tickets", "count", "Priority: critical").strip() == "0"

    wrong = owner.asks("tickets", "list", "Queue: SUP AND Asignee: me()", code=2)
    assert 'unknown field "Asignee", did you mean "Assignee"?\n  Queue: SUP AND Asignee: me()\n' in wrong
    assert f"\n{' ' * 17}^^^^^^^\n" in wrong
    assert "counted by one field" in owner.asks("tickets", "count", *(["--by", "Line"] * 3), code=2)
