"""What the guide on queues shows works."""

import re
from pathlib import Path
from typing import Any

import yaml
from google.protobuf.json_format import ParseDict

from tickdesk.tickets.v1 import setup_pb2
from tickets.convert import setup as convert
from tickets.domain import setup as domain
from tickets.domain.fields import FieldType

GUIDE = (Path(__file__).parents[4] / "docs" / "guides" / "queues.md").read_text(encoding="utf-8")


def whole_setup() -> domain.Setup:
    """All parts that the guide shows, as one setup."""
    parts: dict[str, Any] = {}
    for block in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL):
        shown = yaml.safe_load(block)
        assert not parts.keys() & shown.keys()
        parts |= shown
    return convert.from_document(convert.to_document(ParseDict(parts, setup_pb2.Setup())))


def test_the_parts_that_the_guide_shows_make_one_sound_setup() -> None:
    """MP-03."""
    setup = whole_setup()
    assert domain.faults(setup) == []
    assert setup.routing.shifts[1].days == "2027-01-04..2027-01-06"


def test_the_guide_names_every_type_of_field() -> None:
    """YT-15."""
    rows = re.findall(r"^\| `([A-Z_]+)` \|", GUIDE, re.MULTILINE)
    assert [each for each in rows if each in FieldType.__members__] == [each.name for each in FieldType]
