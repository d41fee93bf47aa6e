"""Where every change of a ticket ends: its rules run, then it is stored."""

from chassis.db import Tx
from tickets.domain.model import Ticket
from tickets.store import tickets as store


async def finish(tx: Tx, ticket: Ticket) -> None:
    """Run the triggers on what happened to a locked or new ticket, and store it with all of that."""
    await store.save_ticket(tx, ticket)
