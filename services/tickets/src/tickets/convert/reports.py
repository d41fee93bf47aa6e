"""Reports and what they are made of, for the contract."""

from collections.abc import Iterable, Mapping

from tickdesk.tickets.v1 import reports_pb2 as pb
from tickdesk.tickets.v1 import reports_service_pb2 as service
from tickets.convert.values import number
from tickets.domain.reports import Figure, Group, Names, Table
from tickets.domain.reports_metrics import Metric, View


def to_metric(metric: Metric) -> pb.Metric:
    """A metric with its definition."""
    return pb.Metric(
        name=metric.name,
        title=metric.title.en,
        title_ru=metric.title.ru,
        meaning=metric.meaning.en,
        meaning_ru=metric.meaning.ru,
        unit=number(metric.unit),
        moment=metric.source.moment,
        fields=metric.source.fields,
        at_least=metric.at_least,
        at_most=metric.at_most,
    )


def to_view(view: View) -> pb.ReportView:
    """Metrics that are read together."""
    return pb.ReportView(name=view.name, title=view.title.en, title_ru=view.title.ru, metrics=view.metrics)


def to_report(table: Table) -> service.GetReportResponse:
    """A whole report."""
    return service.GetReportResponse(
        rows=_rows(table.rows),
        first_sums=_rows(table.first_sums),
        second_sums=_rows(table.second_sums),
        total=_row((), table.total),
    )


def _rows(groups: Mapping[Names, Group]) -> Iterable[pb.ReportRow]:
    return [_row(names, group) for names, group in groups.items()]


def _row(names: Names, group: Group) -> pb.ReportRow:
    return pb.ReportRow(group=names, figures=map(_figure, group.values()))


def _figure(told: Figure) -> pb.Figure:
    return pb.Figure(value=told.value, count=told.count, off_goal=told.off_goal)
