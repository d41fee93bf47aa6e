"""Clocks over timelines: what starts, pauses and stops them, and when their marks fall."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sla_clock.calendar import Calendar
from sla_clock.domain import Action, Clock, Fact, Segment, State, Timeline
from sla_clock.hours import ALWAYS
from sla_clock.policy import RULES, Policy, Row, clocks, default_marks

from .stories import (
    CLOSED,
    MERGED,
    MESSAGE,
    REOPENED,
    REPLY,
    RESOLVED,
    ROBOT,
    created,
    only,
    plain,
    priority,
    status,
    story,
    taken,
)
from .times import HOUR, MINUTE, a_calendar, at, shown, weekdays

NAMES = tuple(rule.name for rule in RULES)
PLAIN = a_calendar(ALWAYS)
OFFICE = a_calendar(weekdays("09:00-18:00"))


def a_policy(calendar: Calendar = PLAIN, **targets: int) -> Policy:
    row = Row("all", targets or dict.fromkeys(NAMES, 10 * HOUR), calendar)
    return Policy("test", (row,), RULES, {name: default_marks(name) for name in NAMES}, {"test": calendar})


def marks(clock: Clock) -> dict[str, str | None]:
    return {mark.name: None if mark.at is None else shown(mark.at) for mark in clock.marks}


def test_first_response_runs_from_creation_to_a_persons_reply() -> None:
    """CA-12, YT-26."""
    clock = only(story(("2026-11-20 09:00", created())), a_policy(), "first_response")
    assert (clock.state, clock.cycle, shown(clock.due or 0)) == (State.RUNNING, 1, "2026-11-20 19:00")
    answered = only(
        story(("2026-11-20 09:00", created()), ("2026-11-20 11:30", REPLY)), a_policy(), "first_response"
    )
    assert (answered.state, answered.elapsed) == (State.MET, 150 * MINUTE)
    assert answered.met_at == at("2026-11-20 11:30")
    assert answered.due is None


def test_a_robots_reply_stops_no_clock() -> None:
    """MP-12, CA-35."""
    timeline = story(("2026-11-20 09:00", created()), ("2026-11-20 09:00", ROBOT))
    assert {clock.state for clock in clocks(timeline, a_policy(first_response=HOUR, resolution=HOUR))} == {
        State.RUNNING
    }


def test_marks_stand_at_their_shares_of_working_time() -> None:
    """CA-15, CA-20, CA-21."""
    clock = only(story(("2026-11-20 09:00", created())), a_policy(OFFICE), "first_response")
    assert marks(clock) == {
        "70%": "2026-11-20 16:00",
        "80%": "2026-11-20 17:00",
        "90%": "2026-11-20 18:00",
        "100%": "2026-11-23 10:00",
        "150%": "2026-11-23 15:00",
    }
    assert [mark.action for mark in clock.marks][1:4] == [Action.ESCALATE_LINE, Action.REMIND, Action.BREACH]


def test_resolution_waits_while_the_customer_is_asked() -> None:
    """YT-27, YT-28."""
    asked = story(("2026-11-20 09:00", created()), ("2026-11-20 12:00", status("waiting")))
    clock = only(asked, a_policy(), "resolution")
    assert (clock.state, clock.due, clock.elapsed) == (State.PAUSED, None, 3 * HOUR)
    assert set(marks(clock).values()) == {None}
    back = story(
        ("2026-11-20 09:00", created()),
        ("2026-11-20 12:00", status("waiting")),
        ("2026-11-21 12:00", status("open")),
    )
    again = only(back, a_policy(), "resolution")
    assert (again.state, shown(again.due or 0)) == (State.RUNNING, "2026-11-21 19:00")
    assert again.elapsed_at(at("2026-11-21 14:00")) == 5 * HOUR


def test_a_pause_outside_working_hours_takes_nothing_away() -> None:
    friday = ("2026-11-20 17:00", created())
    plainly = only(story(friday), a_policy(OFFICE), "resolution")
    paused = only(
        story(friday, ("2026-11-20 20:00", status("waiting")), ("2026-11-22 20:00", status("open"))),
        a_policy(OFFICE),
        "resolution",
    )
    assert paused.due == plainly.due
    assert len(paused.segments) == 2


def test_a_mark_reached_before_a_pause_keeps_its_instant() -> None:
    timeline = story(("2026-11-20 09:00", created()), ("2026-11-20 16:30", status("waiting")))
    assert marks(only(timeline, a_policy(), "resolution")) == {
        "70%": "2026-11-20 16:00",
        "90%": None,
        "100%": None,
        "150%": None,
    }


def test_reopening_begins_a_new_cycle_and_keeps_the_earlier_one() -> None:
    """CP-10, CP-11."""
    timeline = story(
        ("2026-11-20 09:00", created()), ("2026-11-20 12:00", RESOLVED), ("2026-11-21 09:00", REOPENED)
    )
    clock = only(timeline, a_policy(), "resolution")
    assert (clock.cycle, clock.state, shown(clock.due or 0)) == (2, State.RUNNING, "2026-11-21 19:00")
    assert [(past.cycle, past.state, past.elapsed) for past in clock.past] == [(1, State.MET, 3 * HOUR)]


def test_an_answer_exactly_at_due_has_met_it_and_one_later_has_not() -> None:
    for reply, breached in (("2026-11-20 19:00", False), ("2026-11-20 19:00:00.000001", True)):
        timeline = story(("2026-11-20 09:00", created()), (reply, REPLY))
        clock = only(timeline, a_policy(), "first_response")
        assert clock.state is State.MET
        assert clock.breached_at(at("2027-01-01")) is breached


def test_an_answer_after_closing_is_late_when_the_target_ran_out_at_closing() -> None:
    timeline = story(("2026-11-20 09:00", created()), ("2026-11-20 20:00", REPLY))
    clock = only(timeline, a_policy(OFFICE, first_response=9 * HOUR), "first_response")
    assert shown(clock.due or 0) == "2026-11-20 18:00"
    assert clock.breached_at(clock.ended or 0)


def test_a_running_clock_is_breached_from_its_due_instant_on() -> None:
    clock = only(story(("2026-11-20 09:00", created())), a_policy(), "first_response")
    assert not clock.breached_at(at("2026-11-20 18:59:59"))
    assert clock.breached_at(at("2026-11-20 19:00"))


def test_a_higher_priority_shortens_the_target_of_the_running_clock() -> None:
    """CP-02, CP-03."""
    rows = (
        Row("critical", {"resolution": 2 * HOUR}, PLAIN, {"priority": frozenset({"critical"})}),
        Row("all", {"resolution": 48 * HOUR, "first_response": 10 * HOUR}, PLAIN),
    )
    policy = replace(a_policy(), rows=rows)
    timeline = story(
        ("2026-11-20 09:00", created()),
        ("2026-11-20 09:30", REPLY),
        ("2026-11-20 10:00", priority("critical")),
    )
    clock = only(timeline, policy, "resolution")
    assert (clock.terms.row, clock.terms.lost, shown(clock.due or 0)) == (
        "critical",
        ("all",),
        "2026-11-20 11:00",
    )


def test_a_finished_cycle_keeps_the_terms_of_its_own_time() -> None:
    rows = (
        Row("critical", {"resolution": HOUR}, PLAIN, {"priority": frozenset({"critical"})}),
        Row("all", {"resolution": 48 * HOUR}, PLAIN),
    )
    timeline = story(
        ("2026-11-20 09:00", created()),
        ("2026-11-20 12:00", RESOLVED),
        ("2026-11-20 13:00", priority("critical")),
        ("2026-11-20 14:00", REOPENED),
    )
    clock = only(timeline, replace(a_policy(), rows=rows), "resolution")
    assert (clock.target, clock.past[0].target, clock.past[0].due) == (HOUR, 48 * HOUR, None)


def test_pickup_ends_when_the_ticket_is_taken_and_accepted_response_begins_there() -> None:
    """MP-06, MP-07."""
    timeline = story(("2026-11-20 09:00", created()), ("2026-11-20 09:20", taken()))
    policy = a_policy()
    assert only(timeline, policy, "pickup").elapsed == 20 * MINUTE
    accepted = only(timeline, policy, "accepted_response")
    assert (accepted.state, accepted.started) == (State.RUNNING, at("2026-11-20 09:20"))


def test_accepted_response_is_pending_before_and_begins_anew_after_the_ticket_was_given_back() -> None:
    policy = a_policy()
    facts = [("2026-11-20 09:00", created())]
    assert only(story(*facts), policy, "accepted_response").state is State.PENDING
    facts += [("2026-11-20 09:10", taken()), ("2026-11-20 09:20", plain("returned"))]
    assert only(story(*facts), policy, "accepted_response").state is State.CANCELLED
    facts += [("2026-11-20 10:00", taken("boris"))]
    again = only(story(*facts), policy, "accepted_response")
    assert (again.cycle, again.started) == (2, at("2026-11-20 10:00"))


def test_next_response_counts_from_the_first_unanswered_message_of_each_exchange() -> None:
    """CA-33: "any news?" does not push the promise back."""
    policy = a_policy()
    facts = [("2026-11-20 09:00", created()), ("2026-11-20 09:00", MESSAGE), ("2026-11-20 09:30", MESSAGE)]
    assert only(story(*facts), policy, "next_response").state is State.PENDING
    facts += [("2026-11-20 10:00", REPLY), ("2026-11-20 11:00", MESSAGE), ("2026-11-20 12:00", ROBOT)]
    facts += [("2026-11-20 13:00", MESSAGE)]
    waiting = only(story(*facts), policy, "next_response")
    assert (waiting.cycle, waiting.state, waiting.started) == (1, State.RUNNING, at("2026-11-20 11:00"))
    facts += [("2026-11-20 14:00", REPLY), ("2026-11-20 15:00", MESSAGE)]
    assert only(story(*facts), policy, "next_response").cycle == 2


def test_a_ticket_closed_unanswered_cancels_its_response_and_ends_its_resolution() -> None:
    timeline = story(("2026-11-20 09:00", created()), ("2026-11-20 10:00", CLOSED))
    assert only(timeline, a_policy(), "first_response").state is State.CANCELLED
    assert only(timeline, a_policy(), "resolution").state is State.MET


def test_a_ticket_solved_unanswered_holds_its_response_clock_until_it_is_opened_again() -> None:
    solved = [
        ("2026-11-20 09:00", created()),
        ("2026-11-20 10:00", status("resolved")),
        ("2026-11-20 10:00", RESOLVED),
    ]
    assert only(story(*solved), a_policy(), "first_response").state is State.PAUSED
    opened = [*solved, ("2026-11-21 10:00", REOPENED), ("2026-11-21 10:00", status("open"))]
    clock = only(story(*opened), a_policy(), "first_response")
    assert (clock.state, clock.elapsed, clock.cycle) == (State.RUNNING, HOUR, 1)


def test_a_merged_ticket_has_no_running_clock() -> None:
    timeline = story(("2026-11-20 09:00", created()), ("2026-11-20 10:00", MERGED))
    assert {clock.state for clock in clocks(timeline, a_policy())} <= {State.CANCELLED, State.PENDING}


def test_a_clock_without_a_target_is_not_there() -> None:
    names = [
        clock.name for clock in clocks(story(("2026-11-20 09:00", created())), a_policy(resolution=HOUR))
    ]
    assert names == ["resolution"]


def test_a_recorder_whose_clock_steps_back_never_makes_time_negative() -> None:
    timeline = story(("2026-11-20 09:00", created()), ("2026-11-20 08:00", REPLY))
    clock = only(timeline, a_policy(), "first_response")
    assert (clock.elapsed, clock.ended) == (0, at("2026-11-20 09:00"))


def test_a_pause_while_the_clock_is_being_started_holds_it_from_the_first_instant() -> None:
    clock = only(story(("2026-11-20 09:00", created(status_kind="waiting"))), a_policy(), "resolution")
    assert (clock.state, clock.segments) == (State.PAUSED, ())


HAPPENINGS = st.sampled_from(
    [
        status("waiting"),
        status("open"),
        status("resolved"),
        RESOLVED,
        REOPENED,
        CLOSED,
        MESSAGE,
        REPLY,
        taken(),
        plain("returned"),
        priority("critical"),
    ]
)
GAPS = st.integers(0, 30 * HOUR)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    now = at("2026-11-19 09:00") + draw(GAPS)
    facts = [replace(created(), at=now)]
    for gap, fact in draw(st.lists(st.tuples(GAPS, HAPPENINGS), max_size=12)):
        now += gap
        facts.append(replace(fact, at=now))
    return Timeline(tuple(facts))


NOTHING = plain("attributes_changed")


@settings(max_examples=60, deadline=None)
@given(timelines(), st.integers(0, 12), st.integers(0, 100))
def test_a_fact_that_means_nothing_changes_nothing_wherever_it_stands(
    timeline: Timeline, place: int, share: int
) -> None:
    facts = list(timeline.facts)
    place = 1 + place % len(facts)
    before = facts[place - 1].at
    after = facts[place].at if place < len(facts) else before + HOUR
    facts.insert(place, Fact(NOTHING.kind, before + (after - before) * share // 100))
    assert clocks(Timeline(tuple(facts)), a_policy(OFFICE)) == clocks(timeline, a_policy(OFFICE))


@settings(max_examples=60, deadline=None)
@given(timelines())
def test_marks_of_a_clock_are_where_exactly_their_working_time_was_counted(timeline: Timeline) -> None:
    told = [one for clock in clocks(timeline, a_policy(OFFICE)) for one in (clock, *clock.past)]
    for clock, mark in ((one, mark) for one in told for mark in one.marks):
        if mark.at is not None:
            assert counted(clock, mark.at) == mark.offset


def counted(clock: Clock, until: int) -> int:
    ends = (Segment(s.start, until if s.end is None else min(s.end, until)) for s in clock.segments)
    return sum(clock.terms.calendar.between(s.start, s.end or s.start) for s in ends)


@settings(max_examples=60, deadline=None)
@given(timelines(), st.integers(1, 12))
def test_what_was_determined_stays_so_as_the_story_goes_on(timeline: Timeline, length: int) -> None:
    """A mark that lies behind the last known fact is not moved by facts that come later."""
    policy = a_policy(OFFICE)
    known = Timeline(timeline.facts[:length])
    last = known.facts[-1].at
    for early in clocks(known, policy):
        late = only(timeline, policy, early.name)
        same = next((one for one in (late, *late.past) if one.cycle == early.cycle), None)
        for mark in early.marks:
            if mark.at is not None and mark.at < last:
                assert same is not None
                assert mark in same.marks


@pytest.mark.parametrize("name", NAMES)
def test_every_named_clock_of_the_product_is_there(name: str) -> None:
    assert only(story(("2026-11-20 09:00", created())), a_policy(), name).target == 10 * HOUR
