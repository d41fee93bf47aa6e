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

from .stories import created, only, story
from .times import HOUR, MINUTE, MOSCOW, at, shown

EXAMPLES = Path(__file__).parents[4] / "examples" / "policies"

SMALL = """\
name: small
calendars:
  office:
    zone: Europe/Moscow
    hours:
      mon-fri: 09:00-18:00
targets:
  - name: all
    targets: {first_response: 1h}
"""


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidInput) as raised:
        load(text, file="p.yaml")
    assert raised.value.reason == "POLICY_INVALID"
    assert len(raised.value.violations) == len(str(raised.value).splitlines())
    return str(raised.value).splitlines()


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


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


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1:1: the file is empty"),
        ("[" * 5000, "1:1: the file is nested too deeply"),
        ("a: [1\nb: 2", "2:2: expected ',' or ']', but got ':'"),
        ("just words", "1:1: keys with values are wanted here"),
        ("name: x\n---\nname: y", "2:1: but found another document"),
        (changed("name: small\n", ""), "1:1: 'name' is missing"),
        (changed("small", "Small Desk"), "1:7: name: 'Small Desk' is not a name; use small letters"),
        (
            changed("zone: ", "tone: "),
            "4:5: calendars.office.tone: 'tone' is not known here; did you mean 'zone'?",
        ),
        (
            changed("Moscow", "Moskow"),
            "4:11: calendars.office.zone: there is no time zone 'Europe/Moskow'; write one like",
        ),
        (changed("mon-fri", "mon-fry"), "6:7: calendars.office.hours.mon-fry: 'mon-fry' is not a weekday"),
        (
            changed("18:00", "25:00"),
            "6:16: calendars.office.hours.mon-fri: '25:00' is not a time of day between 00:00 and 24:00",
        ),
        (
            changed("09:00-18:00", "[09:00-13:00, 12:00-18:00]"),
            "6:16: calendars.office.hours.mon-fri: the hours overlap at 12:00",
        ),
        (changed("09:00-18:00", "closed"), "6:7: calendars.office.hours: no weekday has hours"),
        (
            changed("1h", "1 hour"),
            "9:31: targets[0].targets.first_response: '1 hour' is not a duration; write 2h 30m",
        ),
        (
            changed("first_response", "first_reponse"),
            "9:15: targets[0].targets.first_reponse: 'first_reponse' is not known here; did you mean",
        ),
        (changed("{first_response: 1h}", "{}"), "9:14: targets[0].targets: a row gives at least one target"),
        (
            changed("    targets: {", "    priority: urgent\n    targets: {"),
            "9:15: targets[0].priority: 'urgent' is not one of low, normal, high, critical",
        ),
        (
            changed("    targets: {", "    when: nosuch == 1\n    targets: {"),
            "9:11: targets[0].when: at 1:1: undeclared reference to 'nosuch'",
        ),
        (
            changed("    targets: {", "    calendar: home\n    targets: {"),
            "9:15: targets[0].calendar: there is no calendar 'home' (known: office)",
        ),
        (SMALL + "name: again\n", "10:1: 'name' stands here twice"),
        (
            SMALL + "mode: best\n",
            "10:7: mode: 'best' is not one of first, strictest (known: first, strictest)",
        ),
        (SMALL + "marks: [{at: 50%}]\n", "10:9: marks[0]: 'action' is missing"),
        (
            SMALL + "marks: [{action: remind}]\n",
            "10:9: marks[0]: say once where the mark stands: at: 70%, at: 1h, before: 30m or after: 2h",
        ),
        (
            SMALL + "marks: [{at: 0%, action: remind}]\n",
            "10:14: marks[0].at: a share is above 0% and at most 1000%",
        ),
        (SMALL + "clocks: {mine: {start: created}}\n", "10:16: clocks.mine: 'stop' is missing"),
        (
            SMALL + "clocks: {mine: {start: creatd, stop: closed}}\n",
            "10:24: clocks.mine.start: 'creatd' is not one of",
        ),
        (
            SMALL + "clocks: {resolution: {pause: {status_kind: waitng}}}\n",
            "10:44: clocks.resolution.pause.status_kind: 'waitng' is not one of",
        ),
    ],
)
def test_each_fault_is_told_with_its_place(text: str, fault: str) -> None:
    told = faults(text)
    assert len(told) == 1
    assert told[0].removeprefix("p.yaml:").startswith(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("holidays: XX", "there are no holidays for 'XX'; use a two-letter code such as RU"),
        ("holidays: {country: RU, language: fr}", "holidays of RU have no names in 'fr'"),
        ("holidays: {country: RU, subdivision: ZZ}", "RU has no subdivision 'ZZ'"),
        ("holidays: {country: RU, workdays_like: someday}", "'someday' is not one of mon, tue"),
        ("days: {2026-02-30: closed}", "'2026-02-30' is not a date; write 2026-12-31"),
        ("days: {2026-12-31..2026-12-30: closed}", "does not run forward over at most 366 days"),
        ("days: {2026-12-31: shut}", "'shut' is not hours; write them as 09:00-18:00"),
        ("days: {2026-12-30..2026-12-31: closed, 2026-12-31: closed}", "2026-12-31 stands here twice"),
    ],
)
def test_each_fault_of_a_calendar_is_told(text: str, fault: str) -> None:
    told = faults(changed("    zone:", f"    {text}\n    zone:"))
    assert len(told) == 1
    assert fault in told[0]


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    told = faults(changed("Moscow", "Moskow").replace("1h", "soon"))
    assert [line.split(": ")[0] for line in told] == ["p.yaml:4:11", "p.yaml:9:31"]


def test_several_calendars_need_a_default() -> None:
    other = "  home:\n    zone: UTC\n    hours: always\ntargets:"
    assert faults(changed("targets:\n", f"{other}\n"))[0].endswith(
        "say which of them is used: calendar: NAME"
    )


def test_a_file_that_is_too_long_is_refused() -> None:
    assert "longer than" in faults("#" * 131_073)[0]


def test_a_target_that_its_calendar_never_reaches_is_refused() -> None:
    text = changed("mon-fri: 09:00-18:00", "mon: 09:00-09:01").replace("1h", "500h")
    assert "more than 100 years" in faults(text)[0]
