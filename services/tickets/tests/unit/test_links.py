"""What a link is from either end, and when tasks are through."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidInput
from tickets.domain.links import (
    ExternalKind,
    ExternalLink,
    LinkKind,
    TaskState,
    all_done,
    edge,
    instead,
    seen_from,
)

KINDS = st.sampled_from(LinkKind)
BACK = {
    LinkKind.RELATES: LinkKind.RELATES,
    LinkKind.BLOCKS: LinkKind.BLOCKED_BY,
    LinkKind.DUPLICATES: LinkKind.DUPLICATED_BY,
    LinkKind.PARENT_OF: LinkKind.CHILD_OF,
    LinkKind.CAUSES: LinkKind.CAUSED_BY,
}
BACK |= {there: here for here, there in BACK.items()}


@given(KINDS, st.permutations(["a", "b"]))
def test_a_link_is_one_row_whichever_end_it_is_made_from(kind: LinkKind, ends: list[str]) -> None:
    """YT-04: and each end sees what it is to the other."""
    this, other = ends
    row = edge(kind, this, other)
    assert row == edge(BACK[kind], other, this)
    assert (seen_from(row, this), seen_from(row, other)) == (kind, BACK[kind])


@given(KINDS, st.permutations(["a", "b", "c"]))
def test_a_link_that_is_handed_over_says_the_same_of_the_other(kind: LinkKind, ends: list[str]) -> None:
    ticket, other, into = ends
    row = instead(edge(kind, ticket, other), ticket, into)
    assert row == edge(kind, into, other)
    assert instead(edge(kind, ticket, other), ticket, other) is None


@given(KINDS)
def test_a_ticket_has_no_link_to_itself(kind: LinkKind) -> None:
    with pytest.raises(InvalidInput, match="another"):
        edge(kind, "a", "a")


NONE, OPEN, DONE, DROPPED = TaskState.NONE, TaskState.OPEN, TaskState.DONE, TaskState.DROPPED


@pytest.mark.parametrize(
    ("states", "through"),
    [
        ([], False),
        ([NONE], False),
        ([DONE], True),
        ([DONE, NONE], True),
        ([DONE, OPEN], False),
        ([DONE, DROPPED], True),
        ([DROPPED], False),
        ([DONE, TaskState.IN_PROGRESS], False),
    ],
)
def test_tasks_are_through_when_nothing_is_left_and_something_was_done(
    states: list[TaskState], through: bool
) -> None:
    """MP-02: pages are nothing to wait for."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    links = [
        ExternalLink(
            f"https://x.example/{i}", "", ExternalKind.TEST if state else ExternalKind.PAGE, state, now
        )
        for i, state in enumerate(states)
    ]
    assert all_done(links) == through
