"""Marks that no clock reaches, or that stand where their action means something else."""

from __future__ import annotations

from collections.abc import Iterator

from sla_clock.calendar import nobody
from sla_clock.domain import Action, MarkRule
from sla_clock.doubts import Doubt, doubt, entries
from sla_clock.durations import said
from sla_clock.policy import Policy, Row
from sla_clock.yamltree import Spot


def mark_doubts(policy: Policy, root: Spot) -> Iterator[Doubt]:
    """Everything doubtful about marks, once for each clock and mark: at the first target that shows it."""
    seen: set[tuple[str, str, str]] = set()
    for spot, clock, found in _found(policy, root):
        check, name, text = found
        if (check, clock, name) not in seen:
            seen.add((check, clock, name))
            yield doubt(check, spot, text)


def _found(policy: Policy, root: Spot) -> Iterator[tuple[Spot, str, tuple[str, str, str]]]:
    for row, spot in zip(policy.rows, entries(root)["targets"].items(), strict=True):
        places = entries(entries(spot)["targets"])
        for clock, target in row.targets.items():
            marks = row.marks.get(clock, policy.marks.get(clock, ()))
            for found in _doubts(clock, target, marks, row):
                yield places[clock], clock, found


def _doubts(clock: str, target: int, marks: tuple[MarkRule, ...], row: Row) -> Iterator[tuple[str, str, str]]:
    for mark in marks:
        found = _place(clock, target, mark)
        if found is not None:
            yield found[0], mark.name, found[1]
        if "duty" in mark.tell and row.calendar.roster is nobody:
            text = f"the mark {mark.name!r} of {clock} is for those on duty, but calendar {row.calendar.name}"
            yield "DUTY_WITHOUT_ROSTER", row.calendar.name, f"{text} has no duty roster"
    if not any(mark.action is Action.BREACH for mark in marks):
        text = f"nobody is told when {clock} is missed: add a mark {{at: 100%, action: breach}}"
        yield "BREACH_UNTOLD", "", text


def _place(clock: str, target: int, mark: MarkRule) -> tuple[str, str] | None:
    offset = mark.offset(target)
    stands = f"the mark {mark.name!r} of {clock}"
    if offset <= 0:
        return (
            "MARK_NEVER_REACHED",
            f"{stands} would stand before its start: the target here is {said(target)}",
        )
    if mark.action is Action.BREACH and offset != target:
        return (
            "BREACH_BESIDE_TARGET",
            f"{stands} tells the breach at {said(offset)}, the target here is {said(target)}",
        )
    if mark.action is Action.OVERRUN and offset <= target:
        return (
            "OVERRUN_TOO_EARLY",
            f"{stands} tells an overrun at {said(offset)}, the target here is {said(target)}",
        )
    if mark.action is Action.REMIND and not mark.share and offset >= target:
        return (
            "REMINDER_TOO_LATE",
            f"{stands} reminds at {said(offset)}, when the target of {said(target)} is over",
        )
    return None
