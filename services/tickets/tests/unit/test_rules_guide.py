"""What the guide on rules shows works."""

import re
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import ParseDict

from tickdesk.tickets.v1 import setup_pb2
from tickets.convert import setup as convert
from tickets.convert import templates
from tickets.domain import conditions, triggers
from tickets.domain import setup as domain

GUIDE = (Path(__file__).parents[4] / "docs" / "guides" / "rules.md").read_text(encoding="utf-8")


def test_the_rules_that_the_guide_shows_are_sound() -> None:
    """YT-16, YT-17, CA-21."""
    parts: dict[str, Any] = {}
    for block in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL):
        parts |= yaml.safe_load(block)
    message = ParseDict(parts, setup_pb2.Setup())
    message.workflow.CopyFrom(templates.template("lines").setup.workflow)
    setup = convert.from_document(convert.to_document(message))
    assert domain.faults(setup) == []
    assert [each.key for each in setup.triggers] == ["large-payments", "taken", "late"]
    assert len(setup.schedules) == 1


def test_the_guide_names_every_event_and_every_name_of_a_condition() -> None:
    told = set(re.findall(r"`([A-Za-z_.]+)`", GUIDE))
    assert set(triggers.EVENTS) <= told
    for names in (conditions._TICKET, conditions._CUSTOMER, conditions._CHANGE):
        assert set(names) <= told


def test_the_templates_that_ship_have_sound_rules() -> None:
    """YT-16, MP-20."""
    for each in templates.all_templates():
        assert domain.faults(convert.from_document(convert.to_document(each.setup))) == [], each.key
