"""What a watcher sees of a change."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tickets.domain.model import Agent, Line
from tickets.domain.rights import Grant, Person
from tickets.domain.watch import Sight, Spot, View

ANNA = Person(Agent("anna", "Anna", lines=[Line.L1], queues=["SUP"]))
GRANTED = replace(ANNA, grants={"SUP": [Grant(component="web", agents=("olga",), view=True)]})
people = st.sampled_from([None, ANNA, GRANTED])
queues = st.sampled_from([(), ("SUP",), ("OTH",), ("SUP", "OTH")])
spots = st.builds(
    Spot, st.sampled_from(["SUP", "OTH"]), st.sampled_from(["", "web"]), st.sampled_from(["", "anna"])
)


@given(people, queues, spots, spots)
def test_a_change_is_seen_by_whom_holds_the_ticket_after_it_and_left_by_whom_held_it_before(
    person: Person | None, watched: tuple[str, ...], before: Spot, after: Spot
) -> None:
    """YT-03, YT-20."""
    view = View(person, watched)
    sight = view.sight(before, after)
    assert (sight is Sight.SEEN) == view.holds(after)
    assert (sight is Sight.LEFT) == (view.holds(before) and not view.holds(after))


@given(people, queues)
def test_a_new_ticket_that_is_hidden_has_left_nothing(
    person: Person | None, watched: tuple[str, ...]
) -> None:
    view = View(person, watched)
    assert view.sight(Spot("", ""), Spot("HIDDEN", "web")) is not Sight.LEFT


@given(people, people, spots)
def test_views_of_one_digest_hold_the_same(one: Person | None, other: Person | None, spot: Spot) -> None:
    first, second = View(one), View(other)
    assert first.digest != second.digest or first.holds(spot) == second.holds(spot)


def test_who_keeps_a_client_sees_their_tickets_in_every_queue_that_is_watched() -> None:
    assert View(ANNA).holds(Spot("OTH", "", "anna"))
    assert not View(ANNA, ("SUP",)).holds(Spot("OTH", "", "anna"))
