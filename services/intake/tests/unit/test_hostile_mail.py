"""Crafted mail: harmless, in bounded time, or refused by name."""

import json
import time
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import InvalidInput
from intake.domain import Limits
from intake.mail import understand

HEAD = b"From: ann@client.test\r\nTo: support@desk.test\r\nSubject: S\r\nMessage-ID: <1@client.test>\r\n"


def a_mail(*lines: str, body: str = "Hello") -> bytes:
    return "\r\n".join([*lines, "", body]).encode()


@pytest.mark.parametrize(
    "word", ["a=0d=0aBcc=3a_v=40x.test", "a=0aX=3a_y", "a=00b", "a=e2=80=a8b", "a=c2=85b", "a=7fb"]
)
def test_a_subject_carries_no_line_break_and_no_control(word: str) -> None:
    """Header injection: an answer that repeats the subject must not gain a header."""
    mail = understand(a_mail("From: a@b.test", f"Subject: hi =?utf-8?q?{word}?="))
    assert mail.subject.startswith("hi a ")
    assert len(mail.subject.splitlines()) == 1
    assert "\0" not in mail.subject


@pytest.mark.parametrize(
    "value",
    [
        "Fri, 20 Nov 2026 09:00:60 +0000",
        "Fri, 20 Nov 99999 09:00:00 +0000",
        "x, 1 y",
        "",
        "1 Jan 1926 00:00 +0000",
        "Fri, 20 Nov 2026 09:00:00 +9999",
    ],
)
def test_an_absurd_date_is_no_date_and_no_error(value: str) -> None:
    """Row 16: leap seconds, year 99999, impossible zones, 1926."""
    mail = understand(a_mail("From: a@b.test", f"Date: {value}"))
    assert mail.sent_at is None
    assert mail.warnings


VECTORS = [
    "<script>x</script>",
    "<img src=x onerror=x>",
    "<svg onload=x>",
    "<svg><script>x</script></svg>",
    "<iframe src=javascript:x>",
    "<math><mtext><style><img src=x onerror=x>",
    "<a href=' javascript:x'>y</a>",
    "<a href='data:text/html,x'>y</a>",
    "<form action=//e.test><input></form>",
    "<base href=//e.test>",
    "<link rel=stylesheet href=//e.test>",
    "<meta http-equiv=refresh content='0;url=//e.test'>",
    "<div style='background:url(//e.test)'>y</div>",
    "<body background=//e.test>",
    "<table background=//e.test>",
    "<object data=x>",
    "<embed src=x>",
    "<video src=//e.test><source src=//e.test></video>",
    "<img srcset='//e.test 1x'>",
    "<noscript><p title='</noscript><img src=x onerror=x>'>",
    "<template><script>x</script></template>",
    "<img src='cid:x' style=x onload=x>",
    "<a href='cid:x'>y</a>",
    "<style>@import '//e.test'</style>",
    '<img src="http://e.test/x">',
    "<input type=image src=//e.test>",
    "<a href='vbscript:x'>y</a>",
]


@pytest.mark.parametrize("vector", VECTORS)
def test_no_vector_survives(vector: str) -> None:
    """Faults 5, XSS in bodies: nothing runs, nothing is fetched."""
    raw = HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>Hello</p>" + vector.encode()
    html = understand(raw).html.lower()
    assert "<p>hello</p>" in html
    for harm in (
        "script",
        "onerror",
        "onload",
        "e.test",
        "style",
        "srcset",
        "data:",
        "<form",
        "<svg",
        "<input",
        "<base",
    ):
        assert harm not in html
    assert 'href="cid' not in html


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\отчёт.xlsx", "отчёт.xlsx"),
        ("\u200b.htaccess", "htaccess"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\0b.txt", "a b.txt"),
        ("ﬁle／x.txt", "x.txt"),
        ('con<>:"|?*.txt', "con_______.txt"),
        ("x" * 400 + ".pdf", "x" * 130 + ".pdf"),
        ("=?koi8-r?B?z9TexdQ=?=.txt", "отчет.txt"),
        ("..", "attachment-1.bin"),
    ],
)
def test_a_file_name_is_only_a_label(name: str, label: str) -> None:
    """CVE-2026-28289 and its family: paths, invisible and bidi characters, dot files."""
    message = EmailMessage()
    message["From"] = "a@b.test"
    message.set_content("x")
    message.add_attachment(b"1", maintype="application", subtype="octet-stream")
    part = list(message.iter_attachments())[0]
    part.replace_header("Content-Disposition", "attachment")
    raw = message.as_bytes().replace(
        b"Content-Disposition: attachment",
        b'Content-Disposition: attachment; filename="' + _quoted(name) + b'"',
    )
    assert [each.label for each in understand(raw).attachments] == [label]


def _quoted(name: str) -> bytes:
    return name.replace("\\", "\\\\").replace('"', '\\"').encode()


def test_a_size_or_header_bomb_is_refused_by_name() -> None:
    """Bad input: 50 MB, 10,000 headers, nothing at all."""
    small = Limits(size=1000, headers=10)
    for raw, reason in [
        (b"x" * 1001, "MAIL_TOO_LARGE"),
        (b"a: b\r\n" * 11 + b"\r\n", "MAIL_HEADERS_TOO_LARGE"),
        (b" \r\n", "MAIL_EMPTY"),
    ]:
        with pytest.raises(InvalidInput) as error:
            understand(raw, limits=small)
        assert error.value.reason == reason
        assert error.value.violations


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 1500,
        HEAD
        + b"".join(
            b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(100)
        ),
        HEAD
        + b"".join(
            b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(2000)
        ),
    ],
    ids=["many parts", "deep", "deeper than the parser"],
)
def test_parts_beyond_the_bounds_leave_the_original_as_a_file(raw: bytes) -> None:
    mail = understand(raw)
    assert [(each.label, each.content) for each in mail.attachments] == [("message.eml", raw)]
    assert "could not be read" in mail.text
    assert mail.subject == "S"
    assert mail.warnings


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        HEAD + b'Content-Type: multipart/mixed; boundary=""\r\n\r\ntext',
        HEAD
        + b"Content-Type: text/plain; charset\r\nContent-Transfer-Encoding: base64\r\n\r\n!!! not base64",
        HEAD + b"Content-Type: ;;;=\r\n\r\ntext",
        HEAD + b"Content-Type: text/plain; name*=x'y\r\n\r\ntext",
        HEAD + b"Content-Transfer-Encoding: x-unknown\r\n\r\ntext",
        b"no headers at all",
        b"From: a@b.test",
        b"\0\0\0\0",
        b"From: a@b.test\r\n\r\n" + b"\xff\xfe" * 50,
    ],
)
def test_broken_mime_is_read_around(raw: bytes) -> None:
    mail = understand(raw)
    json.dumps(mail.to_dict(), ensure_ascii=False).encode()
    assert mail.text or mail.sender or mail.warnings


LINES = st.sampled_from(
    [
        "From: a@b.test",
        'From: "(((<@',
        "To: " + "a@b.test," * 50,
        "Subject: =?koi8-r?B?z9TexdQ",
        "Date: 99999",
        "Subject: =?utf-8?Q?=ff=fe?= =?x?B?===?=",
        "Content-Type: multipart/mixed; boundary=b",
        "--b",
        "--b--",
        "",
        "Content-Type: text/html; charset=utf-16",
        "Content-Type: message/rfc822",
        "Content-Type: text/plain; charset=\0",
        "Content-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: quoted-printable",
        "=3D=ZZ=",
        "0LDQsdCy",
        "Content-Disposition: attachment; filename*0*=utf-8''%ff; filename*1=x",
        "Content-Type: multipart/report; report-type=x",
        "<div><table><td>" * 20,
        "Message-ID: <>",
        "References: " + "<a@b> " * 30,
        " folded",
        "Auto-Submitted: x",
        "Content-Type: message/delivery-status",
        "Final-Recipient: rfc822; x",
        "Action: failed",
        "begin 644 x",
        "\0",
        "ж",
        "Content-Type: multipart/alternative; boundary=c",
        "--c",
        "Content-ID: <x",
        "X: " + "(" * 300,
        "\ud800",
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(LINES, max_size=25), st.sampled_from(["\r\n", "\n", "\r"]))
def test_any_pieces_of_mail_are_read_or_refused_and_can_be_stored(lines: list[str], ending: str) -> None:
    _read_or_refuse(ending.join(lines).encode("utf-8", "surrogatepass"))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused_and_can_be_stored(raw: bytes) -> None:
    _read_or_refuse(raw)


def _read_or_refuse(raw: bytes) -> None:
    try:
        mail = understand(raw)
    except InvalidInput:
        return
    text = json.dumps(mail.to_dict(), ensure_ascii=False)
    text.encode("utf-8")
    assert "\\u0000" not in text
    assert len(mail.subject.splitlines()) <= 1


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"To: " + b"a@b.test, " * 16_000,
        HEAD + b"X: y\r\nSubject: " + b"=?utf-8?q?x?= " * 16_000 + b"\r\n\r\n",
        HEAD + b"Cc: " + b"(" * 60_000 + b"\r\n\r\n",
        HEAD + b'Cc: "' + b'\\"' * 30_000 + b"\r\n\r\n",
        HEAD + b"References: " + b"<a@b>" * 10_000 + b"\r\n\r\n",
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 100_000,
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<b><i><a href=x>" * 300 + b"<p>x" * 20_000,
        HEAD + b"Content-Type: text/html\r\n\r\n" + b"<" * 500_000,
        HEAD + b"\r\n" + b"On " * 100_000,
        HEAD + b"\r\n" + b"\r\n" * 100_000,
        HEAD + b"\r\n" + b"\xd0\xb0" * 200_000,
        HEAD + b"\r\n" + b"Subject: Re: " * 100_000,
        b"Subject: " + b"Re: " * 15_000 + b"\r\nFrom: a@b.test\r\n\r\n",
        HEAD + b"Content-Type: text/plain; " + b"a=b;" * 15_000 + b"\r\n\r\nx",
    ],
    ids=range(14),
)
def test_no_crafted_mail_costs_much_time(raw: bytes) -> None:
    """Faults 0.9 and 6: each of these takes the standard way seconds to minutes, or ends it."""
    began = time.process_time()
    _read_or_refuse(raw)
    assert time.process_time() - began < 5
