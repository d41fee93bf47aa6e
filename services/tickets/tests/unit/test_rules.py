"""What joins, what is valid, which mark still counts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidInput
from services.tickets.tests.unit.stories import START, a_customer, a_queue, a_ticket, an_agent, an_inbound, at
from tickets.domain import escalation, rules, workflow
from tickets.domain.escalation import Step
from tickets.domain.model import Contact, Line, Reason, Ticket
from tickets.domain.rules import AuthorKind

NEWER = a_ticket(id="newer", subject="Invoice 12")
OLDER = a_ticket(id="older", subject="Printer on fire")


@pytest.mark.parametrize(
    ("fields", "joined"),
    [
        ({"nudge": True, "subject": ""}, "newer"),
        ({"subject": "Re: Printer on fire"}, "older"),
        ({"subject": "ОТВ: Fwd: PRINTER ON FIRE [#SUP-1 abc.def]"}, "older"),
        ({"subject": "Something else"}, None),
        ({"subject": ""}, None),
        ({"nudge": True, "author_kind": AuthorKind.AUTO_REPLY}, None),
        ({"subject": "Printer on fire", "author_kind": AuthorKind.LIST}, None),
        ({"subject": "Printer on fire", "received_time": at(7 * 24 * 60 + 1)}, None),
    ],
)
def test_a_new_conversation_joins_the_open_ticket_it_means(
    fields: dict[str, Any], joined: str | None
) -> None:
    """CA-33: "any news?" joins, and so does the same subject within a week; a robot never does."""
    found = rules.ticket_to_join(an_inbound(**fields), [NEWER, OLDER])
    assert (found.id if found else None) == joined


def test_a_nudge_without_an_open_ticket_joins_nothing() -> None:
    assert rules.ticket_to_join(an_inbound(nudge=True), []) is None


@given(st.text(max_size=300))
def test_topics_are_stable_and_never_grow(subject: str) -> None:
    once = rules.topic(subject)
    assert rules.topic(once) == once or "[#" in once
    assert len(rules.topic("Re: " + subject)) <= len(once) + 1


@pytest.mark.parametrize(
    ("subject", "text", "language", "line"),
    [
        ("  Two\n lines ", "", "en", "Two lines"),
        ("", "Only\ntext", "en", "Only text"),
        ("", " ", "ru", "Без темы"),
        ("", "", "en", "No subject"),
        ("x" * 900, "", "en", "x" * 500),
    ],
)
def test_a_ticket_always_has_one_line_for_lists(subject: str, text: str, language: str, line: str) -> None:
    """KT-03: the first contact may be only a picture."""
    assert rules.subject_line(subject, text, language) == line


@pytest.mark.parametrize(
    ("spoken", "known", "language"),
    [("ru", "en", "ru"), ("kk", "ru", "ru"), ("", "", "en"), ("de", "fr", "en")],
)
def test_the_answer_is_in_a_language_that_we_have(spoken: str, known: str, language: str) -> None:
    assert rules.language_of(spoken, a_customer(language=known), a_queue()) == language


def taken() -> Ticket:
    ticket = a_ticket()
    workflow.take(ticket, an_agent(), [], at(1))
    return ticket


def answered() -> Ticket:
    ticket = taken()
    workflow.staff_replied(ticket, a_queue(), "anna", at(2))
    return ticket


def asked_again() -> Ticket:
    ticket = answered()
    workflow.customer_wrote(ticket, at(3))
    return ticket


def reopened() -> Ticket:
    ticket = answered()
    workflow.resolve(ticket, "anna", at(3))
    workflow.reopen(ticket, at(4))
    return ticket


def waiting(*, replied: bool = False) -> Ticket:
    ticket = answered() if replied else taken()
    workflow.change_status(ticket, "waiting", at(2))
    return ticket


def resolved() -> Ticket:
    ticket = taken()
    workflow.resolve(ticket, "anna", at(2))
    return ticket


CLOCKS = ("pickup", "first_response", "accepted_response", "next_response", "resolution", "own")


@pytest.mark.parametrize(
    ("ticket", "outdated"),
    [
        (a_ticket(), ""),
        (taken(), "pickup"),
        (answered(), "pickup first_response accepted_response next_response"),
        (asked_again(), "pickup first_response accepted_response"),
        (reopened(), "pickup accepted_response next_response"),
        (waiting(), "pickup resolution"),
        (waiting(replied=True), "pickup first_response accepted_response next_response resolution"),
        (resolved(), " ".join(CLOCKS)),
    ],
    ids=["new", "taken", "answered", "asked again", "reopened", "waiting", "replied, waiting", "resolved"],
)
def test_a_mark_counts_only_while_its_work_is_undone(ticket: Ticket, outdated: str) -> None:
    """CA-21: no answer at 80 % escalates; an answer that came meanwhile does not."""
    assert [clock for clock in CLOCKS if rules.is_outdated(ticket, clock)] == outdated.split()


def test_contacts_are_normalised_by_channel() -> None:
    assert rules.contact(1, " Kim@Client.EXAMPLE ") == Contact(1, "kim@client.example")
    assert rules.contact(2, "ChatId42") == Contact(2, "ChatId42")


@pytest.mark.parametrize("address", ["", "   ", "kim", "a@b@c", "kim @client.example", "x" * 400])
def test_a_broken_address_is_named(address: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rules.contact(1, address)
    assert [each.field for each in caught.value.violations] == ["contact.address"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"key": "sup"}, ["queue.key"]),
        ({"key": "X"}, ["queue.key"]),
        ({"key": 'A"; --'}, ["queue.key"]),
        ({"name": ""}, ["queue.name"]),
        ({"addresses": ["a@b.example", "nobody"]}, ["queue.addresses[1]"]),
        ({"default_language": "kk"}, ["queue.default_language"]),
        ({"first_line": Line.L3, "last_line": Line.L2}, ["queue.last_line"]),
        ({"key": "", "name": ""}, ["queue.key", "queue.name"]),
    ],
)
def test_every_bad_field_of_a_queue_is_named(fields: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        rules.check_queue(a_queue(**fields))
    assert [each.field for each in caught.value.violations] == named


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id": "Anna B"}, ["agent.id"]),
        ({"name": "x" * 300}, ["agent.name"]),
        ({"email": "anna"}, ["agent.email"]),
        ({"language": ""}, ["agent.language"]),
    ],
)
def test_every_bad_field_of_an_agent_is_named(fields: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        rules.check_agent(replace(an_agent(), **fields))
    assert [each.field for each in caught.value.violations] == named


def test_addresses_of_a_queue_are_normalised_once_each() -> None:
    queue = a_queue(addresses=[" Help@Desk.example", "help@desk.example"])
    rules.check_queue(queue)
    assert queue.addresses == ["help@desk.example"]


def test_a_rule_escalates_what_is_not_outdated() -> None:
    ticket = a_ticket(created_time=START)
    assert not rules.is_outdated(ticket, "first_response")
    assert escalation.escalate(ticket, Step(Reason.SLA_MARK, by_rule=True), Line.L3, at(5)) is True
