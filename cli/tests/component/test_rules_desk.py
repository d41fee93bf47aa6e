"""Rules on a running desk: the commands of the guide."""

import shlex
from pathlib import Path

import pytest

from .test_desk import EXAMPLES
from .test_queue_desk import desk as desk
from .test_queue_desk import typed

GUIDE = EXAMPLES.parent / "docs" / "guides" / "rules.md"
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("desk")]


def test_the_guide_makes_rules_and_tries_them(desk: None, tmp_path: Path) -> None:
    """YT-16: exported, checked, tried and applied; a ticket's trail is shown."""
    file, output = tmp_path / "ops.yaml", []
    blocks = GUIDE.read_text(encoding="utf-8").split("```sh\n")[1:]
    for line in (line for block in blocks for line in block.partition("```")[0].splitlines()):
        words = shlex.split(line)[1:]
        into = words[-1] if ">" in words else ""
        command = [str(file) if word == "ops.yaml" else word for word in (words[:-2] if into else words)]
        if command[:2] == ["tickets", "trail"]:
            typed(*command, code=1)
            continue
        output.append(typed(*command))
        if into:
            rule = "\ntriggers:\n- key: taken\n  when: [TicketTaken]\n  then: [{webhook: crm}]\n"
            file.write_text(output[-1] + rule, encoding="utf-8")
    assert output[-2].split() == ["OPS", "2", "is", "in", "force"]
    assert output[-1].startswith("nothing would have been done")
