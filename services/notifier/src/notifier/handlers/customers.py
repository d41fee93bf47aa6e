"""What customers are told, and why sometimes not."""

from dataclasses import replace
from datetime import timedelta

from chassis.db import Tx
from notifier import convert
from notifier.domain import (
    Audience,
    Channel,
    Delivery,
    Rules,
    State,
    identity,
    in_domains,
    is_address,
    is_robot_address,
    one_line,
    plain_mailbox,
)
from notifier.handlers.known import ticket_changed
from notifier.store import desk, ledger
from tickdesk.common.v1 import common_pb2
from tickdesk.notifier.v1 import events_pb2
from tickdesk.sla.v1 import events_pb2 as sla_events
from tickdesk.survey.v1 import events_pb2 as survey_events
from tickdesk.tickets.v1 import events_pb2 as ticket_events
from tickdesk.tickets.v1 import ticket_pb2

# A messenger has a way back of its own; these have none but mail.
_ANSWERED_BY_MAIL = (
    common_pb2.CHANNEL_EMAIL,
    common_pb2.CHANNEL_WEB_FORM,
    common_pb2.CHANNEL_API,
    common_pb2.CHANNEL_PHONE,
    common_pb2.CHANNEL_IMPORT,
)
# Whoever fills a form may type any address into it.
_TYPED = (common_pb2.CHANNEL_WEB_FORM, common_pb2.CHANNEL_API)
_HOUR, _MINUTE, _DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


async def ticket_opened(tx: Tx, event: ticket_events.TicketOpened, rules: Rules) -> None:
    """Acknowledge with the number and the promised time, unless that could loop or flood."""
    await ticket_changed(tx, event, rules)
    recipient = convert.customer_email(event.ticket, event.message)
    letter = await _letter(tx, "auto_reply", event.ticket, recipient, rules)
    letter = replace(letter, id=identity("auto_reply", event.ticket.id))
    reason = await _why_no_greeting(tx, event, recipient, rules)
    if reason:
        await ledger.add_deliveries(tx, [_suppressed(letter, reason)])
        return
    # Handled at the same moment, the ticket and its promise would miss each other.
    await ledger.one_at_a_time(tx, f"promise/{event.ticket.id}")
    promised = await desk.get_promise(tx, event.ticket.id)
    waits = tx.now if promised else tx.now + rules.promise_wait
    await ledger.add_deliveries(tx, [replace(letter, next_at=waits)])


async def _why_no_greeting(
    tx: Tx, event: ticket_events.TicketOpened, recipient: str, rules: Rules
) -> str | None:
    if event.from_robot:
        return "the message came from a robot"
    if event.actor.kind == common_pb2.Actor.KIND_SERVICE or event.ticket.channel == common_pb2.CHANNEL_IMPORT:
        return "the customer did not write it"
    if not recipient:
        return "the customer has no usable e-mail address"
    looped = await _why_it_loops(tx, recipient, rules)
    by_customer = event.actor.kind == common_pb2.Actor.KIND_CUSTOMER
    unproven = by_customer and event.ticket.channel != common_pb2.CHANNEL_EMAIL
    return looped or await _why_too_many(tx, recipient, rules, unproven=unproven)


async def _why_it_loops(tx: Tx, recipient: str, rules: Rules) -> str:
    """Where a machine writes to nobody, or to itself."""
    if is_robot_address(recipient):
        return "nobody reads at that address"
    own = in_domains(recipient, rules.own_domains)
    if own or await desk.is_own_address(tx, plain_mailbox(recipient)):
        return "the address is one of our own"
    return ""


async def _why_not_by_robot(tx: Tx, letter: Delivery, rules: Rules, *, typed: bool) -> str | None:
    """Why a letter of a rule does not leave: tickets have a bound, a new one for each letter has none.

    Before a person has answered, it is one more acknowledgement, with their bounds.
    """
    recipient, most = letter.recipient, rules.robot_letters_per_hour
    await ledger.one_at_a_time(tx, f"automatic/{recipient}")
    if await ledger.count_robot_letters(tx, tx.now - _HOUR, most, recipient) >= most:
        return "the recipient's limit of letters of rules in an hour is reached"
    if looped := await _why_it_loops(tx, recipient, rules):
        return looped
    if not letter.context["acknowledges"]:
        return None
    return await _why_too_many(tx, recipient, rules, unproven=typed)


async def _why_too_many(tx: Tx, recipient: str, rules: Rules, *, unproven: bool) -> str | None:
    """Why an acknowledgement does not leave, whoever wrote those before it."""
    await ledger.one_at_a_time(tx, f"automatic/{recipient}")
    most = rules.replies_per_minute
    if await ledger.count_acknowledgements(tx, tx.now - _MINUTE, most) >= most:
        return "the desk's limit of auto-replies in a minute is reached"
    hourly = rules.replies_per_hour
    if await ledger.count_acknowledgements(tx, tx.now - _HOUR, hourly, recipient) >= hourly:
        return "the recipient's limit of auto-replies in an hour is reached"
    if unproven and await ledger.count_acknowledgements(tx, tx.now - _DAY, 1, recipient):
        return "the address is not proven and got an auto-reply today"
    return None


async def ticket_replied(tx: Tx, event: ticket_events.TicketReplied, rules: Rules) -> None:
    """Carry the answer of a person, or of a rule, to the customer."""
    await ticket_changed(tx, event, rules)
    ticket, message = event.ticket, event.message
    channel = message.channel or ticket.channel
    by_mail = channel in _ANSWERED_BY_MAIL
    named = by_mail and is_address(message.address)
    recipient = message.address.lower() if named else convert.customer_email(ticket, message)
    automatic = message.author.kind == common_pb2.Actor.KIND_ROBOT
    letter = await _letter(tx, "reply", ticket, recipient, rules)
    letter = replace(
        letter,
        id=identity("reply", message.id),
        message_id=message.id,
        context={
            "text": message.text,
            "title": one_line(message.subject),
            "agent": message.author.name,
            "conversation": message.conversation_id,
            "to": recipient,
            "cc": list(message.cc),
            "files": convert.files(message),
            "automatic": automatic,
            "acknowledges": automatic and not _is_answered(ticket),
        },
    )
    reason: str | None
    if not recipient:
        reason = "the customer has no usable e-mail address"
    elif not by_mail:
        way = common_pb2.Channel.Name(channel).removeprefix("CHANNEL_").lower()
        reason = f"replies do not go by {way} yet"
    else:
        typed = channel in _TYPED
        reason = await _why_not_by_robot(tx, letter, rules, typed=typed) if automatic else None
    if not reason:
        await ledger.add_deliveries(tx, [letter, *_copies(letter, message)])
        return
    letter = _suppressed(letter, reason)
    await ledger.add_deliveries(tx, [letter])
    # The agent who wrote it must see that it did not leave.
    tx.emit(events_pb2.DeliveryFailed(delivery=convert.delivery_message(letter)), key=ticket.id)


def _is_answered(ticket: ticket_pb2.Ticket) -> bool:
    """Whether a person of the desk has written to the customer."""
    return any(fact.WhichOneof("kind") == "staff_replies" for fact in ticket.timeline.facts)


def _copies(letter: Delivery, message: ticket_pb2.TicketMessage) -> list[Delivery]:
    """One letter a reader: each answers under an address that is signed for them alone."""
    readers = dict.fromkeys(each.lower() for each in message.cc)
    return [
        replace(letter, id=identity("reply", message.id, each), recipient=each)
        for each in readers
        if is_address(each) and each != letter.recipient
    ]


async def clock_started(tx: Tx, event: sla_events.ClockStarted, _: Rules) -> None:
    """Learn the promised time of the first answer; the auto-reply waits for it."""
    clock = event.clock
    if clock.name != "first_response" or clock.cycle > 1 or not clock.HasField("due_time"):
        return
    await ledger.one_at_a_time(tx, f"promise/{event.ticket.id}")
    if await desk.put_promise(tx, event.ticket.id, clock.due_time.ToDatetime(tzinfo=tx.now.tzinfo)):
        await ledger.release_auto_reply(tx, event.ticket.id)


async def survey_asked(tx: Tx, event: survey_events.SurveyAsked, rules: Rules) -> None:
    """Send the customer the link to the question."""
    survey = event.survey
    letter = Delivery(
        id=identity("survey", survey.id),
        channel=Channel.EMAIL,
        audience=Audience.CUSTOMER,
        recipient=survey.recipient.lower(),
        template="survey",
        language=convert.pick_language(survey.language, rules.language),
        ticket_id=survey.ticket_id,
        ticket_key=survey.ticket_key,
        created_at=tx.now,
        next_at=tx.now,
        give_up_at=tx.now + rules.keep_trying,
        context={"url": event.url, "ticket_subject": event.ticket_subject, "name": event.recipient_name},
    )
    if not is_address(letter.recipient) or is_robot_address(letter.recipient):
        letter = _suppressed(letter, "nobody reads at that address")
    elif not event.url.startswith(("https://", "http://")):
        letter = _suppressed(letter, "the link is no web address")
    await ledger.add_deliveries(tx, [letter])


async def _letter(tx: Tx, template: str, ticket: ticket_pb2.Ticket, recipient: str, rules: Rules) -> Delivery:
    queue = await desk.get_queue(tx, ticket.queue)
    wishes = (ticket.language, ticket.customer.language, queue.language if queue else "", rules.language)
    return Delivery(
        id=identity(template, ticket.id),
        channel=Channel.EMAIL,
        audience=Audience.CUSTOMER,
        recipient=recipient,
        template=template,
        language=convert.pick_language(*wishes),
        ticket_id=ticket.id,
        ticket_key=ticket.key,
        created_at=tx.now,
        next_at=tx.now,
        give_up_at=tx.now + rules.keep_trying,
    )


def _suppressed(delivery: Delivery, reason: str) -> Delivery:
    return replace(delivery, state=State.SUPPRESSED, next_at=None, detail=reason)
