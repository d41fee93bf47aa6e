"""The marks that wait: what is due, what is folded, what is left for later, what moved them."""

from __future__ import annotations

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from sla_clock.ahead import Ahead, Header, Reached, moved_into_past, pack
from sla_clock.domain import Timeline
from sla_clock.hours import ALWAYS
from sla_clock.policy import RULES, Policy, Row, clocks, default_marks
from sla_clock.standing import Standings, fire, fired_by, next_wake, restand

from .stories import created, story
from .test_domain import timelines
from .times import HOUR, a_calendar, at

CALENDAR = a_calendar(ALWAYS)
HEADER = Header("test", 1, "SUP", "normal")
START = "2026-11-20 09:00"


def a_policy(hours: int = 10, **more: int) -> Policy:
    targets = {"resolution": hours * HOUR, **{name: value * HOUR for name, value in more.items()}}
    marks = {rule.name: default_marks(rule.name) for rule in RULES}
    return Policy("test", (Row("all", targets, CALENDAR),), RULES, marks, {"test": CALENDAR})


def packed(policy: Policy, before: Standings = ()) -> tuple[Ahead, Standings]:
    told = clocks(story((START, created())), policy)
    standings = restand(told, before, at(START))
    return Ahead(pack(HEADER, told, standings, {})[0]), standings


def names(found: tuple[list[Reached], int]) -> list[tuple[str, bool, tuple[str, ...]]]:
    return [(one.mark, one.folded, one.folds) for one in found[0]]


def test_marks_come_one_after_the_other_and_carry_all_that_their_event_says() -> None:
    ahead, _ = packed(a_policy())
    first = at("2026-11-20 16:00")
    assert ahead.next(None) == first
    assert ahead.due(None, first - 1, first - 1)[0] == []
    (one,), until = ahead.due(None, first, first)
    assert (one.mark, one.action, one.at, one.offset) == ("70%", "remind", first, 7 * HOUR)
    assert (one.course.clock, one.course.cycle, one.course.generation) == ("resolution", 1, 1)
    assert (one.course.target, one.course.due) == (10 * HOUR, at("2026-11-20 19:00"))
    assert one.course.calendar_version == CALENDAR.fingerprint
    assert ahead.due(until, first, first)[0] == []
    assert ahead.next(until) == at("2026-11-20 18:00")


def test_reminders_found_overdue_with_the_breach_are_folded_into_it() -> None:
    ahead, _ = packed(a_policy())
    late = at("2026-11-20 20:00")
    told = [("70%", True, ()), ("90%", True, ()), ("100%", False, ("70%", "90%"))]
    assert names(ahead.due(None, late, late)) == told


def test_marks_beyond_the_horizon_wait_so_that_others_come_before_them() -> None:
    ahead, _ = packed(a_policy(first_response=1))
    now, horizon = at("2026-11-20 10:30"), at("2026-11-20 10:00")
    # 70 and 90 % speak through the breach, which lies before the horizon; 150 % lies beyond it.
    found, until = ahead.due(None, now, horizon)
    assert [one.mark for one in found] == ["70%", "80%", "90%", "100%"]
    assert until == horizon
    assert [one.mark for one in ahead.due(until, now, now)[0]] == ["150%"]


def test_a_reminder_before_the_horizon_goes_with_the_breach_beyond_it() -> None:
    ahead, _ = packed(a_policy())
    now = at("2026-11-20 20:00")
    found = ahead.due(None, now, at("2026-11-20 17:00"))
    assert names(found) == [("70%", True, ()), ("90%", True, ()), ("100%", False, ("70%", "90%"))]
    assert found[1] == now


def test_only_what_a_fact_or_edit_put_into_the_past_was_moved_by_it() -> None:
    _, before = packed(a_policy(10))
    told = clocks(story((START, created())), a_policy(5))
    now = at("2026-11-20 13:45")
    after = restand(told, before, now)
    # 70 % of five hours is 12:30; 90 % is 13:30; they were 16:00 and 18:00.
    assert moved_into_past(after, before, now) == {("resolution", 1, "70%"), ("resolution", 1, "90%")}
    assert moved_into_past(after, after, now) == set()
    moved = dict.fromkeys(moved_into_past(after, before, now), "priority_changed")
    found, _ = Ahead(pack(HEADER, told, after, moved)[0]).due(None, now + 2 * HOUR, now + 2 * HOUR)
    assert [(one.mark, one.moved_by) for one in found] == [
        ("70%", "priority_changed"),
        ("90%", "priority_changed"),
        ("100%", ""),
    ]


@settings(max_examples=60, deadline=None)
@given(timelines(), st.lists(st.integers(0, 200), max_size=8))
def test_firing_what_waits_says_the_same_as_firing_the_standings(
    timeline: Timeline, looks: list[int]
) -> None:
    """The compact form and the one that the next fact is compared with never part."""
    told = clocks(timeline, a_policy(first_response=4, next_response=2))
    last = timeline.facts[-1].at if timeline.facts else 0
    standings = restand(told, (), last)
    value, wake = pack(HEADER, told, standings, {})
    ahead, after = Ahead(value), None
    assert wake == ahead.next(None) == next_wake(standings)
    for hours in sorted(looks):
        now = last + hours * HOUR
        firings, fired = fire(standings, now)
        reached, after = ahead.due(after, now, now)
        assert sorted(
            (one.course.clock, one.course.cycle, one.mark, one.folded, one.folds) for one in reached
        ) == (
            sorted(
                (one.standing.name, one.standing.cycle, one.point.name, one.folded, one.folds)
                for one in firings
            )
        )
        standings = fired_by(standings, after)
        assert standings == fired
        assert ahead.next(after) == next_wake(standings)


def test_what_an_earlier_version_packed_is_read_and_names_no_newest_cycle() -> None:
    """Replicas of two versions run side by side during an upgrade."""
    told = clocks(story((START, created())), a_policy())
    header, courses, marks = orjson.loads(pack(HEADER, told, restand(told, (), at(START)), {})[0])
    now = at("2026-11-20 17:00")
    for kept, newest in ((9, True), (8, False)):
        ahead = Ahead(orjson.dumps([header, [one[:kept] for one in courses], marks]))
        assert {one.course.newest for one in ahead.due(None, now, now)[0]} == {newest}
