"""The flow: plan at closing, ask after the delay, take one answer, tell the others."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from chassis.db import Tx
from survey import convert, metrics, store
from survey.domain import GOOD, Policy, State, Survey, answered, identity, is_sampled
from tickdesk.survey.v1 import events_pb2
from tickdesk.tickets.v1 import events_pb2 as ticket_events
from tickdesk.tickets.v1 import ticket_pb2

_BATCH = 100
_ROBOT = "a robot opened it"


@dataclass(frozen=True, slots=True)
class Rules:
    """The choices a deployment makes."""

    policy: Policy
    queues: Mapping[str, Policy]
    term: timedelta
    window: timedelta
    public_url: str
    language: str

    def of(self, queue: str) -> Policy:
        """The policy of a queue."""
        return self.queues.get(queue, self.policy)


async def ticket_opened(tx: Tx, event: ticket_events.TicketOpened, _: Rules) -> None:
    """Remember whose tickets nobody is behind."""
    if event.from_robot:
        await store.add_robot(tx, event.ticket.id)


async def ticket_closed(tx: Tx, event: ticket_events.TicketClosed, rules: Rules) -> None:
    """Plan the question about this cycle, or note why it is not asked."""
    survey = _planned(tx, event.ticket, event.ticket.cycle, rules)
    reason = await _why_not(tx, event.ticket, survey, rules)
    if reason:
        survey = replace(survey, state=State.SKIPPED, detail=reason)
    if await store.add_survey(tx, survey):
        tx.after_commit(metrics.SURVEYS.labels(survey.state.value).inc)


async def ticket_reopened(tx: Tx, event: ticket_events.TicketReopened, rules: Rules) -> None:
    """Do not ask about a cycle that did not last; also when the news of its closing comes later."""
    ticket, reason = event.ticket, "reopened before it was asked"
    survey = _planned(tx, ticket, ticket.cycle - 1, rules)
    skipped = await store.add_survey(tx, replace(survey, state=State.SKIPPED, detail=reason))
    if skipped or await store.skip_planned(tx, survey.id, reason):
        tx.after_commit(metrics.SURVEYS.labels(State.SKIPPED.value).inc)


async def _why_not(tx: Tx, ticket: ticket_pb2.Ticket, survey: Survey, rules: Rules) -> str:
    if ticket.origin == "survey":
        return "it follows a survey itself"
    if not survey.recipient:
        return "the customer has no e-mail address"
    if await store.robots(tx, [ticket.id]):
        return _ROBOT
    if not is_sampled(survey.id, rules.of(ticket.queue).sample_percent):
        return "not in the sample"
    return ""


def _planned(tx: Tx, ticket: ticket_pb2.Ticket, cycle: int, rules: Rules) -> Survey:
    policy = rules.of(ticket.queue)
    return Survey(
        id=identity(ticket.id, cycle),
        ticket_id=ticket.id,
        ticket_key=ticket.key,
        queue=ticket.queue,
        cycle=cycle,
        state=State.PLANNED,
        scale=policy.scale,
        threshold=policy.threshold,
        ask_at=_closed_at(tx, ticket) + policy.delay,
        created_at=tx.now,
        language=convert.pick_language(ticket.language, ticket.customer.language, rules.language),
        recipient=convert.customer_email(ticket),
        recipient_name=ticket.customer.name,
        ticket_subject=ticket.subject,
        agent_id=ticket.assignee,
    )


def _closed_at(tx: Tx, ticket: ticket_pb2.Ticket) -> datetime:
    return ticket.closed_time.ToDatetime(tzinfo=UTC) if ticket.HasField("closed_time") else tx.now


async def ask_due(tx: Tx, rules: Rules) -> int:
    """Send out the questions that are due; return how many were, those to robots included."""
    due = await store.lock_due(tx, _BATCH)
    # Once more: the news that a robot opened a ticket may come after that of its closing.
    robots = await store.robots(tx, [each.ticket_id for each in due]) if due else set()
    for survey in due:
        if survey.ticket_id in robots:
            await _skip(tx, survey, _ROBOT)
        else:
            await _ask(tx, survey, rules)
    return len(due)


async def _skip(tx: Tx, survey: Survey, reason: str) -> None:
    if await store.skip_planned(tx, survey.id, reason):
        tx.after_commit(metrics.SURVEYS.labels(State.SKIPPED.value).inc)


async def _ask(tx: Tx, survey: Survey, rules: Rules) -> None:
    token = secrets.token_urlsafe(32)
    asked = replace(survey, state=State.ASKED, expires_at=tx.now + rules.term)
    await store.ask(tx, asked, token_hash(token))
    event = events_pb2.SurveyAsked(
        survey=convert.survey_message(asked),
        url=f"{rules.public_url}/s/{token}",
        ticket_subject=survey.ticket_subject,
        recipient_name=survey.recipient_name,
    )
    tx.emit(event, key=survey.ticket_id)
    tx.after_commit(metrics.SURVEYS.labels("asked").inc)


async def expire(tx: Tx) -> None:
    """End the surveys nobody answered in time."""
    tx.after_commit(partial(metrics.SURVEYS.labels("expired").inc, await store.expire(tx)))


async def vote(tx: Tx, found: Survey, raw: int, comment: str | None, rules: Rules) -> Survey:
    """Take an answer of a locked survey, or its change within the edit window; the last one counts.

    Raises InvalidInput, Refused.
    """
    survey = answered(found, raw, comment, tx.now, rules.window)
    if survey == found:
        return survey
    await store.save_answer(tx, survey)
    tx.emit(events_pb2.SurveyAnswered(survey=convert.survey_message(survey)), key=survey.ticket_id)
    if found.state is State.ASKED:
        label = metrics.ANSWERS.labels(metrics.queue_label(survey.queue), _bucket(survey))
        tx.after_commit(label.inc)
    return survey


def _bucket(survey: Survey) -> str:
    if survey.low:
        return "low"
    return "high" if survey.score >= GOOD else "mid"


def token_hash(token: str) -> bytes:
    """What is stored of a token; it has 256 random bits, so a plain hash cannot be guessed backwards."""
    return hashlib.sha256(token.encode()).digest()
