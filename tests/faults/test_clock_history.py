"""The judge of histories sees each fault that it is there to see."""

from dataclasses import replace

import pytest

from sla_clock.policyfile import load
from tests.faults.clockwork import POLICY
from tests.faults.history import Effect, Verdict, expected, judge
from tests.faults.story import Story, after

STORY = Story(after(-60))
WANTED = expected(STORY.ticket(), load(POLICY))
TOLD = [
    Effect(*key, due=at, reached=at + 5, lateness=5, seen=at + 9)
    for key, at in WANTED.items()
    if key[3] not in ("25%", "75%")
]
TOLD[-2] = replace(TOLD[-2], folded=("25%", "75%"))


def faults(*effects: Effect) -> list[str]:
    verdict = judge(WANTED, effects)
    return [name for name in Verdict.__slots__ if getattr(verdict, name)]


def test_a_history_without_faults_is_clean() -> None:
    assert [key[3] for key in WANTED] == ["25%", "50%", "75%", "100%", "150%"]
    assert judge(WANTED, TOLD).clean


@pytest.mark.parametrize(
    ("fault", "effects"),
    [
        ("missing", TOLD[:-1]),
        ("missing", [*TOLD[:-2], replace(TOLD[-2], folded=("25%",)), TOLD[-1]]),
        ("doubled", [*TOLD, TOLD[0]]),
        ("doubled", [*TOLD, replace(TOLD[0], mark="25%", due=WANTED[STORY.id, "resolution", 1, "25%"])]),
        ("early", [*TOLD[:-1], replace(TOLD[-1], seen=TOLD[-1].due - 1)]),
        ("unexpected", [*TOLD, replace(TOLD[0], cycle=2)]),
        ("untrue", [*TOLD[:-1], replace(TOLD[-1], lateness=0)]),
        ("untrue", [*TOLD[:-1], replace(TOLD[-1], due=TOLD[-1].due + 1)]),
    ],
)
def test_each_fault_is_seen(fault: str, effects: list[Effect]) -> None:
    assert fault in faults(*effects)
    assert not judge(WANTED, effects).clean
