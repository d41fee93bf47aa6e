"""PolicyService over gRPC: policies put in force, checked, tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from chassis.db import idempotent
from chassis.pages import page_start, page_token
from sla_clock import convert, convert_policy
from sla_clock.calendar import micros
from sla_clock.handlers.checking import Checks
from sla_clock.handlers.policies import put_in_force
from sla_clock.handlers.recalculate import recalculation_message
from sla_clock.handlers.tools import Planned, Progress, Trial, plan, simulate
from sla_clock.handlers.works import Works
from sla_clock.plan import Summary
from sla_clock.store import policies
from sla_clock.store.recalculations import get_recalculation
from sla_clock.store.tables import integer
from tickdesk.sla.v1 import policy_pb2, policy_service_pb2_grpc
from tickdesk.sla.v1 import policy_service_pb2 as pb
from tickdesk.sla.v1.clock_pb2 import TicketRef

_PAGE = 50
_CHANGES = 1000
SERVICE = pb.DESCRIPTOR.services_by_name["PolicyService"]


class PolicyApi(policy_service_pb2_grpc.PolicyServiceServicer):
    """Takes new policies and says what they do."""

    def __init__(self, works: Works, checks: Checks) -> None:
        self._works = works
        self._checks = checks

    async def ApplyPolicy(self, request: pb.ApplyPolicyRequest, context: Any) -> pb.ApplyPolicyResponse:
        """See the contract."""
        checked = await self._checks.read(request.yaml)
        if request.check_only:
            return pb.ApplyPolicyResponse(name=checked.name)
        async with self._works.db.tx() as tx:

            async def work() -> pb.ApplyPolicyResponse:
                name, version = await put_in_force(self._works, tx, checked.name, request.yaml)
                return pb.ApplyPolicyResponse(name=name, version=version)

            return await idempotent(tx, request.request_id, request, pb.ApplyPolicyResponse, work)

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: Any) -> pb.GetPolicyResponse:
        """See the contract."""
        async with self._works.db.tx() as tx:
            stored = await policies.find_policy(tx, request.version or await policies.policy_version(tx))
        return pb.GetPolicyResponse(
            name=stored.name,
            version=stored.version,
            yaml=stored.yaml,
            applied_time=convert.timestamp(micros(stored.applied_at)),
        )

    async def ListPolicies(self, request: pb.ListPoliciesRequest, context: Any) -> pb.ListPoliciesResponse:
        """See the contract."""
        size = request.page_size or _PAGE
        below = page_start(request.page_token, "policies", _version)
        async with self._works.db.tx() as tx:
            found = await policies.list_policies(tx, below, size + 1)
        last = found[size - 1] if len(found) > size else None
        token = page_token("policies", last.version) if last else ""
        lines = map(convert_policy.policy_line, found[:size])
        return pb.ListPoliciesResponse(policies=lines, next_page_token=token)

    async def GetRecalculation(
        self, request: pb.GetRecalculationRequest, context: Any
    ) -> pb.GetRecalculationResponse:
        """See the contract."""
        async with self._works.db.tx() as tx:
            found = await get_recalculation(tx, request.version)
        return pb.GetRecalculationResponse(recalculation=recalculation_message(found))

    async def LintPolicy(self, request: pb.LintPolicyRequest, context: Any) -> pb.LintPolicyResponse:
        """See the contract."""
        found = await self._checks.lint(request.yaml)
        return pb.LintPolicyResponse(findings=map(convert_policy.finding, found))

    async def TestPolicy(self, request: pb.TestPolicyRequest, context: Any) -> pb.TestPolicyResponse:
        """See the contract."""
        told = await self._checks.test(request.yaml, request.tests)
        passed = sum(one.passed for one in told)
        results = map(convert_policy.case_result, told)
        return pb.TestPolicyResponse(cases=results, passed=passed, failed=len(told) - passed)

    async def PlanPolicy(
        self, request: pb.PlanPolicyRequest, context: Any
    ) -> AsyncIterator[pb.PlanPolicyResponse]:
        """See the contract."""
        await self._checks.read(request.yaml)
        most = request.max_changes or _CHANGES
        async for one in plan(self._works, request.yaml, request.queue, most):
            yield _planned(one)

    async def SimulatePolicy(
        self, request: pb.SimulatePolicyRequest, context: Any
    ) -> AsyncIterator[pb.SimulatePolicyResponse]:
        """See the contract."""
        checked = await self._checks.read(request.yaml)
        if request.base_yaml:
            await self._checks.read(request.base_yaml, "base.yaml")
        async for one in simulate(self._works, _trial(request, checked.timezone)):
            if isinstance(one, Progress):
                yield pb.SimulatePolicyResponse(progress=_progress(one))
            else:
                yield pb.SimulatePolicyResponse(report=convert_policy.report(one))


def _version(number: int) -> int:
    """Where a page of versions ended."""
    return integer(number, 32)


def _planned(one: Progress | Planned | Summary) -> pb.PlanPolicyResponse:
    match one:
        case Progress():
            return pb.PlanPolicyResponse(progress=_progress(one))
        case Planned():
            ref = TicketRef.FromString(one.ref)
            return pb.PlanPolicyResponse(change=convert_policy.planned(one.change, ref, one.as_of))
        case Summary():
            return pb.PlanPolicyResponse(summary=convert_policy.plan_summary(one))


def _progress(one: Progress) -> policy_pb2.Progress:
    return policy_pb2.Progress(done=one.done, total=one.total)


def _trial(request: pb.SimulatePolicyRequest, timezone: str) -> Trial:
    until = request.until_time.ToMicroseconds() if request.HasField("until_time") else None
    return Trial(
        candidate=request.yaml,
        timezone=request.timezone or timezone,
        base=request.base_yaml,
        since=request.from_time.ToMicroseconds(),
        until=until,
        queue=request.queue,
        csv=request.csv,
    )
