"""Running clocks in lists: by due instant, in the order to serve, as a forecast."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from chassis.clock import utcnow
from chassis.pages import page_token
from chassis.testing import eventually
from sla_clock.handlers.follow import timeline_of
from sla_clock.policy import clocks
from sla_clock.policyfile import load
from sla_clock.serving import Candidate, serve_next
from sla_clock.store import tickets
from sla_clock.store.reads import DueFilter
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import policy_service_pb2 as policies_pb
from tickdesk.sla.v1 import sla_service_pb2 as pb
from tickdesk.tickets.v1 import ticket_pb2, timeline_pb2

from .desk import Case, Desk, a_desk, ago, stamp

POLICY = """\
name: test
calendars:
  always: {zone: UTC, hours: always}
  office: {zone: Europe/Moscow, hours: {mon-sun: "06:00-23:00"}}
calendar: office
targets:
  - name: critical
    priority: critical
    calendar: always
    targets: {first_response: 30m, resolution: 4h}
  - name: high
    priority: high
    calendar: always
    targets: {first_response: 10m}
  - name: all
    priority: [critical, normal, low]
    calendar: office
    targets: {first_response: 2h, resolution: 20h}
"""
CRITICAL, HIGH, NORMAL = common.PRIORITY_CRITICAL, common.PRIORITY_HIGH, common.PRIORITY_NORMAL
ZONES = ("", "Europe/Moscow", "Asia/Kamchatka", "America/New_York", "Mars/Base")


@pytest.fixture
async def desk(
    database: Callable[[str], str], nats_url: str, valkey_url: str, tmp_path: Path
) -> AsyncIterator[Desk]:
    url = database("sla_clock.migrations")
    async with a_desk(url, nats_url, valkey_url, tmp_path, policy=POLICY) as opened:
        yield opened


def customer(tier: Any = common.CUSTOMER_TIER_STANDARD, zone: str = "") -> ticket_pb2.Customer:
    return ticket_pb2.Customer(id="c", tier=tier, timezone=zone)


async def pages(desk: Desk, **fields: Any) -> list[pb.DueClock]:
    """All pages of a list."""
    stub, found, token = await desk.stub(), list[pb.DueClock](), ""
    while True:
        request = pb.ListDueRequest(page_token=token, **fields)
        page = await stub.ListDue(request, timeout=5)
        found += page.clocks
        token = page.next_page_token
        if not token:
            return found


async def told(desk: Desk, *cases: Case) -> None:
    for case in cases:
        await desk.tell(case)

    async def known() -> bool:
        found = {one.ticket.id for one in await pages(desk, page_size=200)}
        return found >= {case.id for case in cases}

    await eventually(known, 20)


def names(found: list[pb.DueClock], *cases: Case) -> list[tuple[int, str]]:
    numbers = {case.id: number for number, case in enumerate(cases)}
    return [(numbers[one.ticket.id], one.clock.name) for one in found]


async def test_running_clocks_come_by_due_instant_in_pages(desk: Desk) -> None:
    """CA-14, YT-31: with what is left of each."""
    late, soon, calm = Case(ago(3600), HIGH), Case(ago(60), CRITICAL), Case(ago(30), HIGH)
    await told(desk, late, soon, calm)
    found = await pages(desk, page_size=1)
    assert names(found, late, soon, calm) == [
        (0, "first_response"),
        (2, "first_response"),
        (1, "first_response"),
        (1, "resolution"),
    ]
    assert -3010 < found[0].remaining.ToTimedelta().total_seconds() < -2999
    assert -5_100_000 < found[0].remaining_share <= -5_000_000
    assert 940_000 < found[1].remaining_share < 951_000
    assert found[0].clock.breached


async def test_what_is_asked_for_is_filtered(desk: Desk) -> None:
    """YT-32, MP-10: a queue, a line, mine."""
    mine = Case(ago(60), HIGH, assignee="anna", line=common.LINE_L2)
    other = Case(ago(50), CRITICAL, queue="OPS")
    await told(desk, mine, other)
    both = [mine, other]
    for fields, expected in (
        ({"queue": "OPS", "clock": "resolution"}, [(1, "resolution")]),
        ({"line": common.LINE_L2}, [(0, "first_response")]),
        ({"assignee": "anna"}, [(0, "first_response")]),
        ({"clock": "first_response"}, [(0, "first_response"), (1, "first_response")]),
        ({"due_before": stamp(utcnow())}, []),
        ({"queue": "NONE"}, []),
    ):
        assert names(await pages(desk, **fields), *both) == expected
        serve = await pages(desk, order=pb.DUE_ORDER_SERVE_NEXT, **fields)
        assert sorted(names(serve, *both)) == expected


async def test_serve_next_says_the_same_as_the_pure_order(desk: Desk) -> None:
    """MP-08, CA-14, CA-34: the database orders as serving.serve_next does, over pages, one clock a ticket."""
    dice = random.Random(7)
    tiers = (common.CUSTOMER_TIER_STANDARD, common.CUSTOMER_TIER_VIP)
    cases = [
        Case(
            ago(dice.choice((60, 600, 1700, 3000, 7000, 14000, 100_000)) + dice.random()),
            dice.choice((CRITICAL, HIGH, NORMAL)),
            customer=customer(dice.choice(tiers), dice.choice(ZONES)),
        )
        for _ in range(40)
    ]
    await told(desk, *cases)
    found = await pages(desk, order=pb.DUE_ORDER_SERVE_NEXT, page_size=7)
    wanted = serve_next(*await candidates(desk, found[0].clock.as_of_time.ToMicroseconds()))
    assert [(one.ticket.id, one.clock.name) for one in found] == [
        (str(one.ticket_id), one.clock) for one in wanted
    ]
    assert {one.ticket.id for one in found} == {case.id for case in cases}


async def candidates(desk: Desk, now: int) -> tuple[list[Candidate], int]:
    """Every running clock as the domain computes it at that instant."""
    policy = load(POLICY, file="policy.yaml", version=1)
    async with desk.db.tx() as tx:
        rows = await tickets.open_tickets(tx, None, 1000)
    return [
        Candidate(
            *(row.ticket_id, one.name, one.due, one.remaining_at(now), one.target),
            vip=row.facets.tier == "vip",
            zone=row.facets.customer_timezone,
        )
        for row in rows
        for one in clocks(timeline_of(row), policy)
        if one.due is not None
    ], now


async def test_a_forecast_counts_what_falls_due_soon_by_group(desk: Desk) -> None:
    """CA-26, YT-32: overdue apart, the windows within each other."""
    await told(
        desk,
        Case(ago(3600), HIGH),
        Case(ago(60), HIGH, assignee="anna"),
        Case(ago(60), CRITICAL, queue="OPS", assignee="boris", line=common.LINE_L2),
    )
    stub = await desk.stub()

    async def rows(**fields: Any) -> list[tuple[str, int, int, int, int]]:
        asked = utcnow()
        answer = await stub.Forecast(pb.ForecastRequest(**fields), timeout=20)
        assert asked <= answer.as_of_time.ToDatetime(UTC) <= utcnow()
        return [_row(one) for one in (answer.total, *answer.rows)]

    assert await rows() == [("", 1, 1, 2, 3), ("SUP", 1, 1, 1, 1), ("OPS", 0, 0, 1, 2)]
    by_line = [("", 1, 1, 2, 3), ("l1", 1, 1, 1, 1), ("l2", 0, 0, 1, 2)]
    assert await rows(group_by=pb.FORECAST_GROUP_LINE) == by_line
    by_agent = [("", 1, 1, 2, 3), ("", 1, 0, 0, 0), ("anna", 0, 1, 1, 1), ("boris", 0, 0, 1, 2)]
    assert await rows(group_by=pb.FORECAST_GROUP_ASSIGNEE) == by_agent
    assert await rows(queue="OPS", clock="resolution") == [("", 0, 0, 0, 1), ("OPS", 0, 0, 0, 1)]
    assert await rows(queue="NONE") == [("", 0, 0, 0, 0)]


def _row(one: pb.ForecastRow) -> tuple[str, int, int, int, int]:
    return one.group, one.overdue, one.within_15_minutes, one.within_60_minutes, one.within_240_minutes


SIZE = "page_size: must be greater than or equal to 0 and less than or equal to 200"
ENUM = "value must be one of the defined enum values"
TOKEN = (
    "page_token must be the next_page_token of the same list with the same filters; empty is the first page"
)
TICKET = "ticket_id must be the UUID of a ticket, or empty for all"
BAD: tuple[tuple[str, Any, str], ...] = (
    ("ListDue", pb.ListDueRequest(page_size=201), SIZE),
    ("ListDue", pb.ListDueRequest(page_size=-1), SIZE),
    ("ListDue", pb.ListDueRequest(order=9), f"order: {ENUM}"),  # type: ignore[arg-type]
    ("ListDue", pb.ListDueRequest(line=9), f"line: {ENUM}"),  # type: ignore[arg-type]
    ("ListDue", pb.ListDueRequest(queue="ELEVENCHARS"), "queue: must be at most 10 characters"),
    ("ListDue", pb.ListDueRequest(assignee="a" * 101), "assignee: must be at most 100 characters"),
    ("ListDue", pb.ListDueRequest(clock="c" * 41), "clock: must be at most 40 characters"),
    ("ListDue", pb.ListDueRequest(page_token="nonsense"), TOKEN),
    ("ListDue", pb.ListDueRequest(page_token="ы"), TOKEN),
    ("ListDue", pb.ListDueRequest(page_token="nonsense", order=pb.DUE_ORDER_SERVE_NEXT), TOKEN),
    ("GetClocks", pb.GetClocksRequest(ticket_id="SUP-1"), "ticket_id: must be a valid UUID"),
    ("Forecast", pb.ForecastRequest(group_by=9), f"group_by: {ENUM}"),  # type: ignore[arg-type]
    ("Forecast", pb.ForecastRequest(queue="ELEVENCHARS"), "queue: must be at most 10 characters"),
    ("Forecast", pb.ForecastRequest(clock="c" * 41), "clock: must be at most 40 characters"),
    ("ListMarks", pb.ListMarksRequest(ticket_id="SUP-1"), TICKET),
    ("ListMarks", pb.ListMarksRequest(action=99), f"action: {ENUM}"),  # type: ignore[arg-type]
    ("ListMarks", pb.ListMarksRequest(page_size=201), SIZE),
    ("ListMarks", pb.ListMarksRequest(page_token="nonsense"), TOKEN),
)  # fmt: skip


async def test_each_malformed_request_is_refused_in_words(desk: Desk) -> None:
    stub = await desk.stub()
    for method, request, message in BAD:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(stub, method)(request, timeout=5)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT, message
        assert refused.value.details() == message


async def test_a_page_token_works_only_with_its_own_list(desk: Desk) -> None:
    """Another order or filter would lead nowhere."""
    await told(desk, Case(ago(60), CRITICAL), Case(ago(60), CRITICAL))
    stub = await desk.stub()
    tokens = []
    for order in (pb.DUE_ORDER_DUE, pb.DUE_ORDER_SERVE_NEXT):
        page = await stub.ListDue(pb.ListDueRequest(order=order, page_size=1), timeout=5)
        tokens.append(page.next_page_token)
    for request in (
        pb.ListDueRequest(order=pb.DUE_ORDER_SERVE_NEXT, page_token=tokens[0]),
        pb.ListDueRequest(page_token=tokens[1]),
        pb.ListDueRequest(page_token=tokens[0], queue="SUP"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListDue(request, timeout=5)
        assert refused.value.details() == TOKEN


SOME = "019aa0c2-7c00-7000-8000-000000000012"
DUE, NEXT = (("due", DueFilter()), ("next", DueFilter()))
NOW, BIG = 1_795_000_000_000_000, 2**63
MADE_UP: tuple[tuple[object, tuple[str | int, ...]], ...] = (
    (("marks", "", 0), (BIG, 0)),
    (("marks", "", 0), (-BIG - 1, 0)),
    (("marks", "", 0), (0, 2**31)),
    ("policies", (2**31,)),
    ("policies", (-(2**31) - 1,)),
    (DUE, ("2026-11-20T10:00:00+00:00", SOME, "resolution\0")),
    (DUE, ("2026-11-20T10:00:00+00:00", SOME, "\ud800")),
    (NEXT, (NOW, 2**31, 0, 0, 0, 0, SOME)),
    (NEXT, (NOW, 0, -BIG - 1, 0, 0, 0, SOME)),
    (NEXT, (NOW, 0, 0, 2**31, 0, 0, SOME)),
    (NEXT, (NOW, 0, 0, 0, BIG, 0, SOME)),
    (NEXT, (NOW, 0, 0, 0, 0, BIG - 1, SOME)),
    (NEXT, (NOW, 0, 0, 0, 0, 0, "SUP-1")),
    (NEXT, (NOW, 0, 0, 0, 0, SOME)),
    (NEXT, (NOW, 0, 0, 0, 0, 0, 0, SOME)),
    (NEXT, (250_000_000_000_000_000, 0, 0, 0, 0, 0, SOME)),
    (NEXT, (-1, 0, 0, 0, 0, 0, SOME)),
)


def asks(desk_stub: Any, policies: Any, scope: object, token: str) -> Any:
    """The call of the list whose token it pretends to be."""
    if scope == "policies":
        return policies.ListPolicies(policies_pb.ListPoliciesRequest(page_token=token), timeout=5)
    if scope in (DUE, NEXT):
        order = pb.DUE_ORDER_SERVE_NEXT if scope == NEXT else pb.DUE_ORDER_DUE
        return desk_stub.ListDue(pb.ListDueRequest(page_token=token, order=order), timeout=5)
    return desk_stub.ListMarks(pb.ListMarksRequest(page_token=token), timeout=5)


async def test_a_made_up_place_that_no_column_takes_is_refused(desk: Desk) -> None:
    """Whoever makes one up hears what a token is, and nobody is called at night."""
    stub, policies = await desk.stub(), await desk.policies()
    for scope, place in MADE_UP:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asks(stub, policies, scope, page_token(scope, *place))
        assert (refused.value.code(), refused.value.details()) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            TOKEN,
        ), place
    for scope, place in (
        (("marks", "", 0), (BIG - 1, 2**31 - 1)),
        ("policies", (2**31 - 1,)),
        (DUE, ("0001-01-01T00:00:00+00:00", SOME, "resolution")),
        (NEXT, (NOW - 86_400_000_000 * 365, 2**31 - 1, -BIG, 2**31 - 1, BIG - 1, 0, SOME)),
    ):
        await asks(stub, policies, scope, page_token(scope, *place))


async def test_a_page_token_of_the_ledger_works_only_with_its_own_filters(desk: Desk) -> None:
    case = Case(ago(1810), CRITICAL)
    await desk.tell(case)

    async def fired() -> bool:
        return len(await desk.ledger(case.id)) == 4

    await eventually(fired)
    stub = await desk.stub()
    page = await stub.ListMarks(pb.ListMarksRequest(ticket_id=case.id, page_size=2), timeout=5)
    token = page.next_page_token
    rest = await stub.ListMarks(pb.ListMarksRequest(ticket_id=case.id, page_token=token), timeout=5)
    assert len({one.mark.name for one in (*page.marks, *rest.marks)}) == 4
    for request in (
        pb.ListMarksRequest(page_token=token),
        pb.ListMarksRequest(ticket_id=case.id, action=clock_pb2.MARK_ACTION_BREACH, page_token=token),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListMarks(request, timeout=5)
        assert refused.value.details() == TOKEN


async def test_what_no_event_has_told_is_not_known(desk: Desk) -> None:
    stub = await desk.stub()
    ticket_id = "019aa0c2-7c00-7000-8000-000000000012"
    with pytest.raises(grpc.aio.AioRpcError) as missing:
        await stub.GetClocks(pb.GetClocksRequest(ticket_id=ticket_id), timeout=5)
    assert missing.value.code() is grpc.StatusCode.NOT_FOUND
    assert missing.value.details() == f"no event of ticket {ticket_id} has arrived"


async def test_get_clocks_says_what_decides(desk: Desk) -> None:
    """The rows that won and lost, the calendar with its version, the generation of the marks."""
    case = Case(ago(60), CRITICAL)
    await told(desk, case)
    answer = await (await desk.stub()).GetClocks(pb.GetClocksRequest(ticket_id=case.id), timeout=5)
    first = answer.clocks[0]
    assert (first.policy_row, list(first.lost_rows), first.calendar) == ("critical", ["all"], "always")
    assert (first.generation, answer.policy.calendar) == (1, "always")
    assert len(answer.policy.calendar_version) == 12


async def test_get_clocks_says_where_the_time_went(desk: Desk) -> None:
    """CP-12: which status and which line stretches the time."""
    case = Case(ago(3600)).status("open", ago(3000)).status("waiting", ago(1000))
    moved = timeline_pb2.LineChanged(to=common.LINE_L2)
    setattr(moved, "from", common.LINE_L1)
    case.add(line_changed=moved, at=ago(400))
    await told(desk, Case(ago(60), HIGH))
    await desk.tell(case)
    stub = await desk.stub()

    async def known() -> Any:
        try:
            return await stub.GetClocks(pb.GetClocksRequest(ticket_id=case.id), timeout=5)
        except grpc.aio.AioRpcError:
            return None

    answer = await eventually(known)
    assert answer is not None
    stays = [(one.name, round(one.real.ToTimedelta() / timedelta(minutes=1))) for one in answer.statuses]
    assert stays[:2] == [("new", 10), ("open", 33)]
    assert stays[2][0] == "waiting"
    assert [one.name for one in answer.lines] == ["l1", "l2"]
    assert round(answer.lines[0].real.ToTimedelta() / timedelta(minutes=1)) == 53
    assert all(one.business.ToMicroseconds() <= one.real.ToMicroseconds() for one in answer.lines)
