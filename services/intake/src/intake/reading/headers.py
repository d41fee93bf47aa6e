"""The header block of a message, read one header at a time; nothing here raises on hostile input.

The standard library's header objects fail on crafted input and cost seconds on long lists, so the block is
split, unfolded and decoded here in linear time."""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from chassis.errors import InvalidInput, Violation
from intake.domain import Address, Limits
from intake.reading.charset import clean_line, decode

_LONGEST = 64 * 1024
_NAME = re.compile(rb"[!-9;-~]+[ \t]*\Z")
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_ADDRESS = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@[^\s@<>\"(),:;\\]{1,255}\Z")
_ID = re.compile(r"<([^<>\s]{1,250})>")
_PIECE = re.compile(
    r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)'  # a quoted string, to the end when it is not closed
    r"|<[^<>]*>?"
    r"|\((?:[^()\\]|\\.)*\)?"  # a comment without comments inside; deeper ones fall apart into words
    r"|[,;]"
    r"|[^\"<(,;]+|.",
    re.DOTALL,
)
_EARLIEST, _LATEST = 1980, 2100


class Headers:
    """Headers in order, raw; `get` gives the first of a name as decoded text on one line."""

    def __init__(self, fields: list[tuple[str, bytes]]) -> None:
        self._fields = fields

    def __len__(self) -> int:
        return len(self._fields)

    def raw(self, name: str) -> Iterator[bytes]:
        """Every value of a header, undecoded and unfolded."""
        return (value for key, value in self._fields if key == name)

    def count(self, name: str) -> int:
        """How often a header is given."""
        return sum(1 for _ in self.raw(name))

    def get(self, name: str) -> str:
        """The first value that is not blank, decoded for reading; "" when there is none."""
        return next(filter(None, map(decode_header, self.raw(name))), "")

    def token(self, name: str) -> str:
        """The first word of a header in lower case: `auto-replied; owner=x` gives `auto-replied`."""
        return re.split(r"[;,(\s]", self.get(name).lower(), maxsplit=1)[0]

    def addresses(self, name: str, limit: int) -> tuple[Address, ...]:
        """The addresses of every header of this name, in order, each once, at most `limit`."""
        found: dict[str, Address] = {}
        for value in self.raw(name):
            for address in parse_addresses(_unpacked(value)):
                found.setdefault(address.address, address)
                if len(found) >= limit:
                    return tuple(found.values())
        return tuple(found.values())

    def ids(self, name: str, limit: int = 100) -> tuple[str, ...]:
        """Message ids without their angle brackets, the last `limit` of them."""
        found = [each for value in self.raw(name) for each in parse_ids(_unpacked(value))]
        return tuple(dict.fromkeys(found))[-limit:]

    def date(self, name: str) -> datetime | None:
        """A date in UTC, or None when it is missing, unreadable or absurd."""
        try:
            moment = parsedate_to_datetime(self.get(name)[:100])
            aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
            return None
        return aware if _EARLIEST <= aware.year <= _LATEST else None


def read_headers(raw: bytes, limits: Limits) -> Headers:
    """The header block of a message; refuses a block that is a bomb."""
    block = _block(raw, limits)
    lines = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    fields: list[tuple[str, list[bytes]]] = []
    for number, line in enumerate(lines):
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1][1].append(line)
        elif colon and _NAME.match(name):
            fields.append((name.strip().lower().decode("ascii"), [value]))
        elif not (number == 0 and line.startswith((b"From ", b">From "))):
            break
        if len(fields) > limits.headers:
            raise _too_many(f"more than {limits.headers} headers", limits)
    return Headers([(name, b"".join(values)[:_LONGEST]) for name, values in fields])


def _block(raw: bytes, limits: Limits) -> bytes:
    ends = [at for mark in (b"\r\n\r\n", b"\n\n") if (at := raw.find(mark, 0, limits.header_bytes + 4)) >= 0]
    if ends:
        return raw[: min(ends)]
    if raw.find(b"\n\n", limits.header_bytes) >= 0 or raw.find(b"\r\n\r\n", limits.header_bytes) >= 0:
        raise _too_many(f"a header block of more than {limits.header_bytes // 1024} KiB", limits)
    return raw[: limits.header_bytes]


def _too_many(what: str, limits: Limits) -> InvalidInput:
    message = f"the message has {what}; at most {limits.headers} headers are accepted"
    return InvalidInput(message, reason="MAIL_HEADERS_TOO_LARGE", violations=[Violation("headers", message)])


def decode_header(value: bytes) -> str:
    """A header value for reading: encoded words and bare 8-bit text decoded, controls and breaks removed."""
    return clean_line(decode_words(_unpacked(value)))


def _unpacked(value: bytes) -> str:
    return value.decode("ascii") if value.isascii() else decode(value)[0]


def decode_words(text: str) -> str:
    """Decode RFC 2047 words; neighbours of one charset are joined first, for letters cut in two."""
    if "=?" not in text:
        return text
    parts: list[str] = []
    pending, charset, last = b"", "", 0
    for match in _WORD.finditer(text[:_LONGEST]):
        between = text[last : match.start()]
        declared, data = match[1].lower(), _word_bytes(match[2], match[3])
        if pending and (between.strip() or declared != charset):
            parts.append(decode(pending, charset)[0])
            pending = b""
        if not last or between.strip():
            parts.append(between)
        pending, charset, last = pending + data, declared, match.end()
    parts += [decode(pending, charset)[0], text[last:]]
    return "".join(parts)


def _word_bytes(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return quopri.decodestring(data.replace(b"_", b" "), header=True)
    return decode_base64(data)


def decode_base64(data: bytes) -> bytes:
    """Base64 as found in the wild: padding missing, stray characters, a cut end."""
    kept = re.sub(rb"[^A-Za-z0-9+/]", b"", data.partition(b"=")[0])
    kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
    try:
        return base64.b64decode(kept + b"=" * (-len(kept) % 4))
    except (binascii.Error, ValueError):
        return b""


def parse_ids(text: str) -> list[str]:
    """Message ids of a header; a lone id without brackets counts when it looks like one."""
    found = _ID.findall(text)
    if found:
        return [clean_line(each) for each in found]
    return [clean_line(each)[:250] for each in text.split()[:1] if "@" in each]


def parse_addresses(text: str) -> Iterator[Address]:
    """Addresses of a header value, tolerant of what real senders write."""
    for chunk in _split(text[:_LONGEST]):
        address = _parse_one(*chunk)
        if address:
            yield address


def _split(text: str) -> Iterator[tuple[str, list[str]]]:
    """Cut at commas and semicolons outside quotes, comments and brackets; one pass.

    Yields the words outside of brackets and the contents of the brackets."""
    words: list[str] = []
    angles: list[str] = []
    for piece in _pieces(text):
        if piece in (",", ";"):
            yield "".join(words), angles
            words, angles = [], []
        elif piece.startswith("<"):
            angles.append(piece)
            words.append(" ")
        elif piece.startswith("("):
            words.append(f" {piece.strip('()')} ")
        else:
            words.append(piece.replace("\\", "") if piece.startswith('"') else piece)
    yield "".join(words), angles


def _pieces(text: str) -> Iterator[str]:
    """Quoted strings, comments, bracketed parts, separators and runs of anything else."""
    return (match[0] for match in _PIECE.finditer(text))


def _parse_one(words: str, angles: list[str]) -> Address | None:
    for candidate in angles:
        address = clean_address(candidate)
        if address:
            return Address(address, _name(words, address))
    for word in words.split():
        address = clean_address(word.rpartition(":")[2])
        if address:
            return Address(address, _name(words.replace(word, " ", 1), address))
    return None


def _name(words: str, address: str) -> str:
    name = clean_line(decode_words(words)).strip(" \"'<>:")[:200]
    return "" if name.lower() == address else name


def clean_address(text: str) -> str:
    """One address in lower case without route, brackets and `mailto:`; "" when it is none."""
    text = clean_line(decode_words(text)).strip(" <>'\"").removeprefix("mailto:").rstrip(".").lower()
    if text.startswith("@") and ":" in text:
        text = text.partition(":")[2]
    return text if _ADDRESS.match(text) and ".." not in text.rpartition("@")[2] else ""
