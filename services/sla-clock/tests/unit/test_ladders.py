"""Rows with robots, without clocks and with ladders of their own, as a policy file says them."""

from __future__ import annotations

import pytest

from sla_clock.domain import Action, Attributes, MarkRule
from sla_clock.durations import said
from sla_clock.policy import Policy, default_marks
from sla_clock.policyfile import load

from .policies import SMALL
from .times import HOUR, MINUTE

HEAD = SMALL[: SMALL.index("targets:")]
LADDERS = """\
ladders:
  standard:
    - {at: 50%, action: remind, tell: assignee}
    - {at: 100%, action: breach, tell: [line_lead, duty]}
  steep:
    - {name: soon, before: 10m, action: remind, tell: line}
    - {at: 100%, action: breach}
    - {after: 1h, action: overrun, tell: management}
"""


def a_policy(text: str) -> Policy:
    return load(HEAD + LADDERS + text)


def told(policy: Policy, clock: str, **attributes: str) -> list[str]:
    terms = policy.terms(clock, Attributes(**attributes))  # type: ignore[arg-type]
    assert terms is not None
    return [f"{mark.name} {mark.action} {','.join(mark.tell)}".strip() for mark in terms.marks]


TARGETS = "targets: [{name: all, targets: {first_response: 1h, resolution: 2h}}]\n"


def test_a_mark_names_whom_it_is_for() -> None:
    """CA-16, CA-20, YT-29: others are told of the breach than of the warning."""
    policy = a_policy("ladder: standard\n" + TARGETS)
    marks = policy.marks["first_response"]
    assert marks == (
        MarkRule("50%", Action.REMIND, 500_000, tell=("assignee",)),
        MarkRule("100%", Action.BREACH, 1_000_000, tell=("line_lead", "duty")),
    )


def test_a_ladder_takes_the_place_of_the_default_marks() -> None:
    policy = a_policy("clocks: {resolution: {ladder: steep}}\n" + TARGETS)
    assert told(policy, "resolution") == ["soon remind line", "100% breach", "+1h overrun management"]
    assert policy.marks["first_response"] == default_marks("first_response")


def test_a_clocks_ladder_stands_before_the_policys() -> None:
    policy = a_policy("ladder: standard\nclocks: {resolution: {ladder: steep}}\n" + TARGETS)
    assert told(policy, "first_response") == ["50% remind assignee", "100% breach line_lead,duty"]
    assert told(policy, "resolution")[0] == "soon remind line"


def test_marks_are_added_to_a_ladder() -> None:
    policy = a_policy("ladder: standard\nmarks: [{at: 90%, action: remind, clocks: resolution}]\n" + TARGETS)
    assert told(policy, "resolution") == ["90% remind", "50% remind assignee", "100% breach line_lead,duty"]
    assert told(policy, "first_response") == ["50% remind assignee", "100% breach line_lead,duty"]


def test_a_row_may_choose_its_own_ladder() -> None:
    """YT-24: each filter of a rule has its own time and its own warning."""
    policy = a_policy(
        "ladder: standard\ntargets:\n"
        "  - {name: vip, tier: vip, targets: {first_response: 1h, resolution: 2h}, ladder: steep}\n"
        "  - {name: chat, channel: chat, targets: {first_response: 1h, resolution: 2h},"
        " ladder: {resolution: [{at: 30m, action: remind, tell: duty}]}}\n"
        "  - {name: all, targets: {first_response: 1h}}\n"
    )
    assert told(policy, "first_response", tier="vip")[0] == "soon remind line"
    assert told(policy, "resolution", channel="chat") == ["30m remind duty"]
    assert told(policy, "first_response", channel="chat")[0] == "50% remind assignee"
    assert told(policy, "first_response")[0] == "50% remind assignee"


def test_a_row_without_a_ladder_in_a_file_with_one_has_the_default_marks() -> None:
    policy = a_policy(
        "targets:\n  - {name: vip, tier: vip, targets: {resolution: 2h}, ladder: steep}\n"
        "  - {name: all, targets: {resolution: 2h}}\n"
    )
    assert [mark.name for mark in policy.marks["resolution"]] == ["70%", "90%", "100%", "150%"]


MATRIX = """\
mode: {mode}
targets:
  - {{name: robots, robot: true, targets: none}}
  - {{name: pilot, queue: [PILOT, NEW], targets: {{first_response: 30m, resolution: 4h}}}}
  - {{name: wishes, type: wish, targets: {{first_response: 2h, resolution: none}}}}
  - {{name: all, robot: false, targets: {{first_response: 1h, resolution: 8h}}}}
"""


@pytest.mark.parametrize("mode", ["first", "strictest"])
def test_tickets_of_robots_have_no_clock(mode: str) -> None:
    policy = a_policy(MATRIX.format(mode=mode))
    assert policy.terms("resolution", Attributes(from_robot=True)) is None
    assert policy.terms("resolution", Attributes(from_robot=True, queue="PILOT")) is None
    assert policy.terms("resolution", Attributes()) is not None


@pytest.mark.parametrize("mode", ["first", "strictest"])
def test_one_clock_may_be_taken_away_from_some_tickets(mode: str) -> None:
    """MP-14: a wish is answered and has no deadline."""
    policy = a_policy(MATRIX.format(mode=mode))
    wish = Attributes(type="wish")
    answer = policy.terms("first_response", wish)
    assert answer is not None
    assert said(answer.target) == ("2h" if mode == "first" else "1h")
    assert policy.terms("resolution", wish) is None


def test_a_pilot_on_a_part_of_the_team_has_promises_of_its_own() -> None:
    """CA-30: what is tried on one queue leaves the others as they are."""
    policy = a_policy(MATRIX.format(mode="first"))
    targets = [policy.terms("first_response", Attributes(queue=queue)) for queue in ("PILOT", "NEW", "SUP")]
    assert [one.target // MINUTE for one in targets if one] == [30, 30, 60]


def test_a_condition_may_ask_whether_a_robot_opened_the_ticket() -> None:
    policy = a_policy(
        "targets:\n  - {name: all, when: \"!robot || priority == 'critical'\", targets: {resolution: 1h}}\n"
    )
    assert policy.terms("resolution", Attributes()) is not None
    assert policy.terms("resolution", Attributes(from_robot=True)) is None
    assert policy.terms("resolution", Attributes(from_robot=True, priority="critical")) is not None


def test_a_robot_that_opened_a_ticket_is_no_persons_row() -> None:
    policy = a_policy(MATRIX.format(mode="first"))
    assert [row.robot for row in policy.rows] == [True, None, None, False]


def reasons(mode: str, clock: str, **attributes: str) -> list[tuple[str, int | None, bool, str]]:
    policy = a_policy(MATRIX.format(mode=mode))
    found = policy.verdicts(clock, Attributes(**attributes))  # type: ignore[arg-type]
    return [(v.row, None if v.target is None else v.target // HOUR, v.won, v.reason) for v in found]


def test_every_row_says_why_it_won_or_lost() -> None:
    assert reasons("first", "resolution", queue="PILOT", type="question") == [
        ("robots", None, False, "the ticket was not opened by a robot"),
        ("pilot", 4, True, "the first row that fits"),
        ("wishes", None, False, "type is question, not wish"),
        ("all", 8, False, "fits, but pilot stands above it"),
    ]
    assert reasons("strictest", "resolution", queue="PILOT", type="wish") == [
        ("robots", None, False, "the ticket was not opened by a robot"),
        ("pilot", 4, False, "fits, but wishes is stricter"),
        ("wishes", None, True, "fits, and such tickets have no resolution"),
        ("all", 8, False, "fits, but wishes is stricter"),
    ]
    assert reasons("strictest", "resolution")[1:] == [
        ("pilot", 4, False, "queue is empty, not NEW or PILOT"),
        ("wishes", None, False, "type is empty, not wish"),
        ("all", 8, True, "the shortest target that fits"),
    ]
    assert reasons("first", "pickup")[3] == ("all", None, False, "fits, but says nothing of pickup")


def test_tags_robots_and_conditions_say_why_they_do_not_fit() -> None:
    policy = a_policy(
        "targets:\n"
        "  - {name: tagged, tags: [legal, court], targets: {resolution: 1h}}\n"
        "  - {name: condition, when: \"priority == 'high'\", targets: {resolution: 1h}}\n"
        "  - {name: people, robot: false, targets: {resolution: 1h}}\n"
    )
    found = policy.verdicts("resolution", Attributes(from_robot=True))
    assert [verdict.reason for verdict in found] == [
        "the ticket has none of the tags court, legal",
        "the condition is false",
        "the ticket was opened by a robot",
    ]


def test_two_rows_of_one_target_are_won_by_the_upper_one() -> None:
    policy = a_policy(
        "mode: strictest\ntargets:\n  - {name: a, targets: {resolution: 1h}}\n  - {name: b, targets:"
        " {resolution: 1h}}\n"
    )
    found = list(policy.verdicts("resolution", Attributes()))
    assert [(v.won, v.reason) for v in found] == [
        (True, "the shortest target that fits"),
        (False, "fits, but a stands above it"),
    ]
