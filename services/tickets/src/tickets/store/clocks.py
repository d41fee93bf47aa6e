"""What the clocks say of tickets. Older news never replaces newer."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert, insert

from chassis.db import Tx
from tickets.domain.model import SlaClock
from tickets.store import tables
from tickets.store.history_tables import clock_result

_k, _t, _r = tables.ticket_clock, tables.ticket, clock_result
_KEY = ("ticket_id", "clock")
_TOLD = ("cycle", "state", "due_time", "met_time", "breached", "last_mark", "policy_version")
_CHANGING = (*_TOLD, "version", "as_of_time")


@dataclass(frozen=True, slots=True)
class Result:
    """What a clock counted in business time until it was met, and on which line and whose the ticket was."""

    elapsed_seconds: float
    line: int
    assignee: str


async def put_clock(
    tx: Tx, ticket_id: str, clock: SlaClock, as_of: datetime, result: Result | None = None
) -> bool:
    """Note the state of a clock, and what it came to once it is met.

    False when something newer is known of the clock or there is no such ticket; results of earlier cycles
    are noted all the same.
    """
    news = _news(ticket_id, clock, as_of)
    same_cycle = _k.c.cycle == news.excluded.cycle
    changed: dict[str, Any] = {name: news.excluded[name] for name in _CHANGING}
    # A breach is for good in its cycle, and the state of a clock may name no mark where one is known.
    changed["breached"] = news.excluded.breached | (same_cycle & _k.c.breached)
    kept_mark = sa.case(
        (same_cycle & (news.excluded.last_mark == ""), _k.c.last_mark), else_=news.excluded.last_mark
    )
    changed["last_mark"] = kept_mark
    upsert = news.on_conflict_do_update(index_elements=_KEY, set_=changed, where=_is_newer(news))
    if result and clock.met_time:
        upsert = upsert.add_cte(_met(ticket_id, clock, as_of, result).cte("met"))
    noted = bool((await tx.execute(upsert)).rowcount)
    if noted:
        await _note_due(tx, ticket_id)
    return noted


async def put_mark(tx: Tx, ticket_id: str, mark: SlaClock, at: datetime, *, newest: bool) -> bool:
    """Note the last mark of a clock's cycle; false when its cycle is not the one that counts any more.

    `newest` says that the mark's cycle was its clock's last one. A mark may come before the news that its
    cycle began or is counted anew: any such news completes it.
    """
    row = _news(ticket_id, replace(mark, version=0), tx.now)
    same_cycle, later = _k.c.cycle == row.excluded.cycle, row.excluded.cycle > _k.c.cycle
    if newest:
        instant = sa.tuple_(sa.literal(mark.version), sa.literal(at, _k.c.as_of_time.type))
        newer = instant >= sa.tuple_(_k.c.version, _k.c.as_of_time)
        later = sa.case((_k.c.policy_version == row.excluded.policy_version, later), else_=newer)
    changed: dict[str, Any] = {
        name: sa.case((same_cycle, _k.c[name]), else_=row.excluded[name]) for name in _TOLD
    }
    changed["breached"] = row.excluded.breached | (same_cycle & _k.c.breached)
    changed["last_mark"] = row.excluded.last_mark
    upsert = row.on_conflict_do_update(index_elements=_KEY, set_=changed, where=same_cycle | later)
    noted = bool((await tx.execute(upsert)).rowcount)
    if noted:
        await _note_due(tx, ticket_id)
    return noted


def _is_newer(news: Insert) -> sa.ColumnElement[bool]:
    """Whether news were computed later than what is known.

    Cycles come first, as a mark may have told of a cycle before its news; but another policy may count
    fewer of them.
    """
    told, known = news.excluded, _k.c
    computed = sa.tuple_(told.version, told.as_of_time) >= sa.tuple_(known.version, known.as_of_time)
    same_count = told.policy_version == known.policy_version
    return sa.case(
        (same_count & (told.cycle != known.cycle), told.cycle > known.cycle),
        else_=computed,
    )


async def _note_due(tx: Tx, ticket_id: str) -> None:
    """The ticket is due when the first of its running clocks is."""
    # Locked before the clocks are looked at: of two that are noted at once the second sees the first.
    mine = _t.c.id == ticket_id
    await tx.execute(sa.select(_t.c.id).where(mine).with_for_update(key_share=True))
    first = sa.select(sa.func.min(_k.c.due_time)).where(_k.c.ticket_id == ticket_id, _k.c.state == "running")
    due = sa.func.coalesce(first.scalar_subquery(), tables.NEVER)
    await tx.execute(sa.update(_t).where(mine, _t.c.due_time != due).values(due_time=due))


def _news(ticket_id: str, clock: SlaClock, as_of: datetime) -> Insert:
    """The row as heard; none when there is no such ticket."""
    return _row(_k, {"ticket_id": ticket_id, **asdict(clock), "as_of_time": as_of})


def _met(ticket_id: str, clock: SlaClock, as_of: datetime, result: Result) -> Insert:
    """The result of a clock, unless something newer is known of it."""
    told = {name: value for name, value in asdict(clock).items() if name in _r.c}
    row = _row(_r, {"ticket_id": ticket_id, **told, **asdict(result), "as_of_time": as_of})
    newer = sa.tuple_(row.excluded.version, row.excluded.as_of_time) >= sa.tuple_(
        _r.c.version, _r.c.as_of_time
    )
    changed = {each.name: row.excluded[each.name] for each in _r.c if not each.primary_key}
    return row.on_conflict_do_update(index_elements=list(_r.primary_key), set_=changed, where=newer)


def _row(table: sa.Table, values: dict[str, Any]) -> Insert:
    row = sa.select(*(sa.cast(value, table.c[name].type).label(name) for name, value in values.items()))
    known = sa.exists().where(_t.c.id == values["ticket_id"])
    return insert(table).from_select(list(values), row.where(known))
