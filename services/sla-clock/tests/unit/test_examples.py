"""The policies that ship: each reads without a doubt, and keeps every promise that its desk made."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from sla_clock import cases
from sla_clock.lint import lint
from sla_clock.policyfile import load

EXAMPLES = Path(__file__).parents[4] / "examples" / "policies"
POLICIES = sorted(path.stem for path in EXAMPLES.glob("*.yaml") if not path.stem.endswith(".tests"))


def test_every_desk_of_the_product_has_a_policy() -> None:
    """YT, CP, CA, KT and MP in this order, and the one of the demo."""
    assert {"tracker", "chatpush", "playbook", "core12", "megaplan", "demo"} <= set(POLICIES)


@pytest.mark.parametrize("name", POLICIES)
def test_a_shipped_policy_leaves_no_doubt(name: str) -> None:
    assert lint((EXAMPLES / f"{name}.yaml").read_text(), today=date(2026, 11, 22)) == []


@pytest.mark.parametrize("name", POLICIES)
def test_a_shipped_policy_keeps_its_golden_cases(name: str) -> None:
    policy = load((EXAMPLES / f"{name}.yaml").read_text())
    told = cases.read((EXAMPLES / f"{name}.tests.yaml").read_text(), policy)
    results = cases.run(policy, told)
    assert [(result.name, result.unmet) for result in results if not result.passed] == []
    assert len(results) >= 2


def test_the_golden_cases_cite_what_they_prove() -> None:
    """Rows of product.md that are shown by a case and nowhere else."""
    text = "".join(path.read_text() for path in EXAMPLES.glob("*.tests.yaml"))
    wanted = {
        "YT": range(22, 29),
        "CP": (3, 11, 12),
        "CA": (12, 13, 14, 15, 16, 20, 21, 33, 35),
        "KT": (12, 13, 14),
        "MP": (1, 4, 5, 6, 7, 9, 14),
    }
    rows = [f"{desk}-{number:02}" for desk, numbers in wanted.items() for number in numbers]
    assert [row for row in rows if row not in text] == []
