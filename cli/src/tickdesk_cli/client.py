"""Calls to the five services of a desk: one channel each, the desk's token on every call."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from chassis.channel import channel
from tickdesk.intake.v1.intake_service_pb2_grpc import IntakeServiceStub
from tickdesk.notifier.v1.notifier_service_pb2_grpc import NotifierServiceStub
from tickdesk.sla.v1.policy_service_pb2_grpc import PolicyServiceStub
from tickdesk.sla.v1.sla_service_pb2_grpc import SlaServiceStub
from tickdesk.survey.v1.survey_service_pb2_grpc import SurveyServiceStub
from tickdesk.tickets.v1.bulk_service_pb2_grpc import BulkServiceStub
from tickdesk.tickets.v1.export_service_pb2_grpc import ExportServiceStub
from tickdesk.tickets.v1.importing_service_pb2_grpc import ImportServiceStub
from tickdesk.tickets.v1.knowledge_service_pb2_grpc import KnowledgeServiceStub
from tickdesk.tickets.v1.query_service_pb2_grpc import QueryServiceStub
from tickdesk.tickets.v1.reports_service_pb2_grpc import ReportServiceStub
from tickdesk.tickets.v1.setup_service_pb2_grpc import SetupServiceStub
from tickdesk.tickets.v1.tickets_service_pb2_grpc import TicketServiceStub
from tickdesk.tickets.v1.triggers_service_pb2_grpc import TriggerServiceStub

SECONDS = 15.0
CHECK_SECONDS = 60.0
"""For calls with a policy: the desk reads one at a time, ten seconds each, and four may come first."""
_PAGE = 200

A = TypeVar("A", bound="Page", covariant=True)


class Page(Protocol):
    """An answer of any list call."""

    @property
    def next_page_token(self) -> str:
        """Where to go on; empty on the last page."""


class Client:
    """Stubs of all services; an async context manager."""

    def __init__(self, addresses: Mapping[str, str], token: str) -> None:
        self._channels = {name: channel(target, token) for name, target in addresses.items()}
        self.intake = IntakeServiceStub(self._channels["intake"])
        self.tickets = TicketServiceStub(self._channels["tickets"])
        self.bulks = BulkServiceStub(self._channels["tickets"])
        self.exports = ExportServiceStub(self._channels["tickets"])
        self.imports = ImportServiceStub(self._channels["tickets"])
        self.knowledge = KnowledgeServiceStub(self._channels["tickets"])
        self.setups = SetupServiceStub(self._channels["tickets"])
        self.rules = TriggerServiceStub(self._channels["tickets"])
        self.queries = QueryServiceStub(self._channels["tickets"])
        self.reports = ReportServiceStub(self._channels["tickets"])
        self.sla = SlaServiceStub(self._channels["sla-clock"])
        self.policies = PolicyServiceStub(self._channels["sla-clock"])
        self.notifier = NotifierServiceStub(self._channels["notifier"])
        self.survey = SurveyServiceStub(self._channels["survey"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._channels.values():
            await each.close()


async def pages(call: Callable[..., Awaitable[A]], request: Any) -> AsyncIterator[A]:
    """Every page of a list call, 200 rows each. The request is changed on the way."""
    request.page_size = _PAGE
    while True:
        answer = await call(request, timeout=SECONDS)
        yield answer
        request.page_token = answer.next_page_token
        if not request.page_token:
            return
