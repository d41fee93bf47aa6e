"""Rules over gRPC: one method per RPC."""

from dataclasses import replace
from typing import Any

from chassis.db import Database
from tickdesk.tickets.v1 import triggers_service_pb2 as pb
from tickdesk.tickets.v1.triggers_service_pb2_grpc import TriggerServiceServicer
from tickets.convert.triggers import to_run
from tickets.grpc_api import calls
from tickets.handlers.rule_trials import Proposal, dry_run
from tickets.store import tickets
from tickets.store import triggers as store

SERVICE = pb.DESCRIPTOR.services_by_name["TriggerService"]


class TriggerApi(TriggerServiceServicer):
    """Serves tickdesk.tickets.v1.TriggerService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def DryRunRules(self, request: pb.DryRunRulesRequest, context: Any) -> pb.DryRunRulesResponse:
        """What rules would have done."""
        setup = request.setup if request.HasField("setup") else None
        proposal = Proposal(request.queue, setup, tuple(request.rules))
        async with self._db.tx() as tx:
            found = await dry_run(tx, proposal, calls.page(request))
        runs = [to_run(each) for each in found.items]
        return pb.DryRunRulesResponse(runs=runs, next_page_token=found.next_token)

    async def ListRuleRuns(self, request: pb.ListRuleRunsRequest, context: Any) -> pb.ListRuleRunsResponse:
        """A page of what rules did to a ticket."""
        async with self._db.tx() as tx:
            ticket = await tickets.load_ticket(tx, request.ticket)
            found = await store.list_runs(tx, ticket, calls.page(request))
        runs = [to_run(replace(each, ticket_key=ticket.key)) for each in found.items]
        return pb.ListRuleRunsResponse(runs=runs, next_page_token=found.next_token)
