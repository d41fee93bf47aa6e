"""Searching what is longer, or of another zone, than the database takes."""

import zoneinfo
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from chassis.testing import eventually
from services.tickets.tests.builders import Desk, an_inbound
from services.tickets.tests.component.test_query import BAD, found
from tickdesk.intake.v1.events_pb2 import MessageReceived


async def test_programs_search_the_longest_conversations_too(desk: Desk) -> None:
    """Their texts are put together without notes when they are asked for: only so much as agents find."""
    ticket = await desk.receive(conversation_id="long", reply_text="картридж")
    for part in range(3):
        words = " ".join(f"слово{part}{number:06}" for number in range(24_000))
        message = an_inbound(conversation_id="long", reply_text=words, text="")
        await desk.tell(MessageReceived(message=message), key="long")
    await eventually(lambda: _messages(desk, ticket.id, 4))
    assert "SUP-1" in await found(desk, '"картридж"', "service:sla-clock")
    assert await found(desk, '"слово1000007"', "service:sla-clock") == ["SUP-1"]


async def _messages(desk: Desk, ticket_id: str, count: int) -> bool:
    return (await desk.ticket(ticket_id)).message_count == count


@pytest.fixture
def own_zone(tmp_path: Path) -> Iterator[str]:
    """A zone that this process knows and PostgreSQL does not, as after an update of one of them."""
    (tmp_path / "Desk").mkdir()
    (tmp_path / "Desk" / "Own").write_bytes(files("tzdata.zoneinfo").joinpath("UTC").read_bytes())
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath([*before, str(tmp_path)])
    yield "Desk/Own"
    zoneinfo.reset_tzpath(before)


async def test_a_zone_that_the_database_does_not_know_is_named(desk: Desk, own_zone: str) -> None:
    await desk.create()
    refusal = await desk.refusal("CountTickets", query="", group_by="Created", timezone=own_zone)
    assert (refusal.code, refusal.fields) == (BAD, ["timezone"])
    again = await desk.call("CountTickets", query="", group_by="Created", timezone="Europe/Moscow")
    assert again.total == 1
