"""`tickdesk report`: figures of a period, as a table, as CSV, or as the page of a month."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import grpc
import grpc.aio
from google.protobuf.json_format import MessageToDict
from rich.table import Table
from rich.text import Text

from chassis.clock import utcnow
from tickdesk.tickets.v1 import reports_pb2
from tickdesk.tickets.v1 import reports_service_pb2 as pb
from tickdesk_cli.client import CHECK_SECONDS, Client
from tickdesk_cli.desk import Desk
from tickdesk_cli.progress import moved, progressing
from tickdesk_cli.reportpage import Month, html
from tickdesk_cli.reportwords import Words, month_of
from tickdesk_cli.terminal import bad_input, clean, console, write

_DAY = timedelta(days=1)
_TREND_MONTHS = 6
_TREND = ("sla", "csat", "fcr", "reopened_share")
_GUIDE = "Reports are told in docs/guides/reports.md; `tickdesk report metrics` lists what there is."


@dataclass(frozen=True, slots=True)
class Chosen:
    """Days, the zone in which they begin, and the tickets that count."""

    first: date
    last: date
    zone: str = ""
    query: str = ""

    def request(self, *metrics: str, by: Sequence[str] = (), cumulative: bool = False) -> pb.GetReportRequest:
        """A report on them."""
        return pb.GetReportRequest(
            first_day=self.first.isoformat(),
            last_day=self.last.isoformat(),
            timezone=self.zone,
            metrics=metrics,
            group_by=by,
            query=self.query,
            cumulative=cumulative,
        )


async def show(desk: Desk, typed: Callable[[], pb.GetReportRequest], *, as_csv: bool, as_json: bool) -> None:
    """Print one report. What was typed is read here, where faults are told."""
    request = typed()
    desk.require()
    async with desk.client() as client, _refusing():
        if as_csv:
            told = await client.reports.ExportReport(
                pb.ExportReportRequest(report=request), timeout=CHECK_SECONDS
            )
            print(told.csv, end="")
            return
        known = await client.reports.ListMetrics(pb.ListMetricsRequest(), timeout=CHECK_SECONDS)
        answer = await client.reports.GetReport(request, timeout=CHECK_SECONDS)
    if as_json:
        write(MessageToDict(answer, preserving_proto_field_name=True))
        return
    metrics = {each.name: each for each in known.metrics}
    words = Words("en")
    columns = [metrics[name] for name in request.metrics]
    console.print(_table(words, list(request.group_by), columns, answer, names=True))


async def metrics(desk: Desk, *, as_json: bool) -> None:
    """Print every metric with its definition."""
    desk.require()
    async with desk.client() as client:
        known = await client.reports.ListMetrics(pb.ListMetricsRequest(), timeout=CHECK_SECONDS)
    if as_json:
        write(MessageToDict(known, preserving_proto_field_name=True))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("metric", no_wrap=True, style="bold")
    table.add_column("what it is")
    for each in known.metrics:
        table.add_row(each.name, each.meaning)
    console.print(table)


async def month(desk: Desk, typed: Callable[[], Chosen], words: Words, page: Path | None) -> None:
    """Print the figures of a month, or write their page."""
    chosen = typed()
    desk.require()
    async with desk.client() as client, _refusing():
        found = await _month(client, chosen)
    if page:
        _write(page, html(found, words, utcnow()))
        console.print(f"{page}: {words.month(found.first)}", soft_wrap=True)
        return
    _print(found, words)


def month_chosen(text: str, zone: str, query: str) -> Chosen:
    """The days of "2026-11"; of the present month without a text."""
    try:
        first = date.fromisoformat(f"{text}-01") if text else _today(zone).replace(day=1)
        return Chosen(first, _last_of(first), zone, query)
    except (ValueError, OverflowError):
        raise bad_input(f'"{text}" is no month', "Write it as 2026-11.") from None


async def _month(client: Client, chosen: Chosen) -> Month:
    known = await client.reports.ListMetrics(pb.ListMetricsRequest(), timeout=CHECK_SECONDS)
    views = {each.name: each for each in known.views}
    found = Month(chosen.first, {each.name: each for each in known.metrics}, views, query=chosen.query)
    before = replace(chosen, first=_months_before(chosen.first, 1), last=chosen.first - _DAY)
    long = replace(chosen, first=_months_before(chosen.first, _TREND_MONTHS - 1))
    health, operators = views["health"].metrics, views["operators"].metrics
    asked = {
        "health": chosen.request(*health),
        "before": before.request(*health),
        "days": chosen.request("created", "resolved", "backlog", by=["day"]),
        "trend": long.request(*_TREND, by=["month"]),
        "honest": chosen.request(*views["honest"].metrics, by=["queue"]),
        "pyramid": chosen.request(*views["pyramid"].metrics),
        "levels": chosen.request("resolved", "resolution_wall", by=["level"]),
        "month_end": chosen.request(*views["month_end"].metrics),
        "operators": chosen.request(*operators, by=["operator"]),
        "categories": chosen.request("created", "ratings", "csat", "reopened_share", by=["category"]),
        "lines": chosen.request("time_spent", by=["line"]),
        "statuses": chosen.request("time_spent", by=["status"]),
    }
    with progressing("counting") as bar:
        for done, (name, request) in enumerate(asked.items(), 1):
            found.parts[name] = await client.reports.GetReport(request, timeout=CHECK_SECONDS)
            found.asked[name] = request.metrics
            moved(bar, done, len(asked))
    return found


def _write(page: Path, text: str) -> None:
    try:
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise bad_input(f"{page}: {error.strerror}", "Name a file in a folder that is there.") from error


def _print(found: Month, words: Words) -> None:
    console.print(Text(words.month(found.first), "bold"))
    table = _plain_table(words["figure"], words["now"], words["before"], words["goal"])
    pairs = zip(found.parts["health"].total.figures, found.parts["before"].total.figures, strict=True)
    for name, (now, before) in zip(found.asked["health"], pairs, strict=True):
        metric = found.metrics[name]
        cells = _cell(words, metric, now), _cell(words, metric, before), Text(words.goal(metric), "dim")
        table.add_row(words.title(metric), *cells)
    console.print(table)
    for name, by in (
        ("honest", "queue"),
        ("month_end", ""),
        ("pyramid", ""),
        ("levels", "level"),
        ("operators", "operator"),
        ("categories", "category"),
        ("lines", "line"),
        ("statuses", "status"),
    ):
        columns = [found.metrics[each] for each in found.asked[name]]
        console.print()
        console.print(Text(words[name], "bold"))
        console.print(_table(words, [by] if by else [], columns, found.parts[name]))


def _table(
    words: Words,
    by: Sequence[str],
    columns: Sequence[reports_pb2.Metric],
    report: pb.GetReportResponse,
    *,
    names: bool = False,
) -> Table:
    """Rows of groups, and the whole; `names` heads it with names of metrics, not their titles."""
    heads = [each.name if names else words.title(each) for each in columns]
    table = _plain_table(*([each if names else words[each] for each in by]), *heads, left=max(len(by), 1))
    for row in report.rows:
        figures = zip(columns, row.figures, strict=True)
        cells = [_cell(words, metric, told) for metric, told in figures]
        table.add_row(*(Text(clean(each) or words["none"]) for each in row.group), *cells)
    whole = (_cell(words, metric, told) for metric, told in zip(columns, report.total.figures, strict=True))
    table.add_row(*(words["all"] for _ in by[:1]), *("" for _ in by[1:]), *whole, style="bold" if by else "")
    return table


def _plain_table(*heads: str, left: int = 1) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index < left else "right")
    return table


def _cell(words: Words, metric: reports_pb2.Metric, told: reports_pb2.Figure) -> Text:
    return Text(words.value(metric, told), "red" if told.off_goal else "")


@asynccontextmanager
async def _refusing() -> AsyncIterator[None]:
    """What is wrong with a request is the user's to mend: exit code 2."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.INVALID_ARGUMENT:
            raise
        raise bad_input(error.details() or "bad request", _GUIDE) from error


def _last_of(first: date) -> date:
    return month_of(first + 31 * _DAY) - _DAY


def _months_before(first: date, months: int) -> date:
    for _ in range(months):
        first = month_of(first - _DAY)
    return first


def days_chosen(first: str, last: str, zone: str, query: str) -> Chosen:
    """Two days as they are typed; the last 30 where none is said."""
    try:
        end = date.fromisoformat(last) if last else _today(zone)
        return Chosen(date.fromisoformat(first) if first else end - 29 * _DAY, end, zone, query)
    except (ValueError, OverflowError):
        raise bad_input("--from and --to take days", "Write them as 2026-11-30.") from None


def _today(zone: str) -> date:
    """The day that it is in a zone; an unknown one is for the desk to refuse."""
    try:
        return utcnow().astimezone(ZoneInfo(zone or "UTC")).date()
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return utcnow().date()
