"""What customers wrote is shown as they wrote it, and steers no terminal."""

import subprocess
import sys

import pytest
import typer

from tickdesk_cli.terminal import bad_input, clean, run


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("one\ttwo\nthree", "one two\nthree"),
        ("№\u00a012, 5\u202f000", "№ 12, 5 000"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("\x1b[2J \x9b31m \u202e \r", "\ufffd[2J \ufffd31m \ufffd \ufffd"),
    ],
)
def test_blanks_of_all_kinds_are_spaces_and_what_steers_is_not_shown(written: str, shown: str) -> None:
    assert clean(written) == shown


def test_a_fault_that_tells_what_was_in_a_file_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    async def fail() -> None:
        raise bad_input("column '\x1b]0;title\x07' is unknown")

    with pytest.raises(typer.Exit):
        run(fail())
    told = capsys.readouterr().err
    assert "is unknown" in told
    assert "\x1b]" not in told


def test_a_reader_that_went_away_is_told_nothing_and_the_exit_code_says_so() -> None:
    program = "from tickdesk_cli.main import app; app()"
    command = [sys.executable, "-c", program, "queue", "templates"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as told:
        assert told.stdout
        assert told.stderr
        told.stdout.close()
        assert told.stderr.read() == b""
    assert told.returncode == 141
