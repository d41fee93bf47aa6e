"""Handing a ticket to the next line, and telling those above: one escalation with all its reasons."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from chassis.errors import InvalidInput, Refused, Violation
from tickets.domain import moves, workflow
from tickets.domain import timeline as facts
from tickets.domain.model import Agent, Escalation, Form, Line, Reason, Ticket
from tickets.domain.statuses import Mover


class ReturnReason(IntEnum):
    """Why a ticket goes back."""

    DONE = 1
    INCOMPLETE = 2
    NOT_OURS = 3


@dataclass(frozen=True, slots=True)
class Step:
    """What an escalation asks for. A rule never fails at the last line: it only adds its reason."""

    reason: Reason
    to_line: Line | None = None
    management: bool = False
    form: Form | None = None
    stay: bool = False
    by_rule: bool = False
    criterion: str = ""
    note: str = ""
    mover: Mover | None = None


def escalate(ticket: Ticket, step: Step, last_line: Line, at: datetime) -> bool | None:
    """Open the escalation or add a reason to the open one; the ticket moves to the next line.

    None when it tells nothing new, True when people must be told (it began or moved on), else False.
    Without a line above, management or a rule may still raise it: the ticket then stays where it is.
    Raises Refused: NO_FURTHER_LINE, TICKET_CLOSED, and what `moves.choose` raises; InvalidInput for a line
    that is not above.
    """
    workflow.require_running(ticket)
    target = target_line(ticket, step, last_line)
    began, moves_on = ticket.escalation is None, target != ticket.line
    open_ = ticket.escalation or Escalation(at, ticket.line, ticket.line)
    says_new = step.reason not in open_.reasons or (step.management and not open_.management) or step.form
    if not (began or moves_on or says_new):
        return None
    kind = ticket.workflow.handed_over
    if moves_on and step.mover and ticket.status_kind != kind:
        moves.choose(ticket, kind, step.mover, target)
    ticket.escalation = open_
    open_.to_line = target if moves_on else open_.to_line
    open_.management |= step.management
    open_.form = step.form or open_.form
    open_.criterion = step.criterion or open_.criterion
    if step.reason not in open_.reasons:
        open_.reasons.append(step.reason)
    to_line = open_.to_line if open_.moved else 0
    facts.record(ticket.timeline, facts.Escalated(time=at, reason=step.reason, to_line=to_line))
    if moves_on:
        _change_line(ticket, target, at)
    return began or moves_on


def previous(ticket: Ticket) -> tuple[Line, str]:
    """The line that handed the ticket on, and who had it there; empty when nobody had.

    Raises Refused NO_PREVIOUS_LINE.
    """
    line, assignee = Line.L1, ""
    below: dict[Line, Line] = {}
    had: dict[Line, str] = {}
    for fact in ticket.timeline:
        match fact:
            case facts.Created():
                line = Line(fact.line)
            case facts.Taken(agent_id=agent_id):
                assignee = agent_id
            case facts.LineChanged():
                had[line], line = assignee, Line(fact.to)
                if fact.from_ < fact.to:
                    below[line] = Line(fact.from_)
    if ticket.line not in below:
        raise Refused(
            f"{ticket.key} came to {ticket.line.name} from no other line: resolve it, or escalate it",
            reason="NO_PREVIOUS_LINE",
            metadata={"line": ticket.line.name},
        )
    return below[ticket.line], had.get(below[ticket.line], "")


def return_ticket(ticket: Ticket, line: Line, agent: Agent | None, answer: str, at: datetime) -> None:
    """Give the ticket back to a line below with an answer; the agent has it there, or nobody.

    Raises Refused TICKET_CLOSED.
    """
    workflow.require_running(ticket)
    facts.record(ticket.timeline, facts.LineChanged(time=at, from_=ticket.line, to=line))
    ticket.line = line
    workflow.end_escalation(ticket, at, answer)
    workflow.hand_back(ticket, agent.id if agent else "", at)


def target_line(ticket: Ticket, step: Step, last_line: Line) -> Line:
    """The line that an escalation goes to; the ticket's own when it stays.

    Raises Refused NO_FURTHER_LINE; InvalidInput for a line that is not above.
    """
    if step.to_line:
        return _named_line(ticket, step.to_line, last_line)
    if step.stay or (ticket.escalation and ticket.escalation.moved):
        return ticket.line
    if ticket.line < last_line:
        return Line(ticket.line + 1)
    if step.management or step.by_rule:
        return ticket.line
    raise _no_further_line(ticket, last_line)


def _named_line(ticket: Ticket, line: Line, last_line: Line) -> Line:
    if line > last_line:
        raise _no_further_line(ticket, last_line)
    if line < ticket.line or (line == ticket.line and not ticket.escalation):
        text = f"to_line must be above {ticket.line.name}, where the ticket is"
        raise InvalidInput(text, violations=[Violation("to_line", text)])
    return line


def _change_line(ticket: Ticket, line: Line, at: datetime) -> None:
    facts.record(ticket.timeline, facts.LineChanged(time=at, from_=ticket.line, to=line))
    ticket.line = line
    if ticket.assignee:
        workflow.give_back(ticket, at)
    moves.move(ticket, moves.forced(ticket, ticket.workflow.handed_over), at)


def _no_further_line(ticket: Ticket, last_line: Line) -> Refused:
    return Refused(
        f"{ticket.queue} ends with {last_line.name}: tell management instead",
        reason="NO_FURTHER_LINE",
        metadata={"line": ticket.line.name, "last_line": last_line.name},
    )
