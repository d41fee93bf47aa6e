"""Bytes to text when the declared charset is right, wrong, unknown or missing."""

import codecs
import re
import unicodedata

import chardet

# Codecs that Python offers but no honest mail names: not charsets of text, or slow on long input.
_REFUSED = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf_7"})
_CYRILLIC = ("cp1251", "koi8-r", "cp866", "iso8859-5", "mac-cyrillic")
_VAGUE = frozenset({"ascii", "iso8859-1", "cp1252", "latin_1"})
_SINGLE_BYTE = frozenset({"cp1251", "koi8-r", "koi8-u", "cp866", "iso8859-5", "mac-cyrillic"})
# What a detector may answer: rare code pages in its answers are nearly always mistakes.
_DETECTABLE = ("utf", "iso", "cp125", "koi8", "shift", "euc", "gb", "big5", "kz", "johab")
_SAMPLE = 4096

# Letters of Russian by falling frequency, and the pairs that are seen most.
_LETTERS = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
_WEIGHT = {letter: 1.0 - index / 40 for index, letter in enumerate(_LETTERS)}
_PAIRS = frozenset(
    [
        "ст",
        "но",
        "то",
        "на",
        "ен",
        "ов",
        "ни",
        "ра",
        "во",
        "ко",
        "по",
        "пр",
        "ро",
        "ре",
        "ос",
        "ал",
        "ли",
        "ер",
        "от",
        "та",
        "не",
        "ор",
        "го",
        "ан",
        "ет",
        "ти",
        "ел",
        "ес",
        "ри",
        "де",
        "те",
        "ло",
        "ол",
        "ка",
        "ва",
        "ит",
        "ль",
        "ат",
        "за",
        "да",
        "ом",
        "ве",
        "ем",
        "ог",
        "дн",
        "ле",
        "ия",
        "об",
        "ла",
        "ин",
        "ск",
        "тр",
        "ть",
        "ся",
    ]
)
_WORD = re.compile(r"[^\W\d_]+")

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_LINE_BREAKS = {ord(each): " " for each in "\x85\u2028\u2029"}
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), " ")
# Zero-width space, word joiner and byte order mark say nothing and hide in words; joiners of scripts stay.
_TEXT_CONTROLS = {code: None for code in (*_CONTROLS, 0x200B, 0x2060, 0xFEFF) if code not in (0x09, 0x0A)}
_SURROGATES = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Text that any database and protobuf takes: no NUL, no controls but tab and newline, no surrogates."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x85", "\n")
    text = text.replace("\u2028", "\n").replace("\u2029", "\n")
    return _SURROGATES.sub("\ufffd", text.translate(_TEXT_CONTROLS))


def clean_line(text: str) -> str:
    """One line: controls and line breaks of any kind become a space, runs of spaces one."""
    text = _SURROGATES.sub("\ufffd", text.translate(_CONTROLS).translate(_LINE_BREAKS))
    return " ".join(text.split())


def decode(data: bytes, declared: str = "") -> tuple[str, str]:
    """Decode by the declared charset if it is plausible, else by looking at the bytes.

    Returns the text and a remark for the reader ("" when the declaration was right)."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace"), ""
    codec = _codec(declared)
    if codec and codec not in _VAGUE:
        text = _try(data, codec)
        if text is not None and not _mistaken(data, codec):
            return text, ""
    elif data.isascii() and b"\x1b" not in data:
        return data.decode("ascii"), "" if codec or not declared else f"unknown charset {declared[:40]!r}"
    return _guess(data, declared, codec)


def _codec(declared: str) -> str:
    """Python's name of a charset, "" when there is none by that name."""
    name = declared.strip().strip("\"'").split("*")[0].lower()
    if not name.isascii() or len(name) > 40 or "\0" in name:
        return ""
    name = {"x-unknown": "", "unknown-8bit": "", "8bit": "", "utf8mb4": "utf-8", "x-user-defined": ""}.get(
        name, name
    )
    try:
        found = codecs.lookup(name.replace("windows1251", "windows-1251"))
    except (LookupError, ValueError):
        return ""
    usable = getattr(found, "_is_text_encoding", True) and found.name.replace("-", "_") not in _REFUSED
    return found.name if usable else ""


def _try(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeError, ValueError, LookupError):
        return None


def _mistaken(data: bytes, codec: str) -> bool:
    """A Cyrillic declaration under which the text is gibberish while another reads well."""
    if codec not in _SINGLE_BYTE or data.isascii():
        return False
    if _looks_utf8(data):
        return True
    best = _best_cyrillic(data)
    return best != codec and _score(data, best) > 2 * _score(data, codec) + 1


def _looks_utf8(data: bytes) -> bool:
    """Several high bytes that are all valid UTF-8 are hardly an accident."""
    return sum(byte > 0x7F for byte in data[:_SAMPLE]) >= 4 and _try(data, "utf-8") is not None


def _guess(data: bytes, declared: str, codec: str) -> tuple[str, str]:
    text, found = _guessed(data, codec)
    if declared and not codec:
        return text, f"unknown charset {declared[:40]!r}, read as {found}"
    if declared:
        return (
            text,
            "" if codec in _VAGUE and found in _VAGUE else f"charset {codec} was wrong, read as {found}",
        )
    return text, "" if found in ("ascii", "utf-8") else f"no charset declared, read as {found}"


def _guessed(data: bytes, codec: str) -> tuple[str, str]:
    strict = _try(data, "utf-8")
    if strict is not None and b"\x1b$" not in data:
        return _utf16(data) or (strict, "utf-8")
    if _nearly_utf8(data):
        return data.decode("utf-8", "replace"), "utf-8 with errors"
    best = _best_cyrillic(data)
    if _score(data, best) > _threshold(data):
        return data.decode(best, "replace"), best
    detected = _codec(chardet.detect(data[: _SAMPLE * 4]).get("encoding") or "")
    for name in (detected if detected.startswith(_DETECTABLE) else "", codec, "cp1252"):
        text = _try(data, name) if name and name != "ascii" else None
        if text is not None:
            return text, name
    return data.decode("latin-1"), "latin-1"


def _utf16(data: bytes) -> tuple[str, str] | None:
    """UTF-16 without a mark shows as ASCII with a NUL in every second byte."""
    head = data[:_SAMPLE]
    if head.count(0) * 3 < len(head) or len(data) % 2:
        return None
    name = "utf-16-le" if head[1::2].count(0) >= head[0::2].count(0) else "utf-16-be"
    text = _try(data, name)
    return (text, name) if text is not None else None


def _nearly_utf8(data: bytes) -> bool:
    """UTF-8 with a few broken bytes: most high bytes sit in valid sequences."""
    high = sum(byte > 0x7F for byte in data)
    broken = data.decode("utf-8", "replace").count("\ufffd")
    return high >= 4 and broken * 4 < high


def _threshold(data: bytes) -> float:
    """Latin text has a few accented letters; Cyrillic text consists of high bytes."""
    head = data[:_SAMPLE]
    high = sum(byte > 0x7F for byte in head)
    latin = sum(chr(byte).isalpha() for byte in head if byte < 0x80)
    return 0.0 if high * 2 > latin else float("inf")


def _best_cyrillic(data: bytes) -> str:
    return max(_CYRILLIC, key=lambda name: _score(data, name))


def _score(data: bytes, codec: str) -> float:
    """How much this reads like Russian: frequent letters and pairs, sensible case, no stray signs."""
    sample = data[:_SAMPLE].decode(codec, "replace")
    score = 0.0
    for word in _WORD.findall(sample):
        if word.isascii():
            continue
        lower = word.lower()
        score += sum(_WEIGHT.get(letter, -1.0) for letter in lower)
        score += sum(2.0 for at in range(len(lower) - 1) if lower[at : at + 2] in _PAIRS)
        if not (word.islower() or word.istitle() or word.isupper()):
            score -= 2.0 * len(word)
    strange = sum(1 for sign in sample if ord(sign) > 0x7F and unicodedata.category(sign) in _STRANGE)
    return score - strange


_STRANGE = frozenset({"So", "Sm", "Sc", "Cc", "Cn", "Lm", "No"})
