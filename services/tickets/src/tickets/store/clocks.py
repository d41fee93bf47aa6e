"""What the clocks say of tickets. Older news never replaces newer."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from chassis.db import Tx
from tickets.domain.model import SlaClock
from tickets.store import tables

_k = tables.ticket_clock


async def put_clock(tx: Tx, ticket_id: str, clock: SlaClock, as_of: datetime) -> bool:
    """Note the state of a clock; False when something newer is known or there is no such ticket."""
    values = {
        "ticket_id": ticket_id,
        "clock": clock.clock,
        "cycle": clock.cycle,
        "state": clock.state,
        "due_time": clock.due_time,
        "met_time": clock.met_time,
        "breached": clock.breached,
        "last_mark": clock.last_mark,
        "version": clock.version,
        "as_of_time": as_of,
    }
    row = sa.select(*(sa.cast(value, _k.c[name].type).label(name) for name, value in values.items()))
    known = sa.exists().where(tables.ticket.c.id == ticket_id)
    news = insert(_k).from_select(list(values), row.where(known))
    same_cycle = _k.c.cycle == news.excluded.cycle
    changed: dict[str, Any] = {
        name: news.excluded[name] for name in values if name not in ("ticket_id", "clock")
    }
    # A breach is for good in its cycle, and the state of a clock may name no mark where one is known.
    changed["breached"] = news.excluded.breached | (same_cycle & _k.c.breached)
    kept_mark = sa.case(
        (same_cycle & (news.excluded.last_mark == ""), _k.c.last_mark), else_=news.excluded.last_mark
    )
    changed["last_mark"] = kept_mark
    newer = sa.tuple_(news.excluded.cycle, news.excluded.version, news.excluded.as_of_time) >= sa.tuple_(
        _k.c.cycle, _k.c.version, _k.c.as_of_time
    )
    upsert = news.on_conflict_do_update(
        index_elements=[_k.c.ticket_id, _k.c.clock], set_=changed, where=newer
    )
    return bool((await tx.execute(upsert)).rowcount)


async def put_mark(tx: Tx, ticket_id: str, clock: SlaClock) -> bool:
    """Note the last mark of a clock's cycle; False when a later cycle is known or the clock is not."""
    change = (
        sa.update(_k)
        .where(_k.c.ticket_id == ticket_id, _k.c.clock == clock.clock, _k.c.cycle == clock.cycle)
        .values(last_mark=clock.last_mark, breached=_k.c.breached | clock.breached)
    )
    return bool((await tx.execute(change)).rowcount)
