"""What is wrong or doubtful about a policy's text.

A line that ends with the comment `# lint: ok CHECK` is not warned of under that check.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sla_clock.lintmarks import mark_doubts
from sla_clock.lintparts import part_doubts
from sla_clock.lintrows import row_doubts
from sla_clock.policyfile import read
from sla_clock.yamltree import Fault, Malformed


class Severity(StrEnum):
    """How much a finding matters: an error keeps the policy from being put in force."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something about a policy's text; line and column begin at 1."""

    line: int
    column: int
    severity: Severity
    check: str
    path: str
    message: str


def lint(text: str, file: str = "policy", *, today: date | None = None) -> list[Finding]:
    """All findings in the order of the text; without `today` nothing is said about coming years."""
    try:
        policy, root = read(text, file)
    except Malformed as error:
        return [_finding(Severity.ERROR, "POLICY_INVALID", fault) for fault in error.faults]
    lines = text.splitlines()
    doubts = (*row_doubts(policy, root), *mark_doubts(policy, root), *part_doubts(policy, root, today))
    return sorted(
        _finding(Severity.WARNING, doubt.check, doubt.fault)
        for doubt in doubts
        if f"# lint: ok {doubt.check}" not in lines[doubt.fault.line - 1]
    )


def _finding(severity: Severity, check: str, fault: Fault) -> Finding:
    return Finding(fault.line, fault.column, severity, check, fault.path, fault.text)
