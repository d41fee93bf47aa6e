"""What a change of policy would do to a live ticket."""

from __future__ import annotations

from sla_clock.domain import Timeline
from sla_clock.plan import Change, compare
from sla_clock.policy import clocks
from sla_clock.policyfile import load
from sla_clock.standing import Standings, fire, restand

from .stories import REPLY, created, status, story
from .times import at

TEXT = """\
name: desk
calendars:
  always: {zone: UTC, hours: always}
targets:
  - name: all
    targets: {first_response: 1h, resolution: 10h}
"""
NEW = story(("2026-11-20 10:00", created()))
NOW = "2026-11-20 10:48"


def remembered(life: Timeline, now: str) -> Standings:
    """What the live clock knows of the ticket by then, all that was due told."""
    return fire(restand(clocks(life, load(TEXT)), (), at(now)), at(now))[1]


def planned(text: str, life: Timeline = NEW, now: str = NOW) -> list[Change]:
    before, after = clocks(life, load(TEXT)), clocks(life, load(text))
    return compare(before, after, remembered(life, now), at(now))


def brief(changes: list[Change]) -> list[tuple[str, str, bool, tuple[str, ...]]]:
    told = []
    for one in changes:
        clock = one.after or one.before
        assert clock is not None
        told.append((one.kind.value, clock.name, one.breaches, one.fires))
    return told


def test_the_same_policy_changes_nothing() -> None:
    assert planned(TEXT) == []
    assert planned(TEXT.replace("name: desk", "name: other")) == []


def test_a_shorter_target_is_earlier_and_says_what_it_misses_and_tells_at_once() -> None:
    """By 10:48 of an hour 70 and 80 % were told; of half an hour 150 % is still ahead, at 10:45 it is not."""
    assert brief(planned(TEXT.replace("first_response: 1h", "first_response: 50m"))) == [
        ("earlier", "first_response", False, ("90%",))
    ]
    assert brief(planned(TEXT.replace("first_response: 1h", "first_response: 30m"))) == [
        ("earlier", "first_response", True, ("100%", "150%"))
    ]


def test_a_longer_target_is_later() -> None:
    assert brief(planned(TEXT.replace("resolution: 10h", "resolution: 12h"))) == [
        ("later", "resolution", False, ())
    ]


def test_clocks_come_and_go() -> None:
    other = TEXT.replace("resolution: 10h", "pickup: 10m")
    assert brief(planned(other)) == [
        ("dropped", "resolution", False, ()),
        ("added", "pickup", True, ("80%", "100%", "150%")),
    ]


def test_other_marks_and_another_row_are_other_terms() -> None:
    assert brief(planned(TEXT.replace("name: all", "name: everybody"))) == [
        ("terms", "first_response", False, ()),
        ("terms", "resolution", False, ()),
    ]
    marks = (
        TEXT
        + "marks:\n  - {at: 100%, action: breach}\n  - {at: 75%, action: remind, clocks: [first_response]}\n"
    )
    assert ("terms", "first_response", False, ("75%",)) in brief(planned(marks))


def test_a_paused_clock_is_compared_by_what_is_left() -> None:
    waiting = story(("2026-11-20 10:00", created()), ("2026-11-20 10:30", status("waiting")))
    assert brief(planned(TEXT.replace("resolution: 10h", "resolution: 8h"), waiting)) == [
        ("earlier", "resolution", False, ())
    ]


def test_a_finished_clock_is_told_only_when_its_verdict_turns() -> None:
    answered = story(("2026-11-20 10:00", created()), ("2026-11-20 10:40", REPLY))
    assert planned(TEXT.replace("first_response: 1h", "first_response: 2h"), answered) == []
    turned = planned(TEXT.replace("first_response: 1h", "first_response: 30m"), answered)
    assert [(one[0], one[1], one[2]) for one in brief(turned)] == [("earlier", "first_response", True)]
