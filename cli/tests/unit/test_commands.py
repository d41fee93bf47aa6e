"""The command as it is typed: exit codes, messages, JSON."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickdesk_cli.main import app

RUN = CliRunner()
MAILBOX = Path(__file__).parents[3] / "examples" / "mailbox"
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TICKDESK_HOME", str(tmp_path / "desk"))
    monkeypatch.setenv("COLUMNS", "120")


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name in ("up", "down", "status", "doctor", "demo", "ingest")),
        ["mail", "show"],
        *(["dlq", name] for name in ("list", "show", "replay", "drop")),
        *(["report", name] for name in ("month", "show", "metrics")),
    ],
)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    result = RUN.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output


@pytest.mark.parametrize("name", ["13-outlook-reply-ru", "07-screenshot-inline-ru", "23-bounce-dsn"])
def test_mail_show_prints_the_documented_json(name: str) -> None:
    """YT-08: what intake understands of a message is the same for people and for programs."""
    result = RUN.invoke(app, ["mail", "show", str(MAILBOX / f"{name}.eml"), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.output) == json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


def test_mail_show_shows_the_reply_without_its_quote() -> None:
    result = RUN.invoke(app, ["mail", "show", str(MAILBOX / "15-gmail-reply-ru.eml")])
    assert result.exit_code == 0
    assert "ЭДО подключён" in result.output
    assert "Документы сформированы" not in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mail", "show", "nowhere.eml"], "no such file"),
        (["mail", "show", str(MAILBOX / "README.md")], "not an e-mail message"),
        (["mail", "show", str(MAILBOX)], "holds 48 messages"),
        (["ingest", "nowhere.eml"], "no desk in this folder"),
        (["status"], "no desk in this folder"),
        (["down"], "no desk in this folder"),
        (["dlq", "list"], "no desk in this folder"),
        (["dlq", "drop", "7", "--yes"], "no desk in this folder"),
        (["dlq", "replay"], "either numbers of dead letters or --all"),
        (["dlq", "replay", "7", "--all"], "either numbers of dead letters or --all"),
        (["dlq", "show", "0"], "ID"),
        (["dlq", "drop"], "ID"),
        (["up", "--desk", "nowhere.yaml"], "nowhere.yaml"),
        (["demo", "--folder", str(MAILBOX)], "is not empty"),
        (["ingest"], "FILE"),
        (["report", "month", "November"], "no month"),
        (["report", "show", "created", "--from", "yesterday"], "take days"),
        (["report", "show"], "METRIC"),
        (["report", "month"], "no desk in this folder"),
        (["dance"], "dance"),
    ],
)
def test_bad_input_is_told_in_words_with_exit_code_2(arguments: list[str], words: str) -> None:
    result = RUN.invoke(app, arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("queues: []", "queues"),
        ("queues: [{key: sup, name: x, addresses: [a@example.org]}]", "queues.0.key"),
        ("queues: [{key: SUP, name: x, addresses: [a@example.org], colour: red}]", "queues.0.colour"),
        ("queues: [", "desk.yaml:1"),
    ],
)
def test_a_bad_desk_file_is_refused_by_place_and_nothing_is_started(
    text: str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "desk.yaml"
    file.write_text(text)
    result = RUN.invoke(app, ["up", "--desk", str(file)])
    assert result.exit_code == 2
    assert words in result.output
    assert not (tmp_path / "desk").exists()
