"""What is wrong or doubtful about a policy's text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

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
        read(text, file)
    except Malformed as error:
        return [_fault(fault) for fault in error.faults]
    return []


def _fault(fault: Fault) -> Finding:
    return Finding(fault.line, fault.column, Severity.ERROR, "POLICY_INVALID", fault.path, fault.text)
