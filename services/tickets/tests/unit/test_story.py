"""Any story told with the verbs keeps the promises that clocks and people rely on."""

from datetime import timedelta
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chassis.errors import Refused
from services.tickets.tests.unit.stories import START, a_queue, a_ticket, an_agent
from tickets.domain import escalation, timeline, workflow
from tickets.domain.escalation import Step
from tickets.domain.model import Line, Priority, Reason
from tickets.domain.workflow import OPEN_KINDS

EVERYBODY = [an_agent(name, *Line) for name in ("anna", "boris")]
AGENTS = st.sampled_from(EVERYBODY)


class Story(RuleBasedStateMachine):
    """Verbs in any order, some of them refused."""

    now: ClassVar = START

    @initialize()
    def open(self) -> None:
        self.ticket = a_ticket()
        self.queue = a_queue(public_lines=list(Line))
        self.second = 0

    def later(self) -> object:
        self.second += 1
        return START + timedelta(seconds=self.second)

    def attempt(self, verb: object, *arguments: object, **named: object) -> None:
        before = list(self.ticket.timeline)
        try:
            verb(self.ticket, *arguments, **named)  # type: ignore[operator]
        except Refused:
            assert self.ticket.timeline == before

    @rule(agent=AGENTS)
    def take(self, agent: object) -> None:
        self.attempt(workflow.take, agent, ["olga"], self.later())

    @rule(agent=AGENTS | st.none())
    def assign(self, agent: object) -> None:
        self.attempt(workflow.assign, agent, self.later())

    @rule(status=st.sampled_from(list(workflow.STATUSES)))
    def change_status(self, status: str) -> None:
        self.attempt(workflow.change_status, status, self.later())

    @rule(priority=st.sampled_from(Priority))
    def prioritize(self, priority: Priority) -> None:
        self.attempt(workflow.prioritize, priority, self.later())

    @rule()
    def reply(self) -> None:
        self.attempt(workflow.staff_replied, self.queue, "anna", self.later())

    @precondition(lambda self: not workflow.is_over(self.ticket))
    @rule()
    def customer_writes(self) -> None:
        workflow.customer_wrote(self.ticket, self.later())  # type: ignore[arg-type]

    @rule(reason=st.sampled_from(Reason), management=st.booleans(), by_rule=st.booleans(), stay=st.booleans())
    def escalate(self, reason: Reason, management: bool, by_rule: bool, stay: bool) -> None:
        step = Step(reason, management=management, by_rule=by_rule, stay=stay)
        self.attempt(escalation.escalate, step, self.queue.last_line, self.later())

    @rule(agent=AGENTS)
    def resolve(self, agent: object) -> None:
        self.attempt(workflow.resolve, "anna", self.later())

    @rule()
    def close(self) -> None:
        self.attempt(workflow.close, self.later(), confirmed=False)

    @rule()
    def reopen(self) -> None:
        self.attempt(workflow.reopen, self.later())

    @invariant()
    def the_timeline_tells_the_ticket(self) -> None:
        ticket = getattr(self, "ticket", None)
        if ticket is None:
            return
        status, line, assignee, priority, cycle = "new", Line.L1, "", Priority.NORMAL, 1
        for fact in ticket.timeline:
            match fact:
                case timeline.StatusChanged():
                    assert fact.from_ == status
                    status = fact.to
                case timeline.LineChanged():
                    line = Line(fact.to)
                case timeline.Taken():
                    assignee = fact.agent_id
                case timeline.PriorityChanged():
                    priority = Priority(fact.to)
                case timeline.Reopened():
                    cycle = fact.cycle
        told = (status, line, assignee, priority, cycle)
        assert told == (ticket.status, ticket.line, ticket.assignee, ticket.priority, ticket.cycle)

    @invariant()
    def the_parts_agree(self) -> None:
        ticket = getattr(self, "ticket", None)
        if ticket is None:
            return
        kind = workflow.status_kind(ticket)
        assert (ticket.resolved_time is None) == (kind in OPEN_KINDS)
        assert (ticket.closed_time is not None) == (ticket.status == "closed")
        assert ticket.escalation is None or kind in OPEN_KINDS
        assert ticket.status != "escalated" or (ticket.escalation is not None and ticket.escalation.moved)
        assert ticket.status != "in_progress" or ticket.assignee
        assert ticket.status != "new" or not ticket.assignee
        assert ticket.escalation is None or len(set(ticket.escalation.reasons)) == len(
            ticket.escalation.reasons
        )


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
