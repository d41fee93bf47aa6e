"""A ticket that goes to another queue."""

from collections.abc import Collection
from datetime import datetime

from tickets.domain import macros, moves, workflow
from tickets.domain import timeline as facts
from tickets.domain.model import Agent, Line, Queue, Ticket
from tickets.domain.statuses import Status, StatusKind, Workflow


def move(ticket: Ticket, queue: Queue, number: int, flow: Workflow, at: datetime) -> None:
    """Give a ticket its new key, a line that the queue has, and the first status of its kind there."""
    ticket.queue, ticket.number = queue.key, number
    ticket.setup_id, ticket.workflow = queue.setup_id, flow
    line = Line(min(max(ticket.line, queue.first_line), queue.last_line))
    if line != ticket.line:
        workflow.end_escalation(ticket, at)
        facts.record(ticket.timeline, facts.LineChanged(time=at, from_=ticket.line, to=line))
        ticket.line = line
    moves.move(ticket, _status(ticket, flow), at)
    workflow.change_attributes(ticket, ["queue"], at)


def leave_fields(ticket: Ticket, known: Collection[str]) -> dict[str, str]:
    """Take away the custom fields that the queue does not know; returns them in words."""
    gone = {key: value for key, value in ticket.fields.items() if key not in known}
    ticket.fields = {key: value for key, value in ticket.fields.items() if key in known}
    return {key: macros.word(ticket, value) for key, value in sorted(gone.items())}


def _status(ticket: Ticket, flow: Workflow) -> Status:
    """The same status where it means the same; a kind that is not there becomes new or open."""
    kept = flow.status(ticket.status, ticket.status_kind)
    kinds = {each.kind for each in flow.statuses}
    running = StatusKind.OPEN if ticket.assignee else StatusKind.NEW
    kind = ticket.status_kind if ticket.status_kind in kinds else running
    return kept if kept.kind == kind and kept.line in (0, ticket.line) else flow.first(kind, ticket.line)


def works_in(agent: Agent, queue: Queue) -> bool:
    """Whether an agent belongs to a queue."""
    return not agent.queues or queue.key in agent.queues
