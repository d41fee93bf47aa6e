"""Handing over and telling those above: what moves, what stays, what is refused."""

from collections.abc import Callable

import pytest

from chassis.errors import DeskError, Refused
from services.tickets.tests.unit.stories import a_ticket, an_agent, at, in_status
from tickets.domain import timeline, workflow
from tickets.domain.escalation import Step, escalate, previous, return_ticket
from tickets.domain.model import Form, Line, Reason

BORIS, DINA = an_agent("boris"), an_agent("dina", Line.L2, Line.L3)
BY_AGENT = Step(Reason.BY_AGENT)
MARK = Step(Reason.SLA_MARK, by_rule=True)


def test_an_escalation_moves_the_ticket_to_the_next_line_and_frees_it() -> None:
    """CA-18, CA-22."""
    ticket, form = in_status("in_progress"), Form(done="looked", ask="fix")
    step = Step(Reason.BY_AGENT, form=form)
    assert escalate(ticket, step, Line.L3, at(5)) is True
    assert (ticket.status, ticket.line, ticket.assignee) == ("escalated", Line.L2, "")
    assert ticket.observers == ["anna"]
    assert ticket.escalation is not None
    assert ticket.escalation.form == form
    kinds = [type(fact) for fact in ticket.timeline[-4:]]
    assert kinds == [timeline.Escalated, timeline.LineChanged, timeline.Taken, timeline.StatusChanged]


def test_one_escalation_has_many_reasons_and_is_announced_once() -> None:
    """The 80 % mark, the keyword and the third contact falling together page the lead once (CA-21)."""
    ticket = in_status("in_progress")
    steps = [Step(reason, by_rule=True) for reason in (Reason.SLA_MARK, Reason.KEYWORD, Reason.THIRD_CONTACT)]
    assert [escalate(ticket, step, Line.L3, at(5)) for step in steps] == [True, False, False]
    assert ticket.escalation is not None
    assert ticket.escalation.reasons == [Reason.SLA_MARK, Reason.KEYWORD, Reason.THIRD_CONTACT]
    assert ticket.line == Line.L2
    assert escalate(ticket, MARK, Line.L3, at(6)) is None


def test_the_new_line_takes_it_and_the_escalation_is_over() -> None:
    ticket = in_status("escalated")
    assert workflow.take(ticket, DINA, [], at(5))
    assert (ticket.status, ticket.assignee, ticket.escalation) == ("in_progress", "dina", None)
    taken, ended, changed = ticket.timeline[-3:]
    assert taken == timeline.Taken(at(5), "dina")
    assert ended == timeline.EscalationEnded(at(5), Line.L2)
    assert isinstance(changed, timeline.StatusChanged)
    assert escalate(ticket, BY_AGENT, Line.L3, at(6)) is True
    assert ticket.line == Line.L3


@pytest.mark.parametrize("verb", [workflow.assign, lambda t, a, when: workflow.take(t, a, [], when)])
def test_somebody_of_another_line_cannot_end_the_escalation(verb: Callable[..., object]) -> None:
    ticket = in_status("escalated")
    with pytest.raises(Refused) as caught:
        verb(ticket, BORIS, at(5))
    assert caught.value.reason == "NOT_ON_LINE"
    assert ticket.escalation is not None


def test_at_the_last_line_an_agent_is_refused_and_a_rule_only_notes_its_reason() -> None:
    ticket = in_status("in_progress")
    with pytest.raises(Refused) as caught:
        escalate(ticket, BY_AGENT, Line.L1, at(5))
    assert caught.value.reason == "NO_FURTHER_LINE"
    assert escalate(ticket, MARK, Line.L1, at(5)) is True
    assert (ticket.status, ticket.line, ticket.assignee) == ("in_progress", Line.L1, "anna")
    assert ticket.timeline[-1] == timeline.Escalated(at(5), Reason.SLA_MARK, 0)


def test_management_is_told_without_taking_the_ticket_away() -> None:
    """CA-20; a later move to the next line is announced again, for nobody there was told."""
    ticket = in_status("in_progress")
    overrun = Step(Reason.SLA_OVERRUN, management=True, stay=True, by_rule=True)
    assert escalate(ticket, overrun, Line.L3, at(5)) is True
    assert (ticket.status, ticket.assignee) == ("in_progress", "anna")
    assert escalate(ticket, MARK, Line.L3, at(6)) is True
    assert ticket.escalation is not None
    assert ticket.escalation.management
    assert ticket.escalation.moved
    assert ticket.escalation.reasons == [Reason.SLA_OVERRUN, Reason.SLA_MARK]


@pytest.mark.parametrize(
    ("to_line", "last_line", "error"),
    [(Line.L1, Line.L3, "INVALID_INPUT"), (Line.L3, Line.L2, "NO_FURTHER_LINE")],
)
def test_a_named_line_must_be_above_and_exist(to_line: Line, last_line: Line, error: str) -> None:
    with pytest.raises(DeskError) as caught:
        escalate(a_ticket(), Step(Reason.BY_AGENT, to_line=to_line), last_line, at(5))
    assert caught.value.reason == error


def test_lines_may_be_skipped_by_name() -> None:
    ticket = a_ticket()
    escalate(ticket, Step(Reason.SECURITY, to_line=Line.L3), Line.L3, at(1))
    assert ticket.line == Line.L3


def test_a_returned_ticket_is_with_who_had_it_on_the_line_before() -> None:
    """MP-15: after tests it returns to the second line to close."""
    ticket = in_status("escalated")
    workflow.take(ticket, DINA, [], at(5))
    escalate(ticket, BY_AGENT, Line.L3, at(6))
    assert previous(ticket) == (Line.L2, "dina")
    return_ticket(ticket, Line.L2, DINA, "Mended", at(7))
    assert (ticket.line, ticket.assignee, ticket.status) == (Line.L2, "dina", "in_progress")
    assert ticket.escalation is None
    facts = [type(fact) for fact in ticket.timeline[-4:]]
    assert facts == [
        timeline.LineChanged,
        timeline.EscalationEnded,
        timeline.Taken,
        timeline.StatusChanged,
    ]
    assert timeline.latest(ticket.timeline, timeline.EscalationEnded) == timeline.EscalationEnded(
        at(7), Line.L2
    )
    assert [(each.answer, each.ended_time) for each in ticket.finished] == [("", at(5)), ("Mended", at(7))]
    assert previous(ticket) == (Line.L1, "anna")


def test_a_ticket_that_its_line_took_is_returned_too() -> None:
    ticket = in_status("escalated")
    workflow.take(ticket, DINA, [], at(5))
    return_ticket(ticket, Line.L1, None, "Not ours", at(6))
    assert (ticket.line, ticket.assignee, ticket.status) == (Line.L1, "", "new")
    assert ticket.observers == ["anna", "dina"]
    assert ticket.timeline[-3:-1] == [
        timeline.LineChanged(at(6), Line.L2, Line.L1),
        timeline.Taken(at(6), ""),
    ]


@pytest.mark.parametrize("line", list(Line))
def test_a_ticket_that_came_from_no_line_cannot_go_back(line: Line) -> None:
    with pytest.raises(Refused) as caught:
        previous(a_ticket(line=line))
    assert (caught.value.reason, caught.value.metadata) == ("NO_PREVIOUS_LINE", {"line": line.name})


def test_the_last_ten_escalations_are_kept() -> None:
    ticket = a_ticket()
    for number in range(12):
        escalate(ticket, Step(Reason.BY_AGENT, form=Form(ask=str(number))), Line.L2, at(number))
        return_ticket(ticket, Line.L1, None, f"answer {number}", at(number))
    assert [each.answer for each in ticket.finished] == [f"answer {number}" for number in range(2, 12)]


def test_management_alone_takes_the_ticket_from_nobody() -> None:
    """CA-20: hierarchical and functional escalation are apart, and one escalation when both are open."""
    ticket = in_status("in_progress")
    assert escalate(ticket, Step(Reason.BY_AGENT, management=True, stay=True), Line.L3, at(5)) is True
    assert (ticket.line, ticket.assignee, ticket.status) == (Line.L1, "anna", "in_progress")
    assert escalate(ticket, Step(Reason.SECURITY), Line.L3, at(6)) is True
    assert ticket.escalation is not None
    assert (ticket.escalation.management, ticket.escalation.moved) == (True, True)
    assert ticket.escalation.reasons == [Reason.BY_AGENT, Reason.SECURITY]
