"""The queries and reports that desks ask all day, and how their values are drawn."""

from __future__ import annotations

import random
from datetime import timedelta

from bench.tickets.plant import AGENTS, QUEUES, word
from chassis.clock import utcnow
from tickdesk.tickets.v1.reports_service_pb2 import GetReportRequest
from tickets.domain.reports_catalog import METRICS

MINE = "Assignee: {agent} AND Resolution: empty() ORDER BY Due"
USUAL = {
    "mine by due": MINE,
    "mine of a month": (
        "Queue: {queue} AND Assignee: {agent} AND Resolution: empty() AND Created: >= today() - 30d"
    ),
    "to take": "Queue: {queue} AND Assignee: unassigned() AND Resolution: empty() ORDER BY Due",
    "burning": "Queue: {queue} AND Resolution: empty() AND Due: < now() + 1h ORDER BY Due",
    "breached": "Queue: {queue} AND Resolution: empty() AND SLA.resolution: breached",
    "board of a line": (
        "Queue: {queue} AND Line: L2 AND Status: new, in_progress, waiting ORDER BY Priority DESC"
    ),
    "component of a month": "Component: component{few} AND Created: >= today() - 30d",
    "history of a customer": "Customer: user{customer}@client.example",
    "topic and tag": "Category: topic{few} AND Tag: tag{tag}",
    "resolved this week": "Queue: {queue} AND Resolved: >= today() - 7d ORDER BY Resolved DESC",
}
FIELD = "product: p{tag} AND Queue: {queue} AND Resolution: empty()"
TEXT = {
    "a rare word": '"{rare}"',
    "a usual word": '"{usual}"',
    "two words": '"{usual} {rare}"',
    "a word of mine": 'Assignee: {agent} AND "{usual}"',
    "a misspelt word": '"{misspelt}"',
}
REPORTS = {
    "a month: every figure by queue": (30, [each.name for each in METRICS], ["queue"]),
    "a month: created and resolved by day": (30, ["created", "resolved", "backlog"], ["day"]),
    "a quarter: handled and in time by operator": (90, ["handled", "sla", "csat"], ["operator"]),
    "a year: created by category and month": (365, ["created"], ["category", "month"]),
    "a year: resolved, in time and its time by month": (365, ["resolved", "sla", "time_spent"], ["month"]),
}
"""Days until now, figures and what they are grouped by."""


def report(days: int, metrics: list[str], fields: list[str]) -> GetReportRequest:
    """A report of some days until today."""
    last = utcnow().date()
    return GetReportRequest(
        first_day=str(last - timedelta(days=days - 1)),
        last_day=str(last),
        timezone="Europe/Moscow",
        metrics=metrics,
        group_by=fields,
    )


def drawn(query: str, random: random.Random, tickets: int) -> str:
    """The query with values, drawn as unevenly as tickets have them."""
    rare = word(random.randrange(5_000, 29_000))
    misspelt = word(random.randrange(20_000, 29_000))
    place = random.randrange(1, len(misspelt) - 1)
    return query.format(
        agent=f"agent{1 + int(random.random() ** 2 * (AGENTS - 1))}",
        queue=random.choice(QUEUES),
        few=int(random.random() ** 2 * 11),
        tag=int(random.random() ** 2 * 39),
        customer=1 + int(random.random() ** 3 * (tickets / 5 - 1)),
        rare=rare,
        usual=word(int(random.random() ** 2 * 500)),
        misspelt=misspelt[:place] + "ж" + misspelt[place + 1 :],
    )
