"""Golden cases: how they are written, what comes of them, and what is said of wrong ones."""

from __future__ import annotations

import pytest

from chassis.errors import InvalidInput
from sla_clock import cases
from sla_clock.cases import CaseResult, Unmet
from sla_clock.policyfile import load

from .times import MOSCOW, at, shown

POLICY = load(
    """\
name: small
business_day: 9h
calendars:
  office: {zone: Europe/Moscow, hours: {mon-fri: 09:00-18:00}}
targets:
  - {name: robots, robot: true, targets: none}
  - {name: vip, tier: vip, targets: {first_response: 15m, resolution: 4h}}
  - {name: all, targets: {first_response: 1h, resolution: 1bd, next_response: 2h}}
"""
)
CASE = """\
cases:
  - name: evening
    created: Fri 18:50
    then:
      - taken: Mon 09:02
      - replied anna: Mon 09:04
    expect:
      first_response: {due: none, met: Mon 09:04, elapsed: 4m}
"""


def results(text: str) -> list[CaseResult]:
    return cases.run(POLICY, cases.read(text, POLICY))


def unmet(text: str) -> list[tuple[int, str, str, str]]:
    return [(u.line, u.what, u.wanted, u.got) for result in results(text) for u in result.unmet]


def expecting(text: str, then: str = "[]", ticket: str = "{}") -> str:
    return (
        f"cases:\n  - {{name: one, created: Mon 09:00, ticket: {ticket}, then: {then},\n"
        f"     expect: {{{text}}}}}\n"
    )


def test_a_case_reads_as_it_was_lived() -> None:
    [case] = cases.read(CASE, POLICY)
    assert (case.name, case.line, case.zone.key) == ("evening", 2, MOSCOW)
    assert [(fact.kind, shown(fact.at, MOSCOW)) for fact in case.timeline.facts] == [
        ("created", "2026-11-20 18:50"),
        ("taken", "2026-11-23 09:02"),
        ("status_changed", "2026-11-23 09:02"),
        ("staff_replies", "2026-11-23 09:04"),
    ]
    assert results(CASE) == [CaseResult("evening", 2, ())]


def test_what_does_not_hold_is_told_with_its_line() -> None:
    [result] = results(CASE.replace("Mon 09:04, elapsed: 4m", "Mon 09:05, elapsed: 1h"))
    assert not result.passed
    assert result.unmet == (
        Unmet(8, "first_response.met", "Mon 2026-11-23 09:05", "Mon 2026-11-23 09:04"),
        Unmet(8, "first_response.elapsed", "1h", "4m"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "resolution: running",
        "pickup: none",
        "next_response: pending",
        "resolution: {state: running, row: all, target: 9h, cycles: 1, cycle: 1}",
        "resolution: {target: 1bd, started: Mon 09:00, due: Mon 18:00, met: none}",
        "resolution: {at: Mon 12:00, elapsed: 3h, remaining: 6h, breached: no}",
        "resolution: {at: Tue 10:00, elapsed: 10h, remaining: -1h, breached: yes}",
        "resolution: {at: +4h, remaining: 5h, elapsed: 4h}",
        "resolution: {elapsed: 0, remaining: 9h}",
        "resolution: {marks: {70%: Mon 15:18, 100%: Mon 18:00, 150%: Tue 13:30}}",
        "first_response: [{at: Mon 09:59, breached: no}, {at: Mon 10:00, breached: yes}]",
    ],
)
def test_everything_that_may_be_expected_of_a_clock(text: str) -> None:
    """CA-14: what is left can be asked for at any instant."""
    assert unmet(expecting(text)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("resolution: paused", (3, "resolution.state", "paused", "running")),
        ("resolution: none", (3, "resolution", "none", "running, by row all")),
        ("pickup: met", (3, "pickup", "a clock", "none: no row gives it a target")),
        ("resolution: {cycle: 2}", (3, "resolution.cycle", "2", "the newest is 1")),
        ("resolution: {cycles: 2}", (3, "resolution.cycles", "2", "1")),
        (
            "resolution: {due: Mon 17:00}",
            (3, "resolution.due", "Mon 2026-11-16 17:00", "Mon 2026-11-16 18:00"),
        ),
        ("resolution: {due: none}", (3, "resolution.due", "none", "Mon 2026-11-16 18:00")),
        ("resolution: {remaining: -1h}", (3, "resolution.remaining", "-1h", "9h")),
        ("resolution: {breached: yes}", (3, "resolution.breached", "yes", "no")),
        (
            "resolution: {marks: {75%: Mon 15:00}}",
            (
                3,
                "resolution.marks.75%",
                "Mon 2026-11-16 15:00",
                "no such mark; there are 70%, 90%, 100%, 150%",
            ),
        ),
    ],
)
def test_each_expectation_may_fail(text: str, fault: tuple[int, str, str, str]) -> None:
    assert unmet(expecting(text)) == [fault]


def test_an_instant_looks_at_what_was_known_then() -> None:
    then = "[waiting: Mon 10:00, resumed: Mon 12:00]"
    assert unmet(expecting("resolution: [{at: Mon 11:00, state: paused}, {due: Tue 11:00}]", then)) == []


def test_earlier_cycles_may_be_looked_at() -> None:
    then = "[resolved: Mon 10:00, reopened: Tue 09:00]"
    assert (
        unmet(expecting("resolution: [{cycle: 1, state: met, elapsed: 1h}, {cycle: 2, cycles: 2}]", then))
        == []
    )


def test_a_ticket_may_be_anything_that_a_row_looks_at() -> None:
    ticket = "{tier: vip, tags: [a, b], fields: {contract: gold}, queue: SUP, robot: no}"
    assert unmet(expecting("resolution: {row: vip}", ticket=ticket)) == []
    assert unmet(expecting("resolution: none", ticket="{robot: yes}")) == []
    [case] = cases.read(expecting("resolution: running", ticket=ticket), POLICY)
    assert (case.timeline.attributes.tags, case.timeline.attributes.fields) == (
        ("a", "b"),
        {"contract": "gold"},
    )


def test_a_file_may_say_the_zone_and_the_ticket_for_all_of_its_cases() -> None:
    text = "zone: UTC\nticket: {tier: vip}\n" + expecting("first_response: {row: vip, due: Mon 09:15}")
    assert unmet(text) == []
    assert cases.read(text, POLICY)[0].zone.key == "UTC"


def test_a_priority_and_a_line_that_change_are_those_of_the_ticket_then() -> None:
    [case] = cases.read(expecting("resolution: running", "[priority high: +1h, line L2: +1h]"), POLICY)
    assert (case.timeline.attributes.priority, case.timeline.attributes.line) == ("high", "l2")


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidInput) as raised:
        cases.read(text, POLICY, "p.tests.yaml")
    assert raised.value.reason == "TESTS_INVALID"
    return str(raised.value).removeprefix("p.tests.yaml:").splitlines()


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("cases:", "case:", "1:1: case: 'case' is not known here; did you mean 'cases'?"),
        (CASE[7:], " []\n", "2:2: cases: a file has between 1 and 1000 cases"),
        ("    created: Fri 18:50\n", "", "2:5: cases[0]: 'created' is missing"),
        (
            "Fri 18:50",
            "Friday evening",
            "3:14: cases[0].created: 'Friday evening' is not a time; write Fri 18:50, 2026-11-20 18:50,"
            " 09:05 or"
            " +2h 30m",
        ),
        ("Fri 18:50", "Fri 2026-11-21 18:50", "3:14: cases[0].created: 2026-11-21 is a Sat, not a Fri"),
        (
            "taken:",
            "took:",
            "5:9: cases[0].then[0].took: 'took' is not a step; there are taken, returned, replied,"
            " customer, robot,"
            " waiting, resumed, status, line, priority, escalated, unescalated, resolved, closed,"
            " reopened, merged",
        ),
        ("taken:", "line:", "5:9: cases[0].then[0].line: 'line' is not a step; write line VALUE"),
        (
            "taken:",
            "closed now:",
            "5:9: cases[0].then[0].closed now: 'closed now' is not a step; write closed alone",
        ),
        (
            "taken:",
            "taken by anna:",
            "5:9: cases[0].then[0].taken by anna: 'taken by anna' is not a step; write taken or taken WHO",
        ),
        ("taken:", "line l4:", "5:9: cases[0].then[0].line l4: 'l4' is not a line; there are l1, l2, l3"),
        (
            "taken:",
            "priority urgent:",
            "5:9: cases[0].then[0].priority urgent: 'urgent' is not a priority; there are low, normal,"
            " high, critical",
        ),
        (
            "taken:",
            "status asked held:",
            "5:9: cases[0].then[0].status asked held: 'held' is not a kind of status; there are new,"
            " open, waiting,"
            " escalated, resolved, closed",
        ),
        (
            "anna: Mon 09:04",
            "anna: 2026-11-23 09:01",
            "6:23: cases[0].then[1].replied anna: Mon 2026-11-23 09:01 lies before the step above it"
            " (Mon 2026-11-23 09:02)",
        ),
        (
            "anna: Mon 09:04",
            "anna: 2199-12-31T23:00:00-05:00",
            "6:23: cases[0].then[1].replied anna: Wed 2200-01-01 07:00 is more than 10 years after the case"
            " was created (Fri 2026-11-20 18:50); write a nearer time, or create the case later",
        ),
        (
            "{due: none, met: Mon 09:04, elapsed: 4m}",
            "{at: 2100-01-01 09:00, state: met}",
            "8:28: cases[0].expect.first_response.at: Fri 2100-01-01 09:00 is more than 10 years after the"
            " case was created (Fri 2026-11-20 18:50); write a nearer time, or create the case later",
        ),
        (
            "{due: none, met: Mon 09:04, elapsed: 4m}",
            "late",
            "8:23: cases[0].expect.first_response: 'late' is not one"
            " of none, pending, running, paused, met, cancelled",
        ),
        (
            "first_response:",
            "first_reponse:",
            "8:7: cases[0].expect.first_reponse: 'first_reponse' is not known here;"
            " did you mean 'first_response'?",
        ),
        (
            "due: none",
            "du: none",
            "8:24: cases[0].expect.first_response.du: 'du' is not known here; did you mean 'due'?",
        ),
        (
            "elapsed: 4m",
            "elapsed: 4",
            "8:60: cases[0].expect.first_response.elapsed: '4' is not a duration; write 2h 30m, 90s or 3bd",
        ),
        (
            "elapsed: 4m",
            "breached: maybe",
            "8:61: cases[0].expect.first_response.breached: 'maybe' is not one of yes, no, true, false",
        ),
        (
            "elapsed: 4m",
            "cycle: two",
            "8:58: cases[0].expect.first_response.cycle: 'two' is not a number of cycles; write 2",
        ),
        (
            "      first_response: {due: none, met: Mon 09:04, elapsed: 4m}\n",
            "      {}\n",
            "8:7: cases[0].expect: say what is expected of at least one clock",
        ),
        (
            "    created:",
            "    zone: Moscow\n    created:",
            "3:11: cases[0].zone: there is no time zone 'Moscow'; write one like Europe/Moscow",
        ),
        (
            "    created:",
            "    ticket: {tier: gold}\n    created:",
            "3:20: cases[0].ticket.tier: 'gold' is not one of standard, vip",
        ),
    ],
)
def test_each_fault_of_a_case_is_told_with_its_place(old: str, new: str, fault: str) -> None:
    assert CASE.count(old) == 1
    assert faults(CASE.replace(old, new)) == [fault]


def test_a_case_has_an_end_to_its_steps() -> None:
    then = "[" + ", ".join("customer: +1s" for _ in range(501)) + "]"
    assert faults(expecting("resolution: running", then))[0].endswith(
        "a case has at most 500 steps and ends before 2200"
    )


def test_a_case_ends_before_2200() -> None:
    late = CASE.replace("Fri 18:50", "2199-12-30 18:50").replace("Mon 09:02", "+1h")
    assert faults(late.replace("anna: Mon 09:04", "anna: 2199-12-31T23:00:00-05:00")) == [
        "6:23: cases[0].then[1].replied anna: a case has at most 500 steps and ends before 2200"
    ]


def test_a_case_may_last_ten_years() -> None:
    assert unmet(expecting("resolution: {at: +87840h, state: running}", "[customer: +87840h]")) == []
    [fault] = faults(expecting("resolution: running", "[customer: +87840h, robot: +1s]"))
    assert fault.startswith(
        "2:82: cases[0].then[1].robot: Sun 2036-11-23 09:00:01 is more than 10 years after"
    )


def test_all_faults_of_a_file_are_told_at_once() -> None:
    assert len(faults(CASE.replace("Fri 18:50", "soon") + CASE[7:].replace("Fri", "Fry"))) == 2


def test_the_desks_own_double_facts_are_told_by_one_step() -> None:
    text = expecting(
        "resolution: met",
        "[taken: +1m, waiting: +1m, customer: +1m, escalated: +1m, line l2: +1m, unescalated: +1m,"
        " returned: +1m,"
        " waiting: +1m, customer: +1m, resolved: +1m, reopened: +1m, merged: +1m, closed: +1m]",
    )
    [case] = cases.read(text, POLICY)
    told = [(fact.kind, fact.values.get("to", "")) for fact in case.timeline.facts]
    assert told == [
        ("created", ""),
        ("taken", ""),
        ("status_changed", "in_progress"),
        ("status_changed", "waiting"),
        ("status_changed", "in_progress"),
        ("customer_messages", ""),
        ("escalated", ""),
        ("line_changed", "l2"),
        ("escalation_ended", ""),
        ("returned", ""),
        ("status_changed", "waiting"),
        ("status_changed", "new"),
        ("customer_messages", ""),
        ("status_changed", "resolved"),
        ("resolved", ""),
        ("reopened", ""),
        ("status_changed", "new"),
        ("merged", ""),
        ("status_changed", "closed"),
        ("closed", ""),
    ]
    assert at("2026-11-16 09:13", MOSCOW) == case.timeline.facts[-1].at
