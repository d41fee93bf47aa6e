"""The life of a ticket: one function per transition, each writing what happened into the timeline."""

from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum

from chassis.errors import InvalidInput, Refused, Violation
from tickets.domain import timeline as facts
from tickets.domain.model import Agent, Priority, Queue, Ticket


class StatusKind(IntEnum):
    """What a status means to clocks and reports."""

    NEW = 1
    OPEN = 2
    WAITING = 3
    ESCALATED = 4
    RESOLVED = 5
    CLOSED = 6


STATUSES = {
    "new": StatusKind.NEW,
    "in_progress": StatusKind.OPEN,
    "waiting": StatusKind.WAITING,
    "escalated": StatusKind.ESCALATED,
    "resolved": StatusKind.RESOLVED,
    "closed": StatusKind.CLOSED,
}
"""The statuses of the workflow (CA-08) and their kinds."""

MOVES = {
    "new": ("in_progress", "waiting", "escalated", "resolved"),
    "in_progress": ("new", "waiting", "escalated", "resolved"),
    "waiting": ("in_progress", "new", "escalated", "resolved"),
    "escalated": ("in_progress", "escalated", "resolved"),
    "resolved": ("in_progress", "new", "closed"),
    "closed": ("in_progress", "new"),
}
"""Where each status may go, by whatever verb. `new` again means: nobody has it."""

BY_HAND = {"new": ("waiting",), "in_progress": ("waiting",), "waiting": ("in_progress",)}
"""Moves of ChangeTicketStatus; all others have verbs of their own."""

OPEN_KINDS = (StatusKind.NEW, StatusKind.OPEN, StatusKind.WAITING, StatusKind.ESCALATED)
_MAX_OBSERVERS = 50


def status_kind(ticket: Ticket) -> StatusKind:
    """What the ticket's status means."""
    return STATUSES[ticket.status]


def is_over(ticket: Ticket) -> bool:
    """Resolved or closed."""
    return status_kind(ticket) not in OPEN_KINDS


def opened(ticket: Ticket) -> None:
    """Write the birth of a new ticket into its timeline."""
    birth = facts.Created(
        time=ticket.created_time,
        priority=ticket.priority,
        line=ticket.line,
        status=ticket.status,
        status_kind=status_kind(ticket),
    )
    facts.record(ticket.timeline, birth)


def take(ticket: Ticket, agent: Agent, leads: Iterable[str], at: datetime) -> bool:
    """Make the agent responsible and the ticket open; the line's leads follow it (MP-11).

    False when it was theirs and open already. Raises Refused: ALREADY_TAKEN, TICKET_CLOSED, NOT_ON_LINE.
    """
    require_running(ticket)
    if ticket.assignee not in ("", agent.id):
        raise Refused(
            f"{ticket.key} is {ticket.assignee}'s already: ask them, or have it assigned to you",
            reason="ALREADY_TAKEN",
            metadata={"assignee": ticket.assignee},
        )
    changed = _hand_to(ticket, agent, at)
    if ticket.status == "waiting":
        move(ticket, "in_progress", at)
        changed = True
    if changed:
        observe(ticket, *(lead for lead in leads if lead != agent.id))
    return changed


def assign(ticket: Ticket, agent: Agent | None, at: datetime) -> bool:
    """Give the ticket to an agent, or back to the queue. False when nothing changes.

    Raises Refused: TICKET_CLOSED, NOT_ON_LINE.
    """
    require_running(ticket)
    if agent:
        return _hand_to(ticket, agent, at)
    if not ticket.assignee:
        return False
    give_back(ticket, at)
    if ticket.status == "in_progress":
        move(ticket, "new", at)
    return True


def change_status(ticket: Ticket, status: str, at: datetime) -> None:
    """Move by hand. Raises InvalidInput for an unknown status, Refused TRANSITION_NOT_ALLOWED."""
    if status not in STATUSES:
        text = f"status must be one of {', '.join(STATUSES)}"
        raise InvalidInput(text, violations=[Violation("status", text)])
    allowed: tuple[str, ...] = BY_HAND.get(ticket.status, ())
    if not ticket.assignee:
        allowed = tuple(each for each in allowed if each != "in_progress")
    if status not in allowed:
        raise _not_allowed(ticket, status, allowed)
    move(ticket, status, at)


def prioritize(ticket: Ticket, priority: Priority, at: datetime) -> bool:
    """Change the priority; False when it is that already. Raises Refused TICKET_CLOSED."""
    _require_not_closed(ticket)
    if ticket.priority == priority:
        return False
    facts.record(ticket.timeline, facts.PriorityChanged(time=at, from_=ticket.priority, to=priority))
    ticket.priority = priority
    return True


def change_attributes(ticket: Ticket, names: Iterable[str], at: datetime) -> None:
    """Note that something a policy looks at has changed, such as the customer's tier."""
    facts.record(ticket.timeline, facts.AttributesChanged(time=at, names=tuple(names)))


def customer_wrote(ticket: Ticket, at: datetime) -> None:
    """Count a customer's message; one that was waited for opens the ticket. Over tickets reopen first."""
    if ticket.status == "waiting":
        move(ticket, _running_status(ticket), at)
    facts.record_message(ticket.timeline, facts.CustomerMessages, at)
    ticket.from_robot = False
    ticket.message_count += 1


def staff_replied(ticket: Ticket, queue: Queue, agent_id: str, at: datetime) -> None:
    """Count a person's letter. Raises Refused: TICKET_CLOSED, LINE_MAY_NOT_REPLY (CA-04)."""
    _require_not_closed(ticket)
    if ticket.line not in queue.public_lines:
        lines = ", ".join(line.name for line in queue.public_lines)
        raise Refused(
            f"{ticket.line.name} does not write to customers in {queue.key}: add a note for {lines}",
            reason="LINE_MAY_NOT_REPLY",
            metadata={"line": ticket.line.name, "public_lines": lines},
        )
    facts.record_message(ticket.timeline, facts.StaffReplies, at, agent_id)
    ticket.message_count += 1


def noted(ticket: Ticket) -> None:
    """Count an internal note, or a robot's message kept as one: it changes nothing else."""
    ticket.message_count += 1


def resolve(ticket: Ticket, agent_id: str, at: datetime) -> None:
    """Mark it solved; who solves an untaken one takes it. Raises Refused TRANSITION_NOT_ALLOWED."""
    _require_move(ticket, "resolved")
    if agent_id and not ticket.assignee:
        _give(ticket, agent_id, at)
    end_escalation(ticket, at)
    move(ticket, "resolved", at)
    facts.record(ticket.timeline, facts.Resolved(time=at, agent_id=agent_id))
    ticket.resolved_time = at


def close(ticket: Ticket, at: datetime, *, confirmed: bool) -> None:
    """Close a resolved ticket. Raises Refused TRANSITION_NOT_ALLOWED."""
    move(ticket, "closed", at)
    facts.record(ticket.timeline, facts.Closed(time=at, confirmed=confirmed))
    ticket.closed_time = at


def reopen(ticket: Ticket, at: datetime) -> None:
    """Begin a new cycle of a resolved or closed ticket. Raises Refused TRANSITION_NOT_ALLOWED."""
    if not is_over(ticket):
        raise _not_allowed(ticket, "reopened", MOVES[ticket.status])
    ticket.cycle += 1
    facts.record(ticket.timeline, facts.Reopened(time=at, cycle=ticket.cycle))
    move(ticket, _running_status(ticket), at)
    ticket.resolved_time = ticket.closed_time = None


def observe(ticket: Ticket, *agents: str) -> None:
    """Let agents follow the ticket."""
    news = [agent for agent in dict.fromkeys(agents) if agent not in ticket.observers]
    ticket.observers = [*ticket.observers, *news][-_MAX_OBSERVERS:]


def _hand_to(ticket: Ticket, agent: Agent, at: datetime) -> bool:
    if ticket.escalation and not agent.works_on(ticket.line):
        raise Refused(
            f"{ticket.key} was escalated to {ticket.line.name}, where {agent.id} does not work",
            reason="NOT_ON_LINE",
            metadata={"line": ticket.line.name},
        )
    if ticket.assignee == agent.id and not ticket.escalation:
        return False
    if ticket.assignee != agent.id:
        _give(ticket, agent.id, at)
    end_escalation(ticket, at)
    if ticket.status in ("new", "escalated"):
        move(ticket, "in_progress", at)
    return True


def _give(ticket: Ticket, agent_id: str, at: datetime) -> None:
    ticket.assignee = agent_id
    facts.record(ticket.timeline, facts.Taken(time=at, agent_id=agent_id))


def give_back(ticket: Ticket, at: datetime) -> None:
    """Nobody has it any more; who had it follows it."""
    observe(ticket, ticket.assignee)
    _give(ticket, "", at)


def end_escalation(ticket: Ticket, at: datetime) -> None:
    """The line that has the ticket now keeps it."""
    if ticket.escalation:
        facts.record(ticket.timeline, facts.EscalationEnded(time=at, line=ticket.line))
        ticket.escalation = None


def _running_status(ticket: Ticket) -> str:
    return "in_progress" if ticket.assignee else "new"


def move(ticket: Ticket, status: str, at: datetime) -> None:
    """Change the status. Raises Refused TRANSITION_NOT_ALLOWED."""
    _require_move(ticket, status)
    before, after = STATUSES[ticket.status], STATUSES[status]
    change = facts.StatusChanged(time=at, from_=ticket.status, to=status, from_kind=before, to_kind=after)
    facts.record(ticket.timeline, change)
    ticket.status = status


def _require_move(ticket: Ticket, status: str) -> None:
    if status not in MOVES[ticket.status]:
        raise _not_allowed(ticket, status, MOVES[ticket.status])


def _require_not_closed(ticket: Ticket) -> None:
    if ticket.status == "closed":
        raise _closed(ticket)


def require_running(ticket: Ticket) -> None:
    """Raises Refused TICKET_CLOSED for one that is resolved or closed."""
    if is_over(ticket):
        raise _closed(ticket)


def _closed(ticket: Ticket) -> Refused:
    return Refused(
        f"{ticket.key} is {ticket.status}: reopen it first",
        reason="TICKET_CLOSED",
        metadata={"status": ticket.status},
    )


def _not_allowed(ticket: Ticket, status: str, allowed: Iterable[str]) -> Refused:
    names = ", ".join(allowed)
    return Refused(
        f"{ticket.key} is {ticket.status} and cannot become {status}; allowed now: {names or 'nothing'}",
        reason="TRANSITION_NOT_ALLOWED",
        metadata={"status": ticket.status, "allowed": names},
    )
