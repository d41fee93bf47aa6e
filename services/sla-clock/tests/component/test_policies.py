"""Policies in and out of force."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from chassis.testing import eventually
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.sla.v1 import policy_service_pb2 as pb
from tickdesk.sla.v1 import sla_service_pb2 as clocks_pb

from .desk import POLICY, Case, Desk, a_desk, ago

STRICTER = POLICY.replace("first_response: 1h", "first_response: 30m")
BAD = POLICY.replace("zone: UTC", "zone: Mars/Base")


def applied(text: str, request_id: str = "request-1", **more: bool) -> pb.ApplyPolicyRequest:
    return pb.ApplyPolicyRequest(request_id=request_id, yaml=text, **more)


async def test_a_new_policy_recomputes_the_open_tickets_and_says_so(desk: Desk) -> None:
    """faults 26."""
    case = Case(ago(60))
    await desk.tell(case)
    await desk.watch.next(sla.ClockStarted)
    answer = await (await desk.policies()).ApplyPolicy(applied(STRICTER), timeout=20)
    assert (answer.name, answer.version) == ("test", 2)
    moved = await desk.watch.next(sla.ClockRecalculated)
    assert (moved.clock.name, moved.cause) == ("first_response", "policy test 2")
    assert (moved.previous_target.seconds, moved.clock.target.seconds) == (3600, 1800)
    clocks = await (await desk.stub()).GetClocks(clocks_pb.GetClocksRequest(ticket_id=case.id), timeout=5)
    assert clocks.policy.version == 2
    assert [(one.version, one.name) for one in desk.watch.of(sla.PolicyApplied)] == [(1, "test"), (2, "test")]


async def test_a_policy_that_drops_a_clock_cancels_it(desk: Desk) -> None:
    await desk.tell(Case(ago(60)))
    await desk.watch.next(sla.ClockStarted)
    dropped = POLICY.replace("first_response: 1h, ", "")
    await (await desk.policies()).ApplyPolicy(applied(dropped), timeout=20)
    assert (await desk.watch.next(sla.ClockCancelled)).clock.name == "first_response"


async def test_a_bad_policy_is_refused_with_each_fault_and_the_good_one_stays(desk: Desk) -> None:
    stub = await desk.policies()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ApplyPolicy(applied(BAD), timeout=20)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailing = dict(refused.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    faults = error_details_pb2.BadRequest()
    assert any(detail.Unpack(faults) for detail in status.details)
    assert [one.field for one in faults.field_violations] == ["3:18 calendars.always.zone"]
    kept = await stub.GetPolicy(pb.GetPolicyRequest(), timeout=5)
    assert (kept.version, kept.yaml) == (1, POLICY)


async def test_applying_is_idempotent_and_checking_changes_nothing(desk: Desk) -> None:
    stub = await desk.policies()
    assert (await stub.ApplyPolicy(applied(STRICTER, check_only=True), timeout=20)).version == 0
    assert (await stub.ApplyPolicy(applied(STRICTER), timeout=20)).version == 2
    assert (await stub.ApplyPolicy(applied(STRICTER), timeout=20)).version == 2
    assert (await stub.ApplyPolicy(applied(STRICTER, "request-2"), timeout=20)).version == 2
    assert (await stub.ApplyPolicy(applied(POLICY, "request-3"), timeout=20)).version == 3
    with pytest.raises(grpc.aio.AioRpcError) as reused:
        await stub.ApplyPolicy(applied(POLICY), timeout=20)
    assert reused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert (await stub.GetPolicy(pb.GetPolicyRequest(version=2), timeout=5)).yaml == STRICTER


async def test_an_agent_may_not_change_the_policy(desk: Desk) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as denied:
        await (await desk.policies("agent-token")).ApplyPolicy(applied(STRICTER), timeout=20)
    assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_the_file_is_taken_when_it_changed_and_a_bad_one_leaves_the_good_one(
    database: Callable[[str], str], nats_url: str, valkey_url: str, tmp_path: Path
) -> None:
    url = database("sla_clock.migrations")

    async def in_force(policy: str) -> tuple[int, str]:
        async with a_desk(url, nats_url, valkey_url, tmp_path, policy=policy) as desk:
            found = await (await desk.policies()).GetPolicy(pb.GetPolicyRequest(), timeout=5)
            if found.version == 2:
                await (await desk.policies()).ApplyPolicy(
                    applied(POLICY + "mode: first\n", "by-hand-1"), timeout=20
                )
            return found.version, found.yaml

    assert await in_force(POLICY) == (1, POLICY)
    assert await in_force(POLICY) == (1, POLICY)
    assert await in_force(BAD) == (1, POLICY)
    assert await in_force(STRICTER) == (2, STRICTER)
    # Applied by hand since, and the file is as it was: what was applied by hand stays.
    assert await in_force(STRICTER) == (3, POLICY + "mode: first\n")


async def test_without_any_good_policy_the_service_says_what_is_wrong_with_the_file(
    database: Callable[[str], str], nats_url: str, valkey_url: str, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match=r"policy.yaml:3:18: calendars.always.zone: there is no time zone"):
        async with a_desk(database("sla_clock.migrations"), nats_url, valkey_url, tmp_path, policy=BAD):
            pytest.fail("it started")


async def test_a_ticket_that_came_before_any_policy_gets_its_clocks_with_the_first(
    database: Callable[[str], str], nats_url: str, valkey_url: str, tmp_path: Path
) -> None:
    url = database("sla_clock.migrations")
    async with a_desk(url, nats_url, valkey_url, tmp_path, policy_path=None) as desk:
        case = Case(ago(5))
        await desk.tell(case)
        stub = await desk.policies()

        async def known() -> bool:
            try:
                answer = await (await desk.stub()).GetClocks(
                    clocks_pb.GetClocksRequest(ticket_id=case.id), timeout=5
                )
            except grpc.aio.AioRpcError:
                return False
            return not answer.clocks

        await eventually(known)
        await stub.ApplyPolicy(applied(POLICY), timeout=20)
        started = await desk.watch.next(sla.ClockStarted)
        assert (started.ticket.id, started.cause) == (case.id, "policy test 1")
