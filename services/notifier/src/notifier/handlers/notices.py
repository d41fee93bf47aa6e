"""What rules of queues tell people of the desk, and chats."""

from dataclasses import replace

from chassis.db import Tx
from notifier import convert
from notifier.domain import Audience, Delivery, Rules, identity
from notifier.handlers.known import post_of, ticket_changed, unknown_endpoint
from notifier.handlers.staff import Notice, Person, facts, tell_staff
from notifier.store import desk, ledger
from tickdesk.tickets.v1 import events_pb2 as ticket_events
from tickdesk.tickets.v1 import triggers_pb2

_CHAT_CHARACTERS = 4000
"""Chats take no more in one message."""


async def notice_requested(tx: Tx, event: ticket_events.NoticeRequested, rules: Rules) -> None:
    """Tell those whom a rule names, each once in their language, and its chats."""
    await ticket_changed(tx, event, rules)
    texts = {each.language: each.text for each in event.texts}
    spoken = next((texts[each] for each in (rules.language, *texts) if each in texts), "")
    people = await _people(tx, event)
    if people or not event.chats:
        context = {"texts": {each: texts.get(each, spoken) for each in convert.LANGUAGES}}
        notice = Notice("notice", tx.event_id, event.ticket, {**context, **facts(event.ticket)})
        await tell_staff(tx, people, notice, rules)
    words = f"{event.ticket.key}: {spoken}"[:_CHAT_CHARACTERS]
    chats = [_to_chat(tx, event, name, words, rules) for name in dict.fromkeys(event.chats)]
    if chats:
        await ledger.add_deliveries(tx, chats)


async def _people(tx: Tx, event: ticket_events.NoticeRequested) -> list[Person]:
    """Those whom a rule means, highest first."""
    ticket, named = event.ticket, set(event.audiences)
    people: list[Person] = []
    if triggers_pb2.NOTICE_AUDIENCE_MANAGEMENT in named:
        people += [(Audience.MANAGEMENT, one) for one in await desk.management(tx)]
    if triggers_pb2.NOTICE_AUDIENCE_LINE_LEADS in named:
        people += [(Audience.LEAD, one) for one in await desk.leads(tx, ticket.line, ticket.queue)]
    if triggers_pb2.NOTICE_AUDIENCE_LINE in named:
        people += [(Audience.AGENT, one) for one in await desk.workers(tx, ticket.line, ticket.queue)]
    ids = list(event.agent_ids)
    if triggers_pb2.NOTICE_AUDIENCE_ASSIGNEE in named and ticket.assignee:
        ids.append(ticket.assignee)
    if triggers_pb2.NOTICE_AUDIENCE_FOLLOWERS in named:
        ids += ticket.observers
    found = [await desk.get_agent(tx, one) for one in dict.fromkeys(ids)]
    return people + [(Audience.AGENT, one) for one in found if one]


def _to_chat(tx: Tx, event: ticket_events.NoticeRequested, name: str, words: str, rules: Rules) -> Delivery:
    chat = next((each for each in rules.endpoints if each.name == name and each.format != "event"), None)
    if chat is None:
        return unknown_endpoint(tx, event, name, rules)
    return replace(
        post_of(tx, event, rules),
        id=identity("notice", tx.event_id, name),
        recipient=name,
        template="notice",
        context={"id": tx.event_id, "body": convert.chat_body(chat, words)},
    )
