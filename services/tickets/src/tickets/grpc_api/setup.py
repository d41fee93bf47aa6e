"""Setups of queues over gRPC: one method per RPC."""

from typing import Any

from chassis.db import Database, Tx
from tickdesk.tickets.v1 import setup_service_pb2 as pb
from tickdesk.tickets.v1.setup_service_pb2_grpc import SetupServiceServicer
from tickets.convert import setup as convert
from tickets.convert import templates
from tickets.convert import tickets as convert_tickets
from tickets.grpc_api import calls
from tickets.handlers import setup
from tickets.handlers.setup import NewQueue
from tickets.store import desk, lists

SERVICE = pb.DESCRIPTOR.services_by_name["SetupService"]


class SetupApi(SetupServiceServicer):
    """Serves tickdesk.tickets.v1.SetupService."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def GetSetup(self, request: pb.GetSetupRequest, context: Any) -> pb.GetSetupResponse:
        """The setup in force, or a version."""
        async with self._db.tx() as tx:
            kept = await setup.get_setup(tx, request.queue, request.version)
        return pb.GetSetupResponse(setup=convert.to_setup(request.queue, kept))

    async def PutSetup(self, request: pb.PutSetupRequest, context: Any) -> pb.PutSetupResponse:
        """Puts the next version in force."""

        async def put(tx: Tx) -> pb.PutSetupResponse:
            kept, doubts = await setup.put_setup(tx, calls.caller(), request.setup)
            told = convert.to_setup(request.setup.queue, kept)
            return pb.PutSetupResponse(setup=told, warnings=convert.to_findings([], doubts))

        return await calls.write(self._db, request, pb.PutSetupResponse, put)

    async def CheckSetup(self, request: pb.CheckSetupRequest, context: Any) -> pb.CheckSetupResponse:
        """What is wrong or doubtful."""
        async with self._db.tx() as tx:
            faults, doubts = await setup.check_setup(tx, request.setup)
        return pb.CheckSetupResponse(findings=convert.to_findings(faults, doubts))

    async def ListSetups(self, request: pb.ListSetupsRequest, context: Any) -> pb.ListSetupsResponse:
        """A page of versions."""
        async with self._db.tx() as tx:
            queue = await desk.load_queue(tx, request.queue)
            found = await lists.list_setups(tx, queue.key, calls.page(request))
        setups = [convert.to_summary(each) for each in found.items]
        return pb.ListSetupsResponse(setups=setups, next_page_token=found.next_token)

    async def ListQueueTemplates(
        self, request: pb.ListQueueTemplatesRequest, context: Any
    ) -> pb.ListQueueTemplatesResponse:
        """All templates."""
        return pb.ListQueueTemplatesResponse(templates=templates.all_templates())

    async def CreateQueue(self, request: pb.CreateQueueRequest, context: Any) -> pb.CreateQueueResponse:
        """A queue out of a template."""

        async def create(tx: Tx) -> pb.CreateQueueResponse:
            new = NewQueue(request.key, request.name, tuple(request.addresses))
            queue, kept = await setup.create_queue(tx, calls.caller(), new, request.template)
            told = convert.to_setup(queue.key, kept)
            return pb.CreateQueueResponse(queue=convert_tickets.to_queue(queue), setup=told)

        return await calls.write(self._db, request, pb.CreateQueueResponse, create)
