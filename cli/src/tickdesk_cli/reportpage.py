"""The page of a month: one HTML file without scripts, to be read or printed on A4."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from html import escape
from importlib.resources import files

from tickdesk.tickets.v1 import reports_pb2
from tickdesk.tickets.v1 import reports_service_pb2 as pb
from tickdesk_cli.reportcharts import Series, bars, lines
from tickdesk_cli.reportwords import Words

_STYLE = files(__package__).joinpath("report.css")
_STYLES = ("one", "two", "three", "four", "five")
_MOST_ROWS, _LONG = 15, 8
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Month:
    """All that the page of a month shows: reports by the name of their part, and the metrics of each."""

    first: date
    metrics: dict[str, reports_pb2.Metric]
    views: dict[str, reports_pb2.ReportView]
    parts: dict[str, pb.GetReportResponse] = field(default_factory=dict)
    asked: dict[str, Sequence[str]] = field(default_factory=dict)
    query: str = ""


def html(found: Month, words: Words, now: datetime) -> str:
    """The whole page; whatever people wrote is escaped."""
    name = f"{words['title']}: {words.month(found.first)}"
    return (
        f'<!doctype html><html lang="{words.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(name)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f"{''.join(_body(found, words, now))}</body></html>\n"
    )


def _body(found: Month, words: Words, now: datetime) -> Iterator[str]:
    yield f"<header><h1>{escape(words.month(found.first))}</h1>"
    yield f'<span class="dim">{words["title"]} · {words["written"]} {words.moment(now)}</span></header>'
    if found.query:
        yield f'<p class="dim">{words["only"]}: {escape(found.query)}</p>'
    yield f'<div class="tiles">{"".join(_tiles(found, words))}</div>'
    yield _section(words, "days", _days(found, words))
    yield _section(words, "trend", _trend(found, words))
    yield _section(words, "honest", _note(words["honest_note"]) + _table(found, words, "honest", "queue"))
    yield '<div class="side">'
    yield _section(words, "month_end", _list(found, words, "month_end"))
    yield _section(words, "pyramid", _alarm(found, words) + _list(found, words, "pyramid"))
    yield "</div>"
    operators = _note(words["operators_note"]) + _table(found, words, "operators", "operator")
    yield _section(words, "operators", operators)
    yield _section(words, "categories", _table(found, words, "categories", "category"))
    yield '<div class="side">'
    yield _section(words, "levels", _table(found, words, "levels", "level"))
    yield _section(words, "lines", _table(found, words, "lines", "line"))
    yield "</div>"
    yield _section(words, "statuses", _table(found, words, "statuses", "status"))
    definitions = "".join(_definitions(found, words))
    yield f'<section class="long"><h2>{words["definitions"]}</h2><dl>{definitions}</dl></section>'


def _section(words: Words, name: str, content: str) -> str:
    return f"<section><h2>{words[name]}</h2>{content}</section>"


def _note(text: str) -> str:
    return f'<p class="dim">{text}</p>'


def _tiles(found: Month, words: Words) -> Iterator[str]:
    totals = found.parts["health"].total.figures, found.parts["before"].total.figures
    for name, now, then in zip(found.asked["health"], *totals, strict=True):
        metric = found.metrics[name]
        value, goal = words.value(metric, now), words.goal(metric)
        long = " long" if len(value) > _LONG else ""
        yield (
            f'<div class="tile{" off" if now.off_goal else ""}">'
            f'<span class="name">{escape(words.title(metric))}</span>'
            f'<span class="value{long}">{escape(value)}</span>'
            f'<span class="more">{words["before"]} {_past(words, metric, now, then)}</span>'
            f'<span class="more">{words["goal"] + " " + goal if goal else "&nbsp;"}</span></div>'
        )


def _past(words: Words, metric: reports_pb2.Metric, now: reports_pb2.Figure, then: reports_pb2.Figure) -> str:
    """The value before, and whether it grew since."""
    told = escape(words.value(metric, then)).replace(" ", "\u00a0")
    if not (now.HasField("value") and then.HasField("value")) or now.value == then.value:
        return told
    return f"{told} {'▲' if now.value > then.value else '▼'}"


def _days(found: Month, words: Words) -> str:
    report = found.parts["days"]
    created, resolved, backlog = (
        Series(words.title(found.metrics[name]), style, [_value(row.figures[index]) for row in report.rows])
        for index, (name, style) in enumerate(zip(found.asked["days"], _STYLES, strict=False))
    )
    legend = "".join(
        f'<span class="{one.style}">{escape(one.name)}</span>' for one in (created, resolved, backlog)
    )
    days = [date.fromisoformat(row.group[0]) for row in report.rows]
    return f'<div class="legend">{legend}</div>{bars(days, (created, resolved), backlog)}'


def _trend(found: Month, words: Words) -> str:
    report = found.parts["trend"]
    series = [
        Series(words.title(found.metrics[name]), style, [_value(row.figures[index]) for row in report.rows])
        for index, (name, style) in enumerate(
            zip(found.asked["trend"], ("one", "two", "five", "four"), strict=True)
        )
    ]
    return lines([row.group[0] for row in report.rows], series)


def _alarm(found: Month, words: Words) -> str:
    place = list(found.asked["pyramid"]).index("reached_l2")
    off = found.parts["pyramid"].total.figures[place].off_goal
    return f'<p class="alarm">{words["alarm"]}</p>' if off else ""


def _list(found: Month, words: Words, name: str) -> str:
    rows = (
        f"<tr><td>{escape(words.title(metric))}</td>{_cell(words, metric, told)}"
        f'<td class="dim">{words.goal(metric)}</td></tr>'
        for metric, told in _figures(found, name, found.parts[name].total)
    )
    return f"<table>{''.join(rows)}</table>"


def _table(found: Month, words: Words, name: str, by: str) -> str:
    """Groups with most first, and the whole below."""
    report = found.parts[name]
    heads = "".join(f"<th>{escape(words.title(found.metrics[each]))}</th>" for each in found.asked[name])
    ordered = by in ("level", "line", "status")
    rows = list(report.rows)
    if not ordered:
        rows.sort(key=lambda row: -row.figures[0].count)
    body = "".join(_row(found, words, name, row) for row in rows[:_MOST_ROWS])
    if len(rows) > _MOST_ROWS:
        body += f"<tr class=dim><td>{words['more']}: {len(rows) - _MOST_ROWS}</td></tr>"
    total = _row(found, words, name, report.total)
    return f"<table><thead><tr><th>{words[by]}</th>{heads}</tr></thead><tbody>{body}{total}</tbody></table>"


def _row(found: Month, words: Words, name: str, row: reports_pb2.ReportRow) -> str:
    whole = not row.group
    label = words["all"] if whole else row.group[0] or words["none"]
    cells = "".join(_cell(words, metric, told) for metric, told in _figures(found, name, row))
    return f"<tr{' class=all' if whole else ''}><td>{escape(label)}</td>{cells}</tr>"


def _cell(words: Words, metric: reports_pb2.Metric, told: reports_pb2.Figure) -> str:
    return f"<td{' class=off' if told.off_goal else ''}>{escape(words.value(metric, told))}</td>"


def _figures(
    found: Month, name: str, row: reports_pb2.ReportRow
) -> Iterator[tuple[reports_pb2.Metric, reports_pb2.Figure]]:
    return zip((found.metrics[each] for each in found.asked[name]), row.figures, strict=True)


def _definitions(found: Month, words: Words) -> Iterator[str]:
    shown = dict.fromkeys(name for names in found.asked.values() for name in names)
    for metric in (found.metrics[name] for name in found.metrics if name in shown):
        yield f"<dt>{escape(words.title(metric))}</dt><dd>{escape(words.meaning(metric))}</dd>"


def _value(told: reports_pb2.Figure) -> float | None:
    return told.value if told.HasField("value") else None
