"""Fields, topics and routing come whole out of the setup document that the contract describes."""

from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from tickdesk.tickets.v1 import fields_pb2, routing_pb2, setup_pb2
from tickets.domain.fields import Choice, Field, FieldType, User, read_fields
from tickets.domain.label import Label
from tickets.domain.model import Line, Priority, TicketType, Tier
from tickets.domain.routing import PriorityRule, Routing, RoutingRule, Strategy, read_routing
from tickets.domain.shifts import Shift
from tickets.domain.topics import Category, Component, Route, TicketTemplate, Topics, read_topics

DOCUMENT = {
    "fields": [
        {
            "key": "impact",
            "name": {"ru": "Кого затронуло", "en": "Impact"},
            "type": "FIELD_TYPE_MANY_OF",
            "choices": [{"key": "all_down", "name": {"en": "All"}, "archived": True}],
            "min": 0,
            "max": 2,
            "required": True,
            "archived": True,
        },
        {"key": "note", "name": {}, "type": "FIELD_TYPE_TEXT"},
    ],
    "components": [
        {"key": "api", "name": {}, "owner": "dina", "assign_by_default": True, "archived": True},
        {"key": "billing", "name": {"en": "Billing"}},
    ],
    "categories": [
        {
            "key": "payment",
            "name": {"en": "Payment"},
            "archived": True,
            "route": {
                "line": "LINE_L2",
                "queue": "PAY",
                "component": "billing",
                "priority": "PRIORITY_HIGH",
                "type": "TICKET_TYPE_INCIDENT",
                "assignee": "dina",
            },
        },
        {"key": "other", "name": {}},
    ],
    "templates": [
        {
            "key": "incident",
            "name": {"en": "Incident"},
            "subject": "Outage",
            "text": "What happened?",
            "type": "TICKET_TYPE_INCIDENT",
            "category": "payment",
            "component": "api",
            "edition": "cloud",
            "priority": "PRIORITY_HIGH",
            "tags": ["outage"],
            "fields": {
                "note": {"text": "x"},
                "sum": {"number": 5},
                "error_time": {"time": "2026-11-20T08:55:00Z"},
                "parts": {"choices": {"values": ["a", "b"]}},
                "owner": {"user": "anna"},
            },
            "required": ["fields.error_time", "customer_number"],
        }
    ],
    "routing": {
        "strategy": "ASSIGNMENT_STRATEGY_LEAST_LOADED",
        "capacity": 5,
        "capacities": {"anna": 7},
        "rules": [
            {
                "category": "payment",
                "component": "api",
                "edition": "cloud",
                "tier": "CUSTOMER_TIER_VIP",
                "line": "LINE_L3",
                "strategy": "ASSIGNMENT_STRATEGY_NONE",
                "agents": ["zoe"],
            }
        ],
        "shifts": [{"agents": ["anna"], "timezone": "UTC", "days": "mon-fri", "hours": "09:00-18:00"}],
        "priorities": [{"field": "impact", "choice": "all_down", "priority": "PRIORITY_CRITICAL"}],
    },
}


def document() -> dict[str, Any]:
    """The document as the service keeps it: what the contract makes of it."""
    setup = ParseDict(DOCUMENT, setup_pb2.Setup())
    return MessageToDict(setup, preserving_proto_field_name=True)


def test_fields_come_whole_out_of_the_document() -> None:
    """YT-15: type, name and key, value list."""
    impact = Field(
        "impact",
        Label("Кого затронуло", "Impact"),
        FieldType.MANY_OF,
        choices=(Choice("all_down", Label(en="All"), archived=True),),
        min=0,
        max=2,
        required=True,
        archived=True,
    )
    assert read_fields(document()["fields"]) == (impact, Field("note", Label(), FieldType.TEXT))


def test_topics_come_whole_out_of_the_document() -> None:
    """YT-19, CA-10, CP-04, CP-05."""
    route = Route(Line.L2, "PAY", "billing", Priority.HIGH, TicketType.INCIDENT, "dina")
    template = TicketTemplate(
        "incident", Label(en="Incident"), "Outage", "What happened?", TicketType.INCIDENT, "payment", "api",
        "cloud", Priority.HIGH, ("outage",),
        {"note": "x", "sum": 5.0, "error_time": datetime(2026, 11, 20, 8, 55, tzinfo=UTC),
         "parts": ("a", "b"), "owner": User("anna")},
        ("fields.error_time", "customer_number"),
    )  # fmt: skip
    assert read_topics(document()) == Topics(
        (
            Component("api", Label(), "dina", assign_by_default=True, archived=True),
            Component("billing", Label(en="Billing")),
        ),
        (Category("payment", Label(en="Payment"), route, archived=True), Category("other", Label())),
        (template,),
    )


def test_routing_comes_whole_out_of_the_document() -> None:
    """CP-02, MP-01, MP-09."""
    rule = RoutingRule("payment", "api", "cloud", Tier.VIP, Line.L3, Strategy.NONE, ("zoe",))
    assert read_routing(document()["routing"]) == Routing(
        Strategy.LEAST_LOADED, 5, {"anna": 7}, (rule,), (Shift(("anna",), "UTC", "mon-fri", "09:00-18:00"),),
        (PriorityRule("impact", "all_down", Priority.CRITICAL),),
    )  # fmt: skip


def test_a_document_without_these_parts_has_none() -> None:
    assert (read_fields([]), read_topics({}), read_routing({})) == ((), Topics(), Routing())


ENUMS: list[tuple[type[IntEnum], Any, str]] = [
    (FieldType, fields_pb2.FieldType, "FIELD_TYPE_"),
    (Strategy, routing_pb2.AssignmentStrategy, "ASSIGNMENT_STRATEGY_"),
]


@pytest.mark.parametrize(("ours", "theirs", "prefix"), ENUMS)
def test_the_names_of_enums_are_those_of_the_contract(ours: type[IntEnum], theirs: Any, prefix: str) -> None:
    contract = {name.removeprefix(prefix): number for name, number in theirs.items() if number}
    assert {each.name: each.value for each in ours} == contract
