"""Votes for wishes (MP-14)."""

from chassis.db import Tx
from chassis.errors import NotFound, Refused, Violation
from tickets.domain.model import Contact, Ticket, TicketType
from tickets.domain.wishes import Wish
from tickets.handlers.change import Target, locked
from tickets.store import wishes as store


async def vote(tx: Tx, reference: str, contact: Contact) -> Wish:
    """The customer of a contact wants it; once, however often they say so."""
    ticket, customer_id = await _wish_of(tx, reference, contact)
    await store.vote(tx, ticket, customer_id)
    return await store.load_wish(tx, ticket.id)


async def unvote(tx: Tx, reference: str, contact: Contact) -> Wish:
    """They do not any more. The author wants what they wished for."""
    ticket, customer_id = await _wish_of(tx, reference, contact)
    await store.unvote(tx, ticket, customer_id)
    return await store.load_wish(tx, ticket.id)


async def _wish_of(tx: Tx, reference: str, contact: Contact) -> tuple[Ticket, str]:
    # Locked, so that a merge takes the vote along or refuses it.
    ticket = await locked(tx, Target(reference))
    if ticket.type != TicketType.WISH:
        raise Refused(f"{ticket.key} is no wish: only wishes are voted for", reason="NOT_A_WISH")
    customer_id = await store.customer_of(tx, contact)
    if customer_id is None:
        text = "contact is of no customer: only those whom the desk knows may vote"
        raise NotFound(text, reason="CUSTOMER_NOT_FOUND", violations=[Violation("contact", text)])
    return ticket, customer_id
