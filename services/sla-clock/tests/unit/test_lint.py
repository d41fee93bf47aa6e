"""Lint: each doubt with its place and its exact words, against brute force where that is possible."""

from __future__ import annotations

import random
import time
from datetime import date
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sla_clock import lintrows
from sla_clock.domain import Attributes
from sla_clock.lint import Finding, Severity, lint
from sla_clock.policyfile import KNOWN, load

HEAD = """\
name: test
{mode}calendars:
  office: {{zone: UTC, hours: {{mon-fri: 09:00-18:00}}}}
targets:
"""
REST = "  - {name: rest, targets: {first_response: 4h, resolution: 40h}}\n"
TODAY = date(2026, 11, 22)


def told(text: str, mode: str = "") -> list[str]:
    found = lint(HEAD.format(mode=f"mode: {mode}\n" if mode else "") + text, today=TODAY)
    assert {finding.severity for finding in found} <= {Severity.WARNING}
    return [f"{f.line}:{f.column} {f.check} {f.path}: {f.message}" for f in found]


def row(name: str, rest: str) -> str:
    return f"  - {{name: {name}, {rest}, targets: {{first_response: 1h, resolution: 8h}}}}\n"


def test_a_good_policy_leaves_no_doubt() -> None:
    assert told(row("high", "priority: high") + REST) == []


def test_what_keeps_a_policy_from_being_read_is_an_error() -> None:
    found = lint("name: Test\ncalendars: {o: {zone: UTC, hours: alway}}\ntargets: []\n")
    assert found[0] == Finding(
        1,
        7,
        Severity.ERROR,
        "POLICY_INVALID",
        "name",
        "'Test' is not a name; use small letters, digits and _, at most 40",
    )
    assert [finding.severity for finding in found] == [Severity.ERROR] * 3


def test_a_row_below_one_that_takes_all_of_its_tickets_never_wins() -> None:
    assert told(
        row("high", "priority: [high, critical]") + row("vip", "tier: vip, priority: high") + REST
    ) == [
        "6:12 ROW_NEVER_WINS targets[1].name: this row never holds: every ticket that it fits is caught above"
        " it by high; move it up, or take it out"
    ]


def test_rows_that_take_all_tickets_together_are_named_together() -> None:
    rows = "".join(row(name, f"priority: {name}") for name in ("low", "normal", "high", "critical"))
    assert told(rows + row("vip", "tier: vip")) == [
        "9:12 ROW_NEVER_WINS targets[4].name: this row never holds: every ticket that it fits is caught above"
        " it by low, normal, high and 1 more; move it up, or take it out"
    ]


def test_a_single_target_that_never_holds_is_named_alone() -> None:
    chat = "  - {name: chat, channel: chat, targets: {first_response: 5m}}\n"
    both = "  - {name: vip, channel: chat, targets: {first_response: 3m, resolution: 8h}}\n"
    assert told(chat + both + REST) == [
        "6:58 TARGET_NEVER_HOLDS targets[1].targets.first_response: this target never holds: every"
        " ticket that"
        " it fits is caught above it by chat; move it up, or take it out"
    ]


def test_a_target_that_is_never_the_strictest_is_found() -> None:
    rows = row("vip", "tier: vip") + row("standard", "tier: standard")
    assert told(rows + REST, "strictest") == [
        "8:12 ROW_NEVER_WINS targets[2].name: this row never holds: every ticket that it fits has a target at"
        " least as strict from vip, standard"
    ]


def test_rows_of_tags_robots_and_conditions_are_understood() -> None:
    rows = (
        row("legal", "tags: [legal, court]")
        + row("court", "tags: court")
        + row("robots", "robot: true")
        + row("gold", "when: \"fields['contract'] == 'gold'\"")
        + row("gold_vip", "when: \"fields['contract'] == 'gold'\", tier: vip")
    )
    found = told(rows + REST)
    assert [line.split(" targets[")[0] for line in found] == ["6:12 ROW_NEVER_WINS", "9:12 ROW_NEVER_WINS"]
    assert [line.split("by ")[-1].split(";")[0] for line in found] == ["legal", "gold"]


def test_a_subcategory_is_taken_by_its_category() -> None:
    rows = row("refund", "category: payment/refund") + row("payment", "category: payment")
    assert told(rows + REST) == []
    rows = row("payment", "category: payment") + row("refund", "category: payment/refund")
    assert "ROW_NEVER_WINS targets[1].name" in told(rows + REST)[0]


def test_a_condition_that_no_ticket_fulfils_is_found() -> None:
    rows = row("typo", "priority: high, when: \"priority == 'low' || ticket_type == 'problem'\"")
    assert told(rows + REST) == ["5:40 CONDITION_NEVER_TRUE targets[0].when: the condition is never true"]
    assert told(row("never", 'when: "1 == 2"') + REST) == [
        "5:25 CONDITION_NEVER_TRUE targets[0].when: the condition is never true"
    ]


def test_a_condition_that_says_nothing_is_found() -> None:
    rows = row("high", "priority: high, when: \"priority != 'low' && (robot || !robot)\"")
    assert told(rows + REST) == [
        "5:40 CONDITION_ALWAYS_TRUE targets[0].when: the condition is true for every ticket that the"
        " row fits:"
        " leave it out"
    ]


def test_a_condition_over_open_values_is_left_alone() -> None:
    assert told(row("acme", "when: \"customer == 'acme' && queue != ''\"") + REST) == []


def test_tickets_that_no_row_catches_are_told_by_the_smallest_example() -> None:
    rows = row("high", "priority: [high, critical]") + row("vip", "tier: vip")
    assert told(rows) == [
        "4:1 TICKETS_UNCAUGHT targets: no row catches tickets with priority low or normal and with tier"
        " standard; add a row, with targets: none if such tickets have no clocks"
    ]


def test_tickets_of_a_queue_that_no_row_names_are_uncaught() -> None:
    assert told(row("sup", "queue: [SUP, OPS]") + row("mail", "queue: X, robot: false")) == [
        "4:1 TICKETS_UNCAUGHT targets: no row catches tickets with a queue that no row names; add a row, with"
        " targets: none if such tickets have no clocks"
    ]


def test_tags_types_and_robots_are_told_in_words() -> None:
    assert told(row("legal", "tags: legal") + row("typed", f"type: [{', '.join(KNOWN['type'])}]")) == [
        "4:1 TICKETS_UNCAUGHT targets: no row catches tickets with type none and without the tag"
        " legal; add a row,"
        " with targets: none if such tickets have no clocks"
    ]
    assert told(row("people", "robot: false")) == [
        "4:1 TICKETS_UNCAUGHT targets: no row catches tickets opened by a robot; add a row, with"
        " targets: none"
        " if such tickets have no clocks"
    ]


def test_a_row_without_clocks_catches_its_tickets() -> None:
    nothing = "  - {name: robots, robot: true, targets: none}\n"
    assert told(nothing + row("people", "robot: false")) == []


def test_tickets_with_some_clocks_and_no_resolution_are_told() -> None:
    rows = "  - {name: all, targets: {first_response: 1h}}\n" + row("high", "priority: high")
    assert told(rows)[0] == (
        "4:1 CLOCK_UNCAUGHT targets: no row gives resolution to tickets with priority low or normal"
        " or critical;"
        " add a row, with resolution: none if that is meant"
    )


def test_conditions_that_catch_everything_between_them_leave_no_doubt() -> None:
    rows = row("high", "when: \"priority == 'high'\"") + row("others", "when: \"priority != 'high'\"")
    assert told(rows) == []


def marks(*lines: str) -> list[str]:
    """Doubts about a clock of one hour with these marks."""
    text = "".join(f"  - {line}\n" for line in lines)
    body = "  - {name: all, targets: {first_response: 1h}}\nmarks:\n" + text
    return told(body)


BREACH = "{at: 100%, action: breach}"


def test_a_mark_before_the_start_is_never_reached() -> None:
    assert marks("{before: 2h, action: remind}", BREACH) == [
        "5:43 MARK_NEVER_REACHED targets[0].targets.first_response: the mark '-2h' of first_response"
        " would stand"
        " before its start: the target here is 1h"
    ]


def test_a_reminder_after_the_target_is_too_late() -> None:
    assert marks("{at: 1h, action: remind}", BREACH) == [
        "5:43 REMINDER_TOO_LATE targets[0].targets.first_response: the mark '1h' of first_response"
        " reminds at 1h,"
        " when the target of 1h is over"
    ]


def test_a_breach_stands_at_the_target() -> None:
    assert marks("{at: 90%, action: breach}") == [
        "5:43 BREACH_BESIDE_TARGET targets[0].targets.first_response: the mark '90%' of"
        " first_response tells the"
        " breach at 54m, the target here is 1h"
    ]


def test_an_overrun_stands_behind_the_target() -> None:
    assert marks("{at: 60m, action: overrun, tell: line_lead}", BREACH) == [
        "5:43 OVERRUN_TOO_EARLY targets[0].targets.first_response: the mark '60m' of first_response tells an"
        " overrun at 1h, the target here is 1h"
    ]


def test_a_clock_without_a_breach_is_doubted() -> None:
    assert marks("{at: 70%, action: remind}") == [
        "5:43 BREACH_UNTOLD targets[0].targets.first_response: nobody is told when first_response is"
        " missed: add"
        " a mark {at: 100%, action: breach}"
    ]


def test_a_mark_for_those_on_duty_needs_a_roster() -> None:
    assert marks("{at: 70%, action: remind, tell: duty}", BREACH) == [
        "5:43 DUTY_WITHOUT_ROSTER targets[0].targets.first_response: the mark '70%' of first_response is for"
        " those on duty, but calendar office has no duty roster"
    ]


PARTS = """\
name: test
calendar: office
calendars:
  office:
    zone: UTC
    hours: {mon-fri: 09:00-18:00}
    duty: [{who: [anna, boris], days: 2026-12-05}]
  spare: {zone: UTC, hours: always}
ladders:
  unused: [{at: 100%, action: breach}]
clocks:
  idle: {start: created, stop: closed}
targets:
  - {name: all, targets: {first_response: 1h, resolution: 2h}}
"""


def test_what_nothing_uses_and_duty_on_closed_days_are_told() -> None:
    found = [f"{f.line}:{f.column} {f.check} {f.path}: {f.message}" for f in lint(PARTS)]
    assert found == [
        "7:12 DUTY_WHEN_CLOSED calendars.office.duty[0]: anna and boris on duty on 2026-12-05, when"
        " nothing is"
        " worked and nothing falls due; give the day hours under days",
        "8:3 CALENDAR_UNUSED calendars.spare: no row counts by calendar spare",
        "10:3 LADDER_UNUSED ladders.unused: no clock and no row has ladder unused",
        "12:3 CLOCK_WITHOUT_TARGET clocks.idle: no row gives idle a target, so it never runs",
    ]


@pytest.mark.parametrize(
    ("today", "country", "texts"),
    [
        (date(2026, 11, 22), "RU", []),
        (
            date(2027, 11, 22),
            "RU",
            ["of the public holidays of RU, no moved days of 2028 are known yet"],
        ),
        (
            date(2099, 11, 22),
            "US",
            [],
        ),
        (
            date(2100, 11, 22),
            "US",
            ["of the public holidays of US, none are known for 2101"],
        ),
        (
            date(2026, 11, 22),
            "UZ",
            [
                "of the public holidays of UZ, some of 2027 are estimates: Eid al-Fitr (estimated)"
                " on 2027-03-09,"
                " Eid al-Adha (estimated) on 2027-05-16, Eid al-Adha (observed, estimated) on 2027-05-17",
                "of the public holidays of UZ, no moved days of 2027 are known yet",
            ],
        ),
    ],
)
def test_holidays_that_may_still_change_are_told(today: date, country: str, texts: list[str]) -> None:
    text = HEAD.format(mode="").replace("{zone", "{holidays: " + country + ", zone") + REST
    found = [f for f in lint(text, today=today) if f.check == "HOLIDAYS_UNSURE"]
    assert sorted(f.message for f in found) == sorted(texts)
    assert {f.path for f in found} <= {"calendars.office.holidays"}


def test_who_wrote_the_days_of_a_year_by_hand_has_looked_at_its_holidays() -> None:
    text = HEAD.format(mode="").replace("{zone", "{holidays: RU, days: {2028-01-10: closed}, zone") + REST
    assert lint(text, today=date(2027, 11, 22)) == []


def test_a_year_without_work_is_told() -> None:
    text = HEAD.format(mode="").replace("{zone", "{days: {2027-01-01..2027-12-31: closed}, zone") + REST
    found = lint(text, today=date(2027, 1, 1))
    assert [(f.check, f.path, f.message) for f in found] == [
        ("CALENDAR_EMPTY", "calendars.office", "nothing is worked in the year from 2027-01-01 on")
    ]


def test_a_line_may_say_that_it_is_meant_so() -> None:
    rows = (
        row("all", "robot: false")
        + REST
        + row("late", "tier: vip").rstrip()
        + "  # lint: ok ROW_NEVER_WINS\n"
    )
    assert told(rows) == []


def test_rows_that_overlap_beyond_reckoning_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lintrows, "MOST_EACH", 3)
    assert told(row("a", "priority: high") + row("b", "tier: vip") + row("c", "queue: X") + REST) == [
        "4:1 ROWS_UNDECIDED targets: rows overlap in too many ways to tell whether these ever win: c, rest"
    ]


def a_large_policy(rows: int) -> str:
    chance = random.Random(7)
    text = HEAD.format(mode="mode: strictest\n")
    for number in range(rows):
        parts = [f"queue: [Q{chance.randrange(40)}, Q{chance.randrange(40)}]"]
        parts += [f"priority: {chance.choice(KNOWN['priority'])}"] * chance.randrange(2)
        parts += [f"when: \"customer == 'c{chance.randrange(50)}'\""] * (chance.random() < 0.2)
        parts += [f"tags: t{chance.randrange(9)}"] * (chance.random() < 0.2)
        targets = f"first_response: {chance.randrange(1, 300)}m, resolution: {chance.randrange(5, 99)}h"
        text += f"  - {{name: r{number}, {', '.join(parts)}, targets: {{{targets}}}}}\n"
    return text + REST


def test_five_hundred_rows_are_checked_within_bounds() -> None:
    began = time.process_time()
    found = lint(a_large_policy(500))
    # Some two seconds; the bound is there to catch a check without end, not to measure.
    assert time.process_time() - began < 60
    assert "ROWS_UNDECIDED" not in {finding.check for finding in found}


CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.lists(st.sampled_from(KNOWN["priority"]), min_size=1, max_size=3, unique=True),
        "tier": st.lists(st.sampled_from(KNOWN["tier"]), min_size=1, max_size=1),
        "queue": st.lists(st.sampled_from(["A", "B"]), min_size=1, max_size=2, unique=True),
        "tags": st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=2, unique=True),
        "robot": st.booleans(),
    },
)
MATRICES = st.lists(st.tuples(CONDITIONS, st.integers(1, 4), st.booleans()), min_size=1, max_size=7)


def as_text(matrix: list[tuple[dict[str, object], int, bool]], mode: str) -> str:
    text = HEAD.format(mode=f"mode: {mode}\n")
    for number, (conditions, hours, none) in enumerate(matrix):
        parts = [
            f"{key}: {str(value).lower() if value in (True, False) else value}"
            for key, value in conditions.items()
        ]
        targets = "none" if none else f"{{resolution: {hours}h}}"
        text += f"  - {{{', '.join([f'name: r{number}', *parts, f'targets: {targets}'])}}}\n"
    return text


TICKETS = [
    Attributes(priority=priority, tier=tier, queue=queue, tags=tags, from_robot=robot)
    for priority, tier, queue, tags, robot in product(
        KNOWN["priority"], KNOWN["tier"], ("A", "B", "C"), ((), ("x",), ("x", "y"), ("y",)), (False, True)
    )
]


@settings(max_examples=25, deadline=None)
@given(MATRICES, st.sampled_from(["first", "strictest"]))
def test_brute_force_agrees_on_rows_that_never_win_and_tickets_that_none_catches(
    matrix: list[tuple[dict[str, object], int, bool]], mode: str
) -> None:
    text = as_text(matrix, mode)
    policy = load(text)
    chosen = [policy._chosen("resolution", policy._fitting(ticket)) for ticket in TICKETS]
    winners = {row.name for row in chosen if row}
    found = lint(text)
    losers = {f"r{f.path[8:].partition(']')[0]}" for f in found if f.check == "ROW_NEVER_WINS"}
    assert losers == {row.name for row in policy.rows} - winners
    caught = all(any(row.fits(ticket) for row in policy.rows) for ticket in TICKETS)
    assert ("TICKETS_UNCAUGHT" in {f.check for f in found}) is not caught
