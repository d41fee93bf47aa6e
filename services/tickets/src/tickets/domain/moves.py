"""Moving a ticket through its queue's workflow: where it may go, who may do it, what is missing first."""

from collections.abc import Sequence
from datetime import datetime

from chassis.errors import InvalidInput, Refused, Violation
from tickets.domain import timeline as facts
from tickets.domain.conditions import Facts
from tickets.domain.model import Ticket
from tickets.domain.statuses import REACHABLE, Mover, Status, StatusKind, Transition
from tickets.domain.topics import unfilled


def choose(ticket: Ticket, kind: StatusKind, by: Mover | None, line: int = 0) -> Status:
    """The first status of a kind that the ticket may get now; `line` is where it will be, if not where it is.

    Without a mover a rule asks, whom no screen, no right and no missing transition holds up.
    Raises Refused: TRANSITION_NOT_ALLOWED, MOVER_NOT_PERMITTED, FIELDS_MISSING.
    """
    allowed = ticket.workflow.allowed(present(ticket), line or ticket.line)
    options = [each for each in allowed if each.kind == kind] if ticket.status_kind != kind else []
    if options:
        return _permitted(ticket, options, by)
    first = ticket.workflow.first(kind, line or ticket.line)
    if by is None and kind in REACHABLE[ticket.status_kind] and kind != ticket.status_kind:
        return first
    raise not_allowed(ticket, first.key, allowed)


def choose_by_hand(ticket: Ticket, key: str, by: Mover | None) -> Status:
    """The status ChangeTicketStatus asks for. Raises Refused as above, InvalidInput for an unknown one."""
    flow = ticket.workflow
    wanted = next((each for each in flow.statuses if each.key == key), None)
    if wanted is None:
        text = f"status must be one of {', '.join(each.key for each in flow.statuses)}"
        raise InvalidInput(text, violations=[Violation("status", text)])
    allowed = flow.by_hand(present(ticket), ticket.line, assigned=bool(ticket.assignee))
    if wanted not in allowed:
        raise not_allowed(ticket, key, allowed)
    return _permitted(ticket, [wanted], by)


def forced(ticket: Ticket, kind: StatusKind) -> Status:
    """The status for what a customer or a rule does, which nothing refuses; the one it has when that fits."""
    now = present(ticket)
    if now.kind == kind and now.line in (0, ticket.line):
        return now
    allowed = ticket.workflow.allowed(now, ticket.line)
    found = next((each for each in allowed if each.kind == kind), None)
    return found or ticket.workflow.first(kind, ticket.line)


def move(ticket: Ticket, status: Status, at: datetime) -> None:
    """Give it another status and write that down; nothing happens when it has it."""
    if ticket.status == status.key:
        return
    before, after = ticket.status_kind, status.kind
    change = facts.StatusChanged(time=at, from_=ticket.status, to=status.key, from_kind=before, to_kind=after)
    facts.record(ticket.timeline, change)
    ticket.status, ticket.status_kind = status.key, status.kind


def present(ticket: Ticket) -> Status:
    """The status it has."""
    return ticket.workflow.status(ticket.status, ticket.status_kind)


def not_allowed(ticket: Ticket, wanted: str, allowed: Sequence[Status]) -> Refused:
    """The refusal of a move that the workflow does not have; it names those it has."""
    names = ", ".join(each.key for each in allowed)
    return Refused(
        f"{ticket.key} is {ticket.status} and cannot become {wanted}; allowed now: {names or 'nothing'}",
        reason="TRANSITION_NOT_ALLOWED",
        metadata={"status": ticket.status, "allowed": names},
    )


def _permitted(ticket: Ticket, options: Sequence[Status], by: Mover | None) -> Status:
    """The first of the options that the mover may choose; what its screen asks for must be there."""
    if by is None:
        return options[0]
    before, refusals, guarded = present(ticket), [], []
    for status in options:
        for transition in ticket.workflow.between(before, status):
            if not by.may(transition):
                refusals.append(transition)
            elif transition.guard and not transition.guard.holds(Facts(ticket, None)):
                guarded.append(transition)
            else:
                _require(ticket, transition)
                return status
    raise _guarded(ticket, guarded[0]) if guarded else _not_permitted(ticket, refusals)


def _require(ticket: Ticket, transition: Transition) -> None:
    missing = unfilled(ticket, transition.required)
    if missing:
        raise Refused(
            f"{ticket.key} cannot become {transition.to} before this is filled in: {', '.join(missing)}",
            reason="FIELDS_MISSING",
            violations=[Violation(name, f"is needed to become {transition.to}") for name in missing],
            metadata={"status": ticket.status, "to": transition.to, "missing": ", ".join(missing)},
        )


def _guarded(ticket: Ticket, transition: Transition) -> Refused:
    guard = transition.guard.text if transition.guard else ""
    return Refused(
        f"{ticket.key} becomes {transition.to} only where this holds: {guard}",
        reason="GUARD_NOT_MET",
        metadata={"status": ticket.status, "to": transition.to, "guard": guard[:500]},
    )


def _not_permitted(ticket: Ticket, transitions: Sequence[Transition]) -> Refused:
    to = ", ".join(dict.fromkeys(each.to for each in transitions))
    roles = sorted({role for each in transitions for role in each.roles})
    lines = sorted({f"L{line}" for each in transitions for line in each.lines})
    whose = " ".join([*(f"role {role}" for role in roles), *(f"line {line}" for line in lines)])
    return Refused(
        f"{ticket.key} becomes {to} only by {whose}",
        reason="MOVER_NOT_PERMITTED",
        metadata={"to": to, "roles": ", ".join(roles), "lines": ", ".join(lines)},
    )
