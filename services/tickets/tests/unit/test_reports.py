"""What reports ask for, and the tables and files that come of it."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Denied, InvalidInput
from tickets.domain.query.catalog import catalog
from tickets.domain.query.resolve import Context, resolve
from tickets.domain.reports import (
    MOST_ROWS,
    Figure,
    Period,
    Table,
    complete,
    figure,
    period,
    question,
    require_own,
    to_csv,
)
from tickets.domain.reports_catalog import BY_NAME, METRICS, VIEWS
from tickets.domain.reports_metrics import TIMES, Unit
from tickets.store.reports_figures import EXPRESSIONS

UTC_ZONE, MOSCOW = ZoneInfo("UTC"), ZoneInfo("Europe/Moscow")
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def november(first: int = 1, last: int = 30, zone: ZoneInfo = UTC_ZONE) -> Period:
    return Period(date(2025, 11, first), date(2025, 11, last), zone)


def test_every_metric_says_in_both_languages_what_it_is_and_can_be_counted() -> None:
    """CA-26, CA-27, CA-28: views name nothing else."""
    assert [each.name for each in METRICS] == list(BY_NAME)
    assert set(EXPRESSIONS) == set(BY_NAME)
    for each in METRICS:
        assert all((each.title.ru, each.title.en, each.meaning.ru, each.meaning.en)), each.name
        assert each.source.moment
        assert (each.at_least is None and each.at_most is None) or each.unit is Unit.SHARE
    assert {name for view in VIEWS for name in view.metrics} <= set(BY_NAME)


def test_goals_are_missed_on_one_side_only() -> None:
    """CA-05, CA-27: more than 30 % on L2 is an alarm, 30 % is none; of nothing no goal is missed."""
    reached = BY_NAME["reached_l2"]
    assert [figure(reached, value, 10).off_goal for value in (0.3, 0.31)] == [False, True]
    assert [figure(BY_NAME["csat"], value, 10).off_goal for value in (0.8, 0.79)] == [False, True]
    assert not figure(BY_NAME["csat"], None, 0).off_goal


def test_days_weeks_and_months_begin_and_end_where_the_desk_is() -> None:
    """CA-31: a week that begins before the period is cut; Moscow is three hours ahead."""
    weeks = november(5, 12, MOSCOW).buckets("week")
    assert list(weeks) == ["2025-11-03", "2025-11-10"]
    assert weeks["2025-11-03"] == (
        datetime(2025, 11, 4, 21, tzinfo=UTC),
        datetime(2025, 11, 9, 21, tzinfo=UTC),
    )
    assert list(november().buckets("month")) == ["2025-11"]


@given(st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.integers(0, 365), st.sampled_from(TIMES))
def test_the_parts_of_a_period_are_the_whole_without_gaps(first: date, days: int, unit: str) -> None:
    for zone in (UTC_ZONE, ZoneInfo("America/New_York")):
        whole = Period(first, first + timedelta(days=days), zone)
        parts = list(whole.buckets(unit).values())
        assert (parts[0][0], parts[-1][1]) == (whole.start, whole.end)
        assert all(earlier[1] == later[0] for earlier, later in zip(parts[:-1], parts[1:], strict=True))


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("2025-11-31", "2025-12-01", "first_day"),
        ("2025-11-30", "2025-13-01", "last_day"),
        ("2025-11-30", "2025-11-29", "last_day"),
        ("2024-01-01", "2025-01-02", "last_day"),
        ("0001-01-01", "0001-01-01", "first_day"),
        ("9999-12-31", "9999-12-31", "first_day"),
    ],
)
def test_a_period_that_is_none_is_refused_by_its_field(first: str, last: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        question(period(first, last, UTC_ZONE), ["created"], [])
    assert caught.value.reason == "PERIOD_INVALID"
    assert [each.field for each in caught.value.violations] == [field]


@pytest.mark.parametrize(
    ("metrics", "group_by"),
    [(["backlog"], ["day"]), (["sla"], ["day"]), (["created"], ["queue"]), (["created"], ["day", "queue"])],
)
def test_only_numbers_over_time_can_be_added_up(metrics: list[str], group_by: list[str]) -> None:
    """YT-34."""
    with pytest.raises(InvalidInput) as caught:
        question(november(), metrics, group_by, cumulative=True)
    assert caught.value.reason == "NOT_CUMULATIVE"


def test_days_without_anything_are_told_and_days_to_come_have_no_value() -> None:
    """YT-34."""
    created, sla = BY_NAME["created"], BY_NAME["sla"]
    table = Table(question(november(1, 3), ["created", "sla"], ["day"]))
    table.rows = {("2025-11-01",): {created: Figure(2, 2), sla: Figure(1, 1)}}
    done = complete(table, {}, datetime(2025, 11, 2, 12, tzinfo=UTC))
    assert [[told.value for told in group.values()] for group in done.rows.values()] == [
        [2, 1],
        [0, None],
        [None, None],
    ]
    assert [told.value for told in done.total.values()] == [0, None]


def test_groups_stand_in_the_order_of_their_field_and_none_comes_last() -> None:
    table = Table(question(november(), ["created"], ["priority"]))
    table.rows = {(name,): {} for name in ("", "critical", "low", "odd")}
    done = complete(table, {"priority": ["low", "critical"]}, LATER)
    assert list(done.rows) == [("low",), ("critical",), ("odd",), ("",)]


def test_too_many_groups_are_refused() -> None:
    table = Table(question(november(), ["created"], ["component"]))
    table.rows = {(str(number),): {} for number in range(MOST_ROWS + 1)}
    with pytest.raises(InvalidInput) as caught:
        complete(table, {}, LATER)
    assert caught.value.reason == "REPORT_TOO_LARGE"
    days = Table(question(november(), ["created"], ["day", "component"]))
    days.rows = {("2025-11-01", str(number)): {} for number in range(MOST_ROWS // 30 + 1)}
    with pytest.raises(InvalidInput):
        complete(days, {}, LATER)


def test_an_agent_chooses_no_tickets_of_other_assignees() -> None:
    """CA-28: whatever the query is made of."""
    context = Context("anna", LATER, UTC_ZONE)
    for query in ("", "Assignee: me() AND Line: L1", "Assignee: anna", "Assignee: unassigned()"):
        require_own(resolve(query, catalog(), context), "anna")
    for query in ("Assignee: boris", "NOT Assignee: me(), boris", "Line: L1 OR (Tag: a AND Assignee: boris)"):
        with pytest.raises(Denied) as caught:
            require_own(resolve(query, catalog(), context), "anna")
        assert caught.value.reason == "OPERATOR_NOT_YOURS"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_a_value_is_one_cell_of_the_file_and_never_a_formula(name: str) -> None:
    """A category is what somebody typed."""
    sla = BY_NAME["sla"]
    table = Table(question(november(), ["created", "sla"], ["category"]))
    table.rows = {(name,): {BY_NAME["created"]: Figure(3, 3), sla: Figure(2 / 3, 3)}}
    text = to_csv(complete(table, {}, LATER))
    header, row, total = csv.reader(io.StringIO(text, newline=""))
    assert header == ["category", "created", "sla", "sla_count"]
    assert row[1:] == ["3", "0.6667", "3"]
    assert row[0].removeprefix("'") == name.removeprefix("'")
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert total == ["total", "0", "", "0"]
