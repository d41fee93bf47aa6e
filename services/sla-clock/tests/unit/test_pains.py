"""The pains of five desks: each decision of product.md and each row that the clock serves, by name.

Weekdays are those from Monday, 16 November 2026 on.
"""

from __future__ import annotations

from datetime import date

import pytest

from sla_clock import cases
from sla_clock.domain import Action, Attributes
from sla_clock.policy import RULES, Policy
from sla_clock.policyfile import load
from sla_clock.reckon import spent

from .times import HOUR, MOSCOW, at

OFFICE = "calendars: {office: {zone: Europe/Moscow, hours: {mon-fri: 09:00-18:00}}}\n"


def a_policy(text: str, calendars: str = OFFICE) -> Policy:
    return load(f"name: test\n{calendars}{text}")


def holds(policy: Policy, created: str, then: str, expect: str, ticket: str = "{}") -> None:
    """A golden case of a few words: what happened, what is expected."""
    text = (
        f"cases: [{{name: one, created: {created}, ticket: {ticket}, then: [{then}], expect: {{{expect}}}}}]"
    )
    [result] = cases.run(policy, cases.read(text, policy))
    assert result.unmet == ()


def row(targets: str) -> Policy:
    return a_policy(f"targets: [{{name: all, targets: {{{targets}}}}}]\n")


def test_decision_six_clocks_each_have_a_target_of_their_own() -> None:
    """CA-12, CP-03, KT-12, MP-06, MP-07."""
    names = ("pickup", "acknowledge", "first_response", "accepted_response", "next_response", "resolution")
    assert tuple(rule.name for rule in RULES) == names
    policy = row(", ".join(f"{name}: {hours}h" for hours, name in enumerate(names, 1)))
    targets = [policy.terms(name, Attributes()) for name in names]
    assert [one.target // HOUR for one in targets if one] == [1, 2, 3, 4, 5, 6]


def test_decision_any_other_clock_is_conditions_in_the_file() -> None:
    """YT-25: created, status changed, assignee set, team replied, while in a status."""
    policy = a_policy(
        """\
clocks:
  seen:      {start: created, stop: taken}
  answered:  {start: taken, stop: staff_replies}
  tested:    {start: {status_changed: {to: testing}}, stop: {status_changed: {from: testing}}}
  held:      {start: created, stop: closed, pause: {status: [need_info, vendor]}}
targets: [{name: all, targets: {seen: 1h, answered: 1h, tested: 1h, held: 8h}}]
"""
    )
    holds(
        policy,
        "Mon 09:00",
        "taken: Mon 09:10, replied: Mon 09:30, status testing: Mon 10:00, status vendor: Mon 10:20",
        "seen: {state: met, elapsed: 10m}, answered: {state: met, elapsed: 20m},"
        " tested: {state: met, elapsed: 20m}, held: {state: paused, elapsed: 1h 20m}",
    )


def test_decision_marks_stand_at_any_share_or_time_before_and_after_the_target() -> None:
    """CA-15, CA-20, CA-21, MP-04, YT-23."""
    policy = a_policy(
        """\
marks:
  - {at: 70%, action: remind}
  - {at: 80%, action: escalate_line}
  - {before: 10m, action: remind}
  - {at: 100%, action: breach}
  - {at: 60m, action: overrun, tell: line_lead, clocks: accepted_response}
  - {at: 150%, action: escalate_management}
targets: [{name: all, targets: {accepted_response: 50m}}]
"""
    )
    marks = (
        "{70%: Mon 09:35, 80%: Mon 09:40, -10m: Mon 09:40, 100%: Mon 09:50, 60m: Mon 10:00, 150%: Mon 10:15}"
    )
    holds(policy, "Mon 09:00", "taken: Mon 09:00", f"accepted_response: {{marks: {marks}}}")
    assert [mark.action for mark in policy.marks["accepted_response"]][3:5] == [Action.BREACH, Action.OVERRUN]


def test_decision_a_robots_auto_reply_never_stops_a_response_clock() -> None:
    """MP-12, CA-35."""
    expect = "acknowledge: running, first_response: running"
    holds(row("acknowledge: 5m, first_response: 1h"), "Mon 09:00", "robot: Mon 09:00", expect)


def test_decision_the_matrix_takes_the_first_or_the_strictest_and_says_who_lost() -> None:
    """CA-13: priority x customer tier x channel x category x queue."""
    rows = """\
targets:
  - {name: high, priority: high, targets: {first_response: 1h, resolution: 24h}}
  - {name: vip, tier: vip, targets: {first_response: 30m, resolution: 8h}}
  - {name: refunds, category: payment/refund, queue: SUP, channel: email, targets: {resolution: 4h}}
  - {name: all, targets: {first_response: 4h, resolution: 3bd}}
"""
    ticket = Attributes("high", "vip", "email", "SUP", "payment/refund")
    told = {
        mode: a_policy(f"mode: {mode}\n{rows}").terms("resolution", ticket) for mode in ("first", "strictest")
    }
    assert [(one.row, one.lost) for one in told.values() if one] == [
        ("high", ("vip", "refunds", "all")),
        ("refunds", ("high", "vip", "all")),
    ]


def test_decision_line_and_status_are_apart() -> None:
    """CA-04, MP-01, CP-12: a hand-over moves no status, and the time of each is told by itself."""
    text = (
        "cases: [{name: one, created: Mon 09:00, then: [line l2: Mon 11:00, waiting: Mon 12:00],"
        " expect: {resolution: paused}}]"
    )
    policy = row("resolution: 8h")
    [case] = cases.read(text, policy)
    found = spent(case.timeline, policy.calendars["office"], at("2026-11-16 13:00", MOSCOW))
    assert {name: one.business // HOUR for name, one in found.statuses.items()} == {"new": 3, "waiting": 1}
    assert {name: one.business // HOUR for name, one in found.lines.items()} == {"l1": 2, "l2": 2}


def test_decision_resolved_stops_the_resolution_and_reopening_starts_anew_and_keeps_the_earlier() -> None:
    """CP-10, CP-11."""
    holds(
        row("resolution: 8h"),
        "Mon 09:00",
        "resolved: Mon 12:00, reopened: Tue 09:00, resolved: Tue 10:00",
        "resolution: [{cycle: 1, state: met, elapsed: 3h}, {cycle: 2, cycles: 2, state: met, elapsed: 1h}]",
    )


def test_yt_22_only_working_hours_count() -> None:
    holds(row("resolution: 4h"), "Fri 16:00", "", "resolution: {due: Mon 11:00}")


def test_yt_23_two_durations_a_rule_written_as_people_write_them() -> None:
    policy = a_policy(
        "marks: [{name: warning, at: 1h 30m, action: remind}]\ntargets: [{name: all, targets:"
        " {resolution: 2h 30m}}]\n"
    )
    holds(policy, "Mon 09:00", "", "resolution: {due: Mon 11:30, marks: {warning: Mon 10:30}}")


def test_yt_24_several_filters_in_one_rule_each_with_its_own_durations() -> None:
    policy = a_policy(
        """\
targets:
  - {name: bugs, type: incident, targets: {resolution: 4h}, ladder: [{name: warning, at: 3h, action: remind}]}
  - {name: rest, targets: {resolution: 8h}, ladder: [{name: warning, at: 6h, action: remind}]}
"""
    )
    bug = "resolution: {due: Mon 13:00, marks: {warning: Mon 12:00}}"
    holds(policy, "Mon 09:00", "", bug, "{type: incident}")
    holds(policy, "Mon 09:00", "", "resolution: {due: Mon 17:00, marks: {warning: Mon 15:00}}")


def test_yt_26_first_response_ends_with_a_letter_of_the_team() -> None:
    then = "customer: Mon 09:05, robot: Mon 09:06, replied anna: Mon 09:40"
    holds(row("first_response: 1h"), "Mon 09:00", then, "first_response: {state: met, elapsed: 40m}")


def test_yt_27_resolution_pauses_while_information_is_needed_and_ends_resolved_or_closed() -> None:
    for end in ("resolved", "closed"):
        then = f"status need_info waiting: Mon 10:00, status in_progress: Mon 15:00, {end}: Mon 16:00"
        holds(row("resolution: 8h"), "Mon 09:00", then, "resolution: {state: met, elapsed: 2h, breached: no}")


def test_yt_28_leaving_the_pause_resumes_the_same_clock() -> None:
    then = "waiting: Mon 10:00, resumed: Tue 10:00"
    expect = "resolution: {cycles: 1, state: running, elapsed: 1h, due: Tue 17:00}"
    holds(row("resolution: 8h"), "Mon 09:00", then, expect)


@pytest.mark.parametrize(("priority", "hours"), [("critical", 2), ("normal", 48)])
def test_cp_03_reaction_in_half_an_hour_and_resolution_by_priority(priority: str, hours: int) -> None:
    policy = a_policy(
        """\
targets:
  - {name: critical, priority: critical, targets: {first_response: 30m, resolution: 2h}}
  - {name: others, targets: {first_response: 30m, resolution: 48h}}
""",
        "calendars: {always: {zone: UTC, hours: always}}\n",
    )
    expect = f"first_response: {{due: +30m}}, resolution: {{due: +{hours}h}}"
    holds(policy, "Sat 02:00", "", expect, f"{{priority: {priority}}}")


def test_cp_11_a_condition_may_restart_a_clock_by_itself() -> None:
    policy = a_policy(
        """\
clocks:
  handed:
    start: {line_changed: {to: l2}}
    restart: {line_changed: {to: l2}}
    stop: {line_changed: {from: l2}}
targets: [{name: all, targets: {handed: 2h}}]
"""
    )
    then = "line l2: Mon 10:00, line l1: Mon 11:00, line l2: Tue 09:00"
    holds(policy, "Mon 09:00", then, "handed: [{cycle: 1, elapsed: 1h}, {cycle: 2, due: Tue 11:00}]")


def test_ca_11_a_category_has_a_promise_of_its_own_and_its_subcategories_share_it() -> None:
    policy = a_policy(
        "targets: [{name: money, category: payment, targets: {resolution: 4h}}, {name: all, targets:"
        " {resolution: 8h}}]\n"
    )
    holds(policy, "Mon 09:00", "", "resolution: {row: money}", "{category: payment/refund}")
    holds(policy, "Mon 09:00", "", "resolution: {row: all}", "{category: payments}")


def test_ca_12_first_response_and_resolution_never_stop_each_other() -> None:
    then = "replied: Mon 09:30"
    expect = "first_response: {state: met}, resolution: {state: running, due: Mon 17:00}"
    holds(row("first_response: 1h, resolution: 8h"), "Mon 09:00", then, expect)


def test_ca_14_what_is_left_can_be_told_at_any_instant() -> None:
    left = {"Mon 10:00": "1h", "Mon 11:00": "0", "Mon 12:00": "-1h"}
    expect = ", ".join(f"{{at: {at}, remaining: {remaining}}}" for at, remaining in left.items())
    holds(row("resolution: 2h"), "Mon 09:00", "", f"resolution: [{expect}]")


def test_ca_15_ca_16_ca_20_ca_21_the_ladder_that_every_policy_has() -> None:
    """Reminders at 30 % and 10 % left, the next line at 80 %, the lead at 100 %, management at 150 %."""
    marks = "{70%: Mon 16:00, 80%: Mon 17:00, 90%: Mon 18:00, 100%: Tue 10:00, 150%: Tue 15:00}"
    expect = f"first_response: {{marks: {marks}}}"
    policy = row("first_response: 10h")
    holds(policy, "Mon 09:00", "", expect)
    assert [mark.action for mark in policy.marks["first_response"]] == [
        Action.REMIND,
        Action.ESCALATE_LINE,
        Action.REMIND,
        Action.BREACH,
        Action.ESCALATE_MANAGEMENT,
    ]


def test_ca_33_any_news_does_not_push_a_promise_back() -> None:
    then = "replied: Mon 09:30, customer: Mon 10:00, customer: Mon 11:30"
    holds(row("next_response: 2h"), "Mon 09:00", then, "next_response: {cycles: 1, due: Mon 12:00}")


def test_kt_12_a_person_greets_within_five_minutes_of_the_queue() -> None:
    expect = "acknowledge: {state: met, elapsed: 4m, breached: no}"
    holds(row("acknowledge: 5m"), "Mon 09:00", "robot: Mon 09:00, replied: Mon 09:04", expect)


@pytest.mark.parametrize(("priority", "due"), [("critical", "+5h"), ("high", "+24h"), ("low", "+48h")])
def test_kt_13_service_classes(priority: str, due: str) -> None:
    policy = a_policy(
        """\
targets:
  - {name: stops_business, priority: critical, targets: {resolution: 5h}}
  - {name: today, priority: high, targets: {resolution: 24h}}
  - {name: others, targets: {resolution: 48h}}
""",
        "calendars: {always: {zone: Europe/Moscow, hours: always}}\n",
    )
    holds(policy, "Fri 20:00", "", f"resolution: {{due: {due}}}", f"{{priority: {priority}}}")


def test_kt_14_moving_a_card_gives_it_the_promise_of_its_new_lane() -> None:
    policy = a_policy(
        """\
targets:
  - {name: second, line: l2, targets: {resolution: 16h}}
  - {name: first, targets: {resolution: 4h}}
"""
    )
    expect = "resolution: [{at: Mon 10:00, row: first, due: Mon 13:00}, {row: second, due: Tue 16:00}]"
    holds(policy, "Mon 09:00", "line l2: Mon 11:00", expect)


def test_mp_04_accepted_and_unanswered_for_an_hour_tells_the_head_of_the_line() -> None:
    policy = a_policy(
        "clocks: {accepted_response: {ladder: [{at: 60m, action: overrun, tell: line_lead}]}}\n"
        "targets: [{name: all, targets: {accepted_response: 10m}}]\n"
    )
    holds(policy, "Mon 09:00", "taken: Mon 10:00", "accepted_response: {marks: {60m: Mon 11:00}}")
    assert policy.marks["accepted_response"][0].tell == ("line_lead",)


def test_mp_05_nine_to_seven_except_weekends() -> None:
    policy = a_policy(
        "targets: [{name: all, targets: {pickup: 2h}}]\n",
        "calendars: {office: {zone: Europe/Moscow, hours: {mon-fri: 09:00-19:00}}}\n",
    )
    holds(policy, "Fri 18:30", "", "pickup: {due: Mon 10:30}")


def test_mp_06_mp_07_idle_until_taken_and_reaction_from_there() -> None:
    expect = "pickup: {state: met, elapsed: 40m}, accepted_response: {state: met, elapsed: 9m, breached: no}"
    policy = row("pickup: 2h, accepted_response: 10m")
    holds(policy, "Mon 09:00", "taken anna: Mon 09:40, replied anna: Mon 09:49", expect)


def test_mp_09_duty_specialists_work_on_a_holiday_and_are_known_by_name() -> None:
    policy = a_policy(
        "targets: [{name: all, targets: {pickup: 2h}}]\n",
        """\
calendars:
  office:
    zone: Europe/Moscow
    hours: {mon-fri: 09:00-19:00}
    holidays: {country: RU, language: en_US}
    days: {2027-01-02: {hours: 10:00-16:00, name: Duty}}
    duty: [{who: olga, days: 2027-01-02}]
""",
    )
    holds(policy, "2026-12-31 20:00", "", "pickup: {due: 2027-01-02 12:00}")
    office = policy.calendars["office"]
    assert office.duty_at(at("2027-01-02 12:00", MOSCOW)) == ("olga",)
    assert office.day(date(2027, 1, 3)).name == "New Year Holidays"


def test_mp_01_the_edition_chooses_the_promise() -> None:
    policy = a_policy(
        "targets: [{name: own, edition: on_premises, targets: {resolution: 40h}}, {name: all, targets:"
        " {resolution: 8h}}]\n"
    )
    holds(policy, "Mon 09:00", "", "resolution: {row: own, target: 40h}", "{edition: on_premises}")


def test_mp_14_a_wish_has_no_deadline() -> None:
    policy = a_policy(
        "targets: [{name: wishes, type: wish, targets: none}, {name: all, targets: {resolution: 8h}}]\n"
    )
    holds(policy, "Mon 09:00", "", "resolution: none", "{type: wish}")
