"""Reports over RPC: who sees which figures, what is refused, and the file."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import sqlalchemy as sa

from chassis.clock import utcnow
from services.tickets.tests.builders import Desk, furnish
from services.tickets.tests.component.test_flow import statements
from services.tickets.tests.conftest import Start
from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import reports_service_pb2 as pb
from tickdesk.tickets.v1 import ticket_pb2
from tickets.domain.reports_catalog import METRICS, VIEWS
from tickets.domain.rights import Grant
from tickets.store.rights import put_grants

DENIED, BAD = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT
COSTLY = grpc.StatusCode.RESOURCE_EXHAUSTED


def these_days(**fields: Any) -> dict[str, Any]:
    """A request for yesterday to tomorrow."""
    now = utcnow()
    days = {
        name: f"{now + timedelta(days=shift):%Y-%m-%d}"
        for name, shift in (("first_day", -1), ("last_day", 1))
    }
    return {**days, "metrics": ["handled", "fcr"], **fields}


async def handled(desk: Desk, who: str) -> ticket_pb2.Ticket:
    """A ticket that an agent resolved."""
    ticket = await desk.create()
    for method in ("TakeTicket", "ResolveTicket"):
        await desk.call(method, f"agent:{who}", ticket=ticket.id)
    return ticket


def numbers(rows: Any) -> dict[str, float]:
    return {"/".join(row.group): row.figures[0].value for row in rows}


async def test_a_report_that_takes_too_long_is_ended_and_keeps_no_search_waiting(start: Start) -> None:
    """A year of a large desk takes longer than any search may; its limit and connections are its own."""
    desk = await start(report_seconds=0.5, report_connections=1)
    await furnish(desk)
    async with desk.db.tx() as tx:
        # A table that answers slowly: whoever reads it waits for what this transaction holds.
        await tx.execute(sa.text("lock table ticket_cycle in access exclusive mode"))
        asked = [desk.refusal("GetReport", "lead:olga", **these_days()) for _ in range(3)]
        *refusals, hits = await asyncio.gather(*asked, desk.call("SearchTickets"))
    assert {(each.code, each.reason) for each in refusals} == {(COSTLY, "QUERY_TOO_COSTLY")}
    assert hits.total_size == 0


async def test_operators_see_their_own_figures_and_leads_and_auditors_all(desk: Desk) -> None:
    """CA-28, KT-18: also of the whole; a query names no other assignee either."""
    for who in ("anna", "anna", "boris"):
        await handled(desk, who)
    asked = these_days(group_by=["operator"])
    for caller, seen in (
        ("agent:anna", {"anna": 2}),
        ("agent:boris", {"boris": 1}),
        ("agent:dina", {}),
        ("lead:olga", {"anna": 2, "boris": 1}),
        ("auditor:eve", {"anna": 2, "boris": 1}),
        ("admin:demo", {"anna": 2, "boris": 1}),
    ):
        report = await desk.call("GetReport", caller, **asked)
        assert numbers(report.rows) == seen, caller
        assert report.total.figures[0].value == sum(seen.values())
    together = await desk.call("GetReport", "agent:anna", **these_days())
    assert together.total.figures[0].value == 3
    refusal = await desk.refusal("GetReport", "agent:anna", **these_days(query="Assignee: boris"))
    assert (refusal.code, refusal.reason) == (DENIED, "OPERATOR_NOT_YOURS")
    mine = await desk.call("GetReport", "agent:anna", **these_days(query="Assignee: me()"))
    assert mine.total.figures[0].value == 2
    lead = await desk.call("GetReport", "lead:olga", **these_days(query="Assignee: boris"))
    assert lead.total.figures[0].value == 1
    refusal = await desk.refusal("GetReport", "service:sla-clock", **these_days())
    assert (refusal.code, refusal.reason) == (DENIED, "ROLE_NOT_PERMITTED")


async def test_an_agent_does_not_count_what_each_of_the_others_finished(desk: Desk) -> None:
    """CA-28: nor how customers scored it; how much each has to do is no secret."""
    for who in ("anna", "boris"):
        await handled(desk, who)
    last = await handled(desk, "boris")
    await desk.call("ReopenTicket", "agent:boris", ticket=last.id)
    every = {"anna": 1, "boris": 2}
    for caller, by, seen in (
        ("agent:anna", {"group_by": "Assignee"}, {"anna": 1, "boris": 1}),
        ("agent:anna", {"group_by": "Assignee", "query": "Resolved: >= today()"}, {"anna": 1}),
        ("agent:boris", {"group_by": "Исполнитель", "query": "Queue: SUP ORDER BY Key"}, {"boris": 2}),
        ("lead:olga", {"group_by": "Assignee"}, every),
        ("auditor:eve", {"group_by": "Assignee"}, every),
        ("agent:anna", {"group_by": "Queue", "split_by": "Assignee"}, {"SUP": 2}),
        ("agent:anna", {"group_by": "Queue"}, {"SUP": 3}),
    ):
        answer = await desk.call("CountTickets", caller, **by)
        assert {cell.group: cell.count for cell in answer.groups} == seen, (caller, by)
        assert answer.total == sum(seen.values())


async def test_nobody_counts_what_they_may_not_see(desk: Desk) -> None:
    """YT-03: rights of queues and of agents bound every source of every metric."""
    await desk.call("PutQueue", "admin:demo", queue=ticket_pb2.Queue(key="OTH", name="Other"))
    frank = ticket_pb2.Agent(id="dina", name="Dina", queues=["OTH"], lines=[common_pb2.LINE_L2], active=True)
    await desk.call("PutAgent", "admin:demo", agent=frank)
    ticket = await handled(desk, "anna")
    await desk.call("ReopenTicket", ticket=ticket.id)
    everything = these_days(metrics=[each.name for each in METRICS], group_by=["queue"])
    assert numbers((await desk.call("GetReport", "agent:anna", **everything)).rows) == {"SUP": 1}
    hidden = await desk.call("GetReport", "agent:dina", **everything)
    assert len(hidden.rows) == 0
    assert {figure.count for figure in hidden.total.figures} == {0}
    async with desk.db.tx() as tx:
        await put_grants(tx, "SUP", [Grant(agents=("boris",), view=True)])
    assert len((await desk.call("GetReport", "agent:anna", **everything)).rows) == 0
    assert len((await desk.call("GetReport", "agent:boris", **everything)).rows) == 1


async def test_a_report_takes_one_statement_a_source(desk: Desk) -> None:
    """However many metrics, groups and tickets there are."""
    await handled(desk, "anna")
    asked = these_days(metrics=[each.name for each in METRICS], group_by=["day", "queue"])
    with statements() as seen:
        await desk.call("GetReport", "lead:olga", **asked)
    assert len([each for each in seen if "GROUPING SETS" in each]) == len({each.source for each in METRICS})


async def test_what_cannot_be_told_names_its_field(desk: Desk) -> None:
    for fields, reason, field in (
        ({"metrics": ["handeld"]}, "METRIC_UNKNOWN", "metrics[0]"),
        ({"metrics": ["created", "csat"], "group_by": ["level"]}, "FIELD_NOT_GROUPED", "group_by[0]"),
        ({"group_by": ["day", "month"]}, "FIELD_NOT_GROUPED", "group_by[1]"),
        ({"cumulative": True}, "NOT_CUMULATIVE", "cumulative"),
        ({"last_day": "2000-01-01"}, "PERIOD_INVALID", "last_day"),
        ({"query": "Colour: red"}, "QUERY_INVALID", "query"),
        ({"timezone": "Moscow"}, "", "timezone"),
        ({"metrics": []}, "", "metrics"),
    ):
        refusal = await desk.refusal("GetReport", "lead:olga", **these_days(**fields))
        assert (refusal.code, refusal.fields) == (BAD, [field]), fields
        assert refusal.reason == reason or not reason


async def test_the_file_says_what_the_report_says(desk: Desk) -> None:
    await handled(desk, "anna")
    answer = await desk.call(
        "ExportReport", "lead:olga", report=pb.GetReportRequest(**these_days(group_by=["operator"]))
    )
    assert answer.csv == "operator,handled,fcr,fcr_count\r\nanna,1,1,1\r\ntotal,1,1,1\r\n"
    refusal = await desk.refusal("ExportReport", "lead:olga")
    assert (refusal.code, refusal.fields) == (BAD, ["report"])


async def test_metrics_and_views_are_told_with_their_definitions(desk: Desk) -> None:
    told = await desk.call("ListMetrics", "agent:anna")
    assert [each.name for each in told.metrics] == [each.name for each in METRICS]
    assert [each.meaning for each in told.metrics] == [each.meaning.en for each in METRICS]
    goals = {each.name: (each.HasField("at_least"), each.HasField("at_most")) for each in told.metrics}
    assert (goals["csat"], goals["reached_l2"], goals["created"]) == (
        (True, False),
        (False, True),
        (False, False),
    )
    assert [list(each.metrics) for each in told.views] == [list(each.metrics) for each in VIEWS]
