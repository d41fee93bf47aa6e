"""Tickets that become one, one that becomes two, and one that goes to another queue."""

from chassis.clock import uuid7
from chassis.db import Tx
from chassis.errors import InvalidInput, Violation
from tickdesk.tickets.v1 import events_pb2 as events
from tickets.convert import tickets as convert
from tickets.domain import links, merging, rules
from tickets.domain.links import Edge, LinkKind
from tickets.domain.model import Conversation, Message, Ticket
from tickets.handlers.change import Caller, Target, acting, locked, locked_with, publish, write_note
from tickets.handlers.opening import new_conversation_id
from tickets.handlers.triggers import finish
from tickets.store import links as links_store
from tickets.store import merging as store

_MERGED = {
    "ru": "Сюда объединено обращение {key} «{subject}».",
    "en": 'The ticket {key} "{subject}" was merged into this one.',
}


async def merge(tx: Tx, caller: Caller, target: Target, reference: str) -> tuple[Ticket, Ticket]:
    """One ticket goes into another, which is returned first; its key goes on to lead somewhere."""
    actor = await acting(tx, caller)
    ticket, into = await locked_with(tx, target, reference, "into")
    note = _MERGED.get(into.language, _MERGED["en"]).format(key=ticket.key, subject=ticket.subject)
    merging.merge(ticket, into, tx.now)
    await store.hand_over(tx, ticket, into)
    await _relink(tx, ticket, into)
    merged = events.TicketMerged(
        actor=convert.to_actor(actor), into_ticket_id=into.id, into_ticket_key=into.key
    )
    publish(tx, ticket, merged)
    changed = ["conversation_ids", "observers", "participants"]
    publish(tx, into, events.TicketUpdated(actor=convert.to_actor(actor), changed=changed))
    await write_note(tx, into, actor, note)
    for each in (ticket, into):
        await finish(tx, each)
    return into, ticket


async def split(
    tx: Tx, caller: Caller, target: Target, message_ids: list[str], subject: str
) -> tuple[Ticket, Ticket]:
    """Some messages become a ticket of their own, which is returned second."""
    actor = await acting(tx, caller)
    ticket = await locked(tx, target)
    moved = await store.chosen(tx, ticket.id, message_ids)
    rest = await store.rest(tx, ticket.id, message_ids)
    _require_some(message_ids, moved, rest)
    question = merging.first_question(moved)
    going = merging.conversations_that_go(ticket, moved, rest)
    number = await store.next_number(tx, ticket.queue)
    created = _split_off(ticket, question, number, going)
    created.subject = rules.subject_line(subject, question.text, ticket.language)
    merging.split(ticket, moved, created)
    ticket.conversations = [each for each in ticket.conversations if each not in going]
    opened = events.TicketOpened(
        actor=convert.to_actor(actor), message=convert.to_message(question), from_robot=True
    )
    publish(tx, created, opened)
    await store.add_split(tx, created, moved, going)
    await links_store.add(tx, links.edge(LinkKind.RELATES, ticket.id, created.id))
    publish(tx, ticket, events.TicketUpdated(actor=convert.to_actor(actor), changed=["messages", "links"]))
    for each in (ticket, created):
        await finish(tx, each)
    return ticket, created


async def _relink(tx: Tx, ticket: Ticket, into: Ticket) -> None:
    """Links of the merged ticket go to the other, but for those that would close a circle there."""
    await links_store.one_at_a_time(tx)
    for old in await links_store.take_edges(tx, ticket.id):
        edge = links.instead(old, ticket.id, into.id)
        if edge and await _is_sound(tx, edge):
            await links_store.add(tx, edge)
    await links_store.add(tx, Edge(LinkKind.DUPLICATES, ticket.id, into.id))


async def _is_sound(tx: Tx, edge: Edge) -> bool:
    if edge.kind == LinkKind.PARENT_OF and await links_store.count_parents(tx, edge.to_id):
        return False
    return edge.kind == LinkKind.RELATES or not await links_store.reaches(tx, edge)


def _require_some(message_ids: list[str], moved: list[Message], rest: set[str]) -> None:
    known = {each.id for each in moved}
    strange = [index for index, each in enumerate(message_ids) if each.lower() not in known]
    violations = [Violation(f"message_ids[{index}]", "must be a message of the ticket") for index in strange]
    if not rest:
        violations.append(Violation("message_ids", "must leave a message: move or merge the ticket instead"))
    if violations:
        raise InvalidInput(f"{violations[0].field} {violations[0].description}", violations=violations)


def _split_off(ticket: Ticket, question: Message, number: int, going: list[Conversation]) -> Ticket:
    own = Conversation(new_conversation_id(), question.channel, question.address, ticket.account)
    return Ticket(
        id=str(uuid7()),
        queue=ticket.queue,
        number=number,
        subject="",
        customer=ticket.customer,
        priority=ticket.priority,
        line=ticket.line,
        channel=question.channel,
        created_time=question.created_time,
        updated_time=question.created_time,
        type=ticket.type,
        category=ticket.category,
        component=ticket.component,
        edition=ticket.edition,
        language=ticket.language,
        customer_number=ticket.customer_number,
        account=ticket.account,
        conversations=going or [own],
        tags=list(ticket.tags),
        fields=dict(ticket.fields),
        origin="split",
        participants=list(ticket.participants),
        setup_id=ticket.setup_id,
        workflow=ticket.workflow,
    )
