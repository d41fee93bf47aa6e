"""`tickdesk policy` on a running desk: what its tickets say, what would change, what was changed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_desk import EXAMPLES, LETTERS, Owner

PLAYBOOK = EXAMPLES / "policies" / "playbook.yaml"
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("desk")]


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    """Of a desk with three tickets."""
    owner = Owner(tmp_path / "desk")
    owner.types("up")
    owner.types("ingest", *(str(EXAMPLES / "mailbox" / f"{name}.eml") for name in LETTERS))
    yield owner
    owner.types("down")


def test_a_policy_is_explained_planned_simulated_and_applied(owner: Owner, tmp_path: Path) -> None:
    stricter = tmp_path / "stricter.yaml"
    text = PLAYBOOK.read_text(encoding="utf-8")
    stricter.write_text(text.replace("first_response: 2h", "first_response: 1h"), encoding="utf-8")

    told = json.loads(owner.asks("policy", "explain", "SUP-1", "first_response", "--json"))
    assert (told["ticket"]["key"], told["clock"]["target"]) == ("SUP-1", "7200s")
    assert sum(float(one["counted"].removesuffix("s")) for one in told["segments"]) == 7200
    shown = owner.asks("policy", "explain", "SUP-1", "first_response", "--policy", str(stricter))
    assert "target 1h" in shown
    assert "= target" in shown

    planned = json.loads(owner.asks("policy", "plan", str(stricter), "--json"))
    assert {one["after"]["name"] for one in planned["changes"]} == {"first_response"}
    assert planned["summary"]["earlier"] == planned["summary"]["tickets"] != "0"
    assert "open tickets change" in owner.asks("policy", "plan", str(stricter), "--limit", "1")

    report = json.loads(owner.asks("policy", "simulate", str(stricter), "--json"))
    assert report["tickets"] == planned["summary"]["tickets"]
    history = tmp_path / "history.csv"
    history.write_text("id,created,first_reply\n1,2026-11-18 10:00,2026-11-18 11:30\n", encoding="utf-8")
    report = json.loads(owner.asks("policy", "simulate", str(stricter), "--csv", str(history), "--json"))
    assert (report["total"]["base"]["met_in_time"], report["total"]["candidate"]["met_in_time"]) == ("1", "0")

    assert "nothing was" in owner.asks("policy", "apply", str(stricter), "--check")
    applied = owner.asks("policy", "apply", str(stricter))
    assert "playbook 2 is in force" in applied
    assert f"{count(planned)} open tickets recalculated" in applied
    assert "nothing changes" in owner.asks("policy", "plan", str(stricter))
    assert [line.split()[:3] for line in owner.asks("policy", "list").splitlines()[1:]] == [
        ["2", "playbook", "api"],
        ["1", "playbook", "file"],
    ]
    assert owner.asks("policy", "show", "--version", "1") == text

    assert "there is no version 9 of the policy" in owner.asks("policy", "show", "--version", "9", code=1)
    assert "no ticket SUP-99" in owner.asks("policy", "explain", "SUP-99", "resolution", code=1)
    assert "has no clock 'resolutoin'" in owner.asks("policy", "explain", "SUP-1", "resolutoin", code=1)


def count(planned: dict[str, dict[str, str]]) -> str:
    """How many open tickets there are."""
    return planned["summary"]["tickets"]
