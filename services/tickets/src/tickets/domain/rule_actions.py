"""What rules do to a ticket. Pure: a rule is rehearsed on a copy before anything of it is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from chassis.errors import Refused
from tickets.domain import attributes, escalation, letters, macros, moves, templates, timeline, workflow
from tickets.domain.escalation import Step
from tickets.domain.model import ActorKind, Agent, Line, Queue, Reason, Ticket
from tickets.domain.setup import Setup
from tickets.domain.statuses import Status, StatusKind
from tickets.domain.templates import TemplateFailed
from tickets.domain.triggers import (
    Action,
    AddNote,
    Assign,
    CallWebhook,
    Escalate,
    Notify,
    Reply,
    Rule,
    SetStatus,
    SetValues,
    Texts,
)

MAX_STEPS = 20
"""Rules that may do something to one ticket in one unit of work."""
MAX_SECONDS = 1.0
"""Of the processor, for the conditions of one ticket in one unit of work: nobody is served meanwhile."""
TOO_MANY = f"{MAX_STEPS} rules had done something in this unit of work already"
CALLS_AN_HOUR = 60
"""How often a rule with a webhook is done to one ticket: who is called may change it and so wake the rule."""
TOO_OFTEN = f"the rule called webhooks {CALLS_AN_HOUR} times for this ticket within an hour"
TOO_LONG = f"conditions took more than {MAX_SECONDS:g} s of this unit of work"
"""Why rules are not run."""
LETTERS_AN_HOUR = 5
"""Letters that rules and other robots write to one ticket, so that two machines do not answer each other."""
MAX_LETTER = 50_000
_HOUR = timedelta(hours=1)
_LISTS = ("observers", "conversations", "tags", "finished", "contacts", "timeline", "participants")


@dataclass(frozen=True, slots=True)
class Known:
    """What actions have to know beside the ticket; the agents are those whom they name."""

    setup: Setup
    queue: Queue
    agents: Mapping[str, Agent]
    now: datetime
    machine: bool = False
    """A machine's message set the rule off."""


@dataclass(frozen=True, slots=True)
class Done:
    """What an action came to: in a phrase, and the event that tells of it, if any."""

    told: str
    event: str = ""
    parts: Mapping[str, Any] = field(default_factory=dict)


NOTHING = Done("")


def copy_of(ticket: Ticket) -> Ticket:
    """A ticket that can be changed without changing this one."""
    parts: dict[str, Any] = {name: list(getattr(ticket, name)) for name in _LISTS}
    if ticket.escalation:
        parts["escalation"] = replace(ticket.escalation, reasons=list(ticket.escalation.reasons))
    return replace(ticket, **parts, fields=dict(ticket.fields), told=[], happened=[], first_message=None)


def woken_by_machine(ticket: Ticket) -> bool:
    """Whether a robot's message is among what happened, or all there is: nobody is answered on that."""
    robots = (each.event for each in ticket.happened if each.actor.kind == ActorKind.ROBOT)
    return ticket.from_robot or any(event in ("TicketOpened", "NoteAdded") for event in robots)


def named_agents(actions: Sequence[Action], ticket: Ticket, setup: Setup) -> list[str]:
    """Ids of the agents whom the actions may give the ticket to, whose component they may set before."""
    told = (each.change.component for each in actions if isinstance(each, SetValues))
    components = [setup.topics.component(each) for each in (ticket.component, *told) if each]
    owners = [each.owner for each in components if each and each.owner]
    return [
        agent
        for each in actions
        if isinstance(each, Assign)
        for agent in (owners if each.component_owner else [each.agent])
        if agent
    ]


def rehearse(ticket: Ticket, rule: Rule, known: Known) -> list[str]:
    """What a rule would do to a ticket, in phrases; the ticket stays as it is. Raises as `apply`."""
    copy = copy_of(ticket)
    return [done.told for each in rule.actions if (done := apply(copy, each, known)).told]


def apply(ticket: Ticket, action: Action, known: Known) -> Done:
    """Do one action. Raises Refused, InvalidInput."""
    if ticket.merged_into_id and not isinstance(action, (CallWebhook, Notify)):
        raise Refused(f"{ticket.key} was merged into {ticket.merged_into_key}", reason="TICKET_MERGED")
    match action:
        case SetValues():
            return _set(ticket, action, known)
        case SetStatus(key=key):
            return _move(ticket, key, known)
        case Assign():
            return _assign(ticket, action, known)
        case Reply(texts=texts):
            return _reply(ticket, texts, known)
        case AddNote(texts=texts):
            workflow.noted(ticket)
            return Done("note", "NoteAdded", {"text": text_of(texts, ticket, known)})
        case _:
            return _tell(ticket, action, known)


def step_of(action: Escalate) -> Step:
    """The escalation that a rule asks for."""
    return Step(
        Reason.RULE,
        to_line=action.line,
        management=action.management,
        stay=action.stay,
        by_rule=True,
        note=action.note,
    )


def text_of(texts: Texts, ticket: Ticket, known: Known) -> str:
    """The text for the customer's language, else English, else any. Raises Refused (TEMPLATE_FAILED)."""
    found = dict(texts)
    chosen = next(each for each in (ticket.language, "en", *found) if each in found)
    return _rendered(found[chosen], ticket, known)


def _set(ticket: Ticket, action: SetValues, known: Known) -> Done:
    attributes.check(ticket, action.change, known.setup)
    workflow.require_not_closed(ticket)
    changed = attributes.apply(ticket, action.change, known.now)
    if action.priority and workflow.prioritize(ticket, action.priority, known.now):
        changed.append("priority")
    return Done(f"set {', '.join(changed)}", "TicketUpdated", {"changed": changed}) if changed else NOTHING


def _move(ticket: Ticket, key: str, known: Known) -> Done:
    """As the verbs do: a rule follows the transitions, and is bound by no screen, line or role."""
    if ticket.status == key:
        return NOTHING
    flow, previous, at = ticket.workflow, ticket.status, known.now
    status = next((each for each in flow.statuses if each.key == key), None)
    if status is None or not flow.between(moves.present(ticket), status):
        raise moves.not_allowed(ticket, key, flow.allowed(moves.present(ticket), ticket.line))
    event, parts = _verb(ticket, status, at), {"previous_status": previous}
    if ticket.status != key:
        raise moves.not_allowed(ticket, key, [moves.present(ticket)])
    return Done(f"status {key}", event, parts if event == "TicketStatusChanged" else {})


def _verb(ticket: Ticket, status: Status, at: datetime) -> str:
    """Move by the verb that leads to a status; returns the event that tells of it."""
    if status.kind == StatusKind.RESOLVED and not workflow.is_over(ticket):
        workflow.resolve(ticket, "", at)
        return "TicketResolved"
    if status.kind == StatusKind.CLOSED:
        workflow.close(ticket, at, confirmed=False)
        return "TicketClosed"
    if workflow.is_over(ticket) and status.kind in (StatusKind.NEW, StatusKind.OPEN):
        workflow.reopen(ticket, at)
        return "TicketReopened"
    if status.line not in (0, ticket.line):
        _to_line(ticket, status, at)
    else:
        workflow.change_status(ticket, status.key, at)
    return "TicketStatusChanged"


def _to_line(ticket: Ticket, status: Status, at: datetime) -> None:
    """Where a status is a line (YT-14), moving to it is moving to the line, where nobody has it yet."""
    timeline.record(ticket.timeline, timeline.LineChanged(time=at, from_=ticket.line, to=status.line))
    ticket.line = Line(status.line)
    workflow.end_escalation(ticket, at)
    if ticket.assignee:
        workflow.give_back(ticket, at)
    moves.move(ticket, status, at)


def _assign(ticket: Ticket, action: Assign, known: Known) -> Done:
    wanted = _agent(action, ticket, known.setup)
    if action.component_owner and not wanted:
        return NOTHING
    agent, previous = known.agents.get(wanted), ticket.assignee
    if wanted and agent is None:
        raise Refused(f"{wanted} is no active agent", reason="AGENT_NOT_FOUND")
    if not workflow.assign(ticket, agent, known.now):
        return NOTHING
    return Done(f"assign {wanted or 'nobody'}", "TicketAssigned", {"previous_assignee": previous})


def _reply(ticket: Ticket, texts: Texts, known: Known) -> Done:
    if why := silence(ticket, known):
        return Done(f"no reply: {why}")
    text = text_of(texts, ticket, known)
    letters.addressed(letters.Letter(text), letters.envelope(ticket))
    workflow.robot_replied(ticket, known.now)
    return Done("reply", "TicketReplied", {"text": text})


def silence(ticket: Ticket, known: Known) -> str:
    """Why a rule does not write to the customer now; empty when it does."""
    if known.machine:
        return "a machine's message set this off"
    if not ticket.conversations:
        return "there is no conversation to write in"
    runs = (each for each in ticket.timeline if isinstance(each, timeline.RobotReplies))
    recent = sum(each.count for each in runs if each.end > known.now - _HOUR)
    return f"robots wrote {recent} letters within an hour" if recent >= LETTERS_AN_HOUR else ""


def _tell(ticket: Ticket, action: Escalate | CallWebhook | Notify, known: Known) -> Done:
    match action:
        case Escalate():
            last_line = Line(ticket.workflow.last_line(known.queue.last_line))
            started = escalation.escalate(ticket, step_of(action), last_line, known.now)
            return NOTHING if started is None else Done(f"escalation, {ticket.line.name}", "TicketEscalated")
        case CallWebhook(endpoint=endpoint):
            return Done(f"webhook {endpoint}", "WebhookRequested", {"endpoint": endpoint})
        case Notify():
            return _notify(ticket, action, known)


def _notify(ticket: Ticket, action: Notify, known: Known) -> Done:
    parts = {
        "audiences": action.audiences,
        "agent_ids": action.agents,
        "chats": action.chats,
        "texts": [
            {"language": language, "text": _rendered(text, ticket, known)} for language, text in action.texts
        ],
    }
    return Done("notice", "NoticeRequested", parts)


def _agent(action: Assign, ticket: Ticket, setup: Setup) -> str:
    if not action.component_owner:
        return action.agent
    component = setup.topics.component(ticket.component)
    return component.owner if component else ""


def _rendered(template: str, ticket: Ticket, known: Known) -> str:
    try:
        text = templates.render(template, macros.values(ticket, known.queue, None, known.now))
    except TemplateFailed as error:
        fault = error.fault
        raise Refused(f"template, line {fault.line}: {fault.text}", reason="TEMPLATE_FAILED") from error
    if not 0 < len(text) <= MAX_LETTER:
        told = f"template: makes {len(text)} characters, 1 to {MAX_LETTER} are allowed"
        raise Refused(told, reason="TEMPLATE_FAILED")
    return text
