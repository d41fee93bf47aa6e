"""Judges a history: what a consumer's ledger holds against what the pure clocks say must have happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sla_clock import convert
from sla_clock.policy import Policy, clocks
from tickdesk.tickets.v1.ticket_pb2 import Ticket

Key = tuple[str, str, int, str]
"""Ticket, clock, cycle, mark."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A mark as the consumer noted it; instants are microseconds, `seen` is the consumer's own clock."""

    ticket: str
    clock: str
    cycle: int
    mark: str
    due: int
    reached: int
    lateness: int
    seen: int
    folded: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.ticket, self.clock, self.cycle, self.mark

    @property
    def keys(self) -> list[Key]:
        """The mark and those that it speaks for."""
        return [(self.ticket, self.clock, self.cycle, name) for name in (self.mark, *self.folded)]


@dataclass(slots=True)
class Verdict:
    """What is wrong with a history; all empty when nothing is."""

    missing: list[Key] = field(default_factory=list)
    doubled: list[Key] = field(default_factory=list)
    early: list[Effect] = field(default_factory=list)
    unexpected: list[Key] = field(default_factory=list)
    untrue: list[Effect] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.missing or self.doubled or self.early or self.unexpected or self.untrue)

    def __str__(self) -> str:
        found = {name: getattr(self, name) for name in self.__slots__}
        return "; ".join(f"{len(some)} {name}, such as {some[0]}" for name, some in found.items() if some)


def expected(ticket: Ticket, policy: Policy) -> dict[Key, int]:
    """Every mark that a ticket's facts lead to, with its instant."""
    told = clocks(convert.timeline(ticket.timeline, convert.attributes(ticket)), policy)
    cycles = [cycle for clock in told for cycle in (*clock.past, clock)]
    return {
        (ticket.id, one.name, one.cycle, mark.name): mark.at
        for one in cycles
        for mark in one.marks
        if mark.at is not None
    }


def judge(wanted: Mapping[Key, int], effects: Iterable[Effect]) -> Verdict:
    """Each wanted mark once, told or spoken for, at its own instant, never before it; nothing else."""
    effects = list(effects)
    count = Counter(key for effect in effects for key in effect.keys)
    verdict = Verdict(early=early(effects))
    verdict.missing = [key for key in wanted if not count[key]]
    verdict.doubled = [key for key, times in count.items() if times > 1]
    verdict.unexpected = [key for key in count if key not in wanted]
    verdict.untrue = [each for each in effects if not true(each, wanted)]
    return verdict


def true(effect: Effect, wanted: Mapping[Key, int]) -> bool:
    """Whether it names its own instant and its own lateness."""
    due = wanted.get(effect.key, effect.due)
    return effect.due == due and effect.lateness == effect.reached - due


def early(effects: Iterable[Effect]) -> list[Effect]:
    """Those that were told before their instant, by the service's own word or by the consumer's clock."""
    return [effect for effect in effects if min(effect.reached, effect.seen) < effect.due]
