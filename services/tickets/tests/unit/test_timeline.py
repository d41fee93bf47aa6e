"""Facts stay ordered, folded and bounded."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.tickets.tests.unit.stories import START, a_fact, a_ticket, at
from tickets.domain import timeline
from tickets.domain.timeline import (
    CAPACITY,
    Created,
    CustomerMessages,
    Fact,
    Reopened,
    RobotReplies,
    StaffReplies,
    StatusChanged,
    Taken,
    record,
    record_message,
)
from tickets.store.body import from_body, to_body

BIRTH = Created(START, 2, 1, "new", 1)


def test_messages_of_one_side_are_one_fact() -> None:
    facts: list[Fact] = [BIRTH]
    for minute in (1, 2, 3):
        record_message(facts, CustomerMessages, at(minute))
    record_message(facts, StaffReplies, at(4), "anna")
    record_message(facts, StaffReplies, at(5), "boris")
    record_message(facts, CustomerMessages, at(6))
    assert facts[1:] == [
        CustomerMessages(at(1), at(3), 3, ""),
        StaffReplies(at(4), at(5), 2, "anna"),
        CustomerMessages(at(6), at(6), 1, ""),
    ]


def test_a_robot_is_no_person() -> None:
    """A robot's auto-reply never stops a response clock (CA-35)."""
    facts: list[Fact] = [BIRTH]
    record_message(facts, RobotReplies, at(1))
    assert timeline.latest(facts, StaffReplies) is None


def test_a_late_fact_moves_to_the_end_of_the_last_one() -> None:
    facts: list[Fact] = [BIRTH]
    record_message(facts, CustomerMessages, at(5))
    record_message(facts, CustomerMessages, at(7))
    record(facts, Taken(at(6), "anna"))
    record_message(facts, CustomerMessages, at(1))
    assert facts[2:] == [Taken(at(7), "anna"), CustomerMessages(at(7), at(7), 1, "")]


def test_the_present_cycle_begins_with_the_last_reopening() -> None:
    facts: list[Fact] = [BIRTH, Reopened(at(1), 2), Taken(at(2), "anna"), Reopened(at(3), 3)]
    assert timeline.cycle_start(facts) == 3
    assert timeline.cycle_start([BIRTH]) == 0


def test_a_thousand_flips_stay_within_the_capacity_and_keep_what_clocks_met() -> None:
    facts: list[Fact] = [BIRTH, Taken(at(1), "anna"), StaffReplies(at(2), at(2), 1, "anna")]
    for minute in range(3, 3 * CAPACITY):
        flip = ("waiting", "in_progress", 3, 2) if minute % 2 else ("in_progress", "waiting", 2, 3)
        record(facts, StatusChanged(at(minute), *flip))
        record_message(facts, CustomerMessages, at(minute))
        assert len(facts) <= CAPACITY
    assert facts[:3] == [BIRTH, Taken(at(1), "anna"), StaffReplies(at(2), at(2), 1, "anna")]
    assert len(facts) > CAPACITY // 2
    assert isinstance(facts[-1], CustomerMessages)


SIDES = st.sampled_from([CustomerMessages, StaffReplies, RobotReplies])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(SIDES | st.none(), st.integers(0, 600)), max_size=60))
def test_whatever_arrives_in_whatever_order_time_never_runs_back(arrivals: list[tuple[object, int]]) -> None:
    facts: list[Fact] = [BIRTH]
    for side, second in arrivals:
        moment = START + timedelta(seconds=second)
        if side is None:
            record(facts, Taken(moment, "anna"))
        else:
            record_message(facts, side, moment)  # type: ignore[arg-type]
    assert all(before.end <= after.time <= after.end for before, after in zip(facts, facts[1:], strict=False))
    assert all(
        type(before) is not type(after) or isinstance(before, Taken)
        for before, after in zip(facts, facts[1:], strict=False)
    )
    runs = [fact for fact in facts if isinstance(fact, timeline.MessageRun)]
    assert sum(run.count for run in runs) == sum(side is not None for side, _ in arrivals)


@pytest.mark.parametrize("kind", timeline.NAMES)
def test_every_kind_of_fact_survives_the_database(kind: type[Fact]) -> None:
    ticket = a_ticket()
    ticket.timeline = [a_fact(kind)]
    assert from_body(to_body(ticket))["timeline"] == ticket.timeline
