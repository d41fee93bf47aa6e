"""Why a clock stands where it stands: stretches without gaps that sum to the target, rows with reasons."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import NotFound
from sla_clock.domain import Attributes, Fact, Timeline
from sla_clock.explain import Explanation, explain
from sla_clock.policy import clocks
from sla_clock.policyfile import load

from .stories import CLOSED, MESSAGE, REOPENED, REPLY, RESOLVED, created, priority, status, story, taken
from .times import HOUR, MINUTE, MOSCOW, at, shown

TEXT = """\
name: desk
mode: strictest
calendar: office
calendars:
  office:
    zone: Europe/Moscow
    hours: {mon-fri: ["09:00-13:00", "14:00-18:00"]}
    days: {2026-11-23: {hours: closed, name: Founders' day}}
  always: {zone: UTC, hours: always}
targets:
  - {name: critical, priority: critical, targets: {resolution: 1h}, calendar: always}
  - {name: vip, tier: vip, targets: {first_response: 30m}}
  - {name: chat, channel: [chat, telegram], tags: [urgent], targets: {first_response: 5m}}
  - {name: paid, when: 'tier == "vip" || "paid" in tags', targets: {first_response: 15m}}
  - {name: normal, targets: {first_response: 1h, resolution: 4h, next_response: 1h}}
  - {name: also, category: [payment], targets: {first_response: 1h}}
  - {name: slow, targets: {first_response: 2h, pickup: 10m}}
"""
POLICY = load(TEXT)


def told(life: Timeline, name: str, cycle: int = 0, now: str = "2026-11-20 10:00") -> Explanation:
    return explain(life, POLICY, name, cycle, at(now, MOSCOW))


def lines(one: Explanation) -> list[tuple[str, str, str, str]]:
    return [
        (shown(each.start, MOSCOW)[8:], shown(each.end, MOSCOW)[8:], each.kind.value, each.name)
        for each in one.stretches
    ]


def test_a_night_a_weekend_and_a_named_holiday_lie_between_start_and_due() -> None:
    found = told(story(("2026-11-20 17:50", created()), zone=MOSCOW), "first_response")
    assert lines(found) == [
        ("20 17:50", "20 18:00", "counted", ""),
        ("20 18:00", "23 00:00", "closed", ""),
        ("23 00:00", "24 00:00", "holiday", "Founders' day"),
        ("24 00:00", "24 09:00", "closed", ""),
        ("24 09:00", "24 09:50", "counted", ""),
    ]
    assert found.due == at("2026-11-24 09:50", MOSCOW)
    assert sum(each.counted for each in found.stretches) == HOUR


def test_a_pause_names_the_fact_behind_it_and_hides_the_hours_within() -> None:
    life = story(
        ("2026-11-19 12:00", created()),
        ("2026-11-19 12:30", status("waiting")),
        ("2026-11-20 10:00", status("open")),
        zone=MOSCOW,
    )
    assert lines(told(life, "resolution", now="2026-11-20 10:00")) == [
        ("19 12:00", "19 12:30", "counted", ""),
        ("19 12:30", "20 10:00", "paused", "status_changed to waiting"),
        ("20 10:00", "20 13:00", "counted", ""),
        ("20 13:00", "20 14:00", "closed", ""),
        ("20 14:00", "20 14:30", "counted", ""),
    ]


def test_a_paused_clock_is_told_up_to_now_and_has_no_due_instant() -> None:
    life = story(("2026-11-20 09:00", created()), ("2026-11-20 09:30", status("waiting")), zone=MOSCOW)
    found = told(life, "resolution", now="2026-11-20 11:00")
    assert lines(found)[-1] == ("20 09:30", "20 11:00", "paused", "status_changed to waiting")
    assert found.due is None


def test_a_clock_met_early_is_told_on_to_the_instant_it_was_heading_for() -> None:
    life = story(("2026-11-20 09:00", created()), ("2026-11-20 09:20", REPLY), zone=MOSCOW)
    found = told(life, "first_response")
    assert found.due == at("2026-11-20 10:00", MOSCOW)
    assert lines(found) == [("20 09:00", "20 09:20", "counted", ""), ("20 09:20", "20 10:00", "counted", "")]


def test_what_came_after_due_is_told_to_the_end_or_to_now() -> None:
    late = story(("2026-11-20 09:00", created()), ("2026-11-20 10:30", REPLY), zone=MOSCOW)
    assert lines(told(late, "first_response")) == [
        ("20 09:00", "20 10:00", "counted", ""),
        ("20 10:00", "20 10:30", "counted", ""),
    ]
    unanswered = story(("2026-11-20 09:00", created()), zone=MOSCOW)
    assert lines(told(unanswered, "first_response", now="2026-11-20 12:00"))[-1][1] == "20 12:00"


def test_every_row_is_told_with_the_reason_why_it_won_lost_or_did_not_fit() -> None:
    attributes = Attributes(priority="normal", line="l1", tier="standard", channel="chat", category="payment")
    life = story(("2026-11-20 09:00", created()), zone=MOSCOW, attributes=attributes)
    found = told(life, "first_response")
    assert [(row.row, row.won, row.reason) for row in found.verdicts] == [
        ("critical", False, "priority is normal, not critical"),
        ("vip", False, "tier is standard, not vip"),
        ("chat", False, "the ticket has none of the tags urgent"),
        ("paid", False, "the condition is false"),
        ("normal", True, "the shortest target that fits"),
        ("also", False, "fits, but normal stands above it"),
        ("slow", False, "fits, but normal is stricter"),
    ]
    assert [row.target for row in told(life, "pickup").verdicts][-3:] == [None, None, 10 * MINUTE]
    assert told(life, "pickup").verdicts[4].reason == "fits, but says nothing of pickup"


def test_the_first_row_is_told_as_the_first() -> None:
    first = load(TEXT.replace("mode: strictest", "mode: first"))
    life = story(("2026-11-20 09:00", created()), zone=MOSCOW)
    reasons = {row.row: row.reason for row in explain(life, first, "first_response", 0, 0).verdicts}
    assert reasons["normal"] == "the first row that fits"
    assert reasons["slow"] == "fits, but normal stands above it"


def test_a_finished_cycle_is_judged_by_the_priority_of_its_end() -> None:
    life = story(
        ("2026-11-20 09:00", created()),
        ("2026-11-20 09:10", RESOLVED),
        ("2026-11-20 09:30", REOPENED),
        ("2026-11-20 09:40", priority("critical")),
        zone=MOSCOW,
        attributes=Attributes(priority="critical", line="l1"),
    )
    first, second = told(life, "resolution", 1), told(life, "resolution", 2)
    assert [row.row for row in first.verdicts if row.won] == ["normal"]
    assert first.verdicts[0].reason == "priority is normal, not critical"
    assert [row.row for row in second.verdicts if row.won] == ["critical"]


def test_a_clock_or_cycle_that_is_not_there_is_named_with_those_that_are() -> None:
    life = story(("2026-11-20 09:00", created()), zone=MOSCOW)
    with pytest.raises(
        NotFound, match="the ticket has no clock 'resolutoin' \\(it has: pickup, first_respon"
    ):
        told(life, "resolutoin")
    with pytest.raises(NotFound, match="clock 'resolution' has no cycle 2, its newest is 1"):
        told(life, "resolution", 2)


STEPS = st.sampled_from(
    [status(kind) for kind in ("open", "waiting", "resolved")]
    + [taken(), REPLY, MESSAGE, RESOLVED, REOPENED, CLOSED, priority("critical")]
)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 5 * 24 * 60),
    st.lists(st.tuples(st.integers(0, 2000), STEPS), max_size=8),
    st.integers(0, 9000),
)
def test_stretches_have_no_gap_and_those_up_to_due_sum_exactly_to_the_target(
    begin: int, life: list[tuple[int, Fact]], wait: int
) -> None:
    facts = [Fact("created", at("2026-11-19") + begin * MINUTE, created().values)]
    for after, fact in life:
        facts.append(Fact(fact.kind, facts[-1].at + after * MINUTE + 1, fact.values))
    timeline = Timeline(tuple(facts), Attributes(priority="normal", line="l1"))
    now = facts[-1].at + wait * MINUTE
    for clock in clocks(timeline, POLICY):
        for cycle in range(1, clock.cycle + 1):
            _check(explain(timeline, POLICY, clock.name, cycle, now), now)


def _check(found: Explanation, now: int) -> None:
    clock, stretches = found.clock, found.stretches
    lived = clock.ended if clock.ended is not None else now
    assert stretches[0].start == clock.started if stretches else clock.started in (lived, None)
    assert all(one.end == following.start for one, following in pairwise(stretches))
    if stretches:
        assert stretches[-1].end == max(lived, found.due or 0)
    assert sum(row.won for row in found.verdicts) == 1
    if found.due is not None:
        assert sum(one.counted for one in stretches if one.end <= found.due) == clock.target
    elif clock.ended is not None:
        assert sum(one.counted for one in stretches) == clock.elapsed
