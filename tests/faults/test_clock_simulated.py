"""Days of tickets' lives, outages and edits in a moment: the pure parts against a model of what is owed."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from sla_clock.ahead import Ahead, Header, pack
from sla_clock.calendar import MICROS, micros
from sla_clock.domain import Attributes, Clock, Fact, Timeline
from sla_clock.policy import clocks
from sla_clock.policyfile import load
from sla_clock.standing import Standings, fired_by, restand

START = micros(datetime.fromisoformat("2026-10-30T15:00:00+00:00"))
MINUTE, HOUR = 60 * MICROS, 3600 * MICROS
CALENDARS = """\
calendars:
  shop: {zone: America/New_York, hours: {mon-sat: "09:00-17:00"}}
  always: {zone: UTC, hours: always}
"""
TARGETS = (
    "{first_response: 4h, next_response: 2h, resolution: 20h}",
    "{first_response: 1h, next_response: 8h, resolution: 3h}",
    "{resolution: 12h}",
)
LOW = "{first_response: 9h, resolution: 40h}"


def policy_text(calendar: str, targets: str) -> str:
    """A policy of two rows; in some of them not every clock has a target."""
    rows = f"- {{name: low, priority: low, targets: {LOW}}}\n- {{name: all, targets: {targets}}}\n"
    return f"name: simulated\ncalendar: {calendar}\n{CALENDARS}targets:\n{rows}"


POLICIES = [load(policy_text(name, targets)) for name in ("shop", "always") for targets in TARGETS]
HAPPENINGS: tuple[tuple[tuple[str, dict[str, str]], ...], ...] = (
    (("staff_replies", {"agent": "anna"}),),
    (("customer_messages", {}),),
    (("status_changed", {"to": "waiting", "to_kind": "waiting"}),),
    (("status_changed", {"to": "open", "to_kind": "open"}),),
    (("status_changed", {"to": "resolved", "to_kind": "resolved"}), ("resolved", {"agent": "anna"})),
    (("status_changed", {"to": "open", "to_kind": "open"}), ("reopened", {})),
    (("priority_changed", {"to": "low"}),),
    (("priority_changed", {"to": "normal"}),),
)
SPANS = st.one_of(
    st.integers(1, 3 * MINUTE), st.integers(1, 5 * HOUR), st.sampled_from([24 * HOUR, 72 * HOUR])
)
Key = tuple[str, int, str]


@dataclass
class Model:
    """What is owed to people: each mark of what is known, until it was told."""

    owed: dict[Key, int] = field(default_factory=dict)
    told: dict[Key, int] = field(default_factory=dict)
    remembered: set[tuple[str, int]] = field(default_factory=set)
    newest: dict[str, int] = field(default_factory=dict)
    over: set[tuple[str, int]] = field(default_factory=set)

    def hear(self, told: tuple[Clock, ...], now: int) -> None:
        """Clocks as they are known from now on."""
        before, self.owed = self.owed, {}
        for clock in told:
            for cycle in (*clock.past, clock):
                if self._counts(cycle, clock):
                    self._owe(cycle, now, before)
        cycles = [cycle for clock in told for cycle in (*clock.past, clock)]
        self.over = {(cycle.name, cycle.cycle) for cycle in cycles if cycle.ended is not None}
        self.newest |= {clock.name: clock.cycle for clock in told}
        self.remembered = set(self.newest.items()) | {key[:2] for key in self.owed}

    def _counts(self, cycle: Clock, newest: Clock) -> bool:
        """A finished cycle owes nothing once it has been told of and left, whatever an edit makes of it."""
        seen = cycle.cycle <= self.newest.get(cycle.name, 0)
        return cycle is newest or not seen or (cycle.name, cycle.cycle) in self.remembered

    def _owe(self, cycle: Clock, now: int, before: dict[Key, int]) -> None:
        """What was over already owes what it owed then, whatever its terms are now."""
        was_over = cycle.ended is not None and (cycle.name, cycle.cycle) in self.over
        for mark in cycle.marks:
            key = (cycle.name, cycle.cycle, mark.name)
            if was_over and key not in before:
                continue
            if mark.at is None or (key in self.told and (mark.at == self.told[key] or mark.at <= now)):
                continue
            self.owed[key] = mark.at

    def due(self, now: int) -> dict[Key, int]:
        """What must be told by now; it is owed no longer."""
        due = {key: at for key, at in self.owed.items() if at <= now}
        self.owed = {key: at for key, at in self.owed.items() if at > now}
        self.told |= due
        return due


class Lives(RuleBasedStateMachine):
    """One ticket, told of late or at once, while the service works, is away, or learns another policy."""

    @initialize(policy=st.sampled_from(range(len(POLICIES))))
    def begin(self, policy: int) -> None:
        created = {"priority": "normal", "line": "l1", "status": "new", "status_kind": "new"}
        self.now, self.policy, self.away = START, policy, False
        self.facts = [Fact("created", START, created)]
        self.heard, self.model = 0, Model()
        self.standings: Standings = ()
        self.ahead = b""
        self.fired_until: int | None = None
        self.ledger: set[tuple[Any, ...]] = set()
        self.hear()

    @rule(happening=st.sampled_from(HAPPENINGS))
    def happen(self, happening: tuple[tuple[str, dict[str, str]], ...]) -> None:
        self.facts += [Fact(kind, self.now, values) for kind, values in happening]

    @precondition(lambda self: not self.away)
    @rule()
    def hear(self) -> None:
        """The newest event arrives, with all that happened before."""
        self.heard = len(self.facts)
        self.compute()

    @precondition(lambda self: not self.away)
    @rule(policy=st.sampled_from(range(len(POLICIES))))
    def edit(self, policy: int) -> None:
        self.policy = policy
        self.compute()

    @rule()
    def fail(self) -> None:
        self.away = True

    @precondition(lambda self: self.away)
    @rule(share=st.floats(0, 1))
    def recover(self, share: float) -> None:
        self.away = False
        # A busy shard is fired in slices: marks beyond a horizon wait for those of others before it.
        since = self.fired_until or START
        self.fire(self.now - int((self.now - since) * share))
        self.fire(self.now)

    @rule(span=SPANS)
    def wait(self, span: int) -> None:
        until = self.now + span
        while not self.away and (wake := Ahead(self.ahead).next(self.fired_until)) and wake <= until:
            # A worker wakes no earlier than the mark, and perhaps a little later.
            self.now = max(self.now, wake)
            self.fire(self.now)
        self.now = until

    def compute(self) -> None:
        """As the service does it: what has fired is written into the standings, then all is computed anew."""
        facts = tuple(self.facts[: self.heard])
        priority = [fact.values["to"] for fact in facts if fact.kind == "priority_changed"]
        attributes = Attributes(priority=priority[-1] if priority else "normal", line="l1")
        told = clocks(Timeline(facts, attributes), POLICIES[self.policy])
        if self.fired_until is not None:
            self.standings = fired_by(self.standings, self.fired_until)
        self.standings = restand(told, self.standings, self.now)
        self.ahead, _ = pack(Header("simulated", 1, "SUP", "normal"), told, self.standings, {})
        self.fired_until = None
        self.model.hear(told, self.now)

    def fire(self, horizon: int) -> None:
        """All that is due is told: what the model wants, no more, no less, and nothing told before."""
        reached, self.fired_until = Ahead(self.ahead).due(self.fired_until, self.now, horizon)
        assert horizon <= self.fired_until <= self.now
        due = {(one.course.clock, one.course.cycle, one.mark): one.at for one in reached}
        assert len(due) == len(reached)
        assert due == self.model.due(self.fired_until)
        rows = {
            (one.course.clock, one.course.cycle, one.mark, one.course.generation, one.at) for one in reached
        }
        keys = {row[:4] for row in rows}
        assert not keys & {row[:4] for row in self.ledger}, "the ledger would swallow a mark"
        self.ledger |= rows
        folded = {(one.course.clock, one.mark) for one in reached if one.folded}
        assert folded == {(one.course.clock, name) for one in reached for name in one.folds}

    def teardown(self) -> None:
        """In the end everything is heard and told."""
        if not hasattr(self, "facts"):
            return
        if self.away:
            self.recover(share=0.5)
        self.hear()
        self.wait(60 * 24 * HOUR)
        assert not self.model.owed


LONG = bool(os.environ.get("TICKDESK_SOAK"))
pytestmark = pytest.mark.timeout(3600 if LONG else 120)
TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=5000 if LONG else 300,
    stateful_step_count=60 if LONG else 30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
