"""What a setup makes of a ticket before it exists: template, category, answers."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.errors import InvalidInput
from services.tickets.tests.unit.stories import START, a_ticket
from services.tickets.tests.unit.test_fields import NAME, a_field
from services.tickets.tests.unit.test_routing import IMPACT
from services.tickets.tests.unit.test_topics import some_topics
from tickets.domain.fields import Choice, FieldType
from tickets.domain.model import Contact, Priority, TicketType
from tickets.domain.opening import Opening, check_filled, complete, understand
from tickets.domain.setup import Setup
from tickets.domain.topics import TicketTemplate

INCIDENT = TicketTemplate(
    "incident",
    NAME,
    subject="Incident",
    text="What happened?",
    type=TicketType.INCIDENT,
    category="payment",
    edition="cloud",
    priority=Priority.NORMAL,
    tags=("incident",),
    fields={"source": "template"},
    required=("fields.complaint", "fields.error_time", "customer_number"),
)
"""The agreed template of CP-04."""
SETUP = Setup(
    fields=(
        a_field(FieldType.TEXT, key="complaint"),
        a_field(FieldType.TIME, key="error_time"),
        a_field(FieldType.TEXT, key="source"),
        a_field(FieldType.ONE_OF, key="impact", choices=(Choice("all_down", NAME), Choice("question", NAME))),
        a_field(FieldType.TEXT, key="always", required=True),
    ),
    topics=replace(some_topics(), templates=(INCIDENT,)),
    routing=IMPACT,
)


def an_opening(**more: Any) -> Opening:
    known = {"queue": "SUP", "sender": Contact(1, "kim@client.example"), "subject": "Help", "text": "Broken"}
    return Opening(**{**known, "at": START, **more})


def test_a_template_fills_what_the_caller_leaves_empty() -> None:
    """CP-05."""
    filled = complete(an_opening(subject="", text="", template="incident", asked=True, tags=["mine"]), SETUP)
    assert (filled.subject, filled.text, filled.category) == ("Incident", "What happened?", "payment")
    assert (filled.type, filled.priority, filled.edition) == (TicketType.INCIDENT, Priority.NORMAL, "cloud")
    assert (filled.tags, filled.fields) == (["mine", "incident"], {"source": "template"})
    assert filled.component == "billing"


def test_what_the_caller_says_stands_before_the_template() -> None:
    said = an_opening(
        template="incident", category="orders", type=TicketType.WISH, edition="on_premises",
        priority=Priority.LOW, fields={"source": "caller"}, asked=True,
    )  # fmt: skip
    filled = complete(said, SETUP)
    assert (filled.subject, filled.category, filled.edition) == ("Help", "orders", "on_premises")
    assert (filled.type, filled.priority) == (TicketType.WISH, Priority.LOW)
    assert filled.fields == {"source": "caller"}


PRIORITIES = [
    ({"category": "payment"}, Priority.HIGH),
    ({"category": "payment", "fields": {"impact": "question"}}, Priority.LOW),
    ({"template": "incident", "fields": {"impact": "all_down"}}, Priority.CRITICAL),
    ({"template": "incident"}, Priority.NORMAL),
    ({"priority": Priority.LOW, "fields": {"impact": "all_down"}}, Priority.LOW),
    ({}, None),
]


@pytest.mark.parametrize(("said", "priority"), PRIORITIES)
def test_the_caller_then_an_answer_then_template_then_category_decide_the_priority(
    said: dict[str, Any], priority: Priority | None
) -> None:
    """CP-02, CA-10."""
    assert complete(an_opening(**said), SETUP).priority == priority


def test_without_a_word_the_first_type_of_the_queue_is_taken() -> None:
    """CA-07."""
    assert complete(an_opening(), SETUP).type == TicketType.QUESTION
    complaints = replace(SETUP, types=(TicketType.COMPLAINT, TicketType.WISH))
    assert complete(an_opening(), complaints).type == TicketType.COMPLAINT
    assert complete(an_opening(category="wishes"), complaints).type == TicketType.WISH


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"subject": ""}, ["subject"]),
    ({"text": ""}, ["text"]),
    ({"template": "nope"}, ["template"]),
    ({"category": "fax", "component": "phone"}, ["category", "component"]),
    ({"fields": {"impact": "else", "nope": 1.0}}, ["fields.impact", "fields.nope"]),
    ({"template": "incident", "tags": [str(number) for number in range(50)]}, ["tags"]),
]


@pytest.mark.parametrize(("said", "where"), BAD)
def test_what_is_asked_for_must_be_allowed(said: dict[str, Any], where: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        complete(an_opening(asked=True, **said), SETUP)
    assert [each.field for each in caught.value.violations] == where


def test_template_and_queue_say_what_must_be_filled() -> None:
    """CP-04: complaint, client id, date and time of the error."""
    opening = an_opening(template="incident")
    with pytest.raises(InvalidInput) as caught:
        check_filled(opening, a_ticket(), SETUP)
    wanted = ["fields.always", "fields.complaint", "fields.error_time", "customer_number"]
    assert [each.field for each in caught.value.violations] == wanted
    values = {"always": "x", "complaint": "x", "error_time": START}
    check_filled(opening, a_ticket(fields=values, customer_number="7"), SETUP)
    check_filled(an_opening(), a_ticket(fields={"always": "x"}), SETUP)


def test_a_form_is_understood_as_far_as_it_can_be() -> None:
    """YT-11, YT-13: what fits no field is given back; a field named status sets no status."""
    answers = {"error_time": "20.11.2026 11:55", "impact": "no idea", "status": "closed", "device": "LP-1"}
    opening, left = understand(an_opening(answers=answers, topic="payment"), SETUP, "Europe/Moscow")
    wanted = {"error_time": datetime(2026, 11, 20, 8, 55, tzinfo=UTC), "status": "closed", "device": "LP-1"}
    assert (opening.fields, opening.category) == (wanted, "payment")
    assert left == {"impact": "no idea"}


def test_a_topic_that_the_queue_does_not_know_is_given_back() -> None:
    opening, left = understand(an_opening(topic="fax machines"), SETUP, "")
    assert (opening.category, left) == ("", {"topic": "fax machines"})
    opening, left = understand(an_opening(topic="anything"), Setup(), "Mars/Olympus")
    assert (opening.category, left) == ("anything", {})


def test_values_have_a_bound_in_all() -> None:
    """YT-15: each event of the ticket holds them."""
    setup = Setup(fields=tuple(a_field(FieldType.TEXT, key=f"f{number}") for number in range(10)))
    values = {each.key: "я" * 10_000 for each in setup.fields}
    with pytest.raises(InvalidInput) as caught:
        complete(an_opening(fields=values, asked=True), setup)
    assert [each.field for each in caught.value.violations] == ["fields"]
    del values["f0"]
    assert complete(an_opening(fields=values, asked=True), setup).fields == values
