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
    wanted = ("YT-22", "YT-23", "YT-24", "YT-25", "YT-26", "YT-27", "YT-28", "CP-03", "CP-11", "CP-12")
    wanted += ("CA-12", "CA-13", "CA-14", "CA-15", "CA-16", "CA-20", "CA-21", "CA-33", "CA-35")
    wanted += ("KT-12", "KT-13", "KT-14", "MP-01", "MP-04", "MP-05", "MP-06", "MP-07", "MP-09", "MP-14")
    assert [name for name in wanted if name not in text] == []
