"""What may be asked of a policy's text alone. Made in a process of its own: the text may be anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from chassis.errors import InvalidInput
from sla_clock import cases
from sla_clock.cases import CaseResult
from sla_clock.lint import Finding, lint
from sla_clock.policyfile import load

T = TypeVar("T")

MAX_ANSWER = 1_500_000
"""Characters of the longest answer: a few aliases repeat a fault more often than a client can take."""


@dataclass(frozen=True, slots=True)
class Read:
    """Whether the policy can be put in force; faults name the file."""

    yaml: str
    file: str

    def answer(self) -> str:
        """Its name. Raises InvalidInput with a violation for each fault."""
        return load(self.yaml, file=self.file).name


@dataclass(frozen=True, slots=True)
class Lint:
    """What is wrong or doubtful as of a day."""

    yaml: str
    today: date

    def answer(self) -> Sequence[Finding]:
        """All findings in the order of the text. Raises InvalidInput when they are too many."""
        return _bounded(lint(self.yaml, today=self.today))


@dataclass(frozen=True, slots=True)
class Prove:
    """What comes of golden cases."""

    yaml: str
    tests: str

    def answer(self) -> Sequence[CaseResult]:
        """A result for each case. Raises InvalidInput with a violation for each fault of either text."""
        policy = load(self.yaml, file="policy.yaml")
        return _bounded(cases.run(policy, cases.read(self.tests, policy, "tests.yaml")))


Check = Read | Lint | Prove


def _bounded(told: Sequence[T]) -> Sequence[T]:
    if len(repr(told)) > MAX_ANSWER:
        text = f"the answer is longer than {MAX_ANSWER} characters: mend what comes first, or send less"
        raise InvalidInput(text, reason="ANSWER_TOO_LONG")
    return told
