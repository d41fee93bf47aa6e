"""Tickets in bulk: copies of one that the service itself has followed, under other ids and other instants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import redis.asyncio as redis
from google.protobuf.timestamp_pb2 import Timestamp

from bench.clock.plan import say
from bench.clock.site import Site
from chassis.bus import Ack, Outgoing
from chassis.clock import utcnow, uuid7
from sla_clock.calendar import MICROS, micros, moment
from sla_clock.timers import Wake
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import ticket_pb2, timeline_pb2
from tickdesk.tickets.v1.events_pb2 import TicketUpdated

_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_TABLES = """
select table_name from information_schema.columns
where table_schema = 'public' and column_name = 'ticket_id' and table_name not like '%ledger%'
order by table_name
"""
_FILL_SECONDS = 900.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Original:
    """The ticket that is copied: its id, its one instant, its rows by table."""

    id: UUID
    at: int
    rows: Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(slots=True)
class Tickets:
    """Plants tickets into the tables and the index of a site."""

    site: Site
    original: Original
    far: int = 0
    _seconds_each: float = 1 / 3000
    _copies: dict[str, list[Callable[[UUID, int], tuple[Any, ...]]]] = field(default_factory=dict)

    @classmethod
    async def of(cls, site: Site) -> Tickets:
        """Tell the service of one ticket and learn what it wrote."""
        ticket_id = uuid7()
        await _tell(site, ticket_id)
        tables = [one["table_name"] for one in await site.sql.fetch(_TABLES)]

        async def read() -> dict[str, list[Mapping[str, Any]]]:
            query = "select * from {} where ticket_id = $1"
            return {name: await site.sql.fetch(query.format(name), ticket_id) for name in tables}

        async def followed() -> bool:
            return all((await read()).values())

        await site.until(followed, 30, "the first ticket's clocks")
        rows = await read()
        wakes = [one["next_wake_at"] for found in rows.values() for one in found if "next_wake_at" in one]
        return cls(site, Original(ticket_id, micros(wakes[0]), rows))

    async def keep(self, count: int) -> float:
        """Have so many waiting far in the future, and the index rebuilt; seconds that the rebuild took."""
        site, add = self.site, count - self.far
        if add > 0:
            began = time.monotonic()
            async with site.sql.acquire() as link, link.transaction():
                for table, rows in self.original.rows.items():
                    await link.execute(self._multiply(table, rows[0]), self.original.id, self.far, count)
            await site.sql.execute("vacuum (freeze, analyze)")
            await site.sql.execute("checkpoint")
            self.far = count
            say(f"{add} tickets written in {time.monotonic() - began:.0f} s")
        return await self.rebuild()

    async def rebuild(self) -> float:
        """Flush the index and wait until the service has filled it again; seconds."""
        link = redis.Redis.from_url(self.site.valkey.url)
        await link.flushdb()
        await link.aclose()
        began = time.monotonic()
        waiting = self.far + 1

        async def filled() -> bool:
            return await self.site.timers.armed() >= waiting

        await self.site.until(filled, _FILL_SECONDS, "the index filled")
        return time.monotonic() - began

    async def plant(self, count: int, spacing: int, **changed: Any) -> tuple[int, dict[UUID, int]]:
        """So many tickets due soon, `spacing` microseconds apart: the first instant, and each one's.

        `changed` are columns to write otherwise. Raises TimeoutError when the machine was too slow for it.
        """
        began = time.monotonic()
        lead = 1.5 + 1.5 * count * self._seconds_each
        # A whole millisecond, as the timers have it.
        first = (micros(utcnow()) + int(lead * MICROS)) // 1000 * 1000
        due = {uuid4(): first + number * spacing for number in range(count)}
        for table, rows in self.original.rows.items():
            copies = [self._copier({**row, **{k: v for k, v in changed.items() if k in row}}) for row in rows]
            for some in _chunks(list(due.items()), 20_000):
                records = [copy(one, at) for one, at in some for copy in copies]
                await self.site.sql.copy_records_to_table(
                    table, records=records, columns=list(rows[0].keys())
                )
        revision = next(
            one["revision"] for rows in self.original.rows.values() for one in rows if "revision" in one
        )
        wakes = [Wake(one, revision, at) for one, at in due.items()]
        for timers in _chunks(wakes, 5_000):
            await self.site.timers.apply(timers)
        took = time.monotonic() - began
        self._seconds_each = max(took / count, 1e-5)
        if micros(utcnow()) > first - 200_000:
            raise TimeoutError(f"{count} tickets took {took:.1f} s to plant, longer than foreseen")
        return first, due

    def _copier(self, row: Mapping[str, Any]) -> Callable[[UUID, int], tuple[Any, ...]]:
        """Makes the row of another ticket: wherever the id or the instant stands, the new one does."""
        old_id, old_at = str(self.original.id), str(self.original.at)
        values = list(row.values())
        changing = [(place, value) for place, value in enumerate(values) if self._tells(value)]

        def copy(ticket_id: UUID, at: int) -> tuple[Any, ...]:
            for place, value in changing:
                values[place] = _replaced(value, (old_id, str(ticket_id)), (old_at, str(at)))
                if isinstance(value, UUID):
                    values[place] = ticket_id
                elif isinstance(value, datetime):
                    values[place] = moment(at)
            return tuple(values)

        return copy

    def _tells(self, value: object) -> bool:
        """Whether the original's id or instant stands in a value."""
        if isinstance(value, UUID | datetime):
            return value in (self.original.id, moment(self.original.at))
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        return isinstance(text, str) and (str(self.original.id) in text or str(self.original.at) in text)

    def _multiply(self, table: str, row: Mapping[str, Any]) -> str:
        """The statement that copies the original's row within the server, a millisecond later each."""
        columns = {name: self._expression(name, value) for name, value in row.items()}
        return (
            f"insert into {table} ({', '.join(columns)}) select {', '.join(columns.values())}"
            f" from {table} one, generate_series($2::int + 1, $3::int) number where one.ticket_id = $1"
        )

    def _expression(self, name: str, value: object) -> str:
        one, identity = f"one.{name}", "md5('bench' || number)::uuid"
        if value == self.original.id:
            return identity
        if value == moment(self.original.at):
            return f"{one} + number * interval '1 ms'"
        if isinstance(value, bytes) and str(self.original.id).encode() in value:
            place = value.index(str(self.original.id).encode()) + 1
            return f"overlay({one} placing convert_to(({identity})::text, 'UTF8') from {place} for 36)"
        return one


def _chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _replaced(value: Any, *pairs: tuple[str, str]) -> Any:
    for old, new in pairs:
        if isinstance(value, bytes):
            value = value.replace(old.encode(), new.encode())
        elif isinstance(value, str):
            value = value.replace(old, new)
    return value


async def _tell(site: Site, ticket_id: UUID) -> None:
    """What tickets publishes when a ticket was opened."""
    now = Timestamp()
    now.FromDatetime(utcnow())
    created = timeline_pb2.Created(
        priority=common.PRIORITY_NORMAL,
        line=common.LINE_L1,
        status="new",
        status_kind=timeline_pb2.STATUS_KIND_NEW,
    )
    ticket = ticket_pb2.Ticket(
        id=str(ticket_id),
        key="SUP-1",
        version=1,
        queue="SUP",
        subject="It does not print",
        priority=common.PRIORITY_NORMAL,
        line=common.LINE_L1,
        channel=common.CHANNEL_EMAIL,
        status_kind=timeline_pb2.STATUS_KIND_NEW,
        timeline=timeline_pb2.Timeline(facts=[timeline_pb2.Fact(time=now, created=created)]),
    )
    payload = TicketUpdated(ticket=ticket).SerializeToString()
    headers = {"traceparent": _TRACE}
    event = Outgoing(TicketUpdated.DESCRIPTOR.full_name, payload, str(uuid4()), ticket.id, utcnow(), headers)
    await site.bus.ensure_stream("TICKETS")
    for _ in range(50):
        if isinstance((await site.bus.publish([event]))[0], Ack):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError("the stream did not take the first ticket")
