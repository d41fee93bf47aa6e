"""Where every change of a ticket ends: the triggers of its queue run on it, then it is stored."""

from dataclasses import dataclass, replace
from datetime import timedelta
from time import thread_time

from chassis.db import Tx
from chassis.errors import InvalidInput, Refused
from chassis.telemetry import logger
from tickets import metrics
from tickets.domain import rule_actions, rule_runs, triggers
from tickets.domain.conditions import Facts
from tickets.domain.model import Ticket
from tickets.domain.rule_actions import (
    CALLS_AN_HOUR,
    MAX_SECONDS,
    MAX_STEPS,
    TOO_LONG,
    TOO_MANY,
    TOO_OFTEN,
    Known,
)
from tickets.domain.rule_runs import Outcome, Run
from tickets.domain.setup import Setup
from tickets.domain.triggers import Rule
from tickets.handlers.change import queue_of
from tickets.handlers.rule_actions import perform, require_users
from tickets.handlers.setup import setup_of
from tickets.store import audit, routing
from tickets.store import tickets as store
from tickets.store import triggers as triggers_store

log = logger(__name__)
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Cause:
    """What sets rules off, in which setup, and what their conditions are asked of."""

    setup: Setup
    facts: Facts
    event: str
    version: int
    machine: bool = False


async def finish(tx: Tx, ticket: Ticket) -> None:
    """Run the triggers on what happened to a locked or new ticket, and store it with all of that."""
    await _run(tx, ticket)
    await store.save_ticket(tx, ticket)


async def wakes_rules(tx: Tx, ticket: Ticket) -> bool:
    """Whether a trigger waits for something of what happened."""
    setup = await setup_of(tx, ticket.setup_id)
    return any(rule.waits_for(each.event) for rule in setup.triggers for each in ticket.happened)


async def fire(tx: Tx, ticket: Ticket, rule: Rule, cause: Cause) -> bool:
    """Do all of a rule to a ticket or nothing of it, and say so in its trail; False when no more may run."""
    run = Run(tx.now, ticket.id, rule.key, cause.event, Outcome.DONE, version=cause.version)
    if tx.read.get(_spent(ticket), 0.0) > MAX_SECONDS:
        return _stop(tx, ticket, run, TOO_LONG)
    try:
        known = await known_of(tx, ticket, rule, cause)
        told = rule_actions.rehearse(ticket, rule, known) if known else []
    except (Refused, InvalidInput) as error:
        _note(tx, ticket, replace(run, outcome=Outcome.FAILED, reason=error.message))
        return True
    if known is None or not told:
        return True
    if ticket.steps >= MAX_STEPS:
        return _stop(tx, ticket, run, TOO_MANY)
    if rule.calls and await _calls_too_often(tx, ticket, run):
        return True
    ticket.steps += 1
    await perform(tx, ticket, rule, known)
    _note(tx, ticket, replace(run, actions=told))
    return True


async def known_of(tx: Tx, ticket: Ticket, rule: Rule, cause: Cause) -> Known | None:
    """What the actions of a rule have to know; None when its condition or query leaves the ticket alone.

    Raises Refused, InvalidInput.
    """
    if not _holds(tx, ticket, rule, cause):
        return None
    if rule.query and rule.every is None and not await _finds(tx, ticket, rule, cause.setup):
        return None
    agents = await routing.active_agents(tx, rule_actions.named_agents(rule.actions, ticket, cause.setup))
    await require_users(tx, rule.actions)
    by_id = {each.id: each for each in agents}
    return Known(cause.setup, await queue_of(tx, ticket), by_id, tx.now, cause.machine)


async def _run(tx: Tx, ticket: Ticket) -> None:
    """Events in the order they were made, also those that rules cause; for each the rules in theirs."""
    machine = rule_actions.woken_by_machine(ticket)
    while ticket.happened:
        happened = ticket.happened.pop(0)
        setup = await setup_of(tx, ticket.setup_id)
        facts = Facts(ticket, tx.now, happened)
        cause = Cause(setup, facts, happened.event, happened.version, machine)
        for rule in setup.triggers:
            if rule.waits_for(happened.event) and not await fire(tx, ticket, rule, cause):
                ticket.happened.clear()
                return


def _holds(tx: Tx, ticket: Ticket, rule: Rule, cause: Cause) -> bool:
    """Whether its condition is true; what all conditions cost is summed up. Raises Refused."""
    began = thread_time()
    try:
        return rule.condition.holds(cause.facts)
    finally:
        tx.read[_spent(ticket)] = tx.read.get(_spent(ticket), 0.0) + thread_time() - began


def _spent(ticket: Ticket) -> str:
    """Where a unit of work keeps the processor's seconds of the conditions of a ticket."""
    return f"conditions/{ticket.id}"


def _stop(tx: Tx, ticket: Ticket, run: Run, reason: str) -> bool:
    """No rule more for a ticket in this unit of work."""
    _note(tx, ticket, replace(run, outcome=Outcome.NOT_RUN, reason=reason))
    log.warning("a rule is not run", ticket=ticket.key, rule=run.rule, reason=reason)
    return False


async def _calls_too_often(tx: Tx, ticket: Ticket, run: Run) -> bool:
    """Whether a rule called webhooks often enough; the trail says so once an hour, the metric each time."""
    here = rule_runs.of_rule(run.rule, ticket.told)
    calls = sum(each.outcome == Outcome.DONE for each in here)
    told = any(each.reason == TOO_OFTEN for each in here)
    # A new ticket has no row, and nothing was done to it before.
    if not ticket.first_message:
        earlier, told_earlier = await triggers_store.calls_since(tx, ticket, run.rule, tx.now - _HOUR)
        calls, told = calls + earlier, told or told_earlier
    if calls < CALLS_AN_HOUR:
        return False
    if told:
        _count(tx, Outcome.NOT_RUN)
    else:
        _note(tx, ticket, replace(run, outcome=Outcome.NOT_RUN, reason=TOO_OFTEN))
        log.warning("a rule is not run", ticket=ticket.key, rule=run.rule, reason=TOO_OFTEN)
    return True


async def _finds(tx: Tx, ticket: Ticket, rule: Rule, setup: Setup) -> bool:
    # A query is asked of what is stored.
    await store.save_ticket(tx, ticket)
    search = triggers.search(rule, triggers.names_of(setup), tx.now)
    return bool(await triggers_store.finds(tx, [ticket.id], search))


def _note(tx: Tx, ticket: Ticket, run: Run) -> None:
    told = audit.entry(
        tx,
        rule_runs.actor_of(run.rule),
        rule_runs.ENTRIES[run.outcome],
        rule_runs.to_changes(run),
        ticket_id=ticket.id,
        version=run.version,
    )
    ticket.told.append(told)
    _count(tx, run.outcome)


def _count(tx: Tx, outcome: Outcome) -> None:
    tx.after_commit(metrics.RULES.labels(outcome.name.lower()).inc)
