"""Running clocks in lists: by due instant, in the order to serve, counted by group."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from chassis.db import Tx
from sla_clock.calendar import micros, moment
from sla_clock.serving import NO_ZONE, SHARES, Candidate
from sla_clock.store.tables import INSTANT, due_table, ticket_table
from sla_clock.store.tickets import TICKETS, TicketRow, ticket_row

FORECAST_GROUPS = 1000
_MINUTES = (15, 60, 240)


@dataclass(frozen=True, slots=True)
class DueFilter:
    """Which running clocks; what is empty filters nothing."""

    queue: str = ""
    line: str = ""
    assignee: str = ""
    clock: str = ""
    before: datetime | None = None

    def sql(self) -> tuple[str, dict[str, Any]]:
        """As a condition on `d` (the clock) and `t` (its ticket), with its parameters."""
        conditions = {
            "d.queue = :only_queue": self.queue,
            "t.line = :only_line": self.line,
            "t.assignee = :only_assignee": self.assignee,
            "d.clock = :only_clock": self.clock,
            "d.due_at < :only_before": self.before,
        }
        given = {condition: value for condition, value in conditions.items() if value}
        values = {condition.rpartition(":")[2]: value for condition, value in given.items()}
        return " and ".join(given) or "true", values


@dataclass(frozen=True, slots=True)
class DueRow:
    """A running clock with its ticket."""

    clock: str
    due_at: datetime
    row: TicketRow


@dataclass(frozen=True, slots=True)
class Counters:
    """What the calendars in use show at an instant, by policy version and name, and when days end by zone.

    A clock's remaining time is the difference of two such counts, so that the database need not know any
    calendar.
    """

    now: int
    calendars: Mapping[tuple[int, str], int]
    days_left: Mapping[str, int]


async def versions_in_use(tx: Tx) -> tuple[int, int]:
    """The oldest and the newest policy version that open tickets are counted under; 0, 0 without any."""
    found = (await tx.execute(_VERSIONS)).one()
    return found.oldest or 0, found.newest or 0


_VERSIONS = sa.select(
    sa.func.min(ticket_table.c.policy_version).label("oldest"),
    sa.func.max(ticket_table.c.policy_version).label("newest"),
).where(ticket_table.c.open)


async def list_due(
    tx: Tx, wanted: DueFilter, after: tuple[datetime, UUID, str] | None, limit: int
) -> list[DueRow]:
    """Running clocks, soonest due first."""
    condition, values = wanted.sql()
    beyond = "(d.due_at, d.ticket_id, d.clock) > (:due, :id, :clock)" if after else "true"
    if after:
        values |= {"due": after[0], "id": after[1], "clock": after[2]}
    text = sa.text(_DUE.format(condition=condition, after=beyond))
    found = (await tx.execute(text, values | {"limit": limit})).all()
    rows = await tickets_of(tx, {one.ticket_id for one in found})
    return [DueRow(one.clock, one.due_at, rows[one.ticket_id]) for one in found if one.ticket_id in rows]


_DUE = (
    "select d.ticket_id, d.clock, d.due_at from due_clock d join ticket_clock t using (ticket_id)"
    " where {condition} and {after} order by d.due_at, d.ticket_id, d.clock limit :limit"
)


async def list_next(
    tx: Tx, wanted: DueFilter, at: Counters, after: Sequence[int | str] | None, limit: int
) -> list[Candidate]:
    """The most urgent running clock of each ticket in the order to serve, after a place (serving.Candidate).

    One pass over all running clocks that fit the filter, within the database.
    """
    condition, values = wanted.sql()
    if after is not None:
        *numbers, due, ticket_id = after
        values |= dict(zip(("ahead", "tenths", "plain", "left"), numbers, strict=True))
        values |= {"due": moment(int(due)), "id": UUID(str(ticket_id))}
    values |= {
        "now": moment(at.now),
        "versions": [version for version, _ in at.calendars],
        "calendars": [name for _, name in at.calendars],
        "counts": list(at.calendars.values()),
        "zones": list(at.days_left),
        "days": list(at.days_left.values()),
        "limit": limit,
    }
    text = _NEXT.format(condition=condition, after="true" if after is None else _AFTER)
    found = await tx.execute(sa.text(text).bindparams(*_COUNTERS), values)
    return [
        Candidate(
            *(one.ticket_id, one.clock, micros(one.due_at), one.remaining, one.target),
            vip=one.tier == "vip",
            zone=one.customer_timezone,
        )
        for one in found
    ]


_NUMBERS, _TEXTS = sa.ARRAY(sa.BigInteger), sa.ARRAY(sa.Text)
_COUNTERS = (
    sa.bindparam("now", type_=INSTANT),
    sa.bindparam("versions", type_=sa.ARRAY(sa.Integer)),
    sa.bindparam("calendars", type_=_TEXTS),
    sa.bindparam("counts", type_=_NUMBERS),
    sa.bindparam("zones", type_=_TEXTS),
    sa.bindparam("days", type_=_NUMBERS),
)
# The same places as serving.Candidate.place. A clock whose calendar is not among those given, as that of a
# policy long ago that is just being followed up, counts real time meanwhile.
_NEXT = (
    "with counted as ("
    " select d.ticket_id, d.clock, d.due_at, d.target, t.tier, t.customer_timezone,"
    " coalesce(d.due_count - c.count, (extract(epoch from d.due_at - :now) * 1000000)::bigint) as remaining"
    " from due_clock d join ticket_clock t using (ticket_id)"
    " left join unnest(:versions, :calendars, :counts) as c(version, calendar, count)"
    " on c.version = t.policy_version and c.calendar = d.calendar"
    " where {condition}),"
    " placed as (select *, (due_at > :now)::int as ahead,"
    f" floor(remaining::numeric * {SHARES} / target)::bigint as tenths, (tier <> 'vip')::int as plain"
    " from counted),"
    " chosen as (select distinct on (ticket_id) * from placed"
    " order by ticket_id, ahead, tenths, due_at, clock),"
    f" ordered as (select chosen.*, coalesce(z.days, {NO_ZONE}) as days from chosen"
    " left join unnest(:zones, :days) as z(zone, days) on z.zone = chosen.customer_timezone)"
    " select * from ordered where {after}"
    " order by ahead, tenths, plain, days, due_at, ticket_id limit :limit"
)
_AFTER = "(ahead, tenths, plain, days, due_at, ticket_id) > (:ahead, :tenths, :plain, :left, :due, :id)"


async def tickets_of(tx: Tx, ticket_ids: Collection[UUID]) -> dict[UUID, TicketRow]:
    """Whole tickets by id; one that is gone is left out."""
    given = ticket_table.c.ticket_id == sa.any_(sa.literal(sorted(ticket_ids), sa.ARRAY(sa.Uuid)))
    return {one.ticket_id: ticket_row(one) for one in await tx.execute(TICKETS.where(given))}


@dataclass(frozen=True, slots=True)
class Expected:
    """Running clocks of a group: overdue, and due within 15, 60 and 240 minutes."""

    group: str
    overdue: int
    within: tuple[int, int, int]


async def forecast(tx: Tx, group: str, now: datetime, wanted: DueFilter) -> list[Expected]:
    """What falls due soon by `queue`, `line` or `assignee`: all together first, then the most urgent."""
    condition, values = wanted.sql()
    within = ", ".join(
        f"count(*) filter (where due_at > :now and due_at <= :in_{one}) as in_{one}" for one in _MINUTES
    )
    column = "d.queue" if group == "queue" else f"t.{group}"
    text = _FORECAST.format(group=column, condition=condition, within=within)
    values |= {f"in_{one}": now + timedelta(minutes=one) for one in _MINUTES}
    values |= {"now": now, "limit": FORECAST_GROUPS + 1}
    found = await tx.execute(sa.text(text), values)
    return [Expected(one.name or "", one.overdue, (one.in_15, one.in_60, one.in_240)) for one in found]


# Which row is the sum of all cannot be told by its name: nobody's tickets have an empty one.
_FORECAST = (
    "select {group} as name, grouping({group}) as total,"
    " count(*) filter (where due_at <= :now) as overdue, {within}"
    " from due_clock d join ticket_clock t using (ticket_id)"
    f" where d.due_at <= :in_{max(_MINUTES)} and {{condition}}"
    " group by grouping sets (({group}), ())"
    " order by total desc, overdue desc, in_15 desc, in_60 desc, in_240 desc, name limit :limit"
)


async def due_counts(tx: Tx) -> dict[int, int]:
    """How many running clocks fall due within so many minutes."""
    now = sa.func.clock_timestamp()
    ends = {one: now + sa.func.make_interval(0, 0, 0, 0, 0, one) for one in _MINUTES}
    counts = [
        sa.func.count().filter(due_table.c.due_at <= end).label(f"in_{one}") for one, end in ends.items()
    ]
    within = due_table.c.due_at.between(now, ends[max(_MINUTES)])
    row = (await tx.execute(sa.select(*counts).where(within))).mappings().one()
    return {one: row[f"in_{one}"] for one in _MINUTES}
