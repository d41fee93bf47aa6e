"""An internal note has one reader, the desk: its text is looked for in every way out (faults 5 and 7)."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
import structlog
from prometheus_client import REGISTRY, generate_latest

from chassis import telemetry
from chassis.testing import eventually
from services.tickets.tests import matrix
from services.tickets.tests.builders import COMMANDS, EVENTS, Desk, an_inbound
from services.tickets.tests.matrix import Scene
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.intake.v1 import message_pb2 as intake
from tickdesk.tickets.v1 import ticket_pb2

STRANGERS = ("adapter:crm", "nobody")
"""Callers who are not of the desk. A new role that is not either belongs here."""
INSIDE = ("message", "request", "ticket_text")
"""Tables that hold notes for the desk: the conversation, answers to a request_id, and the words to search."""


@pytest.fixture
def logs(capfd: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """Everything that is logged, at the level that says most."""
    before = structlog.get_config()
    telemetry.setup_logs("tickets", "debug")
    yield capfd
    structlog.configure(**before)


@pytest.fixture
async def noted(logs: Any, desk: Desk) -> tuple[Scene, str]:
    """A ticket with notes of every origin, changed in every way; and the word that all notes hold."""
    word = f"marker-{uuid4().hex}"
    ticket = await desk.receive()
    for method, fields in COMMANDS.items():
        given = {**fields, "text": word} if method == "AddNote" else fields
        await desk.call(method, "lead:olga", ticket=ticket.id, agent_id="boris", **given)
    # A robot's mail becomes a note, too, and so does what the desk finds out by itself.
    robot = an_inbound(
        conversation_id=ticket.conversation_ids[0],
        author_kind=intake.AUTHOR_KIND_AUTO_REPLY,
        text=word,
        reply_text=word,
    )
    robot.subject = word
    await desk.tell(intake_events.MessageReceived(message=robot), key=ticket.conversation_ids[0])

    async def both() -> bool:
        found = [each for each in await desk.messages(ticket.id) if word in each.text]
        return len(found) == 2

    await eventually(both)
    return Scene(await desk.ticket(ticket.id), await desk.create()), word


async def test_no_event_holds_a_note(desk: Desk, noted: tuple[Scene, str]) -> None:
    """What no event holds reaches no other service: no letter, no webhook, no survey, no clock."""
    _, word = noted
    async with desk.db.tx() as tx:
        rows = (await tx.execute(sa.text("select type, payload, headers::text from outbox"))).all()
    assert {"tickdesk.tickets.v1.NoteAdded", "tickdesk.tickets.v1.TicketReplied"} <= {
        row.type for row in rows
    }
    assert [row.type for row in rows if word.encode() in row.payload or word in row.headers] == []
    assert [type(each) for each in desk.watch.seen if word in str(each)] == []
    assert EVENTS


@pytest.mark.parametrize("who", STRANGERS)
async def test_no_answer_to_a_stranger_holds_a_note(desk: Desk, noted: tuple[Scene, str], who: str) -> None:
    scene, word = noted
    told = {}
    for method in await matrix.served(desk):
        outcome = await matrix.ask(desk, who, method, matrix.request_of(method, scene))
        if word.encode() in outcome.told:
            told[method.name] = outcome
    assert told == {}


async def test_no_log_metric_or_other_table_holds_a_note(
    desk: Desk, noted: tuple[Scene, str], logs: pytest.CaptureFixture[str]
) -> None:
    """Even when a call with it fails, or the database refuses its row and would say what was in it."""
    scene, word = noted
    async with desk.db.tx() as tx:
        await tx.execute(sa.text("alter table message add constraint broken check (text not like 'broken%')"))
    for text in (f"{word}\0", word * 10_000, f"broken {word}"):
        refusal = await desk.refusal("AddNote", ticket=scene.ticket.id, text=text)
        assert word not in repr(refusal)
    written = logs.readouterr()
    assert "call failed" in written.err
    assert word not in written.err + written.out
    assert word not in generate_latest(REGISTRY).decode()
    assert [table for table in await tables_with(desk, word) if table not in INSIDE] == []


async def tables_with(desk: Desk, word: str) -> list[str]:
    names = "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
    found = []
    async with desk.db.tx() as tx:
        for table in (await tx.execute(sa.text(names))).scalars().all():
            rows = sa.text(f'select count(*) from "{table}" t where t::text like :word')
            if (await tx.execute(rows, {"word": f"%{word}%"})).scalar():
                found.append(table)
    return found


async def test_the_desk_itself_reads_its_notes(desk: Desk, noted: tuple[Scene, str]) -> None:
    """Else the tests above would look for a word that is nowhere."""
    scene, word = noted
    assert "message" in await tables_with(desk, word)
    for who in ("agent:anna", "auditor:eve"):
        answer = await desk.call("ListTicketMessages", who, ticket=scene.ticket.id, page_size=200)
        internal = [each for each in answer.messages if each.visibility == ticket_pb2.VISIBILITY_INTERNAL]
        assert word in json.dumps([each.text for each in internal])
