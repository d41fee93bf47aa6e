"""Histories replayed under a policy: figures by day and clock, alerts as live ones would have been."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from sla_clock.calendar import Calendar
from sla_clock.domain import Attributes, Fact, Timeline
from sla_clock.policy import Policy
from sla_clock.policyfile import load
from sla_clock.simulate import Figures, Replay, Report, Tally, outcomes, walked

from .stories import (
    CLOSED,
    MERGED,
    MESSAGE,
    REOPENED,
    REPLY,
    RESOLVED,
    created,
    priority,
    status,
    story,
    taken,
)
from .times import HOUR, MINUTE, at

TEXT = """\
name: desk
calendars:
  always: {zone: UTC, hours: always}
targets:
  - name: critical
    priority: critical
    targets: {first_response: 10m, resolution: 1h}
  - name: all
    targets: {first_response: 1h, resolution: 10h, next_response: 2h, accepted_response: 1h, pickup: 30m}
"""
POLICY = load(TEXT)
ONE = load(TEXT.replace(", resolution: 10h, next_response: 2h, accepted_response: 1h, pickup: 30m", ""))

UTC = ZoneInfo("UTC")


def tally(timeline: Timeline, policy: Policy = ONE, until: str = "2026-12-01") -> Tally:
    told = Tally()
    told.count(outcomes(timeline, policy, at(until)), UTC)
    return told


def test_a_cycle_belongs_to_the_day_it_began_and_a_mark_to_its_own() -> None:
    told = tally(story(("2026-11-20 23:30", created()), ("2026-11-21 02:00", REPLY)))
    # Marks at 70, 80, 90, 100 and 150 %: 00:12, 00:18, 00:24, 00:30, 01:00 of the next day.
    assert dict(told.days) == {
        "2026-11-20": Figures(started=1, breached=1),
        "2026-11-21": Figures(alerts=5, escalations=2),
    }
    assert dict(told.clocks) == {"first_response": told.total}
    assert told.total == Figures(started=1, breached=1, alerts=5, escalations=2)
    assert told.total.compliance == 0


def test_an_answer_in_time_stops_the_alerts_behind_it() -> None:
    told = tally(story(("2026-11-20 10:00", created()), ("2026-11-20 10:50", REPLY))).total
    assert told == Figures(started=1, met_in_time=1, alerts=2, escalations=1)
    assert told.compliance == 1_000_000
    # An answer exactly at due has met it, and the breach is not told.
    assert tally(story(("2026-11-20 10:00", created()), ("2026-11-20 11:00", REPLY))).total == Figures(
        started=1, met_in_time=1, alerts=3, escalations=1
    )


def test_what_is_under_way_is_neither_met_nor_missed_until_its_due_instant() -> None:
    open_ticket = story(("2026-11-20 10:00", created()))
    assert tally(open_ticket, until="2026-11-20 10:45").total == Figures(started=1, alerts=1)
    assert tally(open_ticket, until="2026-11-20 10:45").total.compliance == -1
    assert tally(open_ticket, until="2026-11-20 11:00").total == Figures(1, 0, 1, alerts=4, escalations=1)


def test_history_after_the_end_is_not_looked_at() -> None:
    answered = story(("2026-11-20 10:00", created()), ("2026-11-20 13:00", REPLY))
    assert tally(answered, until="2026-11-20 10:10").total == Figures(started=1)
    assert tally(answered, until="2026-11-20 09:00").total == Figures()


def test_a_warning_that_was_given_before_the_priority_rose_was_given() -> None:
    """What a last look at the ticket does not show: 70 % of the hour was told, then it was raised."""
    raised = story(
        ("2026-11-20 10:00", created()),
        ("2026-11-20 10:45", priority("critical")),
        ("2026-11-20 10:46", REPLY),
    )
    told = tally(raised).clocks["first_response"]
    # 70 % of an hour at 10:42; raised at 10:45, all of 10 minutes is over: 80, 100 and 150 % are told,
    # 90 % is folded into the breach, 70 % was given already.
    assert told == Figures(started=1, breached=1, alerts=4, escalations=2)


def test_reminders_that_fall_due_with_their_breach_are_one_message() -> None:
    marks = "marks:\n  - {at: 1h, action: remind}\n  - {at: 100%, action: breach}\n"
    policy = load(
        TEXT.replace(", resolution: 10h, next_response: 2h, accepted_response: 1h, pickup: 30m", "") + marks
    )
    assert tally(story(("2026-11-20 10:00", created())), policy).total.alerts == 1


STEPS = st.sampled_from(
    [*(status(kind) for kind in ("open", "waiting", "resolved", "escalated")), taken(), REPLY, MESSAGE]
    + [RESOLVED, REOPENED, CLOSED, MERGED, Fact("returned", 0), Fact("robot_replies", 0)]
)
LIVES = st.lists(st.tuples(st.integers(0, 300), STEPS), max_size=12)


@settings(max_examples=300, deadline=None)
@given(LIVES, st.integers(0, 48 * 60))
def test_the_marks_of_the_last_look_are_those_of_the_walk_where_the_terms_stayed(
    life: list[tuple[int, Fact]], minutes: int
) -> None:
    """A ticket is computed once instead of fact by fact; a walk with a simulated clock must agree."""
    start = at("2026-11-20 10:00")
    facts = [Fact("created", start, created().values)]
    for wait, fact in life:
        facts.append(Fact(fact.kind, facts[-1].at + wait * MINUTE, fact.values))
    timeline = Timeline(tuple(facts), Attributes(priority="normal", line="l1"))
    until = start + minutes * MINUTE
    known = Timeline(tuple(fact for fact in facts if fact.at <= until), timeline.attributes)
    told = sorted((name, when) for name, when, one in outcomes(timeline, POLICY, until) if one.alerts)
    assert told == sorted((name, when) for name, when, _ in walked(known, POLICY, until))


def a_replay(policy: Policy = POLICY) -> Replay:
    return Replay(ONE, policy, UTC, Report(at("2026-12-01")), at("2026-11-20 10:30"))


def test_both_policies_see_the_same_tickets_and_their_tally_does_not_grow_with_them() -> None:
    replay = a_replay()
    life = story(("2026-11-20 10:00", created()), ("2026-11-20 10:50", REPLY))
    for number in range(200):
        shifted = tuple(Fact(fact.kind, fact.at + number * HOUR // 10, fact.values) for fact in life.facts)
        replay.take(str(number), Timeline(shifted, life.attributes))
    report = replay.report
    assert report.tickets == 195
    assert (report.base.total.started, report.candidate.total.started) == (195, 195 * 3)
    assert len(report.candidate.days) <= 3


def test_a_ticket_that_cannot_be_replayed_counts_under_neither_and_is_named() -> None:
    never = Calendar("never", UTC, ((),) * 7)
    replay = a_replay(replace(POLICY, rows=(replace(POLICY.rows[1], calendar=never),)))
    replay.take("ticket 7", story(("2026-11-20 23:50", created())))
    replay.take("ticket 8", Timeline(()))
    assert (replay.report.tickets, replay.report.base.total.started) == (0, 0)
    assert replay.report.skipped == [
        "ticket 7: calendar 'never' has no working time in the 10 years up to 2036, so the target is never "
        "reached; give it hours",
        "ticket 8: nothing is known to have happened",
    ]


def test_what_is_skipped_is_named_up_to_a_hundred() -> None:
    report = Report(0)
    for number in range(250):
        report.skip(f"row {number}")
    assert len(report.skipped) == 100
    assert report.skipped[98:] == ["row 98", "and 151 more"]
