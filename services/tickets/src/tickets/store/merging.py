"""What changes hands when tickets are merged, split or moved."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from tickets.domain.model import Conversation, Message, Ticket
from tickets.store import audit, history, tables, texts
from tickets.store.messages import to_message
from tickets.store.tickets import ticket_row

_m = tables.message
_MAX_DRAFT = 262_144

# Drafts, votes and links are copied where they are not there yet, then what is left is forgotten.
_HAND_OVER = (
    """
    update ticket_text goes_on set document = goes_on.document || ended.document
    from ticket_text ended
    where goes_on.ticket_id = cast(:into as uuid) and ended.ticket_id = cast(:ticket as uuid)
    """,
    "update message set ticket_id = cast(:into as uuid) where ticket_id = cast(:ticket as uuid)",
    "update conversation set ticket_id = cast(:into as uuid) where ticket_id = cast(:ticket as uuid)",
    f"""
    insert into draft (ticket_id, agent_id, text, "to", cc, subject, attachment_ids, saved_time)
    select cast(:into as uuid), agent_id, text, "to", cc, subject, attachment_ids, saved_time
    from draft where ticket_id = cast(:ticket as uuid)
    on conflict (ticket_id, agent_id) do update
        set text = left(draft.text || E'\\n\\n' || excluded.text, {_MAX_DRAFT})
    """,
    "delete from draft where ticket_id = cast(:ticket as uuid)",
    """
    insert into external_link (ticket_id, url, title, kind, state, created_time, updated_time)
    select cast(:into as uuid), url, title, kind, state, created_time, updated_time
    from external_link where ticket_id = cast(:ticket as uuid)
    on conflict do nothing
    """,
    "delete from external_link where ticket_id = cast(:ticket as uuid)",
    """
    insert into vote (ticket_id, customer_id, created_time)
    select cast(:into as uuid), voter.customer_id, voter.created_time
    from (
        select customer_id, created_time from vote where ticket_id = cast(:ticket as uuid)
        union select customer_id, created_time from ticket where id = cast(:ticket as uuid) and type = 5
    ) voter join ticket goes_on on goes_on.id = cast(:into as uuid) and goes_on.type = 5
    on conflict do nothing
    """,
    "delete from vote where ticket_id = cast(:ticket as uuid)",
)


async def hand_over(tx: Tx, ticket: Ticket, into: Ticket) -> None:
    """Everything that hangs on a ticket but its links goes to another."""
    for statement in _HAND_OVER:
        names = {"ticket": ticket.id, "into": into.id}
        await tx.execute(
            sa.text(statement), {name: names[name] for name in names if f":{name} " in statement}
        )


async def chosen(tx: Tx, ticket_id: str, message_ids: Sequence[str]) -> list[Message]:
    """Those of the messages that are the ticket's, the oldest first."""
    query = sa.select(_m).where(_m.c.ticket_id == ticket_id, _m.c.id.in_(message_ids))
    rows = await tx.execute(query.order_by(_m.c.created_time, _m.c.id))
    return [to_message(row) for row in rows.mappings()]


async def rest(tx: Tx, ticket_id: str, message_ids: Sequence[str]) -> set[str]:
    """Conversations of the messages that stay; a note's is empty. Nothing at all when none stays."""
    query = sa.select(_m.c.conversation_id).where(_m.c.ticket_id == ticket_id, _m.c.id.not_in(message_ids))
    return set((await tx.execute(query.distinct())).scalars())


async def add_split(tx: Tx, ticket: Ticket, moved: Sequence[Message], going: Sequence[Conversation]) -> None:
    """A new ticket with messages and conversations of another, or a conversation of its own."""
    born = insert(tables.ticket).values(ticket_row(ticket)).add_cte(audit.WRITTEN, *history.WRITTEN)
    await tx.execute(born, {"audit": audit.take(ticket), **history.take(ticket)})
    theirs = _m.c.id.in_([each.id for each in moved])
    await tx.execute(sa.update(_m).where(theirs).values(ticket_id=ticket.id))
    await tx.execute(
        texts.NEW, {"document_ticket_id": ticket.id, "document_text": texts.words(ticket, moved)}
    )
    table = tables.conversation
    if going:
        theirs = table.c.id.in_([each.id for each in going])
        await tx.execute(sa.update(table).where(theirs).values(ticket_id=ticket.id))
        return
    own = {"id": ticket.conversations[-1].id, "ticket_id": ticket.id, "created_time": tx.now}
    await tx.execute(insert(table), own)


async def number_in(tx: Tx, ticket: Ticket, queue: str) -> int:
    """The number of a ticket in a queue that it moves to: the one it had there, else the next.

    The key that it leaves goes on to be found."""
    alias = tables.ticket_alias
    await tx.execute(insert(alias), {"queue": ticket.queue, "number": ticket.number, "ticket_id": ticket.id})
    back = sa.delete(alias).where(alias.c.ticket_id == ticket.id, alias.c.queue == queue)
    before = (await tx.execute(back.returning(alias.c.number))).scalars().first()
    return before if before is not None else await next_number(tx, queue)


async def next_number(tx: Tx, queue: str) -> int:
    """The next number of a queue's tickets; one is lost when the transaction fails."""
    sequence = sa.cast(f"ticket_number_{queue.lower()}", sa.dialects.postgresql.REGCLASS)
    found: int = (await tx.execute(sa.select(sa.func.nextval(sequence)))).scalar_one()
    return found
