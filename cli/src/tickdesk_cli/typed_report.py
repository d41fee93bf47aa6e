"""What can be typed after `tickdesk report`, and nothing else."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tickdesk_cli.typed import AsJson, Folder, NoColor

app = typer.Typer(no_args_is_help=True, help="Figures of the desk: a month, any period, any field.")


class Language(StrEnum):
    """Languages of the page."""

    ru = "ru"
    en = "en"


Zone = Annotated[str, typer.Option("--zone", help="Zone in which days begin. Default: UTC.")]
Query = Annotated[
    str, typer.Option("--query", help="Only tickets that this query finds, see docs/guides/query.md.")
]


@app.command("month")
def month(  # noqa: PLR0913 - options are read from the signature
    which: Annotated[
        str, typer.Argument(help="A month such as 2026-11; the present one without.", metavar="MONTH")
    ] = "",
    page: Annotated[
        Path | None,
        typer.Option("--html", help="Write the page into this file instead, to be read or printed."),
    ] = None,
    language: Annotated[Language, typer.Option("--lang", help="Language of the page.")] = Language.en,
    zone: Zone = "",
    query: Query = "",
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Show the figures of a month beside those of the month before.

    Examples: `tickdesk report month`, `tickdesk report month 2026-11 --html november.html --lang ru`
    """
    from tickdesk_cli import report, reportwords, terminal
    from tickdesk_cli.desk import Desk

    chosen = partial(report.month_chosen, which, zone, query)
    terminal.run(report.month(Desk(folder), chosen, reportwords.Words(language), page))


@app.command("show")
def show(  # noqa: PLR0913 - options are read from the signature
    names: Annotated[
        list[str], typer.Argument(help="Metrics, see `tickdesk report metrics`.", metavar="METRIC")
    ],
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by", help="Group by this field: day, week, month, queue, line, operator...; twice at most."
        ),
    ] = None,
    first: Annotated[str, typer.Option("--from", help="First day. Default: 30 days.")] = "",
    last: Annotated[str, typer.Option("--to", help="Last day. Default: today.")] = "",
    zone: Zone = "",
    query: Query = "",
    cumulative: Annotated[
        bool, typer.Option("--cumulative", help="Add each number to those before it.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV for spreadsheets.")] = False,
    as_json: AsJson = False,
    no_color: NoColor = False,
    folder: Folder = None,
) -> None:
    """Show metrics of a period, in all and by one field or two.

    Exit code 2 for metrics or fields that there are not.

    Examples: `tickdesk report show created resolved --by day --cumulative`,
    `tickdesk report show csat ratings --by category --by month --from 2026-01-01 --csv`
    """
    from tickdesk.tickets.v1 import reports_service_pb2 as pb
    from tickdesk_cli import report, terminal
    from tickdesk_cli.desk import Desk

    def request() -> pb.GetReportRequest:
        chosen = report.days_chosen(first, last, zone, query)
        return chosen.request(*names, by=by or [], cumulative=cumulative)

    terminal.run(report.show(Desk(folder), request, as_csv=as_csv, as_json=as_json))


@app.command("metrics")
def metrics(as_json: AsJson = False, no_color: NoColor = False, folder: Folder = None) -> None:
    """List every metric with its definition.

    Example: `tickdesk report metrics`
    """
    from tickdesk_cli import report, terminal
    from tickdesk_cli.desk import Desk

    terminal.run(report.metrics(Desk(folder), as_json=as_json))
