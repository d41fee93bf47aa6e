"""The rules of rights: groups, components, leads, account managers, figures of people."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Denied
from tickets.domain import rights
from tickets.domain.model import Agent, Customer, Line, Priority, Ticket
from tickets.domain.rights import Grant, Person, Right

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ANNA = Agent("anna", "Anna", lines=[Line.L1])
DINA = Agent("dina", "Dina", lines=[Line.L2])


def a_ticket(queue: str = "SUP", component: str = "", manager: str = "") -> Ticket:
    customer = Customer("c", "Kim", NOW, account_manager=manager)
    return Ticket(
        id="t",
        queue=queue,
        number=1,
        subject="s",
        customer=customer,
        priority=Priority.NORMAL,
        line=Line.L1,
        channel=1,
        created_time=NOW,
        updated_time=NOW,
        component=component,
    )


def rights_of(person: Person | None, queue: str = "SUP", component: str = "") -> str:
    """The first letters of what somebody may."""
    return "".join(right.value[0] for right in Right if rights.may(person, right, queue, component))


def test_without_grants_everybody_of_the_queue_may_everything() -> None:
    assert rights_of(Person(ANNA)) == "cve"
    assert rights_of(Person(replace(ANNA, queues=["SUP"]))) == "cve"
    assert rights_of(Person(replace(ANNA, queues=["OTH"]))) == ""
    assert rights_of(None) == "cve"


def test_grants_bound_groups_of_agents_and_lines() -> None:
    """YT-03: forbid create or view to a group."""
    grants = {"SUP": [Grant(agents=("anna",), create=True), Grant(lines=(Line.L2,), view=True)]}
    assert rights_of(Person(ANNA, grants=grants)) == "c"
    assert rights_of(Person(DINA, grants=grants)) == "v"
    assert rights_of(Person(replace(DINA, id="anna"), grants=grants)) == "cv"
    assert rights_of(Person(Agent("eve", "Eve"), grants=grants)) == "v", "no lines mean all of them"
    assert rights_of(Person(ANNA, grants=grants), "OTH") == "cve", "the grants of another queue"
    everybody = {"SUP": [Grant(edit=True)]}
    assert rights_of(Person(ANNA, grants=everybody)) == "ve", "who may edit sees"


def test_a_component_with_grants_takes_only_those() -> None:
    """YT-20: view and edit per component."""
    money = Grant(agents=("dina",), component="money", edit=True)
    grants = {"SUP": [Grant(create=True, edit=True), money]}
    assert rights_of(Person(ANNA, grants=grants), component="money") == ""
    assert rights_of(Person(DINA, grants=grants), component="money") == "ve"
    assert rights_of(Person(ANNA, grants=grants), component="printer") == "cve"
    assert rights_of(Person(ANNA, grants={"SUP": [money]})) == "cve", "the rest of the queue stays open"


def test_a_lead_may_everything_in_their_queues_and_nothing_elsewhere() -> None:
    lead = Person(
        replace(ANNA, queues=["SUP"]), lead=True, grants={"SUP": [Grant(agents=("dina",), view=True)]}
    )
    assert rights_of(lead) == "cve"
    assert rights_of(lead, "OTH") == ""


def test_an_account_manager_sees_the_tickets_of_their_clients_and_changes_none_by_that() -> None:
    """MP-19."""
    manager, stranger = (
        Person(Agent("max", "Max", queues=["OTH"])),
        Person(Agent("moe", "Moe", queues=["OTH"])),
    )
    theirs = a_ticket(manager="max")
    assert rights.sees(manager, theirs)
    assert not rights.sees(stranger, theirs)
    assert not rights.sees(manager, a_ticket())
    with pytest.raises(Denied) as caught:
        rights.require_edit(manager, theirs)
    assert (caught.value.reason, caught.value.metadata) == ("RIGHTS_MISSING", {"queue": "SUP"})


@pytest.mark.parametrize(
    ("person", "of", "seen"),
    [
        (None, ANNA, True),
        (Person(ANNA), ANNA, True),
        (Person(ANNA), DINA, False),
        (Person(replace(ANNA, leads=[Line.L2])), DINA, False),
        (Person(replace(ANNA, leads=[Line.L2]), lead=True), DINA, True),
        (Person(replace(ANNA, leads=[Line.L3]), lead=True), DINA, False),
        (Person(replace(ANNA, leads=[Line.L3]), lead=True), Agent("eve", "Eve"), True),
        (Person(ANNA, lead=True), DINA, False),
        (Person(ANNA, lead=True), ANNA, True),
    ],
)
def test_figures_of_people_are_for_themselves_and_the_leads_of_their_lines(
    person: Person | None, of: Agent, *, seen: bool
) -> None:
    """CA-28, KT-18."""
    assert rights.sees_figures(person, of) is seen


def test_faults_of_grants_are_named_with_their_place() -> None:
    grants = [
        Grant(view=True),
        Grant(component="none", view=True),
        Grant(component="money", create=True),
        Grant(),
    ]
    assert dict(rights.faults(grants, ["money"])) == {
        "rights.grants[1].component": "no component none in this queue",
        "rights.grants[2].create": "a grant for a component gives view and edit only",
        "rights.grants[3]": "must give create, view or edit",
    }


GRANTS = st.builds(
    Grant,
    agents=st.lists(st.sampled_from(["anna", "dina"]), max_size=2).map(tuple),
    lines=st.lists(st.sampled_from(list(Line)), max_size=2).map(tuple),
    component=st.sampled_from(["", "money"]),
    create=st.booleans(),
    view=st.booleans(),
    edit=st.booleans(),
)


@given(
    st.lists(GRANTS, max_size=4),
    GRANTS,
    st.sampled_from([ANNA, DINA]),
    st.sampled_from(["", "money"]),
    st.sampled_from(list(Right)),
)
def test_editing_means_seeing_and_one_more_general_grant_takes_nothing_away(
    grants: list[Grant], more: Grant, agent: Agent, component: str, right: Right
) -> None:
    def allowed(held: list[Grant], what: Right) -> Any:
        return rights.may(Person(agent, grants={"SUP": held}), what, "SUP", component)

    assert allowed(grants, Right.VIEW) or not allowed(grants, Right.EDIT)
    named = [each for each in grants if each.component == more.component]
    if named:
        assert allowed([*grants, more], right) or not allowed(grants, right)
