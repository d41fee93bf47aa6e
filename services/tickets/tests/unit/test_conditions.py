"""Conditions: what they see, what is missing, what is refused, and that they stay bounded."""

from datetime import UTC, datetime

import pytest

from chassis.errors import Refused
from services.tickets.tests.unit.stories import START, a_customer, a_ticket
from tickets.domain.audit import Change
from tickets.domain.conditions import Facts, Happened, Language
from tickets.domain.fields import Field, FieldType, User
from tickets.domain.label import Label
from tickets.domain.model import Actor, ActorKind, SlaClock, Tier

FIELDS = tuple(Field(kind.name.lower(), Label(), kind) for kind in FieldType)
LANGUAGE = Language(FIELDS, of_change=True)
HAPPENED = Happened(
    "TicketUpdated",
    Actor(ActorKind.AGENT, "anna"),
    changes=(Change("line", "l1", "l2"), Change("fields.one_of", "", "a"), Change("subject")),
    text="It burns",
)


def holds(text: str) -> bool:
    values = {
        "text": "words",
        "number": 3.0,
        "date": START,
        "time": START,
        "one_of": "a",
        "many_of": ("a", "b"),
        "user": User("anna"),
    }
    ticket = a_ticket(
        fields=values,
        tags=["fire"],
        customer=a_customer(tier=Tier.VIP),
        clocks=[SlaClock("resolution", "running", 1, 1, START, breached=True)],
    )
    condition = LANGUAGE.read(text)
    assert condition.fault == ""
    return condition.holds(Facts(ticket, datetime(2026, 11, 24, tzinfo=UTC), HAPPENED))


@pytest.mark.parametrize(
    "text",
    [
        "",
        'ticket.priority == "normal" && ticket.line == "L1" && ticket.kind == "new"',
        'ticket.channel == "email" && customer.tier == "vip" && "fire" in ticket.tags',
        'change.event == "TicketUpdated" && change.actor == "agent" && change.actor_id == "anna"',
        'change.new.line == "L2" && change.old.line == "L1" && "subject" in change.names',
        'change.new["fields.one_of"] == "a" && change.text.matches("(?i)BURNS")',
        'ticket.fields.number > 2 && ticket.fields.number == 3.0 && ticket.fields.user == "anna"',
        '"b" in ticket.fields.many_of && ticket.fields.date < now && ticket.fields.text == "words"',
        'ticket.clocks.resolution == "running" && "resolution" in ticket.breached && ticket.due < now',
        'now - ticket.created > duration("1h") && ticket.messages == 1 && !ticket.escalated',
        'customer.addresses.exists(each, each.endsWith("@client.example"))',
    ],
)
def test_a_condition_sees_ticket_change_and_customer(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    ['change.new.status == "open"', "ticket.resolved < now", "ticket.score < 3", 'ticket.clocks.none == "x"'],
)
def test_what_is_not_there_makes_a_condition_false(text: str) -> None:
    assert not holds(text)


def test_a_condition_that_cannot_be_decided_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        holds("1 / (ticket.cycle - 1) == 1")
    assert caught.value.reason == "CONDITION_FAILED"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ticket.prioritty == 1", "undeclared reference to 'ticket.prioritty'"),
        ("ticket.fields.unknown == 1", "undeclared reference"),
        ("ticket.subject", "true or false"),
        ("ticket.subject +", "at "),
        ('ticket.tags.exists(each, each.matches("a"))', "goes through a list"),
        ("ticket.tags.map(each, each + each).size() > 1", "goes through a list"),
        ('(ticket.subject + ticket.subject).matches("a")', "right behind a name"),
        ('ticket.subject .matches("a")', "right behind a name"),
        (" || ".join(['ticket.subject.matches("a")'] * 6), "5 times"),
        (f'ticket.subject.matches("{"a" * 500}")', "at most 500"),
    ],
)
def test_what_is_unknown_or_might_never_end_is_a_fault(text: str, told: str) -> None:
    """Faults: a trigger that never ends."""
    assert told in LANGUAGE.read(text).fault
