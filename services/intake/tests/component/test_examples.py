"""The example mailbox, delivered in order: each message becomes what its list of expectations says."""

import json
from pathlib import Path
from typing import Any

from services.intake.tests.conftest import Start, mail_client
from tickdesk.intake.v1.message_pb2 import AuthorKind

FOLDER = Path(__file__).parents[4] / "examples" / "mailbox"
QUEUES = {"SUP": "support@desk.example.org", "BIL": "billing@desk.example.org"}


async def test_every_example_is_understood_and_finds_its_place(start: Start) -> None:
    """YT-05, YT-08, CA-33: Russian and English, five charsets, robots, forgeries, copies."""
    expected = json.loads((FOLDER / "expected.json").read_text())
    stored: dict[str, Any] = {}
    async with start(mailboxes="desk.example.org") as desk, mail_client(desk.settings.lmtp_port) as client:
        for name, wanted in expected.items():
            raw = (FOLDER / name).read_bytes()
            sender = "" if b"\nReturn-Path: <>" in b"\n" + raw else "someone@example.com"
            answer = await client.deliver(raw, QUEUES[wanted["queue"]], sender=sender)
            if wanted["outcome"] == "duplicate":
                assert answer == f"250 2.0.0 duplicate of {stored[wanted['of']].id}", name
                continue
            assert answer.startswith("250 2.0.0 stored as"), (name, answer)
            stored[name] = await desk.next()
            assert_as_wanted(name, wanted, stored)


def assert_as_wanted(name: str, wanted: dict[str, Any], stored: dict[str, Any]) -> None:
    message = stored[name]
    kind = AuthorKind.Name(message.author_kind).removeprefix("AUTHOR_KIND_").lower()
    found = (kind, message.nudge, len(message.attachments), message.account)
    told = (wanted["kind"], wanted.get("nudge", False), wanted.get("attachments", 0), QUEUES[wanted["queue"]])
    assert found == told, name
    assert message.language == wanted.get("language", message.language), name
    if wanted["outcome"] == "joined" and not message.nudge:
        assert message.conversation_id == stored[wanted["of"]].conversation_id, name
    else:
        # A question for news refers to nothing: tickets joins it to the customer's open ticket.
        assert message.conversation_started, name
    forbidden = wanted.get("must_not_join")
    assert not forbidden or message.conversation_id != stored[forbidden].conversation_id, name
