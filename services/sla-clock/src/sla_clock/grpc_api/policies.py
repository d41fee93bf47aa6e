"""PolicyService over gRPC: policies put in force, checked, tried."""

from __future__ import annotations

from typing import Any

from chassis.db import idempotent
from sla_clock import convert
from sla_clock.calendar import micros
from sla_clock.handlers.policies import apply_policy, check_policy
from sla_clock.handlers.works import Works
from sla_clock.store import policies
from tickdesk.sla.v1 import policy_service_pb2 as pb
from tickdesk.sla.v1 import policy_service_pb2_grpc

NAME = pb.DESCRIPTOR.services_by_name["PolicyService"].full_name
_STAFF = frozenset({"agent", "lead", "admin", "service"})
_LEADS = frozenset({"admin", "lead"})
PERMITTED: dict[str, frozenset[str]] = {
    "ApplyPolicy": _LEADS,
    "GetPolicy": _STAFF,
    "ListPolicies": _STAFF,
    "GetRecalculation": _STAFF,
    "LintPolicy": _STAFF,
    "TestPolicy": _STAFF,
    "PlanPolicy": _LEADS,
    "SimulatePolicy": _LEADS,
}
"""Roles by method; what is not named here is refused to everybody."""


class PolicyApi(policy_service_pb2_grpc.PolicyServiceServicer):
    """Takes new policies and says what they do."""

    def __init__(self, works: Works) -> None:
        self._works = works

    async def ApplyPolicy(self, request: pb.ApplyPolicyRequest, context: Any) -> pb.ApplyPolicyResponse:
        """See the contract."""
        if request.check_only:
            return pb.ApplyPolicyResponse(name=(await check_policy(request.yaml)).name)
        async with self._works.db.tx() as tx:

            async def work() -> pb.ApplyPolicyResponse:
                name, version = await apply_policy(self._works, tx, request.yaml)
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
