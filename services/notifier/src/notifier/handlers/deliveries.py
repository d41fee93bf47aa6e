"""What becomes of a delivery: prepared, taken, refused, tried again."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from chassis.db import Tx
from chassis.errors import Refused
from notifier import convert
from notifier.domain import Audience, Delivery, Parcel, Rules, State, retry_at
from notifier.store import desk, ledger
from tickdesk.notifier.v1 import events_pb2
from tickdesk.tickets.v1 import ticket_pb2


async def prepare(tx: Tx, parcel: Parcel) -> Parcel:
    """Add what a letter to a customer needs beyond its own row: sender, thread, promised time."""
    delivery = parcel.first
    values = {**delivery.context, "number": delivery.ticket_key}
    if delivery.audience is not Audience.CUSTOMER:
        return replace(parcel, values=values)
    ticket = await desk.get_ticket(tx, delivery.ticket_id) or ticket_pb2.Ticket()
    queue = await desk.get_queue(tx, ticket.queue)
    conversation = delivery.context.get("conversation") or next(reversed(ticket.conversation_ids), "")
    # A reply is about the subject as it was; later events may have changed it.
    values |= {"subject": ticket.subject, "desk": queue.name if queue else ""}
    if delivery.template == "auto_reply":
        values["promised"] = await desk.get_promise(tx, delivery.ticket_id)
    return replace(
        parcel,
        values=values,
        sender_name=queue.name if queue else "",
        sender_address=next(iter(queue.addresses if queue else ()), ticket.account.lower()),
        conversation_id=conversation,
        answers=await desk.last_external_id(tx, conversation) if conversation else "",
        zone=ticket.customer.timezone,
    )


async def delivered(tx: Tx, parcel: Parcel, subject: str) -> list[Delivery]:
    """The next hop took it."""
    changes: dict[str, Any] = {"state": State.SENT, "sent_at": tx.now, "next_at": None, "detail": ""}
    done = await ledger.settle(tx, parcel, {**changes, "subject": subject})
    for each in done:
        tx.emit(
            events_pb2.DeliverySent(delivery=convert.delivery_message(each)),
            key=each.ticket_id or str(each.id),
        )
    return done


async def refused(tx: Tx, parcel: Parcel, detail: str) -> list[Delivery]:
    """It will never be taken."""
    changes: dict[str, Any] = {"state": State.FAILED, "next_at": None, "detail": detail}
    done = await ledger.settle(tx, parcel, changes)
    for each in done:
        tx.emit(
            events_pb2.DeliveryFailed(delivery=convert.delivery_message(each)),
            key=each.ticket_id or str(each.id),
        )
    return done


async def postponed(tx: Tx, parcel: Parcel, detail: str, first: timedelta) -> list[Delivery]:
    """It was not taken now: try again later, or give up when its time has run out."""
    again = retry_at(parcel.first, tx.now, first, random.random())
    if again is None:
        return await refused(tx, parcel, f"given up after {parcel.first.attempts} attempts: {detail}")
    changes: dict[str, Any] = {"state": State.PENDING, "next_at": again, "detail": detail}
    return await ledger.settle(tx, parcel, changes)


async def retry_delivery(tx: Tx, delivery_id: UUID, rules: Rules) -> Delivery:
    """Send a failed delivery again. Raises NotFound, Refused."""
    delivery = await ledger.get_delivery(tx, delivery_id, lock=True)
    if delivery.state is not State.FAILED:
        raise Refused(
            f"delivery {delivery_id} is {delivery.state.value}: only a failed one can be sent again",
            reason="NOT_FAILED",
        )
    return await ledger.retry(tx, delivery, rules.keep_trying)
