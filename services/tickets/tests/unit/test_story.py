"""Any story told with the verbs, in any workflow, keeps the promises that clocks and people rely on."""

from datetime import datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chassis.errors import Refused
from services.tickets.tests.unit.stories import START, a_queue, a_ticket, an_agent
from tickdesk.tickets.v1.setup_pb2 import QueueTemplate
from tickets.convert import setup, templates
from tickets.domain import escalation, timeline, workflow
from tickets.domain.escalation import Step
from tickets.domain.model import Agent, Line, Priority, Reason
from tickets.domain.statuses import OPEN_KINDS, Mover, StatusKind, Workflow

EVERYBODY = [an_agent(name, *Line) for name in ("anna", "boris")]
AGENTS = st.sampled_from(EVERYBODY)
MOVERS = st.sampled_from([None, Mover("agent", (1,)), Mover("agent", (2, 3)), Mover("lead"), Mover("admin")])


class Story(RuleBasedStateMachine):
    """Verbs in any order, some of them refused."""

    flow: ClassVar[Workflow]
    last_line: ClassVar[Line]

    def __init__(self) -> None:
        super().__init__()
        self.ticket = a_ticket(workflow=self.flow)
        self.queue = a_queue(public_lines=list(Line), last_line=self.last_line)
        self.second = 0

    def later(self) -> datetime:
        self.second += 1
        return START + timedelta(seconds=self.second)

    def attempt(self, verb: object, *arguments: object, **named: object) -> None:
        before = repr(self.ticket)
        try:
            verb(self.ticket, *arguments, **named)  # type: ignore[operator]
        except Refused:
            assert repr(self.ticket) == before

    @rule(agent=AGENTS, by=MOVERS)
    def take(self, agent: Agent, by: Mover | None) -> None:
        self.attempt(workflow.take, agent, ["olga"], self.later(), by)

    @rule(agent=AGENTS | st.none(), by=MOVERS)
    def assign(self, agent: Agent | None, by: Mover | None) -> None:
        self.attempt(workflow.assign, agent, self.later(), by)

    @rule(data=st.data(), by=MOVERS)
    def change_status(self, data: st.DataObject, by: Mover | None) -> None:
        status = data.draw(st.sampled_from([each.key for each in self.flow.statuses]))
        self.attempt(workflow.change_status, status, self.later(), by)

    @rule(filled=st.booleans())
    def fill_the_screen_in(self, filled: bool) -> None:
        names = ("error_time", "error_description") if filled else ()
        self.ticket.fields = dict.fromkeys(names, "12:03")
        self.ticket.category = "payment" if filled else ""

    @rule(priority=st.sampled_from(Priority))
    def prioritize(self, priority: Priority) -> None:
        self.attempt(workflow.prioritize, priority, self.later())

    @rule()
    def reply(self) -> None:
        self.attempt(workflow.staff_replied, self.queue, "anna", self.later())

    @precondition(lambda self: not workflow.is_over(self.ticket))
    @rule()
    def customer_writes(self) -> None:
        workflow.customer_wrote(self.ticket, self.later())
        assert self.ticket.status_kind != StatusKind.WAITING

    @rule(
        reason=st.sampled_from(Reason),
        management=st.booleans(),
        by_rule=st.booleans(),
        stay=st.booleans(),
        by=MOVERS,
    )
    def escalate(self, reason: Reason, management: bool, by_rule: bool, stay: bool, by: Mover | None) -> None:
        step = Step(reason, management=management, by_rule=by_rule, stay=stay, mover=None if by_rule else by)
        self.attempt(escalation.escalate, step, self.queue.last_line, self.later())

    @rule(by=MOVERS)
    def resolve(self, by: Mover | None) -> None:
        self.attempt(workflow.resolve, "anna", self.later(), by)

    @rule(by=MOVERS)
    def close(self, by: Mover | None) -> None:
        self.attempt(workflow.close, self.later(), confirmed=False, by=by)

    @precondition(lambda self: self.ticket.status_kind == StatusKind.RESOLVED)
    @rule()
    def the_term_runs_out(self) -> None:
        """CA-09: nothing in a workflow keeps a resolved ticket from closing by itself."""
        workflow.close(self.ticket, self.later(), confirmed=False)

    @rule(by=MOVERS)
    def reopen(self, by: Mover | None) -> None:
        self.attempt(workflow.reopen, self.later(), by)

    @precondition(lambda self: workflow.is_over(self.ticket))
    @rule()
    def customer_comes_back(self) -> None:
        workflow.reopen(self.ticket, self.later())

    @invariant()
    def the_timeline_tells_the_ticket(self) -> None:
        ticket = self.ticket
        status, line, assignee, priority, cycle = "", Line.L1, "", Priority.NORMAL, 1
        for fact in ticket.timeline:
            match fact:
                case timeline.Created():
                    status = fact.status
                case timeline.StatusChanged():
                    assert (fact.from_, fact.from_kind) == (status, self.kind_of(status))
                    assert fact.to_kind == self.kind_of(fact.to)
                    status = fact.to
                case timeline.LineChanged():
                    line = Line(fact.to)
                case timeline.Taken():
                    assignee = fact.agent_id
                case timeline.PriorityChanged():
                    priority = Priority(fact.to)
                case timeline.Reopened():
                    cycle = fact.cycle
        assert ticket.timeline == sorted(ticket.timeline, key=lambda fact: fact.time)
        told = (status, line, assignee, priority, cycle)
        assert told == (ticket.status, ticket.line, ticket.assignee, ticket.priority, ticket.cycle)

    @invariant()
    def the_parts_agree(self) -> None:
        ticket = self.ticket
        kind = ticket.status_kind
        assert kind == self.kind_of(ticket.status)
        assert (ticket.resolved_time is None) == (kind in OPEN_KINDS)
        assert (ticket.closed_time is not None) == (kind == StatusKind.CLOSED)
        assert ticket.escalation is None or kind in OPEN_KINDS
        assert kind != StatusKind.ESCALATED or (ticket.escalation is not None and ticket.escalation.moved)
        assert kind != StatusKind.OPEN or ticket.assignee
        assert kind != StatusKind.NEW or not ticket.assignee
        assert ticket.escalation is None or len(set(ticket.escalation.reasons)) == len(
            ticket.escalation.reasons
        )

    @invariant()
    def the_status_is_one_of_the_line(self) -> None:
        """YT-14: where lines have statuses of their own, a ticket never shows another line's."""
        status = next(each for each in self.flow.statuses if each.key == self.ticket.status)
        assert status.line in (0, self.ticket.line)

    def kind_of(self, key: str) -> StatusKind:
        return next(each.kind for each in self.flow.statuses if each.key == key)


@pytest.mark.parametrize("template", templates.all_templates(), ids=lambda each: each.key)
def test_no_story_breaks_a_promise(template: QueueTemplate) -> None:
    """CA-08, CP-07, MP-03, YT-14: verbs of people and rules in any order, in every workflow we ship."""
    flow = setup.from_document(setup.to_document(template.setup)).workflow
    told = {"flow": flow, "last_line": Line(template.queue.last_line)}
    story = type(f"Story_{template.key}", (Story,), told)
    run_state_machine_as_test(
        story, settings=settings(max_examples=40, stateful_step_count=40, deadline=None)
    )
