"""Two customers become one, and two again."""

from chassis.clock import uuid7
from chassis.db import Tx
from tickets.domain import customers as rules
from tickets.domain.customers import Merge
from tickets.domain.model import Customer
from tickets.handlers.change import Caller, acting
from tickets.handlers.customers import save_changed
from tickets.store import customer_merges as merges
from tickets.store import customers as store
from tickets.store import desk

_MOVED = ("customer",)


async def merge_customers(tx: Tx, caller: Caller, source_id: str, target_id: str) -> tuple[Merge, Customer]:
    """Move contacts, numbers and tickets of the source. Raises NotFound, Refused, InvalidInput."""
    actor = await acting(tx, caller)
    rules.check_two(source_id, target_id)
    await store.hold_arrivals(tx, source_id, target_id)
    await merges.hold_tickets(tx, source_id)
    source, target = await desk.lock_pair(tx, source_id, target_id)
    before = rules.told(source), rules.told(target)
    rules.check_merge(source, target, await merges.count_source(tx, source))
    merge = Merge(
        id=str(uuid7()),
        source_id=source.id,
        target_id=target.id,
        author=actor.id,
        time=tx.now,
        contacts=source.contacts,
        numbers=[each for each in source.numbers if each not in target.numbers],
        source_numbers=source.numbers,
    )
    await merges.create(tx, merge)
    rules.merge(source, target, merge)
    await save_changed(tx, source, before[0], actor)
    await save_changed(tx, target, before[1], actor)
    await store.spread_customer(tx, target.id, _MOVED, actor)
    return merge, target


async def undo_merge(tx: Tx, caller: Caller, merge_id: str) -> Merge:
    """Move them back. Raises NotFound (MERGE_NOT_FOUND), Refused naming what was moved on meanwhile."""
    actor = await acting(tx, caller)
    merge = await merges.lock_merge(tx, merge_id)
    rules.check_undo(merge, tx.now)
    await store.hold_arrivals(tx, merge.source_id, merge.target_id)
    await merges.hold_moved(tx, merge)
    source, target = await desk.lock_pair(tx, merge.source_id, merge.target_id, merged=True)
    before = rules.told(source), rules.told(target)
    rules.refuse_changed(merge, target, await merges.moved_on(tx, merge))
    await merges.undo(tx, merge)
    rules.part(source, target, merge)
    for customer, was in zip((source, target), before, strict=True):
        await save_changed(tx, customer, was, actor)
        await store.spread_customer(tx, customer.id, _MOVED, actor)
    return merge
