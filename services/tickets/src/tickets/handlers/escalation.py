"""Escalations that people ask for, and the way back."""

from dataclasses import replace

from chassis.db import Tx
from chassis.errors import InvalidInput, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.convert import values
from tickets.domain import escalation, lines, workflow
from tickets.domain.escalation import ReturnReason, Step
from tickets.domain.model import Queue, Reason, Ticket
from tickets.handlers.change import Caller, Target, acting, locked, moving, publish, write_note
from tickets.handlers.escalation_rules import last_line, raise_escalation
from tickets.handlers.setup import setup_of
from tickets.handlers.triggers import finish
from tickets.store import desk, knowledge

_RETURNED = {"ru": "Возвращено с {line}: {answer}", "en": "Returned by {line}: {answer}"}


async def escalate(tx: Tx, caller: Caller, target: Target, step: Step) -> Ticket:
    """The ticket goes to the next line with its form, or its open escalation gets one more reason."""
    _check(step)
    actor, mover = await moving(tx, caller)
    ticket = await locked(tx, target)
    queue = await desk.load_queue(tx, ticket.queue)
    step = await _completed(tx, ticket, queue, replace(step, mover=mover))
    if not raise_escalation(tx, ticket, queue, actor, step):
        return ticket
    if step.form:
        await write_note(tx, ticket, actor, lines.form_text(step.form, ticket.line, ticket.language))
    await finish(tx, ticket)
    return ticket


async def return_ticket(tx: Tx, caller: Caller, target: Target, reason: ReturnReason, answer: str) -> Ticket:
    """The ticket goes back to the line before, to who had it there, with an answer (MP-15)."""
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    workflow.require_running(ticket)
    from_line = ticket.line
    line, assignee = escalation.previous(ticket)
    agent = await desk.find_agent(tx, assignee) if assignee else None
    if agent and not (agent.works_on(line) and ticket.queue in (agent.queues or [ticket.queue])):
        agent = None
    escalation.return_ticket(ticket, line, agent, answer, tx.now)
    event = events.TicketReturned(
        actor=convert.to_actor(actor),
        from_line=values.number(from_line),
        reason=values.number(reason),
        note=answer,
    )
    publish(tx, ticket, event)
    text = _RETURNED.get(ticket.language, _RETURNED["en"]).format(line=from_line.name, answer=answer)
    await write_note(tx, ticket, actor, text)
    await finish(tx, ticket)
    return ticket


def _check(step: Step) -> None:
    if step.stay and (not step.management or step.to_line):
        text = "stay tells management and no line: it needs management, and no to_line"
        raise InvalidInput(text, violations=[Violation("stay", text)])


async def _completed(tx: Tx, ticket: Ticket, queue: Queue, step: Step) -> Step:
    """What the queue's setup wants of people who hand a ticket on; nothing of those who tell management."""
    workflow.require_running(ticket)
    if escalation.target_line(ticket, step, last_line(ticket, queue)) == ticket.line:
        return replace(step, criterion="")
    needed = (await setup_of(tx, queue.setup_id)).escalations.hand_over(ticket.line)
    unsaid = step.reason == Reason.BY_AGENT and not step.criterion
    if unsaid and needed.no_article and await knowledge.is_missing(tx, ticket):
        step = replace(step, criterion=needed.no_article)
    return lines.complete(step, needed, tx.now)
