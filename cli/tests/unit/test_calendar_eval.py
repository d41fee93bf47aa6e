"""`tickdesk calendar eval` as other programs use it: lines in, lines out."""

import io
import json
import subprocess
import sys

from typer.testing import CliRunner

from tickdesk_cli.calendars import answered
from tickdesk_cli.main import app

RUN = CliRunner()
QUESTION = {
    "timezone": "Europe/Moscow",
    "weekly": {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
    "start": "2026-11-20T18:50:00+03:00",
    "duration_s": 300,
}


def lines(*questions: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in questions)


def test_every_line_is_answered_in_its_place_and_a_bad_one_does_not_stop_the_rest() -> None:
    given = lines({"id": "a", **QUESTION}) + b"nonsense\n\n" + lines({"id": "c", **QUESTION, "start": "?"})
    result = RUN.invoke(app, ["calendar", "eval"], input=given)
    assert result.exit_code == 0
    assert [json.loads(line) for line in result.output.splitlines()] == [
        {"id": "a", "due": "2026-11-23T09:05:00+03:00"},
        {"id": None, "error": "the line is not JSON: Expecting value: line 1 column 1 (char 0)", "line": 2},
        {"id": "c", "error": "start: '?' is not a time; write 2026-11-20T18:50:00+03:00"},
    ]


def test_a_last_line_without_its_end_is_answered_and_no_line_gives_nothing() -> None:
    assert b"".join(answered(io.BytesIO(lines(QUESTION)[:-1]))).count(b"09:05") == 1
    assert b"".join(answered(io.BytesIO(b"\n\n"))) == b""


def test_a_line_of_any_length_takes_bounded_memory_and_one_answer() -> None:
    given = io.BytesIO(lines({"id": 1, **QUESTION}) + b"x" * 5_000_000 + b"\n" + lines({"id": 3, **QUESTION}))
    told = [json.loads(line) for line in b"".join(answered(given)).splitlines()]
    assert [one["id"] for one in told] == [1, None, 3]
    assert told[1] == {"id": None, "error": "the line is longer than 1048576 bytes", "line": 2}


def test_an_answer_comes_before_the_next_question_is_asked() -> None:
    """Piped interactively: each question is answered at once."""
    command = [sys.executable, "-c", "from tickdesk_cli.main import app; app()", "calendar", "eval"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(lines({"id": number, **QUESTION}))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number
        process.stdin.close()
        assert process.wait(20) == 0


def test_the_command_explains_itself_with_an_example() -> None:
    result = RUN.invoke(app, ["calendar", "eval", "-h"])
    assert result.exit_code == 0
    assert "Example" in result.output
