"""The policy tools of a running desk: explain, plan, simulate, lint, test, list."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from chassis.testing import eventually
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.sla.v1 import policy_pb2
from tickdesk.sla.v1 import policy_service_pb2 as pb
from tickdesk.sla.v1 import sla_service_pb2 as clocks_pb

from .desk import POLICY, Case, Desk, ago, stamp
from .processes import replays

STRICTER = POLICY.replace("first_response: 1h", "first_response: 30m")
BAD = POLICY.replace("zone: UTC", "zone: Mars/Base")
CSV = "id,created,first_reply,resolved\n"


def row(number: int, created: str = "2026-11-20T10:00Z", reply: str = "2026-11-20T10:40Z") -> str:
    return f"{number},{created},{reply},2026-11-20T12:00Z\n"


async def refused(call: Any) -> tuple[grpc.StatusCode, str, str, list[str]]:
    """Code, message, reason and fields of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (call if not isinstance(call, AsyncIterator | grpc.aio.UnaryStreamCall) else anext(aiter(call)))
    trailing = dict(caught.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info, faults = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        assert detail.Unpack(info) or detail.Unpack(faults)
    fields = [one.field for one in faults.field_violations]
    return caught.value.code(), caught.value.details() or "", info.reason, fields


async def known(desk: Desk, *cases: Case) -> None:
    """Tell the desk of tickets and wait until all of them have clocks."""
    for case in cases:
        await desk.tell(case)
    stub = await desk.stub()

    async def all_there() -> bool:
        try:
            for case in cases:
                await stub.GetClocks(clocks_pb.GetClocksRequest(ticket_id=case.id), timeout=20)
        except grpc.aio.AioRpcError:
            return False
        return True

    await eventually(all_there)


async def test_explain_tells_stretches_rows_and_versions_of_a_live_clock(desk: Desk) -> None:
    case = Case(ago(1800))
    case.status("waiting", at=ago(1200)).status("open", at=ago(600))
    await known(desk, case)
    asked = clocks_pb.ExplainClockRequest(ticket_id=case.id, clock="resolution")
    told = await (await desk.stub("agent-token")).ExplainClock(asked, timeout=20)
    assert (told.ticket.id, told.clock.name, told.clock.cycle) == (case.id, "resolution", 1)
    assert [(one.kind, one.name) for one in told.segments] == [
        (clocks_pb.SEGMENT_KIND_COUNTED, ""),
        (clocks_pb.SEGMENT_KIND_PAUSED, "status_changed to waiting"),
        (clocks_pb.SEGMENT_KIND_COUNTED, ""),
    ]
    assert told.segments[-1].end_time == told.clock.due_time
    counted = sum((one.counted.ToTimedelta() for one in told.segments), timedelta())
    assert counted == told.clock.target.ToTimedelta() == timedelta(hours=10)
    assert [(one.row, one.won, one.reason) for one in told.rows] == [
        ("critical", False, "priority is normal, not critical"),
        ("all", True, "the first row that fits"),
    ]
    assert (told.policy.name, told.policy.version, told.policy.calendar) == ("test", 1, "always")
    assert (told.timezone, bool(told.policy.tzdata), len(told.policy.calendar_version)) == ("UTC", True, 12)
    assert told.clock.generation == 1


async def test_explain_takes_another_policy_and_names_what_is_not_there(desk: Desk) -> None:
    case = Case(ago(60))
    await known(desk, case)
    stub = await desk.stub()
    asked = clocks_pb.ExplainClockRequest(ticket_id=case.id, clock="first_response", yaml=STRICTER)
    told = await stub.ExplainClock(asked, timeout=20)
    assert (told.clock.target.seconds, told.policy.version) == (1800, 0)
    for question, answer in (
        (
            {"clock": "pickup"},
            "the ticket has no clock 'pickup' (it has: first_response, next_response, resolution)",
        ),
        ({"clock": "resolution", "cycle": 2}, "clock 'resolution' has no cycle 2, its newest is 1"),
    ):
        request = clocks_pb.ExplainClockRequest(ticket_id=case.id, **question)
        code, message, reason, _ = await refused(stub.ExplainClock(request, timeout=20))
        assert (code, message, reason) == (grpc.StatusCode.NOT_FOUND, answer, "CLOCK_UNKNOWN")
    asked.yaml = BAD
    assert (await refused(stub.ExplainClock(asked, timeout=20)))[2] == "POLICY_INVALID"


async def planned(desk: Desk, **asked: Any) -> tuple[list[policy_pb2.PlannedChange], policy_pb2.PlanSummary]:
    stub = await desk.policies()
    told = [one async for one in stub.PlanPolicy(pb.PlanPolicyRequest(**asked), timeout=20)]
    assert [one.WhichOneof("kind") for one in told[:1]] == ["progress"]
    assert told[-1].WhichOneof("kind") == "summary"
    progress = [one.progress for one in told if one.WhichOneof("kind") == "progress"]
    assert (progress[-1].done, progress[-1].total) == (told[-1].summary.tickets, told[-1].summary.tickets)
    return [one.change for one in told if one.WhichOneof("kind") == "change"], told[-1].summary


async def test_plan_says_what_would_change_and_changes_nothing(desk: Desk) -> None:
    fresh, late, answered = Case(ago(60)), Case(ago(2700), queue="NET"), Case(ago(900)).replied(ago(600))
    closed = Case(ago(900)).status("closed", at=ago(300))
    await known(desk, fresh, late, answered, closed)
    changes, summary = await planned(desk, yaml=STRICTER)
    told = {one.ticket.id: one for one in changes}
    assert told.keys() == {fresh.id, late.id}
    one = told[late.id]
    assert (one.kind, one.before.name) == (policy_pb2.PLANNED_KIND_EARLIER, "first_response")
    assert (one.before.target.seconds, one.after.target.seconds) == (3600, 1800)
    # 45 minutes of half an hour are over: 70 % of the hour was told, 90 % folds into the breach.
    assert (one.breaches, list(one.fires)) == (True, ["80%", "100%", "150%"])
    assert (told[fresh.id].breaches, list(told[fresh.id].fires)) == (False, [])
    assert (summary.tickets, summary.changed_tickets, summary.earlier) == (3, 2, 2)
    assert (summary.breaches, summary.fires, summary.left_out) == (1, 3, 0)
    changes, summary = await planned(desk, yaml=STRICTER, queue="NET")
    assert ([one.ticket.id for one in changes], summary.tickets) == ([late.id], 1)
    changes, summary = await planned(desk, yaml=STRICTER, max_changes=1)
    assert (len(changes), summary.earlier, summary.left_out) == (1, 2, 1)
    kept = await (await desk.policies()).GetPolicy(pb.GetPolicyRequest(), timeout=20)
    assert (kept.version, kept.yaml) == (1, POLICY)
    assert not desk.watch.of(sla.ClockRecalculated)


async def test_what_a_plan_says_of_marks_is_what_applying_it_tells(desk: Desk) -> None:
    late = Case(ago(2700))
    await known(desk, late)
    first = await desk.mark()
    assert (first.clock, first.mark.name) == ("first_response", "70%")
    (change,), _ = await planned(desk, yaml=STRICTER)
    request = pb.ApplyPolicyRequest(request_id="request-1", yaml=STRICTER)
    await (await desk.policies()).ApplyPolicy(request, timeout=20)
    told = [await desk.mark() for _ in change.fires]
    assert [one.mark.name for one in told] == list(change.fires) == ["80%", "100%", "150%"]
    after = change.after
    assert all(one.clock_due_time == told[0].clock_due_time for one in told)
    assert after.marks[-2].due_time == told[1].mark.due_time


async def test_plan_adds_and_drops_clocks(desk: Desk) -> None:
    await known(desk, Case(ago(60)))
    other = POLICY.replace("resolution: 10h, next_response: 1h", "pickup: 1h, next_response: 1h")
    changes, summary = await planned(desk, yaml=other)
    assert [(one.kind, one.before.name, one.after.name) for one in changes] == [
        (policy_pb2.PLANNED_KIND_DROPPED, "resolution", ""),
        (policy_pb2.PLANNED_KIND_ADDED, "", "pickup"),
    ]
    assert (summary.added, summary.dropped, summary.changed_tickets) == (1, 1, 1)


async def simulated(desk: Desk, **asked: Any) -> policy_pb2.SimulationReport:
    stub = await desk.policies()
    request = pb.SimulatePolicyRequest(**{"yaml": STRICTER} | asked)
    told = [one async for one in stub.SimulatePolicy(request, timeout=30)]
    assert all(one.HasField("progress") for one in told[:-1])
    report: policy_pb2.SimulationReport = told[-1].report
    return report


def brief(one: policy_pb2.SimulatedFigures) -> tuple[int, int, int, int, int, int]:
    return one.started, one.met_in_time, one.breached, one.alerts, one.escalations, one.compliance


async def test_simulate_replays_the_tickets_own_timelines_beside_the_policy_in_force(desk: Desk) -> None:
    created = datetime(2026, 11, 20, 10, tzinfo=UTC)
    answered = Case(created).replied(created + timedelta(minutes=40))
    answered.status("closed", at=created + timedelta(hours=2))
    other = Case(created, queue="NET").replied(created + timedelta(minutes=10))
    await known(desk, answered, other)
    limits = {"until_time": stamp(created + timedelta(hours=3)), "from_time": stamp(created)}
    report = await simulated(desk, **limits)
    assert (report.tickets, list(report.skipped)) == (2, [])
    (day,) = report.days
    assert (day.label, day.base.started) == ("2026-11-20", 4)
    rows = {one.label: one for one in report.clocks}
    assert rows.keys() == {"first_response", "resolution"}
    # 40 minutes of an hour: no mark; of half an hour: 70, 80, 90 and 100 %.
    assert brief(rows["first_response"].base) == (2, 2, 0, 0, 0, 1_000_000)
    assert brief(rows["first_response"].candidate) == (2, 1, 1, 4, 1, 500_000)
    assert report.total.candidate.alerts == 4
    assert (await simulated(desk, **limits, queue="NET")).tickets == 1
    assert (await simulated(desk, from_time=stamp(created + timedelta(seconds=1)))).tickets == 0
    assert report.until_time == limits["until_time"]


async def test_simulate_takes_a_csv_and_tells_rows_that_it_skips(desk: Desk) -> None:
    late = "2,2026-11-20T23:30,2026-11-21T01:00,2026-11-21T02:00\n"
    told = await simulated(desk, csv=CSV + row(1) + "3,soon,,\n" + late, timezone="Europe/Moscow")
    assert told.tickets == 2
    assert list(told.skipped) == [
        "line 3, column created: 'soon' is not a time; write 2026-11-20 18:50 or 2026-11-20T18:50+03:00"
    ]
    # Times without an offset are wall times of the report's zone, in which its days are told apart.
    assert [(one.label, one.base.started) for one in told.days] == [("2026-11-20", 4), ("2026-11-21", 0)]
    base = await simulated(desk, csv=CSV + row(1), base_yaml=STRICTER, yaml=POLICY)
    assert (base.total.base.breached, base.total.candidate.breached) == (1, 0)


@pytest.mark.parametrize(
    ("asked", "message", "reason", "fields"),
    [
        (
            {"csv": "id,owner\n1,2\n"},
            "line 1, column 1: 'created' is missing: each row needs it\n"
            "line 1, column 2: 'owner' is not known; leave it out, or call it fields.owner",
            "HISTORY_INVALID",
            ["1:1 header", "1:2 header"],
        ),
        (
            {"yaml": BAD},
            "policy.yaml:3:18: calendars.always.zone: there is no time zone 'Mars/Base'; "
            "write one like Europe/Moscow",
            "POLICY_INVALID",
            ["3:18 calendars.always.zone"],
        ),
        (
            {"base_yaml": BAD},
            "base.yaml:3:18: calendars.always.zone: there is no time zone 'Mars/Base'; "
            "write one like Europe/Moscow",
            "POLICY_INVALID",
            ["3:18 calendars.always.zone"],
        ),
        (
            {"timezone": "Mars/Base"},
            "timezone: there is no time zone 'Mars/Base'; write one like Europe/Moscow",
            "INVALID_INPUT",
            ["timezone"],
        ),
        (
            {"from_time": stamp(ago(60)), "until_time": stamp(ago(120))},
            "until_time: must not lie before from_time",
            "INVALID_INPUT",
            ["until_time"],
        ),
    ],
)
async def test_a_simulation_that_cannot_be_made_says_why(
    desk: Desk, asked: dict[str, Any], message: str, reason: str, fields: list[str]
) -> None:
    stub = await desk.policies()
    request = pb.SimulatePolicyRequest(**{"yaml": STRICTER} | asked)
    told = await refused(stub.SimulatePolicy(request, timeout=20))
    assert told == (grpc.StatusCode.INVALID_ARGUMENT, message, reason, fields)


MANY = CSV + "".join(row(number) for number in range(20_000))


async def test_other_calls_are_answered_while_a_simulation_runs_and_it_ends_when_nobody_listens(
    desk: Desk,
) -> None:
    stub = await desk.policies()
    call = stub.SimulatePolicy(pb.SimulatePolicyRequest(yaml=STRICTER, csv=MANY), timeout=60)
    stream = aiter(call)
    for _ in range(3):
        assert (await anext(stream)).HasField("progress")
        assert (await stub.GetPolicy(pb.GetPolicyRequest(), timeout=20)).version == 1
    assert len(replays()) == 1
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await anext(stream)
    await eventually(lambda: not replays())
    assert (await simulated(desk, csv=CSV + row(1))).tickets == 1
    assert not replays()


async def test_a_replay_that_dies_is_told_and_the_next_one_works(desk: Desk) -> None:
    stub = await desk.policies()
    call = stub.SimulatePolicy(pb.SimulatePolicyRequest(yaml=STRICTER, csv=MANY), timeout=60)
    stream = aiter(call)
    while (await anext(stream)).progress.done == 0:
        pass
    os.kill(replays()[0], signal.SIGKILL)
    with pytest.raises(grpc.aio.AioRpcError) as ended:
        async for _ in stream:
            pass
    assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
    assert ended.value.details() == "the replay ended before its report, try again"
    assert (await simulated(desk, csv=CSV + row(1))).tickets == 1


async def test_a_simulation_keeps_its_deadline(desk: Desk) -> None:
    stub = await desk.policies()
    with pytest.raises(grpc.aio.AioRpcError) as late:
        async for _ in stub.SimulatePolicy(pb.SimulatePolicyRequest(yaml=STRICTER, csv=MANY), timeout=3):
            pass
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await eventually(lambda: not replays())


async def test_lint_tells_faults_and_is_not_itself_refused(desk: Desk) -> None:
    stub = await desk.policies()
    assert not (await stub.LintPolicy(pb.LintPolicyRequest(yaml=POLICY), timeout=20)).findings
    (found,) = (await stub.LintPolicy(pb.LintPolicyRequest(yaml=BAD), timeout=20)).findings
    assert (found.severity, found.check, found.line, found.column, found.path) == (
        policy_pb2.SEVERITY_ERROR,
        "POLICY_INVALID",
        3,
        18,
        "calendars.always.zone",
    )
    assert found.message == "there is no time zone 'Mars/Base'; write one like Europe/Moscow"


TESTS = """\
cases:
  - name: an hour
    created: Fri 18:50
    expect: {first_response: {due: Fri 19:50}}
  - name: two hours
    created: Fri 18:50
    expect: {first_response: {due: Fri 20:50}}
"""


async def test_golden_cases_pass_or_say_what_was_wanted_and_got(desk: Desk) -> None:
    stub = await desk.policies()
    told = await stub.TestPolicy(pb.TestPolicyRequest(yaml=POLICY, tests=TESTS), timeout=20)
    assert (told.passed, told.failed) == (1, 1)
    good, bad = told.cases
    assert (good.name, good.line, list(good.unmet)) == ("an hour", 2, [])
    (unmet,) = bad.unmet
    assert (bad.name, bad.line, unmet.line, unmet.what) == ("two hours", 5, 7, "first_response.due")
    assert (unmet.wanted, unmet.got) == ("Fri 2026-11-20 20:50", "Fri 2026-11-20 19:50")
    request = pb.TestPolicyRequest(yaml=POLICY, tests="cases: []")
    assert await refused(stub.TestPolicy(request, timeout=20)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "tests.yaml:1:8: cases: a file has between 1 and 1000 cases",
        "TESTS_INVALID",
        ["1:8 cases"],
    )


async def test_versions_are_listed_newest_first_in_pages(desk: Desk) -> None:
    stub = await desk.policies()
    for number, text in enumerate((STRICTER, POLICY + "mode: first\n")):
        await stub.ApplyPolicy(pb.ApplyPolicyRequest(request_id=f"request-{number}", yaml=text), timeout=20)
    reader = await desk.policies("agent-token")
    page = await reader.ListPolicies(pb.ListPoliciesRequest(page_size=2), timeout=20)
    assert [(one.version, one.name, one.origin) for one in page.policies] == [
        (3, "test", "api"),
        (2, "test", "api"),
    ]
    assert all(one.HasField("applied_time") for one in page.policies)
    request = pb.ListPoliciesRequest(page_size=2, page_token=page.next_page_token)
    rest = await reader.ListPolicies(request, timeout=20)
    assert ([(one.version, one.origin) for one in rest.policies], rest.next_page_token) == ([(1, "file")], "")
    request = pb.ListPoliciesRequest(page_token="nonsense")
    assert (await refused(reader.ListPolicies(request, timeout=20)))[2] == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("name", ["LintPolicy", "PlanPolicy", "SimulatePolicy"])
async def test_an_agent_may_not_try_policies_on_the_whole_desk(desk: Desk, name: str) -> None:
    stub = await desk.policies("agent-token")
    request = getattr(pb, f"{name}Request")(yaml=POLICY)
    code, message, reason, _ = await refused(getattr(stub, name)(request, timeout=20))
    assert (code, message, reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        f"agent may not call {name}",
        "ROLE_NOT_PERMITTED",
    )
