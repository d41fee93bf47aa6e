"""The domain speaks the contract's numbers and names."""

from enum import IntEnum
from typing import Any

import pytest

from chassis.errors import InvalidInput
from services.tickets.tests.unit.stories import START, a_fact, a_queue, a_ticket, an_agent, at
from tickdesk.common.v1 import common_pb2
from tickdesk.intake.v1 import message_pb2
from tickdesk.tickets.v1 import events_pb2, ticket_pb2, timeline_pb2
from tickets.convert import tickets as convert
from tickets.domain import model, rules, timeline
from tickets.domain.statuses import StatusKind

ENUMS: list[tuple[type[IntEnum], Any, str]] = [
    (model.Line, common_pb2.Line, "LINE_"),
    (model.Priority, common_pb2.Priority, "PRIORITY_"),
    (model.Tier, common_pb2.CustomerTier, "CUSTOMER_TIER_"),
    (model.Channel, common_pb2.Channel, "CHANNEL_"),
    (model.TicketType, ticket_pb2.TicketType, "TICKET_TYPE_"),
    (model.Visibility, ticket_pb2.Visibility, "VISIBILITY_"),
    (model.Reason, timeline_pb2.EscalationReason, "ESCALATION_REASON_"),
    (model.ActorKind, common_pb2.Actor.Kind, "KIND_"),
    (StatusKind, timeline_pb2.StatusKind, "STATUS_KIND_"),
    (rules.AuthorKind, message_pb2.AuthorKind, "AUTHOR_KIND_"),
]


@pytest.mark.parametrize(("ours", "theirs", "prefix"), ENUMS)
def test_numbers_are_those_of_the_contract(ours: type[IntEnum], theirs: Any, prefix: str) -> None:
    contract = {name.removeprefix(prefix): number for name, number in theirs.items()}
    assert {each.name: each.value for each in ours}.items() <= contract.items()
    if ours is not model.Channel:
        assert len(ours) == len(contract) - 1


def test_every_fact_of_the_contract_is_known() -> None:
    assert set(timeline.KINDS) == {field.name for field in timeline_pb2.Fact.DESCRIPTOR.oneofs[0].fields}


@pytest.mark.parametrize("kind", timeline.NAMES)
def test_every_fact_is_written_whole(kind: type[timeline.Fact]) -> None:
    fact = convert.to_fact(a_fact(kind))
    name = timeline.NAMES[kind]
    assert fact.WhichOneof("kind") == name
    written = {each.name for each, _ in getattr(fact, name).ListFields()}
    assert written == {each.rstrip("_") for each in timeline.FIELDS[kind][1:]}


def test_a_fact_without_values_is_still_there() -> None:
    assert convert.to_fact(timeline.Taken(at(1), "")).WhichOneof("kind") == "taken"


def test_a_full_ticket_leaves_no_field_of_the_contract_empty() -> None:
    ticket = a_ticket(
        version=3, category="a/b", component="c", assignee="anna", observers=["olga"], customer_number="7",
        account="help@desk.example", conversations=[model.Conversation("conv", 1, "k@c.example")],
        edition="cloud", tags=["t"], fields={"f": "v"}, resolved_time=at(1), closed_time=at(2), language="ru",
        escalation=model.Escalation(START, model.Line.L1, model.Line.L2), parent_ticket_id="p", origin="s",
        clocks=[model.SlaClock("resolution", "running", 1, 2)], csat=model.Csat(100, 5, 5, "", START, 1),
    )  # fmt: skip
    ticket.from_robot = ticket.incident = True
    ticket.merged_into_id, ticket.merged_into_key = "m", "SUP-9"
    ticket.participants = [model.Participant(1, "lee@c.example")]
    message = convert.to_ticket(ticket)
    assert {each.name for each, _ in message.ListFields()} == set(message.DESCRIPTOR.fields_by_name)
    assert (message.key, message.sla.ticket_version) == ("SUP-1", 2)
    assert list(message.conversation_ids) == ["conv"]


def a_message(text: str, html: str) -> model.Message:
    author = model.Actor(model.ActorKind.CUSTOMER)
    return model.Message("m", "t", author, model.Visibility.PUBLIC, text, START, html=html, full_text=text)


LARGEST = 900_000
"""What the outbox takes."""


def a_full_ticket() -> model.Ticket:
    """One with all the values that fields may have, and as many facts as are kept."""
    ticket = a_ticket()
    ticket.fields = {f"f{number}": "x" * 9_900 for number in range(20)}
    facts: list[timeline.Fact] = [timeline.Taken(START, "a" * 80)] * timeline.CAPACITY
    ticket.timeline = facts
    return ticket


def fitted(ticket: model.Ticket, message: model.Message) -> events_pb2.CustomerReplied:
    event = events_pb2.CustomerReplied(ticket=convert.to_ticket(ticket), message=convert.to_message(message))
    convert.fit(event)
    return event


def test_a_message_that_fits_travels_whole() -> None:
    small = a_message("hi", "<p>hi")
    assert fitted(a_ticket(), small).message == convert.to_message(small)


def test_a_large_message_travels_without_its_html_and_quotes() -> None:
    told = fitted(a_ticket(), a_message("hi", "x" * 900_000)).message
    assert (told.html, told.full_text, told.text, told.shortened) == ("", "", "hi", True)


@pytest.mark.parametrize("ticket", [a_ticket(), a_full_ticket()])
def test_a_text_that_fits_no_event_beside_its_ticket_is_cut_there(ticket: model.Ticket) -> None:
    """By bytes, never within a character."""
    event = fitted(ticket, a_message("\U0001f525" * 400_000, ""))
    assert event.message.text.endswith("\U0001f525 […]")
    assert event.message.shortened
    assert LARGEST - 60_000 < event.ByteSize() < LARGEST


def test_a_letter_of_the_desk_is_refused_where_it_would_be_cut() -> None:
    letter = convert.to_message(a_message("\U0001f525" * 262_144, ""))
    with pytest.raises(InvalidInput) as caught:
        convert.fit(events_pb2.TicketReplied(ticket=convert.to_ticket(a_ticket()), message=letter))
    assert (caught.value.reason, [each.field for each in caught.value.violations]) == (
        "EVENT_TOO_LARGE",
        ["text"],
    )


def test_queues_and_agents_come_back_as_they_were() -> None:
    queue, agent = a_queue(addresses=["a@b.example"]), an_agent()
    assert convert.from_queue(convert.to_queue(queue)) == queue
    assert convert.from_agent(convert.to_agent(agent)) == agent


def test_an_unknown_number_is_bad_input() -> None:
    with pytest.raises(InvalidInput) as caught:
        convert.from_queue(ticket_pb2.Queue(key="SUP", public_lines=[9]))  # type: ignore[list-item]
    assert [each.field for each in caught.value.violations] == ["queue.public_lines"]


def test_nul_characters_of_intake_never_reach_the_database() -> None:
    inbound = convert.from_inbound(
        message_pb2.InboundMessage(text="a\0b", subject="\0s", fields={"k\0": "v\0"}), START
    )
    assert (inbound.text, inbound.subject, inbound.fields) == ("ab", "s", {"k": "v"})
    assert (inbound.received_time, inbound.author_kind) == (START, rules.AuthorKind.PERSON)
