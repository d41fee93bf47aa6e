"""What may be asked of a policy's text alone. Made in a process of its own: the text may be anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from chassis.errors import InvalidInput
from sla_clock import cases, convert_policy
from sla_clock.cases import CaseResult
from sla_clock.domain import Timeline
from sla_clock.explain import explain
from sla_clock.lint import Finding, lint
from sla_clock.policyfile import load
from sla_clock.standing import Standings
from tickdesk.sla.v1.sla_service_pb2 import ExplainClockResponse

T = TypeVar("T")

MAX_ANSWER = 1_500_000
"""Characters of the longest answer: a few aliases repeat a fault more often than a client can take."""


@dataclass(frozen=True, slots=True)
class Good:
    """A policy that can be put in force: its name, and the zone of the calendar that rows use by default."""

    name: str
    timezone: str


@dataclass(frozen=True, slots=True)
class Read:
    """Whether the policy can be put in force; faults name the file."""

    yaml: str
    file: str

    def answer(self) -> Good:
        """What it is. Raises InvalidInput with a violation for each fault."""
        policy = load(self.yaml, file=self.file)
        return Good(policy.name, policy.calendars[policy.calendar].zone.key)


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


@dataclass(frozen=True, slots=True)
class Explain:
    """Why a clock of a ticket would stand where it would stand under the policy, as of an instant."""

    yaml: str
    timeline: Timeline
    standings: Standings
    clock: str
    cycle: int
    now: int

    def answer(self) -> ExplainClockResponse:
        """That, without the ticket. Raises InvalidInput, and NotFound (CLOCK_UNKNOWN)."""
        policy = load(self.yaml, file="policy.yaml")
        found = explain(self.timeline, policy, self.clock, self.cycle, self.now)
        return convert_policy.explanation(found, policy, self.now, self.standings)


Check = Read | Lint | Prove | Explain


def _bounded(told: Sequence[T]) -> Sequence[T]:
    if len(repr(told)) > MAX_ANSWER:
        text = f"the answer is longer than {MAX_ANSWER} characters: mend what comes first, or send less"
        raise InvalidInput(text, reason="ANSWER_TOO_LONG")
    return told
