"""Exports that go on where they were."""

from dataclasses import replace
from pathlib import Path

import pytest

from tickdesk_cli.exports import Wanted, begin
from tickdesk_cli.terminal import Problem


def test_only_the_same_command_goes_on_with_what_was_begun(tmp_path: Path) -> None:
    """KT-12: files with notes would become a part of what is handed out without them."""
    wanted = Wanted(tmp_path)
    begin(wanted)
    (tmp_path / "tickets.jsonl").write_text("a note")
    begin(replace(wanted, files=True))
    for other in (replace(wanted, public_only=True), replace(wanted, kinds=("tickets",))):
        with pytest.raises(Problem, match="what another export began"):
            begin(other)


def test_files_of_unknown_origin_are_no_part_of_an_export(tmp_path: Path) -> None:
    (tmp_path / "tickets.jsonl").write_text("a note")
    with pytest.raises(Problem, match="what another export began"):
        begin(Wanted(tmp_path, public_only=True))
