"""The gRPC face of reports."""

from typing import Any

from chassis.db import Database
from tickdesk.tickets.v1 import reports_service_pb2 as pb
from tickdesk.tickets.v1.reports_service_pb2_grpc import ReportServiceServicer
from tickets.convert import reports as convert
from tickets.domain import reports as rules
from tickets.domain.reports import Table
from tickets.domain.reports_catalog import METRICS, VIEWS
from tickets.grpc_api.calls import caller, zone
from tickets.handlers import reports as handlers
from tickets.handlers.query import Asked

SERVICE = pb.DESCRIPTOR.services_by_name["ReportService"]


class ReportApi(ReportServiceServicer):
    """Serves tickdesk.tickets.v1.ReportService; `reading` has connections for reports alone."""

    def __init__(self, reading: Database) -> None:
        self._reading = reading

    async def ListMetrics(self, request: pb.ListMetricsRequest, context: Any) -> pb.ListMetricsResponse:
        """Every metric and view."""
        return pb.ListMetricsResponse(
            metrics=map(convert.to_metric, METRICS), views=map(convert.to_view, VIEWS)
        )

    async def GetReport(self, request: pb.GetReportRequest, context: Any) -> pb.GetReportResponse:
        """Figures of a period."""
        return convert.to_report(await self._table(request))

    async def ExportReport(self, request: pb.ExportReportRequest, context: Any) -> pb.ExportReportResponse:
        """The same as CSV."""
        return pb.ExportReportResponse(csv=rules.to_csv(await self._table(request.report)))

    async def _table(self, request: pb.GetReportRequest) -> Table:
        asked = Asked(request.query, caller(), zone(request.timezone))
        period = rules.period(request.first_day, request.last_day, asked.zone)
        question = rules.question(period, request.metrics, request.group_by, cumulative=request.cumulative)
        async with self._reading.tx() as tx:
            return await handlers.report(tx, asked, question)
