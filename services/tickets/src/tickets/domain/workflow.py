"""The life of a ticket: one function per transition, each writing what happened into the timeline."""

from collections.abc import Container, Iterable
from datetime import datetime, timedelta

from chassis.errors import Refused
from tickets.domain import moves
from tickets.domain import timeline as facts
from tickets.domain.model import Agent, FinishedEscalation, Priority, Queue, Ticket
from tickets.domain.statuses import OPEN_KINDS, Mover, StatusKind

_MAX_OBSERVERS = 50
_MAX_FINISHED = 10
_MAX_CONTACTS = 20
_SAME_CONTACT = timedelta(minutes=1)
_UNTAKEN = (StatusKind.NEW, StatusKind.ESCALATED)


def is_over(ticket: Ticket) -> bool:
    """Resolved or closed."""
    return ticket.status_kind not in OPEN_KINDS


def opened(ticket: Ticket) -> None:
    """Write the birth of a new ticket into its timeline; it has the first status of its line."""
    first = ticket.workflow.first(StatusKind.NEW, ticket.line)
    ticket.status, ticket.status_kind = first.key, first.kind
    birth = facts.Created(
        time=ticket.created_time,
        priority=ticket.priority,
        line=ticket.line,
        status=ticket.status,
        status_kind=ticket.status_kind,
    )
    facts.record(ticket.timeline, birth)


def take(ticket: Ticket, agent: Agent, leads: Iterable[str], at: datetime, by: Mover | None = None) -> bool:
    """Make the agent responsible and the ticket open; the line's leads follow it (MP-11).

    False when it was theirs and open already. Raises Refused: ALREADY_TAKEN, TICKET_CLOSED, NOT_ON_LINE,
    and what `moves.choose` raises.
    """
    require_running(ticket)
    if ticket.assignee not in ("", agent.id):
        raise Refused(
            f"{ticket.key} is {ticket.assignee}'s already: ask them, or have it assigned to you",
            reason="ALREADY_TAKEN",
            metadata={"assignee": ticket.assignee},
        )
    changed = _hand_to(ticket, agent, at, by, (*_UNTAKEN, StatusKind.WAITING))
    if changed:
        observe(ticket, *(lead for lead in leads if lead != agent.id))
    return changed


def assign(ticket: Ticket, agent: Agent | None, at: datetime, by: Mover | None = None) -> bool:
    """Give the ticket to an agent, or back to the queue. False when nothing changes.

    Raises Refused: TICKET_CLOSED, NOT_ON_LINE, and what `moves.choose` raises.
    """
    require_running(ticket)
    if agent:
        return _hand_to(ticket, agent, at, by, _UNTAKEN)
    if not ticket.assignee:
        return False
    worked_on = ticket.status_kind == StatusKind.OPEN
    status = moves.choose(ticket, StatusKind.NEW, by) if worked_on else moves.present(ticket)
    give_back(ticket, at)
    moves.move(ticket, status, at)
    return True


def change_status(ticket: Ticket, status: str, at: datetime, by: Mover | None = None) -> None:
    """Move by hand. Raises InvalidInput for an unknown status, Refused as `moves.choose`."""
    moves.move(ticket, moves.choose_by_hand(ticket, status, by), at)


def prioritize(ticket: Ticket, priority: Priority, at: datetime) -> bool:
    """Change the priority; False when it is that already. Raises Refused TICKET_CLOSED."""
    require_not_closed(ticket)
    if ticket.priority == priority:
        return False
    facts.record(ticket.timeline, facts.PriorityChanged(time=at, from_=ticket.priority, to=priority))
    ticket.priority = priority
    return True


def change_attributes(ticket: Ticket, names: Iterable[str], at: datetime) -> None:
    """Note that something a policy looks at has changed, such as the customer's tier."""
    facts.record(ticket.timeline, facts.AttributesChanged(time=at, names=tuple(names)))


def customer_wrote(ticket: Ticket, at: datetime) -> bool:
    """Count a customer's message; one that was waited for opens the ticket. Over tickets reopen first.

    True when they came by themselves, and not a moment ago: an answer to our question is no new contact.
    """
    waited_for = ticket.status_kind == StatusKind.WAITING
    if waited_for:
        moves.move(ticket, moves.forced(ticket, _running_kind(ticket)), at)
    facts.record_message(ticket.timeline, facts.CustomerMessages, at)
    ticket.from_robot = False
    ticket.message_count += 1
    came = not waited_for and (not ticket.contacts or at - ticket.contacts[-1] >= _SAME_CONTACT)
    if came:
        ticket.contacts = [*ticket.contacts, at][-_MAX_CONTACTS:]
    return came


def staff_replied(ticket: Ticket, queue: Queue, agent_id: str, at: datetime) -> None:
    """Count a person's letter. Raises Refused: TICKET_CLOSED, LINE_MAY_NOT_REPLY (CA-04)."""
    require_not_closed(ticket)
    if ticket.line not in queue.public_lines:
        lines = ", ".join(line.name for line in queue.public_lines)
        raise Refused(
            f"{ticket.line.name} does not write to customers in {queue.key}: return the ticket with your "
            f"answer to {lines}, or add a note for them",
            reason="LINE_MAY_NOT_REPLY",
            metadata={"line": ticket.line.name, "public_lines": lines, "remedy": "ReturnTicket"},
        )
    replied(ticket, agent_id, at)


def replied(ticket: Ticket, agent_id: str, at: datetime) -> None:
    """Count a person's letter, whoever's line wrote it. Raises Refused TICKET_CLOSED."""
    require_not_closed(ticket)
    facts.record_message(ticket.timeline, facts.StaffReplies, at, agent_id)
    ticket.message_count += 1


def robot_replied(ticket: Ticket, at: datetime) -> None:
    """Count a letter that a rule wrote: it stops no clock. Raises Refused: TICKET_CLOSED."""
    require_not_closed(ticket)
    facts.record_message(ticket.timeline, facts.RobotReplies, at)
    ticket.message_count += 1


def noted(ticket: Ticket) -> None:
    """Count an internal note, or a robot's message kept as one: it changes nothing else."""
    ticket.message_count += 1


def resolve(ticket: Ticket, agent_id: str, at: datetime, by: Mover | None = None) -> None:
    """Mark it solved; who solves an untaken one takes it. Raises Refused as `moves.choose`."""
    status = moves.choose(ticket, StatusKind.RESOLVED, by)
    if agent_id and not ticket.assignee:
        _give(ticket, agent_id, at)
    end_escalation(ticket, at)
    moves.move(ticket, status, at)
    facts.record(ticket.timeline, facts.Resolved(time=at, agent_id=agent_id))
    ticket.resolved_time = at


def close(ticket: Ticket, at: datetime, *, confirmed: bool, by: Mover | None = None) -> None:
    """Close a resolved ticket. Raises Refused as `moves.choose`."""
    moves.move(ticket, moves.choose(ticket, StatusKind.CLOSED, by), at)
    facts.record(ticket.timeline, facts.Closed(time=at, confirmed=confirmed))
    ticket.closed_time = at
    if confirmed:
        ticket.contacts = []


def reopen(ticket: Ticket, at: datetime, by: Mover | None = None) -> None:
    """Begin a new cycle of a resolved or closed ticket; a customer who writes is never refused that.

    Raises Refused as `moves.choose`.
    """
    if not is_over(ticket):
        allowed = ticket.workflow.allowed(moves.present(ticket), ticket.line)
        raise moves.not_allowed(ticket, "reopened", allowed)
    kind = _running_kind(ticket)
    status = moves.choose(ticket, kind, by) if by else moves.forced(ticket, kind)
    ticket.cycle += 1
    facts.record(ticket.timeline, facts.Reopened(time=at, cycle=ticket.cycle))
    moves.move(ticket, status, at)
    ticket.resolved_time = ticket.closed_time = None


def observe(ticket: Ticket, *agents: str) -> None:
    """Let agents follow the ticket."""
    news = [agent for agent in dict.fromkeys(agents) if agent not in ticket.observers]
    ticket.observers = [*ticket.observers, *news][-_MAX_OBSERVERS:]


def _hand_to(
    ticket: Ticket, agent: Agent, at: datetime, by: Mover | None, opening: Container[StatusKind]
) -> bool:
    """Make it the agent's; a ticket of the opening kinds becomes open with that."""
    if ticket.escalation and not agent.works_on(ticket.line):
        raise Refused(
            f"{ticket.key} was escalated to {ticket.line.name}, where {agent.id} does not work",
            reason="NOT_ON_LINE",
            metadata={"line": ticket.line.name},
        )
    opens = ticket.status_kind in opening
    if ticket.assignee == agent.id and not ticket.escalation and not opens:
        return False
    status = moves.choose(ticket, StatusKind.OPEN, by) if opens else moves.present(ticket)
    if ticket.assignee != agent.id:
        _give(ticket, agent.id, at)
    end_escalation(ticket, at)
    moves.move(ticket, status, at)
    return True


def _give(ticket: Ticket, agent_id: str, at: datetime) -> None:
    ticket.assignee = agent_id
    facts.record(ticket.timeline, facts.Taken(time=at, agent_id=agent_id))


def give_back(ticket: Ticket, at: datetime) -> None:
    """Nobody has it any more; who had it follows it."""
    observe(ticket, ticket.assignee)
    _give(ticket, "", at)


def hand_back(ticket: Ticket, agent_id: str, at: datetime) -> None:
    """Give it to who had it before, or to nobody; who has it now follows it."""
    if ticket.assignee != agent_id:
        observe(ticket, *filter(None, [ticket.assignee]))
        _give(ticket, agent_id, at)
    moves.move(ticket, moves.forced(ticket, _running_kind(ticket)), at)


def end_escalation(ticket: Ticket, at: datetime, answer: str = "") -> None:
    """The line that has the ticket now keeps it."""
    if ticket.escalation:
        facts.record(ticket.timeline, facts.EscalationEnded(time=at, line=ticket.line))
        over = FinishedEscalation(ticket.escalation, at, answer)
        ticket.finished = [*ticket.finished, over][-_MAX_FINISHED:]
        ticket.escalation = None


def _running_kind(ticket: Ticket) -> StatusKind:
    return StatusKind.OPEN if ticket.assignee else StatusKind.NEW


def require_not_closed(ticket: Ticket) -> None:
    """Raises Refused (TICKET_CLOSED) for a ticket that only reopening changes."""
    if ticket.status_kind == StatusKind.CLOSED:
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
