"""`tickdesk queue` without a desk: what is typed, what is printed, which exit code."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tickdesk.tickets.v1.setup_pb2 import Setup
from tickdesk_cli import queuefiles
from tickdesk_cli.main import app
from tickdesk_cli.terminal import Problem, console
from tickets.convert import templates

NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=40)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TICKDESK_HOME", str(tmp_path / "desk"))
    monkeypatch.setattr(console, "width", 200)


def typed(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["queue", *words])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done.output


def a_setup(key: str = "crmai") -> Setup:
    setup = Setup()
    setup.CopyFrom(templates.template(key).setup)
    setup.queue = "SUP"
    return setup


@pytest.mark.parametrize("name", ["templates", "create", "export", "check", "apply", "versions"])
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    assert "Example" in typed(name, "-h")


@pytest.mark.parametrize("template", templates.all_templates(), ids=lambda each: each.key)
def test_what_is_exported_is_read_back_and_fine(template: object, tmp_path: Path) -> None:
    setup = a_setup(template.key)  # type: ignore[attr-defined]
    Path("sup.yaml").write_text(queuefiles.to_yaml(setup), encoding="utf-8")
    assert queuefiles.read(Path("sup.yaml")) == setup
    assert typed("check", "sup.yaml") == "fine: sup.yaml, nothing to say\n"
    assert json.loads(typed("check", "sup.yaml", "--json")) == []


@settings(deadline=None, max_examples=50)
@given(ru=NAMES, en=NAMES, seconds=st.integers(60, 31536000))
def test_any_words_survive_the_file(
    tmp_path_factory: pytest.TempPathFactory, ru: str, en: str, seconds: int
) -> None:
    setup, file = a_setup(), tmp_path_factory.getbasetemp() / "any.yaml"
    setup.workflow.statuses[0].name.ru, setup.workflow.statuses[0].name.en = ru, en
    setup.workflow.confirmation_term.seconds = seconds
    file.write_text(queuefiles.to_yaml(setup), encoding="utf-8")
    assert queuefiles.read(file) == setup


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("workflow: {statuses: [{kid: x}]}", 'workflow.statuses[0]: this has no field named "kid"'),
        ("workflow: {statuses: [{kind: GONE}]}", "workflow.statuses[0].kind: Invalid enum value GONE"),
        ("workflow: {confirmation_term: 3d}", "workflow.confirmation_term: Duration must end with"),
        ("version: soon", "version: "),
        ("magic: 1", 'this has no field named "magic"'),
        ("a: [", "sup.yaml:1:5: "),
        ("just words", "is no setup of a queue"),
        ("a: " + "[" * 3000, "sup.yaml"),
        ("\x00", "is no YAML in UTF-8"),
    ],
)
def test_what_cannot_be_read_names_the_file_and_the_place(text: str, told: str) -> None:
    Path("sup.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(Problem) as caught:
        queuefiles.read(Path("sup.yaml"))
    assert str(caught.value).startswith("sup.yaml")
    assert told in str(caught.value)
    assert caught.value.code == 2
    typed("check", "sup.yaml", code=2)


def test_a_file_that_is_not_there_or_too_long_is_bad_input() -> None:
    typed("check", "gone.yaml", code=2)
    Path("long.yaml").write_text("a: " + "x" * queuefiles.MAX_BYTES, encoding="utf-8")
    typed("check", "long.yaml", code=2)


def test_every_fault_is_a_line_with_its_place() -> None:
    setup = a_setup()
    setup.workflow.transitions.add(to="gone")
    setup.workflow.transitions.add(to="new", required=["fields.nothing"])
    Path("sup.yaml").write_text(queuefiles.to_yaml(setup), encoding="utf-8")
    for command in ("check", "apply"):
        lines = typed(command, "sup.yaml", code=1).splitlines()
        assert (
            lines[0] == "sup.yaml:31:6: error: workflow.transitions[6].to: gone is no status of the workflow"
        )
        assert ": error: workflow.transitions[7].required[0]: must be one of" in lines[1]
    told = json.loads(typed("check", "sup.yaml", "--json", code=1))
    assert [each["severity"] for each in told] == ["SEVERITY_ERROR"] * 2
    text = Path("sup.yaml").read_text(encoding="utf-8").splitlines()
    places = [text[each["line"] - 1][each["column"] - 1 :] for each in told]
    assert [each[:8] for each in places] == ["to: gone", "fields.n"]


def test_what_is_missing_is_looked_for_where_it_belongs() -> None:
    Path("sup.yaml").write_text("queue: SUP\nworkflow:\n  statuses:\n  - key: new\n", encoding="utf-8")
    assert queuefiles.place(Path("sup.yaml"), "workflow.statuses[0].name.en") == (4, 5)
    assert queuefiles.place(Path("sup.yaml"), "workflow.transitions[3]") == (2, 1)
    assert queuefiles.place(Path("sup.yaml"), "macros[0].key") == (1, 1)


def test_bounds_of_the_contract_are_checked_without_a_desk() -> None:
    setup = a_setup()
    setup.workflow.statuses[1].key = "In Progress"
    Path("sup.yaml").write_text(queuefiles.to_yaml(setup), encoding="utf-8")
    assert "workflow.statuses[1].key: does not match" in typed("check", "sup.yaml", code=1)


def test_a_doubt_is_told_and_no_error() -> None:
    """CA-08."""
    setup = a_setup()
    for number in range(2):
        setup.workflow.statuses.add(key=f"more_{number}", kind=2).name.en = "More"
        setup.workflow.transitions.add(to=f"more_{number}")
    Path("sup.yaml").write_text(queuefiles.to_yaml(setup), encoding="utf-8")
    assert "warning: workflow.statuses: has 8 statuses" in typed("check", "sup.yaml")


def test_the_templates_are_shown() -> None:
    shown = typed("templates")
    assert all(f"\n{each.key} " in shown for each in templates.all_templates())
    assert len(json.loads(typed("templates", "--json"))) == len(templates.all_templates())


def test_commands_that_need_a_desk_say_so() -> None:
    for words in (("export", "SUP"), ("create", "SUP"), ("versions", "SUP")):
        assert "no desk in this folder" in typed(*words, code=2)
