"""Rules that run by the clock, a batch of tickets at a time."""

from datetime import timedelta

from chassis.db import Tx
from chassis.errors import Exhausted, Refused
from chassis.telemetry import logger
from tickets import metrics
from tickets.domain import triggers
from tickets.domain.conditions import Facts
from tickets.domain.query.faults import BadQuery
from tickets.domain.triggers import Rule
from tickets.handlers.setup import setup_of
from tickets.handlers.triggers import Cause, finish, fire
from tickets.store import schedules as store

log = logger(__name__)
_OFF = timedelta(hours=1)


async def run_due(tx: Tx, limit: int) -> bool:
    """Do the next batch of a rule whose time has come; False when none is due. One replica a rule."""
    due = await store.lock_due(tx)
    if due is None:
        return False
    setup = await setup_of(tx, due.setup_id)
    rule = next((each for each in setup.schedules if each.key == due.rule and not each.off), None)
    if rule is None or rule.every is None:
        await store.postpone(tx, due, tx.now + _OFF)
        return True
    try:
        search = triggers.search(rule, triggers.names_of(setup), tx.now)
        batch = await store.lock_batch(tx, due, search, limit)
    except (BadQuery, Exhausted) as error:
        # The rules of all queues must not wait behind it.
        log.error("a scheduled rule finds nothing", queue=due.queue, rule=due.rule, error=error.message)
        tx.after_commit(lambda: metrics.RULES.labels("failed").inc())
        await store.postpone(tx, due, tx.now + rule.every)
        return True
    marked = await store.marked(tx, due, [each.id for each in batch])
    for ticket in batch:
        facts = Facts(ticket, tx.now)
        if ticket.id not in marked and _holds(rule, facts):
            await store.mark(tx, due, ticket.id)
            await fire(tx, ticket, rule, Cause(setup, facts, "Schedule", ticket.version))
            await finish(tx, ticket)
        elif ticket.id in marked and not _holds(rule, facts):
            await store.unmark(tx, due, ticket.id)
    if len(batch) == limit:
        await store.go_on(tx, due, batch[-1].id)
    else:
        await store.end_round(tx, due, search, tx.now + rule.every)
    return True


def _holds(rule: Rule, facts: Facts) -> bool:
    try:
        return rule.condition.holds(facts)
    except Refused:
        # Told in the trail when the rule is tried, once.
        return True
