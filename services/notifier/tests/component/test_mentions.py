"""People and teams whom a note calls."""

from typing import Any

import pytest

from services.notifier.tests.component.builders import a_ticket, an_agent
from services.notifier.tests.component.conftest import Sink, Start, body_of
from services.notifier.tests.component.test_staff import listed
from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import conversation_pb2, events_pb2

PEOPLE = (
    an_agent("anna"),
    an_agent("boris"),
    an_agent("dina", language="ru"),
    an_agent("gone", active=False),
)


def mentioned(**changes: Any) -> events_pb2.PeopleMentioned:
    anna = common_pb2.Actor(kind=common_pb2.Actor.KIND_AGENT, id="anna", name="Anna")
    values = {"ticket": a_ticket(), "actor": anna, "message_id": "note-1", **changes}
    return events_pb2.PeopleMentioned(**values)


def a_team(**changes: Any) -> conversation_pb2.Team:
    return conversation_pb2.Team(
        **{"key": "qa", "name": "QA", "members": ["boris", "dina", "anna"], **changes}
    )


TOLD = (
    ({"agent_ids": ["dina", "anna", "gone", "nobody"]}, {"dina"}),
    ({"teams": [a_team()]}, {"boris", "dina"}),
    ({"teams": [a_team(email="qa@desk.test")]}, {"qa"}),
    (
        {"agent_ids": ["boris"], "teams": [a_team(email="QA@desk.test"), a_team(key="x")]},
        {"boris", "dina", "qa"},
    ),
)


@pytest.mark.parametrize(("called", "told"), TOLD)
async def test_those_who_are_called_are_told_once(
    start: Start, sink: Sink, called: dict[str, Any], told: set[str]
) -> None:
    """YT-02, YT-04: a team on its list, else each of its members; nobody for calling themselves."""
    event = mentioned(**called)
    async with start() as desk:
        await desk.learn(*PEOPLE)
        await desk.tell(event, event_id="event-1")
        await desk.tell(event, event_id="event-2")
        await desk.tell(mentioned(ticket=event.ticket, agent_ids=["dina"], message_id="note-2"))
        found = await listed(desk, len(told) + 1, ticket_id=event.ticket.id)
    first = [one for one in found if one.recipient != "dina@desk.test"]
    assert len(found) == len(told) + 1
    assert {one.recipient.partition("@")[0] for one in found} == told | {"dina"}
    assert {one.template for one in found} == {"mention"}
    assert len(first) == len(told - {"dina"})


@pytest.mark.parametrize(("who", "words"), [("boris", "Anna calls you"), ("dina", "Anna зовёт вас")])
async def test_the_notice_is_in_the_readers_language_and_says_nothing_of_the_note(
    start: Start, sink: Sink, who: str, words: str
) -> None:
    async with start() as desk:
        await desk.learn(*PEOPLE)
        await desk.tell(mentioned(agent_ids=[who]))
        letter = await sink.next_to(f"{who}@desk.test")
    assert words in str(letter["Subject"])
    assert "SUP-12" in body_of(letter)
