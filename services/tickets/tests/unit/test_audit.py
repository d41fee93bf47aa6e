"""What the audit tells of a change: names, short values, and no texts."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.domain.audit import Change, changes, state
from tickets.domain.model import Line, Priority

ROW: dict[str, Any] = {
    "id": "t",
    "version": 3,
    "subject": "Where is my money",
    "priority": 2,
    "line": Line.L1,
    "tags": ["a"],
    "assignee": "",
    "resolved_time": None,
    "updated_time": datetime(2026, 3, 2, tzinfo=UTC),
    "body": {"observers": ["olga"], "fields": {"error_time": {"text": "09:00"}}, "timeline": [1]},
}


def difference(**after: Any) -> list[Change]:
    return list(changes(state(ROW), state({**ROW, **after})))


def body(**parts: Any) -> dict[str, Any]:
    return {**ROW["body"], **parts}


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ({"priority": Priority.HIGH}, Change("priority", "normal", "high")),
        ({"line": 2}, Change("line", "l1", "l2")),
        ({"assignee": "anna"}, Change("assignee", "", "anna")),
        ({"tags": ["a", "b"]}, Change("tags", "a", "a, b")),
        ({"tags": ["x" * 200]}, Change("tags", "a", "x" * 97 + "...")),
        (
            {"resolved_time": datetime(2026, 3, 2, 9, tzinfo=UTC)},
            Change("resolved_time", "", "2026-03-02T09:00:00+00:00"),
        ),
        ({"body": body(observers=[])}, Change("observers", "olga", "")),
        (
            {"body": body(fields={"error_time": {"text": "10:00"}})},
            Change("fields.error_time", "09:00", "10:00"),
        ),
        ({"body": body(csat={"score": 25, "comment": "bad"})}, Change("csat.score", "", "25")),
        (
            {"body": body(escalation={"reasons": [2, 6]})},
            Change("escalation.reasons", "", "sla_mark, third_contact"),
        ),
    ],
)
def test_a_value_that_changed_is_told_with_what_it_was(after: dict[str, Any], told: Change) -> None:
    assert told in difference(**after)


@pytest.mark.parametrize(
    ("after", "name"),
    [
        ({"subject": "marker"}, "subject"),
        ({"body": body(csat={"score": 25, "comment": "marker"})}, "csat.comment"),
        ({"body": body(escalation={"form": {"ask": "marker"}})}, "escalation.form.ask"),
        ({"body": body(draft="marker")}, "draft"),
        ({"body": body(something_new=[{"text": "marker"}])}, "something_new"),
    ],
)
def test_a_text_that_changed_is_named_and_not_told(after: dict[str, Any], name: str) -> None:
    found = difference(**after)
    assert Change(name) in found
    assert "marker" not in str(found)


def test_what_changes_with_everything_is_not_told() -> None:
    assert (
        difference(version=4, updated_time=datetime(2026, 3, 3, tzinfo=UTC), body=body(timeline=[1, 2])) == []
    )


@given(st.dictionaries(st.sampled_from(sorted(ROW)), st.none() | st.just("x"), max_size=3))
def test_the_same_state_has_no_changes(after: dict[str, Any]) -> None:
    after.pop("body", None)
    assert changes(state({**ROW, **after}), state({**ROW, **after})) == ()
