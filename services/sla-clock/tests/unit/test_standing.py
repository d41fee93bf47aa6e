"""What is remembered between facts, what changed, what fires."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sla_clock.domain import Fact, State, Timeline
from sla_clock.hours import ALWAYS
from sla_clock.policy import RULES, Policy, Row, clocks, default_marks
from sla_clock.standing import Record, Standing, Standings, Turn, changes, fire, next_wake, restand

from .stories import MERGED, MESSAGE, REOPENED, REPLY, RESOLVED, created, status, story
from .test_domain import timelines
from .times import HOUR, a_calendar, at

CALENDAR = a_calendar(ALWAYS)
START = ("2026-11-20 09:00", created())


def a_policy(hours: int = 10, **more: int) -> Policy:
    targets = {"resolution": hours * HOUR, **{name: value * HOUR for name, value in more.items()}}
    marks = {rule.name: default_marks(rule.name) for rule in RULES}
    return Policy("test", (Row("all", targets, CALENDAR),), RULES, marks, {"test": CALENDAR})


def turns(*told: Standings, facts: list[tuple[str, Fact]], policy: Policy) -> list[tuple[str, Turn, int]]:
    found = changes(clocks(story(*facts), policy), told[0] if told else ())
    return [(one.name, one.turn, one.cycle) for one in found]


def stood(
    facts: list[tuple[str, Fact]], policy: Policy, before: Standings = (), now: str = "2026-11-20 09:00"
) -> Standings:
    return restand(clocks(story(*facts), policy), before, at(now))


def fired_names(standings: Standings, now: str) -> tuple[list[tuple[str, bool, tuple[str, ...]]], Standings]:
    firings, after = fire(standings, at(now))
    return [(one.point.name, one.folded, one.folds) for one in firings], after


def test_marks_fire_one_after_the_other_and_once() -> None:
    standings = stood([START], a_policy())
    assert next_wake(standings) == at("2026-11-20 16:00")
    assert fired_names(standings, "2026-11-20 15:59:59")[0] == []
    told, after = fired_names(standings, "2026-11-20 16:00")
    assert told == [("70%", False, ())]
    assert fired_names(after, "2026-11-20 16:00")[0] == []
    assert next_wake(after) == at("2026-11-20 18:00")


def test_reminders_found_overdue_with_the_breach_are_folded_into_it() -> None:
    told, _ = fired_names(stood([START], a_policy()), "2026-11-20 20:00")
    assert told == [("70%", True, ()), ("90%", True, ()), ("100%", False, ("70%", "90%"))]


def test_a_line_escalation_is_never_folded_away() -> None:
    told, _ = fired_names(stood([START], a_policy(1, first_response=1)), "2026-11-20 20:00")
    assert ("80%", False, ()) in told
    assert ("150%", False, ()) in told


def test_of_reminders_alone_the_last_speaks_for_the_others() -> None:
    told, _ = fired_names(stood([START], a_policy()), "2026-11-20 18:30")
    assert told == [("70%", True, ()), ("90%", False, ("70%",))]


def test_a_fired_mark_stays_fired_when_the_clock_is_paused_and_goes_on() -> None:
    _, fired = fired_names(stood([START], a_policy()), "2026-11-20 16:30")
    facts = [START, ("2026-11-20 17:00", status("waiting")), ("2026-11-20 20:00", status("open"))]
    after = stood(facts, a_policy(), fired, "2026-11-20 20:00")
    assert (after[0].generation, next_wake(after)) == (2, at("2026-11-20 21:00"))


def test_a_mark_whose_new_instant_lies_ahead_is_given_again_under_a_new_generation() -> None:
    _, fired = fired_names(stood([START], a_policy()), "2026-11-20 16:30")
    longer = stood([START], a_policy(20), fired, "2026-11-20 17:00")
    assert (longer[0].generation, next_wake(longer)) == (2, at("2026-11-20 23:00"))
    shorter = stood([START], a_policy(5), fired, "2026-11-20 17:00")
    # 90 % and 100 % of five hours lie behind and were not given yet; 70 % was.
    assert fired_names(shorter, "2026-11-20 17:00")[0][-1] == ("150%", False, ())
    assert "70%" not in [name for name, _, _ in fired_names(shorter, "2026-11-20 17:00")[0]]


def test_nothing_moves_the_generation_when_nothing_moved() -> None:
    once = stood([START], a_policy())
    assert stood([START, ("2026-11-20 09:30", REPLY)], a_policy(), once)[0].generation == 1


def test_a_cycle_that_still_owes_a_mark_is_remembered_until_it_is_told() -> None:
    """A breach that happened during an outage is told even when the ticket was reopened meanwhile."""
    before = stood([START], a_policy())
    facts = [START, ("2026-11-20 20:00", RESOLVED), ("2026-11-20 21:00", REOPENED)]
    after = stood(facts, a_policy(), before, "2026-11-20 21:00")
    assert [(one.cycle, one.state) for one in after] == [(1, State.MET), (2, State.RUNNING)]
    _, told = fired_names(after, "2026-11-20 21:00")
    assert [one.cycle for one in stood(facts, a_policy(), told, "2026-11-20 21:00")] == [2]


def test_turns_are_told_cycle_by_cycle() -> None:
    policy = a_policy(first_response=1)
    before = stood([START], policy)
    assert turns(facts=[START], policy=policy) == [
        ("first_response", Turn.STARTED, 1),
        ("resolution", Turn.STARTED, 1),
    ]
    assert turns(before, facts=[START], policy=policy) == []
    facts = [
        START,
        ("2026-11-20 09:30", REPLY),
        ("2026-11-20 10:00", RESOLVED),
        ("2026-11-20 11:00", REOPENED),
    ]
    assert turns(before, facts=facts, policy=policy) == [
        ("first_response", Turn.MET, 1),
        ("resolution", Turn.MET, 1),
        ("resolution", Turn.STARTED, 2),
    ]


def test_pauses_merges_and_dropped_clocks_are_told() -> None:
    policy = a_policy(first_response=1)
    before = stood([START], policy)
    waiting = [START, ("2026-11-20 09:30", status("waiting"))]
    assert turns(before, facts=waiting, policy=policy) == [("resolution", Turn.PAUSED, 1)]
    merged = [START, ("2026-11-20 09:30", MERGED)]
    assert {turn for _, turn, _ in turns(before, facts=merged, policy=policy)} == {Turn.CANCELLED}
    assert turns(before, facts=[START], policy=a_policy()) == [("first_response", Turn.CANCELLED, 1)]
    assert turns(before, facts=[START], policy=a_policy(9, first_response=1)) == [
        ("resolution", Turn.RECALCULATED, 1)
    ]


@settings(max_examples=60, deadline=None)
@given(timelines(), st.lists(st.integers(0, 200), max_size=6), st.integers(1, 12))
def test_however_it_is_followed_each_mark_fires_once_a_generation_and_never_early(
    timeline: Timeline, looks: list[int], step: int
) -> None:
    """Facts in any portions, looks at any instants between them, JSON in between."""
    policy = a_policy(first_response=4, next_response=2)
    standings: Standings = ()
    told: set[tuple[str, int, str, int]] = set()
    facts = timeline.facts
    for length in [*range(1, len(facts), step), len(facts)]:
        last = facts[length - 1].at
        known = replace(timeline, facts=facts[:length])
        standings = restand(clocks(known, policy), standings, last)
        standings = tuple(Standing.load(one.dump()) for one in standings)
        for hours in sorted(looks):
            now = last + hours * HOUR if length == len(facts) else last
            firings, standings = fire(standings, now)
            for one in firings:
                key = (one.standing.name, one.standing.cycle, one.point.name, one.standing.generation)
                assert key not in told
                assert one.point.at is not None
                assert one.point.at <= now
                told.add(key)


def test_a_mark_moved_away_and_back_to_where_it_was_told_is_not_told_again() -> None:
    _, told = fired_names(stood([START], a_policy(10)), "2026-11-20 16:00")
    moved = stood([START], a_policy(20), told, "2026-11-20 16:05")
    assert next_wake(moved) == at("2026-11-20 23:00")
    back = stood([START], a_policy(10), moved, "2026-11-20 16:10")
    assert next_wake(back) == at("2026-11-20 18:00")


def test_a_clock_that_loses_its_target_and_gets_it_back_remembers_what_was_told() -> None:
    both, one = a_policy(first_response=10), a_policy()
    _, told = fired_names(stood([START], both), "2026-11-20 16:00")
    without = restand(clocks(story(START), one), told, at("2026-11-20 16:05"))
    assert [(each.name, each.state) for each in without] == [
        ("resolution", State.RUNNING),
        ("first_response", State.PENDING),
    ]
    again = restand(clocks(story(START), both), without, at("2026-11-20 16:10"))
    assert [(each.name, each.generation) for each in again] == [("first_response", 3), ("resolution", 1)]
    assert turns(without, facts=[START], policy=both) == [("first_response", Turn.STARTED, 1)]
    assert fired_names(again, "2026-11-20 16:10")[0] == []


def test_marks_at_or_before_the_instant_of_pruning_are_taken_for_told() -> None:
    """Standings may not know of a cycle whose rows are gone from the ledger."""
    told = clocks(story(START), a_policy())
    standings = restand(told, (), at("2026-11-20 18:30"), Record(pruned_until=at("2026-11-20 18:00")))
    assert fired_names(standings, "2026-11-20 18:30")[0] == []
    assert next_wake(standings) == at("2026-11-20 19:00")


def test_what_was_told_is_known_of_standings_that_an_earlier_version_kept() -> None:
    _, told = fired_names(stood([START], a_policy()), "2026-11-20 16:00")
    assert Standing.load(told[0].dump()) == told[0]
    assert Standing.load(told[0].dump()[:8]) == told[0]


def test_earlier_cycles_of_a_clock_that_was_away_are_not_told_again() -> None:
    both, one = a_policy(next_response=1), a_policy()
    asked = [START, ("2026-11-20 09:10", REPLY), ("2026-11-20 09:20", MESSAGE)]
    _, told = fired_names(stood(asked, both), "2026-11-20 11:00")
    facts = [*asked, ("2026-11-20 11:00", REPLY), ("2026-11-20 11:30", MESSAGE)]
    second = stood(facts, both, told, "2026-11-20 11:30")
    without = restand(clocks(story(*facts), one), second, at("2026-11-20 11:35"))
    again = restand(clocks(story(*facts), both), without, at("2026-11-20 11:40"))
    assert [(each.name, each.cycle) for each in again] == [("next_response", 2), ("resolution", 1)]
