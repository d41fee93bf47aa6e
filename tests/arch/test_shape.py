"""The shape check sees what it is there for, and the repository passes it."""

import ast
from io import StringIO
from tokenize import COMMENT, DEDENT, ENDMARKER, INDENT, NEWLINE, NL, generate_tokens

import pytest

from tools import shape

LONG = "def long():\n" + "    x = 1\n" * 61
TALKATIVE = 'def talks():\n    """' + "a line\n" * 80 + '"""\n    return 1\n'
SCHEME = "https:" + "//"


def test_the_repository_passes() -> None:
    offences = [offence for path in shape.repository_files() for offence in shape.inspect(path)]
    assert offences == []


def test_the_check_sees_the_files_of_every_part() -> None:
    tops = {path.split("/")[0] for path in shape.repository_files()}
    assert {"cli", "deploy", "libs", "proto", "services", "tests", "tools", "requirements.lock"} <= tops


@pytest.mark.parametrize(
    ("text", "said"), [(LONG, "long has 62 lines"), ("x = 1\n" * 401, "401 lines"), (TALKATIVE, None)]
)
def test_a_long_function_or_file_is_named(text: str, said: str | None) -> None:
    offences = [what for _, what in shape.lengths(text)]
    assert offences == [] if said is None else said in offences[0]


@pytest.mark.parametrize(
    "line",
    [
        f"index = {SCHEME}packages.corp.io/simple",
        f"index = {SCHEME}user:word@packages.corp.io/simple",
        "git+" + SCHEME + "code.corp.io/repository.git",
        "see " + "/".join(("", "root", "notes.txt")),
        "see " + "/".join(("", "home", "anna", "notes.txt")),
    ],
)
def test_a_foreign_address_or_a_path_of_one_machine_is_named(line: str) -> None:
    assert len([*shape.addresses(line), *shape.machine_paths(line)]) == 1


@pytest.mark.parametrize(
    "line",
    [
        f"{SCHEME}desk.example.com/t/1",
        "http:" + "//127.0.0.1:8080/",
        f"{SCHEME}www.apache.org/licenses",
        "/var/lib",
    ],
)
def test_an_example_address_passes(line: str) -> None:
    assert [*shape.addresses(line), *shape.machine_paths(line)] == []


def test_locks_hold_no_address() -> None:
    locks = [path for path in shape.repository_files() if path.endswith(".lock")]
    assert len(locks) == 5
    assert [path for path in locks if "://" in (shape.ROOT / path).read_text(encoding="utf-8")] == []


def test_the_chassis_stays_within_its_budget() -> None:
    """ADR 0014 and 0018; the servers and fixtures of tests and of one machine are not part of a service."""
    folder = shape.ROOT / "libs/chassis/src/chassis"
    modules = [path for path in folder.glob("*.py") if path.stem not in ("servers", "recipes", "testing")]
    assert len(modules) > 10
    assert sum(code_lines(path.read_text()) for path in modules) <= 2_500


def code_lines(text: str) -> int:
    """Lines without those that hold only comments, docstrings or nothing."""
    layout = (COMMENT, NL, NEWLINE, INDENT, DEDENT, ENDMARKER)
    tokens = [token for token in generate_tokens(StringIO(text).readline) if token.type not in layout]
    words = {n for token in tokens for n in range(token.start[0], token.end[0] + 1)}
    return len(words - {n for node in ast.walk(ast.parse(text)) for n in docstring_lines(node)})


def docstring_lines(node: ast.AST) -> range:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    if not isinstance(node, documented) or ast.get_docstring(node) is None:
        return range(0)
    first = node.body[0]
    return range(first.lineno, (first.end_lineno or first.lineno) + 1)


def test_code_lines_leave_out_what_is_not_code() -> None:
    assert code_lines('"""Doc."""\n\n# why\ndef one() -> str:\n    """Doc."""\n    return """a\nb"""\n') == 3
