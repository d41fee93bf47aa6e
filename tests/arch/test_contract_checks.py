"""The contract checks see planted faults: they are only worth what they catch."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import proto


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return proto.build_image(proto.SOURCES, tmp_path_factory.mktemp("landed") / "image.binpb")


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[str, str, str], Path]:
    """Compiles the contracts with one text of one file replaced."""

    def change(name: str, old: str, new: str) -> Path:
        folder = tmp_path / "proto"
        shutil.copytree(proto.SOURCES / "tickdesk", folder / "tickdesk")
        path = folder / "tickdesk" / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return proto.build_image(folder, tmp_path / "image.binpb")

    return change


ADDED = "\n// Another.\nmessage Another {\n  // A text.\n  string text = 1;\n}\n"
SYNTAX = 'syntax = "proto3";\n'
COMMON = "common/v1/common.proto"


def test_the_contracts_pass_and_break_nothing_against_themselves(landed: Path) -> None:
    proto.lint(landed)
    proto.compare(landed, landed)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (ADDED.replace("  // A text.\n", ""), "comment"),
        (ADDED.replace("string text", "string Text"), "snake_case"),
        (ADDED.replace("message Another", "message another"), "PascalCase"),
    ],
)
def test_a_planted_lint_fault_is_named(changed: Callable[[str, str, str], Path], new: str, said: str) -> None:
    image = changed(COMMON, "package tickdesk.common.v1;", "package tickdesk.common.v1;\n" + new)
    with pytest.raises(proto.Failure, match=said):
        proto.lint(image)


def test_an_added_message_breaks_nothing(landed: Path, changed: Callable[[str, str, str], Path]) -> None:
    image = changed(COMMON, "package tickdesk.common.v1;", "package tickdesk.common.v1;\n" + ADDED)
    proto.lint(image)
    proto.compare(image, landed)


def test_a_renumbered_field_breaks(landed: Path, changed: Callable[[str, str, str], Path]) -> None:
    image = changed("intake/v1/intake_service.proto", "string filename = 1", "string filename = 91")
    with pytest.raises(proto.Failure, match="filename"):
        proto.compare(image, landed)


def test_a_contract_that_does_not_compile_is_named(changed: Callable[[str, str, str], Path]) -> None:
    with pytest.raises(proto.Failure, match="common.proto"):
        changed(COMMON, SYNTAX, SYNTAX + "nonsense\n")


def test_generating_twice_gives_the_same_files(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        proto.generate(folder)
    assert proto.files_in(first) == proto.files_in(second)
    assert all((first / path).read_bytes() == (second / path).read_bytes() for path in proto.files_in(first))


def test_the_committed_code_is_what_the_contracts_give() -> None:
    assert proto.sync(dry=True) == []
