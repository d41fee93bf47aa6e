"""Deletes what the ledger says of tickets that are over.

The ledger lets a mark take effect once, so a row goes only when its key cannot be entered again:

- Its ticket is closed or merged and no mark of it waits: looked at with the ticket held. Whoever has read
  the ticket before finds another revision when it enters marks.
- Reopened, the ticket remembers in its standings what the newest cycle of each clock has told, and in which
  generation, which only grows; earlier cycles owe nothing.
- Standings forget a cycle that one policy does not count and another counts again. Its marks would wait anew
  in a generation of their own, so the ticket keeps `pruned_until`: a mark at or before that instant does not
  fire. One beyond it was moved there since, and is told like any other that is moved ahead.

A ticket of which nothing is known keeps its rows: should its first event come again, only they know.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from chassis.db import Tx
from sla_clock.store.tables import batch_table


async def prune_batches(tx: Tx, before: datetime, after: int, limit: int) -> tuple[int, int]:
    """Prune the next batches that fired and were sent before an instant; how many marks were deleted.

    And the number of the last batch, to go on after; 0 when no more of them are that old.
    """
    number = batch_table.c.id
    query = sa.select(number, batch_table.c.fired_at, batch_table.c.published_at)
    found = await tx.execute(query.where(number > after).order_by(number).limit(limit))
    old = [one for one in found if one.fired_at < before]
    sent = [one.id for one in old if one.published_at is not None and one.published_at < before]
    pruned = (await tx.execute(_PRUNE, {"batches": sent})).rowcount
    await tx.execute(_EMPTIED, {"batches": sent})
    return pruned, old[-1].id if len(old) == limit else 0


_BATCHES = sa.bindparam("batches", type_=sa.ARRAY(sa.BigInteger))
_PRUNE = sa.text(
    "with over as (select known.ticket_id from ticket_clock known join wake using (ticket_id)"
    " where known.ticket_id in (select ticket_id from mark_ledger where batch = any(:batches))"
    " and not known.open and wake.next_wake_at is null for update skip locked),"
    " noted as (update ticket_clock set pruned_until = clock_timestamp() from over"
    " where ticket_clock.ticket_id = over.ticket_id)"
    " delete from mark_ledger using over"
    " where batch = any(:batches) and mark_ledger.ticket_id = over.ticket_id"
).bindparams(_BATCHES)
_EMPTIED = sa.text(
    "delete from mark_batch where id = any(:batches)"
    " and not exists (select from mark_ledger where batch = mark_batch.id)"
).bindparams(_BATCHES)
