"""What `tickdesk tickets bulk` makes of what was typed."""

import pytest
from google.protobuf.json_format import MessageToDict
from typer.testing import CliRunner

from tickdesk_cli.bulk import Change, action_of
from tickdesk_cli.main import app
from tickdesk_cli.terminal import Problem


@pytest.mark.parametrize(
    ("change", "action"),
    [
        (Change(sets=["status=waiting"]), {"status": {"status": "waiting"}}),
        (Change(sets=["assignee="]), {"assign": {}}),
        (Change(sets=["priority=high"]), {"prioritize": {"priority": "PRIORITY_HIGH"}}),
        (Change(sets=["line=L2"]), {"escalate": {"to_line": "LINE_L2"}}),
        (Change(sets=["queue=BIL"]), {"move": {"queue": "BIL"}}),
        (Change(sets=["category="], add_tags=["a"]), {"update": {"category": "", "add_tags": ["a"]}}),
        (Change(sets=["type=wish"]), {"update": {"type": "TICKET_TYPE_WISH"}}),
        (Change(sets=["field.sum:number=1.5"]), {"update": {"set_fields": {"sum": {"number": 1.5}}}}),
        (
            Change(sets=["field.at:time=2026-11-22"]),
            {"update": {"set_fields": {"at": {"time": "2026-11-22T00:00:00Z"}}}},
        ),
        (Change(sets=["field.sum="]), {"update": {"clear_fields": ["sum"]}}),
        (Change(note="Odd"), {"note": {"text": "Odd"}}),
        (Change(reply="Hello"), {"reply": {"text": "Hello"}}),
        (Change(verb="close"), {"close": {}}),
    ],
)
def test_what_is_typed_is_one_action(change: Change, action: dict[str, object]) -> None:
    """YT-13."""
    assert MessageToDict(action_of(change), preserving_proto_field_name=True) == action


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change(), "nothing is said"),
        (Change(sets=["status=open"], note="Odd"), "does one thing"),
        (Change(sets=["status"]), "has no ="),
        (Change(sets=["colour=red"]), "knows no colour"),
        (Change(sets=["priority=huge"]), "no priority huge"),
        (Change(sets=["field.sum:number=much"]), "no number"),
        (Change(sets=["field.sum:colour=red"]), "no kind colour"),
    ],
)
def test_what_is_no_action_is_told_with_exit_code_2(change: Change, words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        action_of(change)
    assert caught.value.code == 2


@pytest.mark.parametrize("arguments", [[], ["--query", "Queue: SUP", "--ticket", "SUP-1"]])
def test_either_a_query_or_tickets_are_said(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["tickets", "bulk", *arguments, "--do", "close"])
    assert result.exit_code == 2
    assert "either --query or --ticket" in result.output
