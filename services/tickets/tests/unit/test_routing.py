"""Routing: which line a ticket begins on, and who becomes responsible."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tickets.tests.unit.stories import START, a_customer, a_queue, a_ticket, an_agent
from services.tickets.tests.unit.test_fields import NAME, a_field
from services.tickets.tests.unit.test_topics import some_topics
from tickets.domain import routing
from tickets.domain.fields import Choice, FieldType
from tickets.domain.model import Agent, Line, Priority, Tier
from tickets.domain.routing import Load, PriorityRule, Routing, RoutingRule, Strategy, first_line, route
from tickets.domain.shifts import Shift
from tickets.domain.topics import Category, Route, Topics

NONE, IN_TURN, LEAST = Strategy.NONE, Strategy.ROUND_ROBIN, Strategy.LEAST_LOADED
VIP = a_customer(tier=Tier.VIP)
IMPACT = Routing(
    priorities=(
        PriorityRule("impact", "all_down", Priority.CRITICAL),
        PriorityRule("impact", "more_than_half", Priority.HIGH),
        PriorityRule("impact", "one_client", Priority.NORMAL),
        PriorityRule("impact", "question", Priority.LOW),
    )
)


def load(name: str, open_tickets: int = 0, turn: int | None = None, *lines: Line, **more: Any) -> Load:
    agent = replace(an_agent(name, *lines), **more)
    return Load(agent, open_tickets, None if turn is None else START + timedelta(minutes=turn))


def chosen(rules: Routing, *staff: Load, topics: Topics | None = None, **ticket: Any) -> str:
    found = route(a_ticket(**ticket), rules, topics or Topics(), staff, START)
    return found.id if found else ""


ANSWERS = [
    ("all_down", Priority.CRITICAL),
    ("more_than_half", Priority.HIGH),
    ("one_client", Priority.NORMAL),
    ("question", Priority.LOW),
    ("else", None),
]


@pytest.mark.parametrize(("answer", "priority"), ANSWERS)
def test_how_many_are_hit_decides_the_priority(answer: str, priority: Priority | None) -> None:
    """CP-02."""
    assert routing.priority_by_answers(IMPACT, {"impact": answer}) == priority


def test_answers_that_nobody_gave_decide_nothing() -> None:
    assert routing.priority_by_answers(IMPACT, {}) is None


LINES = [
    ({}, Line.L1),
    ({"category": "integrations"}, Line.L2),
    ({"category": "payment/refund"}, Line.L2),
    ({"edition": "on_premises"}, Line.L3),
    ({"edition": "cloud", "customer": VIP}, Line.L2),
    ({"component": "api", "customer": VIP}, Line.L3),
    ({"category": "orders/late"}, Line.L3),
]


@pytest.mark.parametrize(("ticket", "line"), LINES)
def test_the_first_rule_that_holds_decides_the_line_else_the_category_else_the_queue(
    ticket: dict[str, Any], line: Line
) -> None:
    """CA-10, CA-11, CA-34, MP-01, MP-13."""
    rules = (
        RoutingRule(edition="on_premises", line=Line.L3),
        RoutingRule(category="orders", line=Line.L3),
        RoutingRule(component="api", tier=Tier.VIP, line=Line.L3),
        RoutingRule(tier=Tier.VIP, line=Line.L2),
    )
    assert first_line(a_ticket(**ticket), Routing(rules=rules), some_topics(), a_queue()) == line


def test_a_rule_for_a_category_does_not_cover_others_that_begin_alike() -> None:
    rule = RoutingRule(category="pay", line=Line.L2)
    assert not rule.holds(a_ticket(category="payment"))
    assert rule.holds(a_ticket(category="pay/refund"))


def test_no_line_is_outside_those_of_the_queue() -> None:
    rules = Routing(rules=(RoutingRule(line=Line.L3),))
    short, late = a_queue(last_line=Line.L2), a_queue(first_line=Line.L2)
    assert first_line(a_ticket(), rules, Topics(), short) == Line.L2
    assert first_line(a_ticket(category="payment"), Routing(), some_topics(), late) == Line.L2


def test_the_owner_of_a_component_is_responsible_whatever_the_strategy() -> None:
    """YT-19: assigned by default, on whatever line they work."""
    staff = load("anna"), load("dina", 99, None, Line.L2)
    for strategy in Strategy:
        rules = Routing(strategy=strategy, capacity=1)
        assert chosen(rules, *staff, topics=some_topics(), component="billing") == "dina"
    assert chosen(Routing(strategy=LEAST), *staff, topics=some_topics(), component="api") == "anna"


def test_an_owner_who_left_is_not_responsible() -> None:
    staff = load("anna"), load("dina", active=False)
    assert chosen(Routing(strategy=IN_TURN), *staff, topics=some_topics(), component="billing") == "anna"
    assert chosen(Routing(), *staff, topics=some_topics(), component="billing") == ""


def test_a_category_may_name_who_is_responsible() -> None:
    """YT-12: a topic decides the assignee."""
    topics = Topics(categories=(Category("legal", NAME, Route(assignee="olga")),))
    assert chosen(Routing(), load("anna"), load("olga"), topics=topics, category="legal") == "olga"


def test_without_a_strategy_nobody_is_responsible() -> None:
    assert chosen(Routing(), load("anna")) == ""
    only_vip = Routing(strategy=IN_TURN, rules=(RoutingRule(tier=Tier.STANDARD, strategy=NONE),))
    assert chosen(only_vip, load("anna")) == ""
    assert chosen(only_vip, load("anna"), customer=VIP) == "anna"


def test_the_least_loaded_gets_it_and_equals_take_turns() -> None:
    rules = Routing(strategy=LEAST)
    assert chosen(rules, load("anna", 3), load("boris", 2), load("zoe", 2)) == "boris"
    assert chosen(rules, load("anna", 2, 5), load("boris", 2, 4), load("zoe", 2, 6)) == "boris"
    assert chosen(rules, load("anna", 2, 5), load("zoe", 2)) == "zoe"


def test_in_turn_the_one_whose_turn_is_longest_ago_gets_it() -> None:
    rules = Routing(strategy=IN_TURN)
    assert chosen(rules, load("anna", 0, 2), load("boris", 9, 1), load("zoe", 0, 3)) == "boris"


UNFIT: list[dict[str, Any]] = [
    {"active": False},
    {"queues": ["OTHER"]},
    {"lines": [Line.L2]},
]


@pytest.mark.parametrize("change", UNFIT)
def test_only_who_works_on_line_and_queue_gets_tickets_by_a_strategy(change: dict[str, Any]) -> None:
    unfit = load("anna", **change)
    for strategy in (IN_TURN, LEAST):
        assert chosen(Routing(strategy=strategy), unfit) == ""
        assert chosen(Routing(strategy=strategy), unfit, load("boris", 50, 50)) == "boris"


def test_a_full_agent_gets_no_more() -> None:
    rules = Routing(strategy=IN_TURN, capacity=2, capacities={"zoe": 3})
    assert chosen(rules, load("anna", 2), load("zoe", 2, 9)) == "zoe"
    assert chosen(rules, load("anna", 2), load("zoe", 3)) == ""


def test_only_those_on_duty_get_tickets_by_a_strategy() -> None:
    """MP-09: the story begins on a Monday at nine, UTC."""
    shifts = (
        Shift(("anna",), "UTC", "mon", "10:00-18:00"),
        Shift(("boris",), "UTC", "mon", "08:00-10:00"),
    )
    rules = Routing(strategy=LEAST, shifts=shifts)
    assert chosen(rules, load("anna"), load("boris", 5), load("unnamed")) == "boris"


def test_a_rule_may_name_whom_to_choose_from() -> None:
    """MP-01: the engineers of an edition."""
    rules = Routing(strategy=LEAST, rules=(RoutingRule(edition="on_premises", agents=("zoe",)),))
    assert chosen(rules, load("anna"), load("zoe", 5), edition="on_premises") == "zoe"
    assert chosen(rules, load("anna"), load("zoe", 5), edition="cloud") == "anna"


@given(st.integers(1, 5), st.integers(0, 30))
def test_in_turn_everybody_gets_as_many_as_the_others(agents: int, tickets: int) -> None:
    turns: dict[str, int] = {}
    got = Counter({f"agent{number}": 0 for number in range(agents)})
    for number in range(tickets):
        name = chosen(Routing(strategy=IN_TURN), *(load(each, 0, turns.get(each)) for each in got))
        turns[name] = number
        got[name] += 1
    assert max(got.values()) - min(got.values()) <= 1


def test_a_setup_whose_routing_cannot_work_says_where() -> None:
    impact = a_field(FieldType.ONE_OF, key="impact", choices=(Choice("all_down", NAME),))
    wrong = replace(
        IMPACT,
        rules=(RoutingRule(category="fax"), RoutingRule(component="phone")),
        shifts=(Shift(("anna",), "UTC", "mon"), Shift(("anna",), "Mars", "mon")),
        priorities=(*IMPACT.priorities[:2], PriorityRule("other", "x", Priority.LOW)),
    )
    found = [where for where, _ in routing.definition_faults(wrong, some_topics(), [impact])]
    assert found == [
        "routing.shifts[1].timezone",
        "routing.rules[0].category",
        "routing.rules[1].component",
        "routing.priorities[1].choice",
        "routing.priorities[2].field",
    ]


def test_everybody_whom_a_setup_names_is_found_with_the_place() -> None:
    categories = (Category("legal", NAME, Route(assignee="olga")), Category("other", NAME))
    rules = Routing(
        capacities={"max": 1},
        rules=(RoutingRule(agents=("zoe", "anna")),),
        shifts=(Shift(("vera",), "UTC", "mon"),),
    )
    assert list(routing.people(rules, some_topics(categories=categories))) == [
        ("components[0].owner", "dina"),
        ("categories[0].route.assignee", "olga"),
        ("routing.rules[0].agents", "zoe"),
        ("routing.rules[0].agents", "anna"),
        ("routing.shifts[0].agents", "vera"),
        ("routing.capacities", "max"),
    ]


def test_agents_of_no_line_and_no_queue_are_of_all() -> None:
    everywhere = Agent("max", "Max")
    assert chosen(Routing(strategy=LEAST), Load(everywhere)) == "max"
