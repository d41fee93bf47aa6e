"""What a change of policy would do to one live ticket: a comparison of its clocks, nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sla_clock.domain import Clock
from sla_clock.standing import NEW, Firing, Record, Standings, fire, restand


class Kind(StrEnum):
    """How a clock would change."""

    ADDED = "added"
    DROPPED = "dropped"
    EARLIER = "earlier"
    LATER = "later"
    TERMS = "terms"


@dataclass(frozen=True, slots=True)
class Change:
    """A clock before and after; whether its target is missed at once, and which marks fire at once."""

    kind: Kind
    before: Clock | None
    after: Clock | None
    breaches: bool = False
    fires: tuple[str, ...] = ()


@dataclass(slots=True)
class Summary:
    """What the changes of many tickets come to; `left_out` were counted and not told."""

    tickets: int = 0
    changed_tickets: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    breaches: int = 0
    fires: int = 0
    left_out: int = 0

    def add(self, changes: Sequence[Change]) -> None:
        """Count one more ticket."""
        self.tickets += 1
        self.changed_tickets += bool(changes)
        self.kinds.update(change.kind for change in changes)
        self.breaches += sum(change.breaches for change in changes)
        self.fires += sum(len(change.fires) for change in changes)


def compare(
    before: Sequence[Clock],
    after: Sequence[Clock],
    standings: Standings,
    now: int,
    record: Record = NEW,
) -> list[Change]:
    """The clocks of a ticket that would change if `after` were put in force now.

    A warning that was given, as `standings` and `record` remember the ticket, is not given again.
    """
    old = {clock.name: clock for clock in before}
    new = {clock.name: clock for clock in after}
    fires = _fires(standings, restand(after, standings, now, record), now)
    return [
        change
        for name in dict.fromkeys((*old, *new))
        for change in _change(old.get(name), new.get(name), fires.get(name, ()), now)
    ]


def _fires(before: Standings, after: Standings, now: int) -> dict[str, tuple[str, ...]]:
    """Marks by clock that would fire at once, save those that are firing anyway."""
    anyway = {_place(one) for one in fire(before, now)[0]}
    told: dict[str, tuple[str, ...]] = {}
    for one in fire(after, now)[0]:
        if not one.folded and _place(one) not in anyway:
            told[one.standing.name] = (*told.get(one.standing.name, ()), one.point.name)
    return told


def _place(one: Firing) -> tuple[str, int, str]:
    return one.standing.name, one.standing.cycle, one.point.name


def _change(old: Clock | None, new: Clock | None, fires: tuple[str, ...], now: int) -> Iterator[Change]:
    missed = old is not None and old.breached_at(now)
    misses = new is not None and new.breached_at(now)
    kind = _kind(old, new)
    # A finished clock is history unless its verdict changes or people are told of it.
    newest = new or old
    finished = newest is not None and newest.ended is not None
    if fires or (kind is not None and (not finished or (new is not None and misses != missed))):
        yield Change(kind or Kind.TERMS, old, new, misses and not missed, fires)


def _kind(old: Clock | None, new: Clock | None) -> Kind | None:
    if old is None:
        return Kind.ADDED
    if new is None:
        return Kind.DROPPED
    then, now = old.due, new.due
    if then is None or now is None:
        # Paused, or not begun: what is left says which of them will be reached first.
        then, now = old.target - old.elapsed, new.target - new.elapsed
    if then != now:
        return Kind.EARLIER if now < then else Kind.LATER
    return Kind.TERMS if _terms(old) != _terms(new) else None


def _terms(clock: Clock) -> tuple[object, ...]:
    return clock.target, clock.terms.row, tuple((mark.name, mark.action, mark.at) for mark in clock.marks)
