"""The trail of rules: what each did to a ticket, kept as entries of the audit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from tickets.domain.audit import Change, Entry
from tickets.domain.model import Actor, ActorKind

PREFIX = "rule/"


class Outcome(IntEnum):
    """How a run ended."""

    DONE = 1
    FAILED = 2
    NOT_RUN = 3


ENTRIES = {Outcome.DONE: "RuleDone", Outcome.FAILED: "RuleFailed", Outcome.NOT_RUN: "RuleNotRun"}
"""What the audit calls them."""
_OUTCOMES = {name: outcome for outcome, name in ENTRIES.items()}


@dataclass(frozen=True, slots=True)
class Run:
    """What a rule did to a ticket, or why it did not."""

    time: datetime
    ticket_id: str
    rule: str
    event: str
    outcome: Outcome
    actions: Sequence[str] = ()
    reason: str = ""
    version: int = 0
    ticket_key: str = ""


def actor_of(rule: str) -> Actor:
    """A rule as who does something."""
    return Actor(ActorKind.ROBOT, f"{PREFIX}{rule}")


def to_changes(run: Run) -> tuple[Change, ...]:
    """What the entry of a run tells beside its outcome."""
    told = [("event", run.event), *(("action", each) for each in run.actions), ("reason", run.reason)]
    return tuple(Change(name, new=text) for name, text in told if text)


def of_rule(rule: str, entries: Iterable[Entry]) -> list[Run]:
    """The runs of a rule that the entries tell of."""
    own = (each for each in entries if each.actor == actor_of(rule))
    return [from_entry(each) for each in own if each.event in _OUTCOMES]


def from_entry(entry: Entry) -> Run:
    """The run that an entry tells of."""
    told = [(each.name, each.new) for each in entry.changes]
    return Run(
        time=entry.time,
        ticket_id=entry.ticket_id or "",
        rule=entry.actor.id.removeprefix(PREFIX),
        event=dict(told).get("event", ""),
        outcome=_OUTCOMES[entry.event],
        actions=[text for name, text in told if name == "action"],
        reason=dict(told).get("reason", ""),
        version=entry.version,
    )
