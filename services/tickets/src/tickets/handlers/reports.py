"""Reports: figures of tickets that the caller may see."""

from chassis.db import Tx
from tickets.domain.query.grammar import parse
from tickets.domain.query.resolve import Context, resolve
from tickets.domain.reports import Question, Table, require_own
from tickets.handlers.change import agent_of
from tickets.handlers.query import Asked
from tickets.store import reports
from tickets.store.catalog import catalog_for


async def report(tx: Tx, asked: Asked, question: Question) -> Table:
    """The figures of a question; an agent has those of operators for themselves alone (CA-28).

    Raises BadQuery, Denied (OPERATOR_NOT_YOURS), InvalidInput (REPORT_TOO_LARGE), Exhausted.
    """
    agent = agent_of(asked.caller)
    known = await catalog_for(tx, parse(asked.query))
    search = resolve(asked.query, known, Context(agent, tx.now, asked.zone))
    own = agent if asked.caller.principal.role == "agent" else ""
    if own:
        require_own(search, own)
    return await reports.report(tx, question, search, own, staff=asked.staff)
