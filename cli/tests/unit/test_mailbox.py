"""Reading what users have: .eml, mbox, Maildir, folders."""

from pathlib import Path

import pytest

from tickdesk_cli import mailbox
from tickdesk_cli.terminal import Problem

LETTER = b"From: a@example.org\nSubject: one\n\nHello\n"
SECOND = b"From: b@example.org\nSubject: two\n\nFrom here on it is quoted.\n"


def names(path: Path) -> list[str]:
    return [Path(each.name).name for each in mailbox.letters([path])]


def refusal(path: Path) -> Problem:
    with pytest.raises(Problem) as caught:
        list(mailbox.letters([path]))
    return caught.value


def test_an_eml_file_is_one_message_byte_by_byte(tmp_path: Path) -> None:
    file = tmp_path / "a.eml"
    file.write_bytes(LETTER.replace(b"\n", b"\r\n"))
    assert mailbox.one(file).raw == LETTER.replace(b"\n", b"\r\n")


def test_an_mbox_is_cut_at_its_from_lines_and_unquoted(tmp_path: Path) -> None:
    box = tmp_path / "box"
    quoted = SECOND.replace(b"\nFrom here", b"\n>From here")
    box.write_bytes(
        b"From a@example.org Mon Nov 16 09:00:00 2026\n"
        + LETTER
        + b"\nFrom b@example.org Mon Nov 16 09:01:00 2026\n"
        + quoted
        + b"\n"
    )
    found = list(mailbox.letters([box]))
    assert [each.raw for each in found] == [LETTER, SECOND]
    assert [each.name for each in found] == [f"{box}:1", f"{box}:2"]


def test_a_from_line_inside_a_paragraph_does_not_cut_an_mbox(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.write_bytes(b"From a@example.org Mon\n" + LETTER + b"as I said,\nFrom tomorrow on we are closed.\n")
    assert mailbox.count([box]) == 1


def test_a_bad_message_in_an_mbox_has_a_flaw_and_the_others_are_read(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.write_bytes(b"From x Mon\n\nFrom a@example.org Mon\n" + LETTER)
    first, second = mailbox.letters([box])
    assert "empty" in first.flaw
    assert second.flaw == ""


def test_a_maildir_gives_cur_and_new_and_not_tmp(tmp_path: Path) -> None:
    for folder in ("cur", "new", "tmp"):
        (tmp_path / folder).mkdir()
    (tmp_path / "cur" / "2.host:2,S").write_bytes(LETTER)
    (tmp_path / "new" / "1.host").write_bytes(SECOND)
    (tmp_path / "tmp" / "3.host").write_bytes(LETTER)
    (tmp_path / "cur" / ".hidden").write_bytes(LETTER)
    assert names(tmp_path) == ["1.host", "2.host:2,S"]


def test_a_folder_gives_its_eml_files_by_name(tmp_path: Path) -> None:
    for name in ("b.eml", "a.EML", "README.md", "expected.json"):
        (tmp_path / name).write_bytes(LETTER)
    assert names(tmp_path) == ["a.EML", "b.eml"]


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"just some words\n", b"\x89PNG\r\n\x1a\n\0\0", b'{"a": 1}\n']
)
def test_what_is_no_mail_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.eml"
    file.write_bytes(content)
    problem = refusal(file)
    assert problem.code == 2
    assert str(file) in str(problem)


def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    assert "no such file" in str(refusal(tmp_path / "nowhere"))
    assert "no message" in str(refusal(tmp_path))


def test_the_single_message_of_an_mbox_of_two_is_refused(tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.write_bytes(b"From a Mon\n" + LETTER + b"\nFrom b Mon\n" + LETTER)
    with pytest.raises(Problem, match="holds 2 messages"):
        mailbox.one(box)


def test_the_example_mailbox_has_every_message_that_is_expected() -> None:
    folder = Path(__file__).parents[3] / "examples" / "mailbox"
    expected = (folder / "expected.json").read_text(encoding="utf-8")
    found = names(folder)
    assert len(found) >= 44
    assert all(f'"{name}"' in expected for name in found)
