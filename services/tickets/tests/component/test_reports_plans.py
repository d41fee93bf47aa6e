"""Reports of a month walk indexes: what they read grows with the month, not with the table."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from chassis.db import Database, Tx
from services.tickets.tests.component.test_query_plans import nodes, planted
from tickets.domain.query.catalog import catalog
from tickets.domain.query.resolve import Context, resolve
from tickets.domain.reports import Period, question
from tickets.domain.reports_catalog import METRICS
from tickets.store import reports

LARGE = {"ticket", "ticket_span", "ticket_cycle", "clock_result", "customer", "message"}


async def plans(db: Database, tx: Tx, metric: str, *group_by: str) -> list[dict[str, Any]]:
    """Plans of the statements of a report over a month of half a year ago."""
    sent: list[tuple[str, Any]] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        sent.append((statement, parameters))

    zone = ZoneInfo("Europe/Moscow")
    last = tx.now.date() - timedelta(days=180)
    asked = question(Period(last - timedelta(days=29), last, zone), [metric], group_by)
    search = resolve("Queue: SUP", catalog(), Context("", tx.now, zone))
    sa.event.listen(db.engine.sync_engine, "before_cursor_execute", note)
    table = await reports.report(tx, asked, search, "", staff=True)
    sa.event.remove(db.engine.sync_engine, "before_cursor_execute", note)
    assert sum(told.count for told in table.total.values()) > 0, metric
    found = []
    for statement, parameters in sent:
        told = (await tx.conn.exec_driver_sql(f"explain (format json) {statement}", parameters)).scalar_one()
        found.append((json.loads(told) if isinstance(told, str) else told)[0]["Plan"])
    return found


@pytest.mark.timeout(900)
async def test_reports_of_a_month_read_no_table_from_end_to_end(database: Callable[..., str]) -> None:
    """Of each source one metric: those of one source differ in what they take from its rows."""
    first = {each.source: each.name for each in reversed(METRICS)}
    async with planted(database("tickets.migrations")) as db, db.tx() as tx:
        read = {}
        for source, metric in first.items():
            for plan in await plans(db, tx, metric, "week", "operator"):
                whole = {each["Relation Name"] for each in nodes(plan) if each["Node Type"] == "Seq Scan"}
                read[source.value] = LARGE & whole
        assert {source: tables for source, tables in read.items() if tables} == {}
