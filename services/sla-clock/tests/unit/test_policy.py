"""The matrix: which row gives the target."""

from __future__ import annotations

import pytest

from chassis.errors import InvalidInput
from sla_clock.conditions import Condition
from sla_clock.domain import Attributes
from sla_clock.hours import ALWAYS
from sla_clock.policy import RULES, Policy, Row

from .times import HOUR, a_calendar

CALENDAR = a_calendar(ALWAYS)


def a_row(name: str, hours: int, **conditions: str) -> Row:
    return Row(
        name, {"resolution": hours * HOUR}, CALENDAR, {k: frozenset({v}) for k, v in conditions.items()}
    )


ROWS = (a_row("high", 24, priority="high"), a_row("vip", 8, tier="vip"), a_row("rest", 48))


def test_first_takes_the_first_row_that_fits_and_tells_who_lost() -> None:
    policy = Policy("test", ROWS, RULES, {}, {}, "first")
    terms = policy.terms("resolution", Attributes(priority="high", tier="vip"))
    assert terms is not None
    assert (terms.row, terms.target, terms.lost) == ("high", 24 * HOUR, ("vip", "rest"))


def test_strictest_takes_the_shortest_target_of_all_rows_that_fit() -> None:
    """CA-13: a VIP with a high priority gets the better of both."""
    policy = Policy("test", ROWS, RULES, {}, {}, "strictest")
    terms = policy.terms("resolution", Attributes(priority="high", tier="vip"))
    assert terms is not None
    assert (terms.row, terms.lost) == ("vip", ("high", "rest"))


def test_a_row_without_that_clock_is_passed_over() -> None:
    chat = Row("chat", {"first_response": HOUR}, CALENDAR, {"channel": frozenset({"chat"})})
    policy = Policy("test", (chat, *ROWS), RULES, {}, {})
    terms = policy.terms("resolution", Attributes(channel="chat"))
    assert terms is not None
    assert terms.row == "rest"
    assert policy.terms("pickup", Attributes()) is None


def test_a_row_for_a_category_is_for_what_lies_under_it() -> None:
    """CA-11."""
    row = a_row("payment", 4, category="payment")
    assert row.fits(Attributes(category="payment/refund"))
    assert row.fits(Attributes(category="payment"))
    assert not row.fits(Attributes(category="payments/refund"))
    assert not a_row("refund", 4, category="payment/refund").fits(Attributes(category="payment"))


def test_a_row_may_ask_for_any_of_some_tags() -> None:
    row = Row("tagged", {"resolution": HOUR}, CALENDAR, tags=frozenset({"outage", "legal"}))
    assert row.fits(Attributes(tags=("legal", "x")))
    assert not row.fits(Attributes(tags=("x",)))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("priority == 'high' && 'outage' in tags", True),
        ("fields['contract'] == 'gold'", True),
        ("fields['nosuch'] == 'gold'", False),
        ("queue.startsWith('SUP') || tier == 'vip'", False),
    ],
)
def test_a_condition_sees_attributes_tags_and_fields(text: str, holds: bool) -> None:
    told = Attributes(priority="high", queue="OPS", tags=("outage",), fields={"contract": "gold"})
    assert Condition(text).holds(told) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nosuch == 'x'", "undeclared reference to 'nosuch'"),
        ("priority == 1", "no matching overload"),
        ("priority ==", "Syntax error"),
        ("priority", "a condition is true or false, this one is string"),
    ],
)
def test_a_condition_is_checked_when_it_is_read(text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Condition(text)


def test_a_condition_that_never_ends_does_not_win() -> None:
    hundred = "[" + ",".join("1" * 100) + "]"
    bomb = f"{hundred}.map(a, {hundred}.map(b, {hundred}.map(c, a))).size() > 0"
    assert not Condition(bomb).holds(Attributes())
