"""`python -m bench.tickets` measures lists, searches and pages of tickets over many of them."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from hashlib import md5
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from rich.console import Console
from rich.table import Table

from bench.clock.plan import say
from bench.desks import a_desk
from bench.report import machine, quantiles, save
from bench.tickets import create, goals
from bench.tickets.plant import plant
from bench.tickets.queries import REPORTS, TEXT, USUAL, drawn, report
from tickdesk.tickets.v1.query_service_pb2 import SearchTicketsRequest
from tickdesk.tickets.v1.reports_service_pb2 import GetReportRequest
from tickdesk.tickets.v1.tickets_service_pb2 import GetTicketRequest, ListTicketMessagesRequest
from tickdesk_cli.client import Client

TICKETS, CALLS = 1_000_000, 200
Call = Callable[[], Awaitable[object]]


def main() -> int:
    """Plant, measure, write bench/results/tickets.json; the exit code tells nothing of the goals."""
    parser = argparse.ArgumentParser(prog="python -m bench.tickets", description="Measure many tickets.")
    parser.add_argument("--tickets", type=int, default=TICKETS, help="how many (%(default)s)")
    parser.add_argument("--calls", type=int, default=CALLS, help="calls of each sort (%(default)s)")
    asked = parser.parse_args()
    print(f"   written to {asyncio.run(measure(asked.tickets, asked.calls))}", flush=True)
    return 0


async def measure(tickets: int, calls: int) -> Path:
    """One caller, one call after the other, only tickets running; values are drawn anew for each call."""
    about = machine()
    async with a_desk() as (desk, client):
        for name in ("sla-clock", "notifier", "survey", "intake"):
            await desk.service(name).stop()
        took = await plant(desk.database("tickets"), tickets)
        sizes = await _sizes(desk.database("tickets"))
        say(f"{tickets:,} tickets, {sizes['messages']:,} messages in {took:.0f} s, {sizes['gib']} GiB")
        figures = await _figures(client, tickets, calls)
        created = await create.measure(desk)
    told = {
        "unit": "seconds",
        "calls": calls,
        "size": {**sizes, "seconds_to_plant": round(took)},
        "calls_of": figures,
        "create": created,
    }
    _show(told)
    return save("tickets" if tickets == TICKETS else "tickets-quick", told, about)


def _show(told: Mapping[str, Any]) -> None:
    """The goals and what was reached, as a table."""
    table = Table("what", "goal", "reached", "verdict")
    for row in goals.rows(told):
        table.add_row(row.what, row.goal, row.reached, row.verdict.partition(":")[0])
    Console(width=None if sys.stdout.isatty() else 140).print(table)


async def _figures(client: Client, tickets: int, calls: int) -> dict[str, Mapping[str, float]]:
    values = random.Random(7)
    pages = await _timed(_page(client, _ids(values, tickets)), calls)
    found = {"page of a ticket": pages}
    for name, query in {**USUAL, **TEXT}.items():
        found[name] = await _timed(_search(client, query, values, tickets), calls)
        say(f"{name}: {quantiles(found[name])}")
    for name, asked in REPORTS.items():
        found[name] = await _timed(_report(client, report(*asked)), max(1, calls // 10))
        say(f"{name}: {quantiles(found[name])}")
    found["usual queries"] = [each for name in USUAL for each in found[name]]
    found["full text"] = [each for name in TEXT for each in found[name]]
    return {name: quantiles(each) for name, each in found.items()}


def _search(client: Client, query: str, values: random.Random, tickets: int) -> Call:
    async def search() -> object:
        request = SearchTicketsRequest(query=drawn(query, values, tickets))
        return await client.queries.SearchTickets(request, timeout=15)

    return search


def _report(client: Client, request: GetReportRequest) -> Call:
    async def ask() -> object:
        return await client.reports.GetReport(request, timeout=15)

    return ask


def _page(client: Client, ids: Iterator[str]) -> Call:
    async def page() -> None:
        ticket = next(ids)
        await client.tickets.GetTicket(GetTicketRequest(ticket=ticket), timeout=15)
        request = ListTicketMessagesRequest(ticket=ticket, page_size=50)
        await client.tickets.ListTicketMessages(request, timeout=15)

    return page


def _ids(values: random.Random, tickets: int) -> Iterator[str]:
    """Ids of planted tickets."""
    while True:
        number = values.randrange(1, tickets + 1)
        yield str(UUID(md5(f"ticket{number}".encode(), usedforsecurity=False).hexdigest()))


async def _timed(call: Call, calls: int) -> list[float]:
    """Seconds of each call, after some that warm up."""
    for _ in range(calls // 10):
        await call()
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        await call()
        took.append(time.perf_counter() - began)
    return took


async def _sizes(url: str) -> dict[str, Any]:
    connection = await asyncpg.connect(url)
    try:
        size = await connection.fetchval("select pg_database_size(current_database())")
        return {
            "tickets": await connection.fetchval("select count(*) from ticket"),
            "messages": await connection.fetchval("select count(*) from message"),
            "gib": round(size / 2**30, 1),
        }
    finally:
        await connection.close()


if __name__ == "__main__":
    sys.exit(main())
