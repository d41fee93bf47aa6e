"""Changes of what is known of a ticket: what is told of them, what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidInput
from services.tickets.tests.unit.stories import a_ticket, at
from services.tickets.tests.unit.test_fields import VALUES, a_field
from services.tickets.tests.unit.test_topics import some_topics
from tickets.domain import timeline
from tickets.domain.attributes import Change, apply, check
from tickets.domain.fields import FieldType, Value
from tickets.domain.model import TicketType
from tickets.domain.setup import Setup

SETUP = Setup(
    fields=(a_field(FieldType.TEXT), a_field(FieldType.ONE_OF, key="one")),
    topics=some_topics(),
    types=(TicketType.QUESTION, TicketType.INCIDENT),
)

CHANGES: list[tuple[Change, list[str], tuple[str, ...]]] = [
    (Change(subject="Printer cold"), ["subject"], ()),
    (Change(subject="Printer on fire"), [], ()),
    (Change(type=TicketType.INCIDENT), ["type"], ("type",)),
    (Change(category="orders"), ["category"], ("category",)),
    (Change(component="api", edition="cloud"), ["component", "edition"], ("component", "edition")),
    (Change(customer_number="7"), ["customer_number"], ()),
    (Change(add_tags=["b", "c"], remove_tags=["a"]), ["tags"], ("tags",)),
    (Change(add_tags=["a"], remove_tags=["z"]), [], ()),
    (Change(set_fields={"f": "new", "one": "a"}), ["fields.f", "fields.one"], ("fields",)),
    (Change(set_fields={"f": "old"}), [], ()),
    (Change(clear_fields=["f"]), ["fields.f"], ("fields",)),
    (Change(clear_fields=["one"]), [], ()),
]


def some_ticket() -> Any:
    return a_ticket(tags=["a"], fields={"f": "old"}, edition="on_premises")


@pytest.mark.parametrize(("change", "changed", "policy"), CHANGES)
def test_what_changed_is_told_and_what_clocks_look_at_is_noted(
    change: Change, changed: list[str], policy: tuple[str, ...]
) -> None:
    """CA-11: a category drives its own clocks, so they hear of another one."""
    ticket = some_ticket()
    check(ticket, change, SETUP)
    assert apply(ticket, change, at(1)) == changed
    noted = timeline.latest(ticket.timeline, timeline.AttributesChanged)
    assert (noted.names if noted else ()) == policy


def test_an_empty_text_takes_a_value_away() -> None:
    ticket = some_ticket()
    assert apply(ticket, Change(edition="", category=""), at(1)) == ["edition"]
    assert ticket.edition == ""


BAD: list[tuple[Change, list[str]]] = [
    (Change(subject=""), ["subject"]),
    (Change(type=TicketType.WISH), ["type"]),
    (Change(category="fax", component="phone"), ["category", "component"]),
    (Change(add_tags=[str(number) for number in range(50)]), ["add_tags"]),
    (Change(set_fields={"one": "x", "nope": 1.0}), ["fields.one", "fields.nope"]),
    (Change(clear_fields=["nope"]), ["fields.nope"]),
    (Change(set_fields={"f": "x"}, clear_fields=["f"]), ["fields.f"]),
]


@pytest.mark.parametrize(("change", "where"), BAD)
def test_what_the_setup_does_not_allow_is_refused_by_name(change: Change, where: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        check(some_ticket(), change, SETUP)
    assert sorted(each.field for each in caught.value.violations) == sorted(where)


def test_what_a_ticket_has_already_may_be_said_again_though_the_setup_has_moved_on() -> None:
    ticket = a_ticket(
        category="fax", component="phone", type=TicketType.WISH, fields={"one": "old", "gone": 1.0}
    )
    same = Change(category="fax", component="phone", type=TicketType.WISH, set_fields={"one": "old"})
    check(ticket, same, SETUP)
    assert apply(ticket, same, at(1)) == []
    check(ticket, Change(clear_fields=["gone"]), SETUP)


@given(
    st.dictionaries(st.sampled_from("abc"), VALUES),
    st.dictionaries(st.sampled_from("abc"), VALUES),
    st.lists(st.sampled_from("abc"), unique=True),
)
def test_fields_are_told_exactly_when_their_values_differ(
    before: dict[str, Value], news: dict[str, Value], cleared: list[str]
) -> None:
    ticket = a_ticket(fields=dict(before))
    told = apply(ticket, Change(set_fields=news, clear_fields=cleared), at(1))
    differing = {key for key in "abc" if before.get(key) != ticket.fields.get(key)}
    assert told == [f"fields.{key}" for key in sorted(differing)]
    assert ticket.fields == {key: value for key, value in before.items() if key not in cleared} | news


def test_values_have_a_bound_in_all_and_a_ticket_beyond_it_may_shrink() -> None:
    """YT-15: each event of a ticket holds them."""
    setup = Setup(fields=tuple(a_field(FieldType.TEXT, key=f"f{number}") for number in range(30)))
    full = {f"f{number}": "я" * 10_000 for number in range(10)}
    with pytest.raises(InvalidInput) as caught:
        check(some_ticket(), Change(set_fields=full), setup)
    assert [each.field for each in caught.value.violations] == ["set_fields"]
    ticket = a_ticket(fields=full | {"f10": "я" * 10_000})
    check(ticket, Change(set_fields={"f1": "less"}, clear_fields=["f0"]), setup)
