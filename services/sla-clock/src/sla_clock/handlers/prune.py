"""Keeps the ledger of marks from growing for ever."""

from __future__ import annotations

from datetime import timedelta

from sla_clock.calendar import moment
from sla_clock.handlers.works import Works
from sla_clock.metrics import PRUNED
from sla_clock.store import tickets
from sla_clock.store.pruning import prune_batches

_BATCHES = 20


async def prune(works: Works, kept: timedelta, after: int = 0) -> int:
    """Delete marks of tickets that are over, told longer ago than that, from some batches after that one.

    The number of the last batch looked at; 0 when the next one is not that old.
    """
    async with works.db.tx() as tx:
        before = moment(await tickets.instant(tx)) - kept
        pruned, last = await prune_batches(tx, before, after, _BATCHES)
    PRUNED.inc(pruned)
    return last
