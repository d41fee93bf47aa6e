"""Whom a note calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickets.domain.mentions import mentioned


@pytest.mark.parametrize(
    ("text", "people", "teams"),
    [
        ("@anna", ["anna"], []),
        ("(@Anna, @boris.) @anna", ["anna", "boris"], []),
        ("@j.doe-2_x.", ["j.doe-2_x"], []),
        ("@team:billing: look", [], ["billing"]),
        ("mail anna@desk.example or x/@anna or @@anna", [], []),
        ("`@property` and ```\n@media\n``` but @dina", ["dina"], []),
        ("@ team:x @_x @", [], []),
        ("привет @anna!", ["anna"], []),
    ],
)
def test_a_mention_is_a_word_that_begins_with_an_at(text: str, people: list[str], teams: list[str]) -> None:
    """YT-04."""
    assert mentioned(text) == (people, teams)


@given(st.text(alphabet="@`.a team:\n", max_size=200))
def test_names_are_never_empty_and_named_once(text: str) -> None:
    people, teams = mentioned(text)
    assert all([*people, *teams])
    assert len(set(people)) == len(people)
