"""Policy files: what they say, and what is said about wrong ones."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from chassis.errors import InvalidInput
from sla_clock.domain import Action, Attributes
from sla_clock.durations import duration
from sla_clock.policy import clocks
from sla_clock.policyfile import load

from .policies import SMALL
from .stories import created, only, story
from .times import HOUR, MINUTE, MOSCOW, at, shown

EXAMPLES = Path(__file__).parents[4] / "examples" / "policies"


def test_the_playbooks_matrix_gives_each_ticket_its_targets() -> None:
    """CA-13."""
    policy = load((EXAMPLES / "playbook.yaml").read_text())
    told = []
    for priority, tier, channel in (
        ("critical", "standard", "email"),
        ("high", "standard", "email"),
        ("normal", "", "phone"),
        ("normal", "vip", "phone"),
        ("normal", "standard", "phone"),
        ("normal", "vip", "chat"),
        ("low", "", "email"),
    ):
        attributes = Attributes(priority=priority, tier=tier, channel=channel)
        terms = [policy.terms(name, attributes) for name in ("first_response", "resolution")]
        told.append([one.target // MINUTE if one else None for one in terms])
    assert told == [[15, 240], [60, 1440], [240, 1440], [30, 480], [120, 1440], [5, 480], [240, None]]


def test_the_playbooks_calendar_knows_the_countrys_holidays_by_name() -> None:
    """MP-09."""
    office = load((EXAMPLES / "playbook.yaml").read_text()).calendars["office"]
    assert office.day(date(2026, 1, 7)).name == "Рождество Христово"
    assert office.day(date(2026, 12, 30)).name == "Shortened day"
    # The state made 1 November 2025, a Saturday, a working day.
    assert shown(office.add(at("2025-11-01 08:00", MOSCOW), HOUR), MOSCOW) == "2025-11-01 10:00"
    assert shown(office.add(at("2026-12-30 12:00", MOSCOW), 2 * HOUR), MOSCOW) == "2027-01-11 10:00"


def test_the_demo_policy_breaches_within_seconds() -> None:
    policy = load((EXAMPLES / "demo.yaml").read_text())
    clock = only(story(("2026-11-20 09:00", created())), policy, "first_response")
    assert clock.target <= 30_000_000
    assert [mark.name for mark in clock.marks] == ["70%", "80%", "90%", "100%", "150%"]


def test_a_policy_may_change_a_named_clock_and_add_its_own() -> None:
    """YT-25, CP-11."""
    policy = load(
        SMALL.replace("{first_response: 1h}", "{with_second_line: 2h, resolution: 1h}")
        + """\
clocks:
  resolution:
    pause: [{status: [waiting, on_hold]}, {line: l3}]
  with_second_line:
    start: {line_changed: {to: L2}}
    stop: [resolved, closed, {line_changed: {from: L2}}]
"""
    )
    rules = {rule.name: rule for rule in policy.rules}
    assert [pause.name for pause in rules["resolution"].pause] == ["status", "line"]
    assert [trigger.fact for trigger in rules["resolution"].stop] == ["resolved", "closed"]
    assert [c.name for c in clocks(story(("2026-11-20 09:00", created())), policy)] == [
        "resolution",
        "with_second_line",
    ]


def test_marks_stand_at_a_share_a_duration_before_or_after() -> None:
    """MP-04, CA-15."""
    policy = load(
        SMALL
        + """\
marks:
  - {at: 72.5%, action: remind}
  - {at: 50m, action: escalate_line, clocks: first_response}
  - {before: 5m, action: remind, name: five minutes left}
  - {after: 1h 30m, action: escalate_management}
"""
    )
    found = [
        (mark.name, mark.action, mark.offset(HOUR) // 1_000_000) for mark in policy.marks["first_response"]
    ]
    assert found == [
        ("72.5%", Action.REMIND, 2610),
        ("50m", Action.ESCALATE_LINE, 3000),
        ("five minutes left", Action.REMIND, 3300),
        ("+1h30m", Action.ESCALATE_MANAGEMENT, 9000),
    ]
    assert [mark.name for mark in policy.marks["resolution"]] == ["72.5%", "five minutes left", "+1h30m"]


@pytest.mark.parametrize(
    ("text", "hours"),
    [("2h 30m", 2.5), ("8h", 8), ("90m", 1.5), ("3bd", 24), ("1bd 30m", 8.5), ("3600s", 1)],
)
def test_durations_are_read(text: str, hours: float) -> None:
    """YT-23."""
    assert duration(text) == hours * HOUR


@pytest.mark.parametrize("text", ["", "2", "-1h", "1h-", "2 hours", "1,5h", "1.5h", "0s", "999999h", "٣h"])
def test_durations_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        duration(text)


def test_a_day_is_asked_which_kind_it_is() -> None:
    with pytest.raises(InvalidInput, match="a day is 24h, or 1bd for a business day"):
        duration("3d")
