"""Components, categories, templates: where a topic leads, and what a setup may not say."""

from typing import Any

import pytest

from services.tickets.tests.unit.stories import a_ticket
from services.tickets.tests.unit.test_fields import NAME, a_field
from tickets.domain import topics
from tickets.domain.fields import FieldType
from tickets.domain.model import Line, Priority, TicketType
from tickets.domain.topics import Category, Component, Route, TicketTemplate, Topics


def some_topics(**more: Any) -> Topics:
    """The categories of the playbook (CA-10), as far as they differ."""
    known: dict[str, Any] = {
        "components": (
            Component("billing", NAME, owner="dina", assign_by_default=True),
            Component("api", NAME),
        ),
        "categories": (
            Category("orders", NAME),
            Category("payment", NAME, Route(line=Line.L1, component="billing", priority=Priority.HIGH)),
            Category("payment/refund", NAME, Route(line=Line.L2, type=TicketType.COMPLAINT)),
            Category("integrations", NAME, Route(line=Line.L2, component="api")),
            Category("wishes", NAME, Route(type=TicketType.WISH)),
            Category("fax", NAME, archived=True),
        ),
    }
    return Topics(**{**known, **more})


def test_a_second_level_says_what_differs_and_keeps_the_rest() -> None:
    """CA-10: two levels with a default route each; MP-13: integrations go straight to the second line."""
    known = some_topics()
    assert known.route_of("payment/refund") == Route(
        line=Line.L2, component="billing", priority=Priority.HIGH, type=TicketType.COMPLAINT
    )
    assert known.route_of("payment/other") == known.route_of("payment")
    assert known.route_of("integrations").line == Line.L2
    assert known.route_of("wishes").type == TicketType.WISH
    assert known.route_of("orders") == known.route_of("") == known.route_of("unknown") == Route()


def test_only_what_the_queue_knows_may_be_chosen_once_it_knows_something() -> None:
    known, free = some_topics(), Topics()
    assert [known.category_fault(each) for each in ("", "payment", "payment/refund")] == ["", "", ""]
    assert known.category_fault("payment/other") == "must be a category of the queue"
    assert known.category_fault("fax") == "is archived"
    assert known.component_fault("phone") == "must be a component of the queue"
    assert (free.category_fault("any/thing"), free.component_fault("any")) == ("", "")


def test_what_must_be_filled_is_named_when_it_is_not() -> None:
    """CP-04, CP-08: what a template or a move asks for."""
    names = ["category", "component", "customer_number", "edition", "fields.error_time"]
    assert topics.unfilled(a_ticket(), names) == names
    filled = a_ticket(
        category="c", component="c", customer_number="7", edition="cloud", fields={"error_time": 0.0}
    )
    assert topics.unfilled(filled, names) == []


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"components": (Component("a", NAME, "anna"), Component("a", NAME))}, "components[0].key"),
    ({"components": (Component("a", NAME, assign_by_default=True),)}, "components[0].owner"),
    ({"categories": (Category("x/y", NAME),)}, "categories[0].key"),
    ({"categories": (Category("x", NAME, Route(component="fax")),)}, "categories[0].route.component"),
    ({"templates": (TicketTemplate("t", NAME, category="fax"),)}, "templates[0].category"),
    ({"templates": (TicketTemplate("t", NAME, component="fax"),)}, "templates[0].component"),
    ({"templates": (TicketTemplate("t", NAME, fields={"f": 1.0}),)}, "templates[0].fields.f"),
    ({"templates": (TicketTemplate("t", NAME, required=("fields.g",)),)}, "templates[0].required[0]"),
    ({"templates": (TicketTemplate("t", NAME, required=("status",)),)}, "templates[0].required[0]"),
]


@pytest.mark.parametrize(("change", "path"), WRONG)
def test_a_setup_whose_topics_cannot_work_says_where(change: dict[str, Any], path: str) -> None:
    found = topics.definition_faults(some_topics(**change), [a_field(FieldType.TEXT)])
    assert path in [where for where, _ in found]


def test_sound_topics_have_no_faults() -> None:
    template = TicketTemplate(
        "incident", NAME, category="payment", fields={"f": "x"}, required=("fields.f", "customer_number")
    )
    assert list(topics.definition_faults(some_topics(templates=(template,)), [a_field(FieldType.TEXT)])) == []
