"""The guide's own policy and its golden cases do what the guide says."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from sla_clock import cases
from sla_clock.lint import lint
from sla_clock.policyfile import load

GUIDE = (Path(__file__).parents[4] / "docs" / "guides" / "policies.md").read_text()
BLOCKS = [part.split("```")[0] for part in GUIDE.split("```yaml\n")[1:]]
POLICY = "".join(block for block in BLOCKS if "\ncases:" not in block)
CASES = next(block for block in BLOCKS if "\ncases:" in block)


def test_the_policy_of_the_guide_is_one_without_doubt() -> None:
    assert lint(POLICY, today=date(2026, 11, 22)) == []


def test_the_cases_of_the_guide_pass() -> None:
    policy = load(POLICY)
    assert [result.unmet for result in cases.run(policy, cases.read(CASES, policy))] == [(), ()]


def test_the_guide_names_every_check_of_lint() -> None:
    source = Path(__file__).parents[2] / "src" / "sla_clock"
    told = "".join((source / f"{name}.py").read_text() for name in ("lintrows", "lintmarks", "lintparts"))
    checks = set(re.findall(r'"([A-Z]+_[A-Z_]+)"', told))
    assert len(checks) >= 16
    assert {check for check in checks if f"`{check}`" not in GUIDE} == set()
