"""Noticing that many tickets are about one thing, and proposing a mass incident (KT-16)."""

from collections.abc import Sequence
from datetime import timedelta

from chassis.db import Tx
from tickdesk.tickets.v1 import events_pb2 as events
from tickets import metrics
from tickets.convert import tickets as convert
from tickets.domain import incident, workflow
from tickets.domain.incident import Burst, Recent, State
from tickets.domain.lines import BurstRule
from tickets.domain.model import Actor, ActorKind
from tickets.handlers.change import publish, write_note
from tickets.handlers.setup import setup_of
from tickets.handlers.triggers import finish
from tickets.store import incident as store
from tickets.store import tickets as tickets_store

_LONGEST_WINDOW = timedelta(hours=1)
_TOPIC_DRAWS = timedelta(hours=24)
_LOOKED_AT = 1000
_BURST = Actor(ActorKind.ROBOT, "burst")
_PROPOSED = {
    "ru": "Похоже на массовый сбой: {count} обращений за {minutes} мин., общее: {topic}. "
    "Подтвердите инцидент, чтобы ответить всем сразу.",
    "en": "Looks like a mass incident: {count} tickets within {minutes} minutes, in common: {topic}. "
    "Confirm it to answer all of them at once.",
}


async def propose_incidents(tx: Tx) -> int:
    """Look at the newest tickets; returns how many incidents were proposed. One replica looks at a time."""
    if not await store.try_membership(tx):
        return 0
    proposed = 0
    found = await store.recent(tx, tx.now - _LONGEST_WINDOW, _LOOKED_AT)
    for (queue, setup_id), seen in found.items():
        rule = (await setup_of(tx, setup_id)).escalations.burst
        fresh = [each for each in seen if each.created_time >= tx.now - rule.window]
        if not rule.off and fresh:
            fresh = await _suggest_known(tx, queue, fresh)
            for burst in incident.bursts(fresh, rule.count):
                proposed += await _propose(tx, burst, rule)
    return proposed


async def _suggest_known(tx: Tx, queue: str, fresh: Sequence[Recent]) -> list[Recent]:
    """Suggest tickets about a known incident for it; returns the others."""
    active = await store.active_topics(tx, queue, tx.now - _TOPIC_DRAWS)
    known: dict[str, list[str]] = {}
    others: list[Recent] = []
    for ticket in fresh:
        if topic := incident.known_topic(ticket, active):
            known.setdefault(active[topic], []).append(ticket.id)
        else:
            others.append(ticket)
    # One statement an incident: a burst is when there are a thousand of them.
    for incident_id, ticket_ids in known.items():
        await store.add_children(tx, incident_id, ticket_ids, follows=False)
    return others


async def _propose(tx: Tx, burst: Burst, rule: BurstRule) -> bool:
    """The first of them may become the parent, when somebody agrees."""
    first, *others = burst.ticket_ids
    ticket = await tickets_store.lock_or_none(tx, first)
    if ticket is None or workflow.is_over(ticket):
        return False
    await store.put(tx, ticket, State.PROPOSED, burst.topic)
    await store.add_children(tx, ticket.id, others, follows=False)
    text = _PROPOSED.get(ticket.language, _PROPOSED["en"])
    about = burst.topic.partition(":")[2]
    minutes, count = max(1, round(rule.window.total_seconds() / 60)), len(burst.ticket_ids)
    await write_note(tx, ticket, _BURST, text.format(count=count, minutes=minutes, topic=about))
    event = events.IncidentProposed(actor=convert.to_actor(_BURST), topic=burst.topic, ticket_count=count)
    publish(tx, ticket, event)
    await finish(tx, ticket)
    tx.after_commit(lambda: metrics.INCIDENTS_PROPOSED.labels(ticket.queue).inc())
    return True
