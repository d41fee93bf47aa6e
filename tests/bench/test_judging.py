"""The benches' own judgement: what they count as late, wrong or reached."""

from uuid import UUID

import pytest

from bench.clock import goals, sums
from bench.clock.marks import Stored, disordered, judge, share
from bench.clock.peers import PEERS, versions
from sla_clock.calendar import MICROS, Calendar
from sla_clock.policyfile import load
from tools import performance

A, B = UUID(int=64), UUID(int=128)
"""Two tickets of one shard."""


def stored(ticket: UUID, due: int, at: int) -> Stored:
    return Stored(ticket, due, at, at)


def test_marks_are_judged_by_the_instant_the_stream_stored_them() -> None:
    due = {A: 1_000_000, B: 1_000_000}
    told = judge([stored(A, 1_000_000, 1_002_000), stored(B, 1_000_000, 1_500_000)], due)
    assert (told["p50"], told["max"], told["seconds"]) == (0.5, 0.5, 0.5)
    assert (told["missing"], told["twice"], told["early"], told["disordered"]) == (0, 0, 0, 0)


def test_a_mark_that_is_missing_doubled_or_early_is_counted() -> None:
    due = {A: 1_000_000, B: 1_000_000}
    told = judge([stored(A, 1_000_000, 999_999), stored(A, 1_000_000, 1_000_001)], due)
    assert (told["missing"], told["twice"], told["early"]) == (1, 1, 1)


def test_order_within_a_shard_is_told_to_the_millisecond() -> None:
    assert disordered([stored(A, 5_000, 9_000), stored(B, 4_001, 9_000)]) == 0
    assert disordered([stored(A, 5_000, 9_000), stored(B, 4_000, 9_000)]) == 1
    assert disordered([stored(A, 5_000, 9_000), stored(UUID(int=1), 4_000, 9_000)]) == 0


def test_a_share_of_new_observations_lies_below_a_bound() -> None:
    before = {"0.01": 10.0, "0.1": 10.0, "+Inf": 10.0}
    assert share({"0.01": 108.0, "0.1": 109.0, "+Inf": 110.0}, before, 0.99) == 0.1
    assert share({"0.01": 110.0, "0.1": 110.0, "+Inf": 110.0}, before, 0.99) == 0.01
    assert share(before, before, 0.99) == -1.0


@pytest.fixture
def office() -> Calendar:
    return load(sums.POLICY).calendars["office"]


def test_an_answer_at_the_next_opening_differs_by_convention_and_any_other_does_not(office: Calendar) -> None:
    tuesday = 1_772_517_600 * MICROS  # 2026-03-03 09:00 in Moscow
    closing = office.add(tuesday, 9 * 3600 * MICROS)
    opening = closing + 15 * 3600 * MICROS
    for their, kind in ((closing, "equal"), (opening, "by_convention"), (opening + 1, "otherwise")):
        assert sums.compare(office, [closing], [their / MICROS])[kind] == 1
    inside = closing - MICROS
    assert sums.compare(office, [inside], [opening / MICROS])["otherwise"] == 1


def test_a_goal_that_was_missed_is_said_to_be_with_both_figures() -> None:
    (row,) = goals.rows({"relay": {"median": {"events_per_second": 3_895}}})
    assert row.met is False
    assert row.verdict == "not reached: 3,895 events/s instead of at least 20,000 events/s"


def test_a_peer_that_was_cut_off_proves_no_more_than_the_time_it_was_given() -> None:
    run = {"seconds": 4.0, "marks": 1.0, **dict.fromkeys(goals.FAULTS, 0.0)}
    figures = {
        "ours": {"median": {**run, "worker_us": 50.0}, "runs": [run]},
        "cut_off": {
            "arq": "7 of 100000 jobs in time",
            "huey": "7 of 100000 jobs in time",
            "Celery": "not run",
        },
        "cut_off_after": 30,
    }
    found = {row.what: row for row in goals.rows({"burst": {"sizes": {"100000": figures}}})}
    assert found["100,000 at once against arq"].reached == "more than 7.5 times"
    assert found["100,000 at once against arq"].met is True
    assert found["100,000 at once against Celery"].met is None
    figures["cut_off_after"] = 20
    found = {row.what: row for row in goals.rows({"burst": {"sizes": {"100000": figures}}})}
    assert found["100,000 at once against huey"].met is None


def test_every_peer_is_pinned() -> None:
    told = versions()
    assert {peer.name for peer in PEERS if peer.program != "with_nats.py"} <= set(told)


def test_the_page_is_made_of_whatever_was_measured() -> None:
    assert performance.page().startswith("# Performance\n")
