"""Reading messages out of what users have: .eml files, mbox files, Maildir folders, folders of .eml."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tickdesk_cli.terminal import bad_input

_SNIFF = 64 * 1024
_NAME = re.compile(rb"[A-Za-z0-9_.-]{1,76}")


@dataclass(frozen=True, slots=True)
class Letter:
    """One message as it lies on disk. `name` says where: the file, and its number within an mbox.

    `flaw` says why it is no message at all; "" for everything that deserves to be delivered."""

    name: str
    raw: bytes
    flaw: str = ""


def letters(paths: Iterable[Path]) -> Iterator[Letter]:
    """All messages of the given files and folders, in order; folders by file name.

    Raises Problem (code 2) for a path that is missing, unreadable or no mail; a bad message among others
    only has a flaw."""
    for path in paths:
        yield from _of(path)


def count(paths: Iterable[Path]) -> int:
    """How many messages there are. Reads everything, so a bad path is found before the first delivery."""
    return sum(1 for _ in letters(paths))


def one(path: Path) -> Letter:
    """The single message of a file. Raises Problem (code 2) for a folder, an mbox of many, or no message."""
    found = list(letters([path]))
    if len(found) != 1:
        raise bad_input(
            f"{path}: holds {len(found)} messages, one is wanted", "Give a file with one message."
        )
    if found[0].flaw:
        raise bad_input(f"{found[0].name}: {found[0].flaw}")
    return found[0]


def _of(path: Path) -> Iterator[Letter]:
    try:
        if not path.exists():
            raise bad_input(f"{path}: no such file or folder")
        if path.is_dir():
            yield from _folder(path)
        elif _is_mbox(path):
            yield from _mbox(path)
        else:
            yield _file(path)
    except OSError as error:
        raise bad_input(f"{path}: {error.strerror or error}") from error


def _folder(path: Path) -> Iterator[Letter]:
    """A Maildir (its `cur` and `new`), else the .eml files directly in the folder."""
    boxes = [path / name for name in ("cur", "new") if (path / name).is_dir()]
    if boxes:
        files = [each for box in boxes for each in box.iterdir() if _visible(each)]
    else:
        files = [each for each in path.iterdir() if _visible(each) and each.suffix.lower() == ".eml"]
    if not files:
        raise bad_input(
            f"{path}: no message in this folder", "A Maildir or a folder of .eml files is wanted."
        )
    for each in sorted(files, key=lambda file: file.name):
        raw = each.read_bytes()
        yield Letter(str(each), raw, _flaw(raw))


def _file(path: Path) -> Letter:
    raw = path.read_bytes()
    flaw = _flaw(raw)
    if flaw:
        raise bad_input(
            f"{path}: {flaw}", "A message saved with its headers (.eml), an mbox or a Maildir is wanted."
        )
    return Letter(str(path), raw)


def _visible(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _is_mbox(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(5) == b"From "


def _mbox(path: Path) -> Iterator[Letter]:
    """Cut at `From ` lines that follow a blank line; a `>From ` line of a message loses one mark again."""
    number, blank = 0, True
    lines: list[bytes] = []
    with path.open("rb") as file:
        for line in file:
            begins = blank and line.startswith(b"From ")
            if begins and number:
                yield _joined(path, number, lines)
            if begins:
                number, lines = number + 1, []
            else:
                lines.append(line[1:] if line[:1] == b">" and line.lstrip(b">")[:5] == b"From " else line)
            blank = not line.strip()
    yield _joined(path, number, lines)


def _joined(path: Path, number: int, lines: list[bytes]) -> Letter:
    # The blank line before the next `From ` belongs to the mbox, not to the message.
    body = lines[:-1] if lines and not lines[-1].strip() else lines
    raw = b"".join(body)
    return Letter(f"{path}:{number}", raw, _flaw(raw))


def _flaw(raw: bytes) -> str:
    """Why these bytes are no message: "" when they begin with a header."""
    if not raw.strip():
        return "empty, not a message"
    lines = raw[:_SNIFF].lstrip(b"\xef\xbb\xbf\r\n").splitlines()[:2]
    first = next((line for line in lines if not line.startswith(b"From ")), b"")
    name, colon, _ = first.partition(b":")
    named = colon and _NAME.fullmatch(name.rstrip())
    return "" if named else "not an e-mail message: it does not begin with a header such as `From:`"
