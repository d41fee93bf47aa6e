"""Escalations that rules raise, in the unit of work that saw the reason."""

from collections.abc import Container, Sequence
from datetime import datetime

from chassis.db import Tx
from tickdesk.tickets.v1 import events_pb2 as events
from tickets import metrics
from tickets.convert import tickets as convert
from tickets.convert import values
from tickets.domain import escalation, lines, workflow
from tickets.domain.escalation import Step
from tickets.domain.lines import Goes
from tickets.domain.model import Actor, ActorKind, Line, Queue, Reason, Ticket
from tickets.handlers.change import publish
from tickets.handlers.setup import setup_of
from tickets.store import desk

_RULE = Actor(ActorKind.ROBOT, "escalation")
_CAME_AGAIN = {
    "ru": "обращений по той же проблеме: {count}",
    "en": "contacts on one problem: {count}",
}


def raise_escalation(tx: Tx, ticket: Ticket, queue: Queue, actor: Actor, step: Step) -> bool:
    """Escalate a locked ticket and tell the others; the caller saves it when this is True."""
    from_line = ticket.line
    started = escalation.escalate(ticket, step, last_line(ticket, queue), tx.now)
    if started is None:
        return False
    event = events.TicketEscalated(
        actor=convert.to_actor(actor),
        reason=values.number(step.reason),
        started=started,
        note=step.note or (step.form.ask if step.form else ""),
    )
    publish(tx, ticket, event)
    if started:
        labels = from_line.name, ticket.line.name, step.reason.name
        tx.after_commit(lambda: metrics.ESCALATIONS.labels(*labels).inc())
    return True


async def after_message(tx: Tx, ticket: Ticket, queue: Queue, text: str) -> None:
    """Raise what a customer's words are a reason for (CA-21); the caller saves the ticket."""
    rules = (await setup_of(tx, queue.setup_id)).escalations
    for match in rules.matcher.matches(text):
        note = f"{match.rule.key}: {match.words}"
        _automatic(tx, ticket, queue, Goes(match.rule.target), Step(Reason.KEYWORD, note=note))


async def after_contact(
    tx: Tx, ticket: Ticket, queue: Queue, earlier: Sequence[tuple[str, list[datetime]]]
) -> None:
    """Raise that a customer comes again and again about one thing (CA-21); the caller saves the ticket.

    `earlier` are subjects of their other tickets and the contacts on each.
    """
    rule = (await setup_of(tx, queue.setup_id)).escalations.contacts
    times = lines.contact_times(ticket, earlier)
    if lines.is_repeated(times, rule):
        note = _CAME_AGAIN.get(ticket.language, _CAME_AGAIN["en"]).format(count=lines.contacts(times, rule))
        _automatic(tx, ticket, queue, rule.goes, Step(Reason.THIRD_CONTACT, note=note))


async def after_change(tx: Tx, ticket: Ticket, queue: Queue, changed: Container[str]) -> None:
    """Raise what a change of these attributes is a reason for (CA-20); the caller saves the ticket."""
    if workflow.is_over(ticket):
        return
    rules = (await setup_of(tx, queue.setup_id)).escalations
    if ("priority" in changed or "tier" in changed) and lines.is_vip_critical(ticket):
        _automatic(tx, ticket, queue, rules.vip_critical, Step(Reason.VIP_CRITICAL))
    rule = rules.compensation
    if rule and f"fields.{rule.field}" in changed and lines.is_too_much(ticket, rule):
        _automatic(tx, ticket, queue, rule.goes, Step(Reason.COMPENSATION))


async def require_unguarded(tx: Tx, ticket: Ticket, verb: str, *, reply: bool = False) -> None:
    """Raise Refused (LINE_GUARDED) for what the ticket's line must leave to the next one (CA-02)."""
    rules = (await setup_of(tx, ticket.setup_id)).escalations
    rules.require_unguarded(ticket, verb, reply=reply)


async def after_score(tx: Tx, follow_up: Ticket, score: int) -> bool:
    """Raise a low score on the ticket that follows it up (CA-21); the caller saves it when this is True."""
    queue = await desk.load_queue(tx, follow_up.queue)
    rule = (await setup_of(tx, queue.setup_id)).escalations.low_score
    return score < rule.below and _automatic(tx, follow_up, queue, rule.goes, Step(Reason.LOW_SCORE))


def _automatic(tx: Tx, ticket: Ticket, queue: Queue, goes: Goes, step: Step) -> bool:
    told = lines.automatic(step, goes, ticket, queue)
    return told is not None and raise_escalation(tx, ticket, queue, _RULE, told)


def last_line(ticket: Ticket, queue: Queue) -> Line:
    """The queue's, unless its setup is older than that and has nothing there that a ticket could become."""
    return Line(ticket.workflow.last_line(queue.last_line))
