"""The usual queries walk indexes: what they read grows with the page, not with the table."""

import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from bench.tickets.plant import plant
from bench.tickets.queries import FIELD, MINE, TEXT, USUAL, drawn
from chassis.db import Database, Tx
from tickets.domain import fields as custom
from tickets.domain.label import Label
from tickets.domain.query.catalog import catalog
from tickets.domain.query.resolve import Context, resolve
from tickets.main import reading_database
from tickets.store.lists import Page
from tickets.store.search import search_tickets

TICKETS = 100_000
LARGE = {"ticket", "ticket_text", "ticket_clock", "customer", "contact", "message"}
KNOWN = catalog(fields=[custom.Field("product", Label(), custom.FieldType.TEXT)])


@asynccontextmanager
async def planted(url: str) -> AsyncIterator[Database]:
    """A database with many tickets, as searches see it."""
    await plant(url, TICKETS, most=1)
    async with reading_database(SecretStr(url), 3, 4) as db:
        yield db


async def plans(db: Database, tx: Tx, query: str) -> list[dict[str, Any]]:
    """Plans of the statements that a page of a query takes, as they are sent."""
    sent: list[tuple[str, Any]] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        sent.append((statement, parameters))

    search = resolve(query, KNOWN, Context("agent1", tx.now, ZoneInfo("UTC")))
    sa.event.listen(db.engine.sync_engine, "before_cursor_execute", note)
    await search_tickets(tx, search, Page(50), query, staff=True)
    sa.event.remove(db.engine.sync_engine, "before_cursor_execute", note)
    found = []
    for statement, parameters in sent:
        told = await tx.conn.exec_driver_sql(f"explain (format json) {statement}", parameters)
        plan = told.scalar_one()
        found.append((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
    return found


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.timeout(900)
async def test_the_usual_queries_read_no_table_from_end_to_end(database: Callable[..., str]) -> None:
    """YT-32, MP-10: lists stay quick however many tickets there are."""
    values = random.Random(1)
    async with planted(database("tickets.migrations")) as db, db.tx() as tx:
        read: dict[str, set[str]] = {}
        for name, query in {**USUAL, **TEXT, "custom field": FIELD}.items():
            for plan in await plans(db, tx, drawn(query, values, TICKETS)):
                whole = [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
                read.setdefault(name, set()).update(LARGE & set(whole))
        assert {name: tables for name, tables in read.items() if tables} == {}
        mine = (await plans(db, tx, drawn(MINE, values, TICKETS)))[0]
        walked = [node for node in nodes(mine) if node.get("Relation Name") == "ticket"]
        assert [node.get("Index Name") for node in walked] == ["ticket_mine"]
        assert "Sort" not in [node["Node Type"] for node in nodes(mine)]
