"""The golden examples of proto/examples: one an event, exact, complete, and stable on the wire."""

import importlib
import json
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.message import Message

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "proto" / "examples").glob("*.json"))
TICKET_EXAMPLES = [
    path for path in EXAMPLES if path.stem.startswith("tickdesk.tickets.") and '"ticket"' in path.read_text()
]
PRODUCERS = ("intake", "tickets", "sla", "notifier", "survey")


def event_names() -> set[str]:
    names = set()
    for producer in PRODUCERS:
        module = importlib.import_module(f"tickdesk.{producer}.v1.events_pb2")
        names |= {message.full_name for message in module.DESCRIPTOR.message_types_by_name.values()}
    return names


def event_class(name: str) -> type[Message]:
    importlib.import_module(name.rsplit(".", 1)[0] + ".events_pb2")
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))


def test_every_event_has_one_example() -> None:
    assert {path.stem for path in EXAMPLES} == event_names()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_survives_the_wire_unchanged(path: Path) -> None:
    event = json_format.Parse(path.read_text(), event_class(path.stem)())
    again = event_class(path.stem).FromString(event.SerializeToString())
    assert json_format.MessageToDict(again) == json.loads(path.read_text())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_fills_every_top_level_field(path: Path) -> None:
    """An example that leaves a field out would not notice its removal; false booleans cannot be seen."""
    event = json_format.Parse(path.read_text(), event_class(path.stem)())
    filled = {field.name for field, _ in event.ListFields()}
    booleans = {field.name for field in event.DESCRIPTOR.fields if field.type == field.TYPE_BOOL}
    assert filled | booleans == {field.name for field in event.DESCRIPTOR.fields}


@pytest.mark.parametrize("path", TICKET_EXAMPLES, ids=lambda path: path.stem)
def test_tickets_events_carry_the_whole_ticket_and_its_facts(path: Path) -> None:
    event = json_format.Parse(path.read_text(), event_class(path.stem)())
    facts = event.ticket.timeline.facts  # type: ignore[attr-defined]
    assert facts[0].WhichOneof("kind") == "created"
    assert event.ticket.version > 0  # type: ignore[attr-defined]
    assert [fact.time.ToNanoseconds() for fact in facts] == sorted(f.time.ToNanoseconds() for f in facts)
