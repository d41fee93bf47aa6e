"""Spans and cycles out of timelines."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Refused
from services.tickets.tests.unit.stories import START, a_queue, a_ticket, an_agent, at
from tickets.domain import escalation, workflow
from tickets.domain.escalation import Step
from tickets.domain.history import Cycle, History, Span, history
from tickets.domain.model import Line, Reason, Ticket
from tickets.domain.statuses import StatusKind

L1, L2 = an_agent("anna"), an_agent("dina", Line.L2, Line.L3)
EVERYWHERE = an_agent("zoe", Line.L1, Line.L2, Line.L3)


def a_story() -> Ticket:
    """Taken, asked about, answered by L2, resolved, closed, reopened and resolved again."""
    ticket = a_ticket()
    workflow.take(ticket, L1, [], at(10))
    workflow.staff_replied(ticket, a_queue(), "anna", at(15))
    workflow.change_status(ticket, "waiting", at(15))
    workflow.customer_wrote(ticket, at(40))
    escalation.escalate(ticket, Step(Reason.BY_AGENT), Line.L3, at(50))
    workflow.take(ticket, L2, [], at(70))
    workflow.resolve(ticket, "dina", at(90))
    workflow.close(ticket, at(100), confirmed=True)
    workflow.reopen(ticket, at(200))
    workflow.resolve(ticket, "dina", at(230))
    return ticket


def test_a_timeline_becomes_spans_one_after_the_other() -> None:
    """CP-12: which line and which status took the time; what lasted no time is left out."""
    found = history(a_story().timeline).spans
    minutes = [
        (int((one.to_time - one.from_time) / timedelta(minutes=1)), one.status, one.line, one.assignee)
        for one in found
    ]
    assert minutes == [
        (10, "new", 1, ""),
        (5, "in_progress", 1, "anna"),
        (25, "waiting", 1, "anna"),
        (10, "in_progress", 1, "anna"),
        (20, "escalated", 2, ""),
        (20, "in_progress", 2, "dina"),
        (10, "resolved", 2, "dina"),
        (100, "closed", 2, "dina"),
        (30, "in_progress", 2, "dina"),
    ]
    assert [one.cycle for one in found] == [1] * 8 + [2]
    assert found[0].from_time == START


def test_a_cycle_tells_who_did_what_when_and_on_which_line() -> None:
    """CP-10, CA-27, CA-28: the first of each moment; the next cycle begins when the ticket is reopened."""
    first, second = history(a_story().timeline, (1, 75, at(150))).cycles
    assert (first.began_time, first.taken_time, first.taken_by, first.taken_line) == (
        START,
        at(10),
        "anna",
        1,
    )
    assert (first.replied_time, first.replied_by, first.replied_line) == (at(15), "anna", 1)
    assert (first.resolved_time, first.resolved_by, first.resolved_line) == (at(90), "dina", 2)
    assert (first.closed_time, first.reopened_time) == (at(100), at(200))
    assert (first.highest_line, first.escalated, first.came_back) == (2, True, True)
    assert (first.score, first.rated_time) == (75, at(150))
    assert (second.cycle, second.began_time, second.resolved_time) == (2, at(200), at(230))
    assert (second.escalated, second.came_back, second.highest_line, second.score) == (False, False, 2, None)


def test_a_letter_that_nobody_asked_for_and_one_of_a_robot_are_no_replies() -> None:
    ticket = a_ticket()
    workflow.robot_replied(ticket, at(1))
    assert history(ticket.timeline).cycles == []
    unasked = [fact for fact in ticket.timeline if type(fact).__name__ != "CustomerMessages"]
    ticket.timeline[:] = unasked
    workflow.staff_replied(ticket, a_queue(), "anna", at(5))
    assert history(ticket.timeline).cycles == []
    workflow.customer_wrote(ticket, at(6))
    workflow.staff_replied(ticket, a_queue(), "anna", at(9))
    assert [one.replied_time for one in history(ticket.timeline).cycles] == [at(9)]


def test_a_timeline_without_its_birth_has_no_history() -> None:
    assert history([]) == History()
    assert history(a_story().timeline[1:]) == History()


ACTIONS: dict[str, Callable[[Ticket, float], object]] = {
    "take": lambda ticket, minute: workflow.take(ticket, EVERYWHERE, [], at(minute)),
    "give back": lambda ticket, minute: workflow.assign(ticket, None, at(minute)),
    "reply": lambda ticket, minute: workflow.replied(ticket, "zoe", at(minute)),
    "wait": lambda ticket, minute: workflow.change_status(ticket, "waiting", at(minute)),
    "write": lambda ticket, minute: workflow.customer_wrote(ticket, at(minute)),
    "hand up": lambda ticket, minute: escalation.escalate(ticket, Step(Reason.BY_AGENT), Line.L3, at(minute)),
    "resolve": lambda ticket, minute: workflow.resolve(ticket, "zoe", at(minute)),
    "close": lambda ticket, minute: workflow.close(ticket, at(minute), confirmed=True),
    "reopen": lambda ticket, minute: workflow.reopen(ticket, at(minute)),
}
LIVES = st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), st.integers(0, 30)), max_size=40)


@given(LIVES)
def test_what_is_noted_change_by_change_is_what_a_rebuild_finds(life: list[tuple[str, int]]) -> None:
    """Rows that were written live, and those that a migration makes, are the same."""
    ticket, minute = a_ticket(), 0
    recorded, spans, cycles = history(ticket.timeline), list[Span](), dict[int, Cycle]()
    for name, minutes in life:
        minute += minutes
        try:
            ACTIONS[name](ticket, minute)
        except Refused:
            continue
        present = history(ticket.timeline)
        news = present.since(recorded)
        spans += news.spans
        cycles |= {each.cycle: each for each in news.cycles}
        recorded = present
    rebuilt = history(ticket.timeline)
    assert spans == list(rebuilt.spans)
    assert cycles == {each.cycle: each for each in rebuilt.cycles}
    for earlier, later in pairwise(rebuilt.spans):
        assert earlier.to_time == later.from_time
    assert all(one.from_time < one.to_time for one in rebuilt.spans)
    assert all(
        (one.status_kind >= StatusKind.RESOLVED) == (one.status in ("resolved", "closed")) for one in spans
    )
