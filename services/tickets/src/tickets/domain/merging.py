"""One ticket put into another, and messages of a ticket that become one of their own."""

from collections.abc import Sequence
from datetime import datetime

from chassis.errors import InvalidInput, Refused, Violation
from tickets.domain import moves, rules, workflow
from tickets.domain import timeline as facts
from tickets.domain.model import ActorKind, Conversation, Message, Participant, Ticket, Visibility
from tickets.domain.statuses import StatusKind

_MAX_CONVERSATIONS = 100
_MAX_PARTICIPANTS = 50
_SIDES = {
    ActorKind.CUSTOMER: facts.CustomerMessages,
    ActorKind.AGENT: facts.StaffReplies,
    ActorKind.ROBOT: facts.RobotReplies,
}


def merge(ticket: Ticket, into: Ticket, at: datetime) -> None:
    """Close a ticket in favour of another, which takes over who talks and who follows.

    Raises Refused: TICKET_CLOSED when the other is over, OTHER_CUSTOMER: an answer to one customer must not
    carry what another wrote.
    """
    workflow.require_running(into)
    if not _same_side(ticket, into):
        raise Refused(
            f"{ticket.key} and {into.key} are of different customers: link them as duplicates instead",
            reason="OTHER_CUSTOMER",
        )
    _hand_over(ticket, into)
    if not workflow.is_over(ticket) and _waits_for_answer(ticket):
        _waits_on(into, at)
    workflow.end_escalation(ticket, at)
    moves.move(ticket, moves.forced(ticket, StatusKind.CLOSED), at)
    facts.record(ticket.timeline, facts.Merged(time=at, into_ticket_id=into.id))
    ticket.closed_time = at
    ticket.merged_into_id, ticket.merged_into_key = into.id, into.key
    ticket.message_count = 0


def join(ticket: Ticket, *people: Participant) -> None:
    """Remember people of the customer's side beside the customer; who wrote once has written."""
    known = {(each.channel, each.address): each for each in ticket.participants}
    own = {(each.channel, each.address) for each in ticket.customer.contacts}
    for one in people:
        place = (one.channel, one.address)
        before = known.get(place)
        if place in own or not one.address or (before is None and len(known) >= _MAX_PARTICIPANTS):
            continue
        wrote = one.wrote or bool(before and before.wrote)
        name = one.name or (before.name if before else "")
        known[place] = Participant(one.channel, one.address, name, wrote)
    ticket.participants = list(known.values())


def split(ticket: Ticket, moved: Sequence[Message], created: Ticket) -> None:
    """Write the life of a new ticket out of the messages that it gets, in their order."""
    workflow.opened(created)
    for message in moved:
        side = _SIDES.get(message.author.kind)
        if side and message.visibility == Visibility.PUBLIC:
            agent = message.author.id if side is facts.StaffReplies else ""
            facts.record_message(created.timeline, side, message.created_time, agent)
    created.message_count = len(moved)
    ticket.message_count = max(0, ticket.message_count - len(moved))


def first_question(moved: Sequence[Message]) -> Message:
    """The message that a new ticket begins with. Raises InvalidInput when no customer wrote one."""
    for message in moved:
        if message.visibility == Visibility.PUBLIC and message.author.kind == ActorKind.CUSTOMER:
            return message
    text = "message_ids must hold a message of the customer: a ticket answers somebody"
    raise InvalidInput(text, violations=[Violation("message_ids", text)])


def conversations_that_go(ticket: Ticket, moved: Sequence[Message], rest: set[str]) -> list[Conversation]:
    """Conversations of which no message stays; none when the ticket would be left without any."""
    gone = {each.conversation_id for each in moved} - rest
    going = [each for each in ticket.conversations if each.id in gone]
    return going if len(going) < len(ticket.conversations) else []


def _same_side(ticket: Ticket, into: Ticket) -> bool:
    ours, theirs = ticket.customer, into.customer
    return ours.id == theirs.id or bool(ours.organisation and ours.organisation == theirs.organisation)


def _hand_over(ticket: Ticket, into: Ticket) -> None:
    known = {each.id for each in into.conversations}
    news = [each for each in ticket.conversations if each.id not in known]
    # The last one is where replies leave by, so what comes from elsewhere stands before.
    into.conversations = [*news, *into.conversations][-_MAX_CONVERSATIONS:]
    workflow.observe(into, *ticket.observers, *filter(None, [ticket.assignee]))
    people = [Participant(each.channel, each.address, ticket.customer.name, wrote=True) for each in news]
    join(into, *people, *ticket.participants)
    into.message_count += ticket.message_count
    into.from_robot &= ticket.from_robot


def _waits_for_answer(ticket: Ticket) -> bool:
    return not rules.replied_after(ticket.timeline, facts.CustomerMessages)


def _waits_on(into: Ticket, at: datetime) -> None:
    """The question that came over is one to this ticket, too: its clocks shall run."""
    if into.status_kind == StatusKind.WAITING:
        kind = StatusKind.OPEN if into.assignee else StatusKind.NEW
        moves.move(into, moves.forced(into, kind), at)
    facts.record_message(into.timeline, facts.CustomerMessages, at)
