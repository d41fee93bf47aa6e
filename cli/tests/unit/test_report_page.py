"""The page of a month: words in both languages, numbers as people read them, nothing but what it says."""

from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickdesk.tickets.v1 import reports_pb2
from tickdesk.tickets.v1 import reports_service_pb2 as pb
from tickdesk_cli.report import days_chosen, month_chosen
from tickdesk_cli.reportcharts import Series, bars, lines, nice
from tickdesk_cli.reportpage import Month, html
from tickdesk_cli.reportwords import Words
from tickdesk_cli.terminal import Problem
from tickets.convert.reports import to_metric, to_view
from tickets.domain.reports_catalog import METRICS, VIEWS

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
NOVEMBER = date(2026, 11, 1)
EVIL = '<script>alert("1")</script>'


def a_row(names: list[str], *group: str, value: float | None = 0.5) -> reports_pb2.ReportRow:
    figures = [reports_pb2.Figure(value=value, count=4, off_goal=name == "reached_l2") for name in names]
    return reports_pb2.ReportRow(group=group, figures=figures)


def a_month(value: float | None = 0.5) -> Month:
    """A month in which every figure has the same value."""
    views = {each.name: to_view(each) for each in VIEWS}
    found = Month(NOVEMBER, {each.name: to_metric(each) for each in METRICS}, views, query=EVIL)
    days = [(NOVEMBER + timedelta(days=number)).isoformat() for number in range(30)]
    for name, metrics, groups in (
        *((name, list(views[name].metrics), [EVIL, ""]) for name in ("honest", "operators")),
        *((name, list(views[name].metrics), []) for name in ("health", "month_end", "pyramid")),
        ("before", list(views["health"].metrics), []),
        ("days", ["created", "resolved", "backlog"], days),
        ("trend", ["sla", "csat", "fcr", "reopened_share"], ["2026-10", "2026-11"]),
        ("levels", ["resolved", "resolution_wall"], ["L1"]),
        ("categories", ["created", "ratings", "csat", "reopened_share"], [EVIL]),
        ("lines", ["time_spent"], ["L1"]),
        ("statuses", ["time_spent"], [EVIL]),
    ):
        rows = [a_row(metrics, each, value=value) for each in groups]
        found.parts[name] = pb.GetReportResponse(rows=rows, total=a_row(metrics, value=value))
        found.asked[name] = metrics
    return found


class Tags(HTMLParser):
    """Names of the tags, and whether each that opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("value", [0.5, 0, None])
@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_page_runs_nothing_loads_nothing_and_shows_what_people_wrote(
    language: str, value: float | None
) -> None:
    """A category, a status, a query are words of people; a month without anything is a page, too."""
    page = html(a_month(value), Words(language), NOW)
    tags = Tags(page)
    assert tags.open == []
    assert tags.seen.isdisjoint({"script", "link", "img", "iframe", "a", "form"})
    assert "default-src 'none'" in page
    assert page.count("&lt;script&gt;") >= 5
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")


def test_the_page_says_in_each_language_what_the_figures_mean() -> None:
    """CA-05, CA-32: the alarm of the pyramid, and what is read together."""
    russian, english = (html(a_month(), Words(language), NOW) for language in ("ru", "en"))
    for text in ("Ноябрь 2026", "Пирамида линий", "Тревога", "SLA рядом с качеством", "50,0\u00a0%"):
        assert text in russian
    for text in ("November 2026", "Pyramid of lines", "Alarm", "SLA beside quality", "50.0%"):
        assert text in english
    for metric in a_month().metrics.values():
        if metric.name in ("csat", "fcr", "time_spent"):
            assert metric.meaning_ru in russian
            assert metric.meaning in english


@pytest.mark.parametrize(
    ("seconds", "ru", "en"),
    [
        (0, "0 с", "0 s"),
        (59, "59 с", "59 s"),
        (60, "1 мин", "1 min"),
        (5400, "1 ч 30 мин", "1 h 30 min"),
        (90061, "1 д 1 ч", "1 d 1 h"),
    ],
)
def test_times_are_told_in_their_two_largest_units(seconds: float, ru: str, en: str) -> None:
    assert Words("ru").length(seconds).replace("\u00a0", " ") == ru
    assert Words("en").length(seconds).replace("\u00a0", " ") == en


def test_numbers_have_their_thousands_apart_as_the_language_does() -> None:
    assert (Words("ru").number(12345), Words("en").number(12345)) == ("12\u00a0345", "12,345")
    assert (Words("ru").share(0.125), Words("en").share(0.125)) == ("12,5\u00a0%", "12.5%")


@given(st.floats(0, 1e9))
def test_an_axis_ends_at_a_round_number_that_is_enough_and_not_ten_times_too_much(value: float) -> None:
    top = nice(value)
    assert top >= value
    assert top == 4 or top < max(value, 1) * 4


def test_charts_leave_out_what_has_no_value() -> None:
    days = [NOVEMBER, NOVEMBER + timedelta(days=1)]
    chart = bars(days, [Series("Created", "one", [3, None])], Series("Backlog", "three", [None, None]))
    assert chart.count('class="one"') == 1
    assert "polyline" not in chart
    assert 'class="weekend"' in chart
    assert "<circle" in lines(["2026-11"], [Series("CSAT", "one", [0.8])])


def test_a_long_table_says_how_much_it_leaves_out() -> None:
    found = a_month()
    names = found.asked["operators"]
    rows = [a_row(list(names), f"agent-{number}") for number in range(18)]
    found.parts["operators"] = pb.GetReportResponse(rows=rows, total=a_row(list(names)))
    assert "<td>more: 3</td>" in html(found, Words("en"), NOW)
    assert "<td>ещё: 3</td>" in html(found, Words("ru"), NOW)
    assert "more: " not in html(a_month(), Words("en"), NOW)


def test_today_is_that_of_the_zone_and_days_that_are_none_are_refused() -> None:
    """Those two zones never have the same day."""
    east, west = (days_chosen("", "", zone, "").last for zone in ("Pacific/Kiritimati", "Etc/GMT+12"))
    assert timedelta(days=1) <= east - west <= timedelta(days=2)
    assert days_chosen("", "", "Nowhere", "").zone == "Nowhere"
    for days in (("", "0001-01-05"), ("2026-02-30", "")):
        with pytest.raises(Problem):
            days_chosen(*days, "", "")


def test_a_month_is_its_days_and_what_is_none_is_refused() -> None:
    chosen = month_chosen("2026-02", "", "")
    assert (chosen.first, chosen.last) == (date(2026, 2, 1), date(2026, 2, 28))
    for text in ("2026-13", "February", "2026-02-01", "9999-12"):
        with pytest.raises(Problem) as caught:
            month_chosen(text, "", "")
        assert caught.value.code == 2
