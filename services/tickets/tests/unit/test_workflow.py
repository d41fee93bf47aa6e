"""Every transition, allowed and refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chassis.errors import InvalidInput, Refused
from services.tickets.tests.unit.stories import START, a_queue, a_ticket, an_agent, at, in_status
from tickets.domain import escalation, timeline, workflow
from tickets.domain.escalation import Step
from tickets.domain.model import Line, Priority, Reason, Ticket
from tickets.domain.statuses import LINES, Mover

ANNA, BORIS = an_agent("anna"), an_agent("boris")
STATUSES = [each.key for each in LINES.statuses]


def last_fact(ticket: Ticket) -> timeline.Fact:
    return ticket.timeline[-1]


VERBS: dict[str, Callable[[Ticket], object]] = {
    "take": lambda ticket: workflow.take(ticket, an_agent("boris", *Line), [], at(9)),
    "give back": lambda ticket: workflow.assign(ticket, None, at(9)),
    "wait": lambda ticket: workflow.change_status(ticket, "waiting", at(9)),
    "go on": lambda ticket: workflow.change_status(ticket, "in_progress", at(9)),
    "escalate": lambda ticket: escalation.escalate(ticket, Step(Reason.SECURITY), Line.L3, at(9)),
    "resolve": lambda ticket: workflow.resolve(ticket, "boris", at(9)),
    "close": lambda ticket: workflow.close(ticket, at(9), confirmed=False),
    "reopen": lambda ticket: workflow.reopen(ticket, at(9)),
    "reply": lambda ticket: workflow.staff_replied(ticket, a_queue(), "boris", at(9)),
    "prioritize": lambda ticket: workflow.prioritize(ticket, Priority.HIGH, at(9)),
}

TABLE = {
    # verb: what each status becomes, or the reason of the refusal
    "take": (
        "in_progress",
        "ALREADY_TAKEN",
        "ALREADY_TAKEN",
        "in_progress",
        "TICKET_CLOSED",
        "TICKET_CLOSED",
    ),
    "give back": ("new", "new", "waiting", "escalated", "TICKET_CLOSED", "TICKET_CLOSED"),
    "wait": ("waiting", "waiting", *["TRANSITION_NOT_ALLOWED"] * 4),
    "go on": (*["TRANSITION_NOT_ALLOWED"] * 2, "in_progress", *["TRANSITION_NOT_ALLOWED"] * 3),
    "escalate": ("escalated", "escalated", "escalated", "escalated", "TICKET_CLOSED", "TICKET_CLOSED"),
    "resolve": (*["resolved"] * 4, *["TRANSITION_NOT_ALLOWED"] * 2),
    "close": (*["TRANSITION_NOT_ALLOWED"] * 4, "closed", "TRANSITION_NOT_ALLOWED"),
    "reopen": (*["TRANSITION_NOT_ALLOWED"] * 4, "in_progress", "in_progress"),
    "reply": ("new", "in_progress", "waiting", "escalated", "resolved", "TICKET_CLOSED"),
    "prioritize": ("new", "in_progress", "waiting", "escalated", "resolved", "TICKET_CLOSED"),
}


@pytest.mark.parametrize(
    ("verb", "status", "outcome"),
    [(verb, status, row[i]) for verb, row in TABLE.items() for i, status in enumerate(STATUSES)],
)
def test_every_verb_in_every_status_moves_or_is_refused(verb: str, status: str, outcome: str) -> None:
    """CA-08, CP-07: the whole table; a refusal changes nothing."""
    ticket = in_status(status)
    facts = list(ticket.timeline)
    if outcome in STATUSES:
        VERBS[verb](ticket)
        assert ticket.status == outcome
        return
    with pytest.raises(Refused) as caught:
        VERBS[verb](ticket)
    assert caught.value.reason == outcome
    assert (ticket.status, ticket.timeline) == (status, facts)


def test_a_refused_move_names_the_allowed_ones() -> None:
    with pytest.raises(Refused) as caught:
        workflow.change_status(in_status("in_progress"), "resolved", at(5))
    assert caught.value.metadata == {"status": "in_progress", "allowed": "waiting"}


def test_an_unknown_status_is_bad_input() -> None:
    with pytest.raises(InvalidInput) as caught:
        workflow.change_status(in_status("new"), "parked", at(5))
    assert [each.field for each in caught.value.violations] == ["status"]


def test_who_takes_is_recorded_and_the_lead_follows() -> None:
    """MP-11."""
    ticket = a_ticket()
    assert workflow.take(ticket, ANNA, ["olga", "anna"], at(1))
    assert (ticket.assignee, ticket.observers) == ("anna", ["olga"])
    assert timeline.latest(ticket.timeline, timeline.Taken) == timeline.Taken(at(1), "anna")


def test_taking_twice_changes_nothing() -> None:
    ticket = in_status("in_progress")
    facts = list(ticket.timeline)
    assert workflow.take(ticket, ANNA, ["olga"], at(5)) is False
    assert (ticket.timeline, ticket.observers) == (facts, [])


def test_giving_to_another_records_only_who_has_it() -> None:
    ticket = in_status("waiting")
    assert workflow.assign(ticket, BORIS, at(5))
    assert (ticket.status, ticket.assignee) == ("waiting", "boris")
    assert last_fact(ticket) == timeline.Taken(at(5), "boris")


def test_the_customer_ends_the_waiting_before_the_message_is_counted() -> None:
    ticket = in_status("waiting")
    workflow.customer_wrote(ticket, at(5))
    changed, wrote = ticket.timeline[-2:]
    assert isinstance(changed, timeline.StatusChanged)
    assert isinstance(wrote, timeline.CustomerMessages)
    assert ticket.status == "in_progress"


def test_the_customer_of_an_untaken_ticket_that_waited_makes_it_new_again() -> None:
    ticket = a_ticket()
    workflow.change_status(ticket, "waiting", at(1))
    workflow.customer_wrote(ticket, at(2))
    assert ticket.status == "new"


def test_in_progress_by_hand_needs_somebody_who_works_on_it() -> None:
    ticket = a_ticket()
    workflow.change_status(ticket, "waiting", at(1))
    with pytest.raises(Refused) as caught:
        workflow.change_status(ticket, "in_progress", at(2))
    assert caught.value.metadata["allowed"] == ""


def test_a_line_that_does_not_write_to_customers_is_refused() -> None:
    """CA-04 against MP-01: it is a permission of the queue."""
    ticket = a_ticket(line=Line.L3)
    with pytest.raises(Refused) as caught:
        workflow.staff_replied(ticket, a_queue(), "dina", at(1))
    assert caught.value.reason == "LINE_MAY_NOT_REPLY"
    workflow.staff_replied(ticket, a_queue(public_lines=list(Line)), "dina", at(1))


def test_resolving_ends_the_escalation_and_makes_the_solver_responsible() -> None:
    """MP-13: the first line closes service questions at once."""
    ticket = in_status("escalated")
    workflow.resolve(ticket, "dina", at(5))
    assert (ticket.assignee, ticket.escalation, ticket.resolved_time) == ("dina", None, at(5))
    assert last_fact(ticket) == timeline.Resolved(at(5), "dina")


def test_reopening_begins_a_cycle_and_keeps_the_earlier_one() -> None:
    """CP-10, CP-11."""
    ticket = in_status("closed")
    workflow.reopen(ticket, at(9))
    workflow.customer_wrote(ticket, at(9))
    assert (ticket.cycle, ticket.status) == (2, "in_progress")
    assert (ticket.resolved_time, ticket.closed_time) == (None, None)
    assert [type(fact) for fact in ticket.timeline[-3:]] == [
        timeline.Reopened,
        timeline.StatusChanged,
        timeline.CustomerMessages,
    ]
    assert timeline.latest(ticket.timeline, timeline.Resolved) is not None


def test_the_same_priority_again_is_no_change() -> None:
    ticket = a_ticket()
    assert workflow.prioritize(ticket, Priority.NORMAL, at(1)) is False
    assert workflow.prioritize(ticket, Priority.CRITICAL, at(1)) is True
    assert last_fact(ticket) == timeline.PriorityChanged(at(1), Priority.NORMAL, Priority.CRITICAL)


def test_notes_leave_no_fact() -> None:
    ticket = a_ticket()
    facts = list(ticket.timeline)
    workflow.noted(ticket)
    assert (ticket.timeline, ticket.message_count) == (facts, 2)


def test_birth_is_the_first_fact() -> None:
    ticket = a_ticket()
    assert ticket.timeline[0] == timeline.Created(START, Priority.NORMAL, Line.L1, "new", 1)


def test_a_rule_moves_tickets_where_no_transition_leads() -> None:
    """CA-09, YT-19: a workflow binds people; what a term or a routing does cannot be refused."""
    ticket, done = in_status("new"), in_status("resolved")
    ticket.workflow = done.workflow = replace(LINES, transitions=())
    assert workflow.assign(ticket, BORIS, at(9))
    workflow.close(done, at(9), confirmed=False)
    assert (ticket.status, done.status) == ("in_progress", "closed")
    with pytest.raises(Refused):
        workflow.close(ticket, at(9), confirmed=False)


def test_a_person_is_bound_by_the_transitions() -> None:
    """CA-08."""
    ticket = in_status("new")
    ticket.workflow = replace(LINES, transitions=())
    with pytest.raises(Refused, match="cannot become in_progress"):
        workflow.assign(ticket, BORIS, at(9), Mover("agent"))
