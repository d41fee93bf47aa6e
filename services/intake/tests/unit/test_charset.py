"""Text out of bytes whose charset is right, wrong, unknown or missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.reading.charset import clean_line, clean_text, decode

TEXTS = [
    "Привет",
    "Добрый день! Не работает оплата.",
    "Есть новости?",
    "Счёт № 15 — оплата «прошла»",
    "нет",
    "Прошу прислать акт сверки за III квартал, номер договора 44/26.",
    "Hello, наш Printer не печатает after update",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("actual", ["utf-8", "windows-1251", "koi8-r"])
@pytest.mark.parametrize("declared", ["", "us-ascii", "x-klingon", "iso-8859-1", "utf-8", "\0", "a" * 500])
def test_russian_is_read_whatever_is_declared(text: str, actual: str, declared: str) -> None:
    data = text.encode(actual, "ignore")
    assert decode(data, declared)[0] == data.decode(actual)


@pytest.mark.parametrize("text", TEXTS[1:3])
@pytest.mark.parametrize(("actual", "declared"), [("windows-1251", "koi8-r"), ("koi8-r", "windows-1251")])
def test_the_two_russian_charsets_taken_for_each_other_are_put_right(
    text: str, actual: str, declared: str
) -> None:
    read, remark = decode(text.encode(actual), declared)
    assert read == text
    assert "was wrong" in remark


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("Zürich, où est l'été?", "iso-8859-1"),
        ("日本語のテキストです", "iso-2022-jp"),
        ("中文文本内容", "gb18030"),
        ("Český příspěvek", "iso-8859-2"),
        ("Қазақша мәтін", "utf-8"),
        ("ПРИВЕТ ВСЕМ", "cp1251"),
    ],
)
def test_a_right_declaration_is_trusted(text: str, charset: str) -> None:
    assert decode(text.encode(charset), charset) == (text, "")


def test_a_declared_charset_that_was_guessed_past_is_remarked() -> None:
    assert "x-klingon" in decode("Привет, мир".encode("cp1251"), "x-klingon")[1]
    assert decode(b"plain", "us-ascii") == ("plain", "")


def test_utf8_with_a_broken_byte_stays_utf8() -> None:
    data = "Не работает вход в личный кабинет".encode()
    assert decode(data[:9] + b"\xff" + data[9:], "utf-8")[0].count("\ufffd") == 1


@pytest.mark.parametrize(
    "codec", ["idna", "punycode", "unicode_escape", "rot13", "zlib", "base64", "undefined"]
)
def test_codecs_that_are_no_charsets_are_not_used(codec: str) -> None:
    assert decode(b"\\x41bc", codec)[0] == "\\x41bc"


@given(st.binary(max_size=400), st.text(max_size=30))
def test_any_bytes_become_text_that_can_be_stored(data: bytes, declared: str) -> None:
    for text in (clean_text(decode(data, declared)[0]), clean_line(decode(data, declared)[0])):
        text.encode("utf-8")
        assert "\0" not in text


@given(st.text(max_size=200))
def test_a_line_is_one_line_without_controls(text: str) -> None:
    """Header injection: a decoded subject must not carry a line break of any kind."""
    line = clean_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(ord(each) < 32 or 0x7F <= ord(each) < 0xA0 for each in line)
