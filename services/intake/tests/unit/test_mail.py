"""A whole mail as an agent would read it."""

import base64
import json
import time
from email.message import EmailMessage
from email.mime.text import MIMEText

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.errors import InvalidInput
from intake.adapters.child import dump, load
from intake.domain import Kind, Limits
from intake.mail import understand, unreadable

HEAD = b"From: ann@client.test\r\nTo: support@desk.test\r\nSubject: S\r\nMessage-ID: <1@client.test>\r\n"


def a_mail(*lines: str, body: str = "Hello") -> bytes:
    return "\r\n".join([*lines, "", body]).encode()


def test_the_documented_shape_is_complete_and_json() -> None:
    mail = understand(HEAD + b"\r\nHello\r\n")
    shape = json.loads(json.dumps(mail.to_dict()))
    assert shape["from"] == {"address": "ann@client.test", "name": ""}
    assert set(shape) >= {"to", "cc", "subject", "text", "reply", "attachments", "kind", "nudge", "language"}
    assert set(shape) >= {"message_id", "thread", "date", "warnings"}
    assert set(shape["thread"]) >= {"in_reply_to", "references", "reply_token", "subject_token"}


@pytest.mark.parametrize("charset", ["utf-8", "koi8-r", "windows-1251"])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_russian_in_headers_and_text_is_read(charset: str, encoding: str) -> None:
    message = EmailMessage()
    message["From"] = "Анна <ann@client.test>"
    message.set_content("Не работает вход.\n", charset=charset, cte=encoding)
    raw = message.as_bytes()
    word = base64.b64encode("Вход в кабинет".encode(charset)).decode()
    mail = understand(f"Subject: =?{charset}?B?{word}?=\n".encode() + raw)
    assert (mail.subject, mail.text, mail.language) == ("Вход в кабинет", "Не работает вход.", "ru")
    assert mail.sender is not None
    assert mail.sender.name == "Анна"


@pytest.mark.parametrize(
    "value", ["\r\n quoted-printable", '"Quoted-Printable"', "quoted-printable; x", " quoted-printable "]
)
def test_a_folded_or_quoted_transfer_encoding_is_known(value: str) -> None:
    raw = f"From: a@b.test\r\nContent-Transfer-Encoding:{value}\r\n\r\n=D0=BD=D0=B5=\r\n=D1=82".encode()
    assert understand(raw).text == "нет"


def test_letters_cut_between_encoded_words_are_joined() -> None:
    data = "Привет".encode()
    first, second = (base64.b64encode(part).decode() for part in (data[:3], data[3:]))
    raw = a_mail("From: a@b.test", f"Subject: =?utf-8?B?{first}?=", f" =?utf-8?B?{second}?= x =?utf-8?q?y?=")
    assert understand(raw).subject == "Привет x y"


def test_bare_eight_bit_headers_are_read() -> None:
    raw = "From: Анна <a@b.test>\r\nSubject: Не печатаются ценники\r\n\r\nx".encode("cp1251")
    mail = understand(raw)
    assert mail.subject == "Не печатаются ценники"
    assert mail.sender is not None
    assert mail.sender.name == "Анна"


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
    ("value", "address", "name"),
    [
        ('"Support, Desk" <A@B.test>', "a@b.test", "Support, Desk"),
        ('"support@desk.test" <eve@evil.test>', "eve@evil.test", "support@desk.test"),
        ("support@desk.test <eve@evil.test>", "eve@evil.test", "support@desk.test"),
        ("a@b.test (Ann)", "a@b.test", "Ann"),
        ("<a@b.test>a@b.test", "a@b.test", ""),
        ("a@b.test www.b.test", "a@b.test", "www.b.test"),
        ('"Ann <a@b.test>', "a@b.test", "Ann"),
        ("=?utf-8?B?0JDQvdC90LA=?= <a@b.test>", "a@b.test", "Анна"),
        ("Group: a@b.test, c@d.test;", "a@b.test", "Group"),
        ("<@relay.test:a@b.test>", "a@b.test", ""),
        ("mailto:a@b.test", "a@b.test", ""),
        ("a@b.test, c@d.test", "a@b.test", ""),
        ("(" * 250 + "a@b.test", "a@b.test", ""),
    ],
)
def test_one_clean_sender_comes_out_of_what_programs_write(value: str, address: str, name: str) -> None:
    sender = understand(a_mail(f"From: {value}")).sender
    assert sender is not None
    assert (sender.address, sender.name) == (address, name)


def test_two_from_headers_and_a_reply_to_do_not_change_who_wrote() -> None:
    mail = understand(a_mail("From: a@b.test", "From: vip@client.test", "Reply-To: vip@client.test"))
    assert mail.sender is not None
    assert mail.sender.address == "a@b.test"
    assert [each.address for each in mail.reply_to] == ["vip@client.test"]
    assert any("several From" in each for each in mail.warnings)


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


def test_html_alone_becomes_text_and_safe_html() -> None:
    page = (
        "<html><head><title>T</title><style>p{color:red}</style></head><body><script>alert(1)</script>"
        "<p onclick=alert(1)>Totals <b>differ</b></p><table><tr><td>A</td><td>B</td></tr></table>"
        "<img src='https://track.test/1.gif'><img src='cid:p1'><a href='javascript:alert(1)'>x</a>"
        "<div class=gmail_quote>On 19.11.2026 14:07, X &lt;x@y.test&gt; wrote:"
        "<blockquote>old<br>older</blockquote></div></body></html>"
    )
    mail = understand(HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + page.encode())
    assert mail.text.startswith("Totals differ\nA  B") or mail.text.startswith("Totals differ\n\nA  B")
    assert "> old\n> older" in mail.text
    assert "old" not in mail.reply
    for harm in ("script", "onclick", "javascript", "track.test", "style", "<title", "class"):
        assert harm not in mail.html
    assert 'src="cid:p1"' in mail.html


HTML_ANSWERS = {
    "outlook web": "<div>Yes, still.</div><hr><div id=divRplyFwdMsg><b>From:</b> S &lt;s@desk.test&gt;<br>"
    "<b>Sent:</b> Thursday<br><b>To:</b> Ann<br><b>Subject:</b> Printer</div><div>Did it help?</div>",
    "outlook ru": "<p>Yes, still.</p><div style='border-top:solid'><p><b>От:</b> Поддержка<br>"
    "<b>Отправлено:</b> вчера<br><b>Кому:</b> Анна<br><b>Тема:</b> X</p></div><p>Did it help?</p>",
    "gmail": "<div dir=ltr>Yes, still.</div><br><div class=gmail_quote><div>On Thu, Nov 19, 2026 "
    "at 2:07 PM S &lt;<a href=x>s@desk.test</a>&gt; wrote:<br></div><blockquote>Did it help?</blockquote>",
    "mail.ru": "<div>Yes, still.</div><blockquote>Четверг, 19 ноября 2026, 14:07 +03:00 от Поддержка: <br>"
    "<div>Did it help?</div></blockquote>",
    "thunderbird": "<p>Yes, still.</p><div class=moz-cite-prefix>19.11.2026 14:07, Поддержка пишет:<br></div>"
    "<blockquote type=cite><pre>Did it help?</pre></blockquote>",
    "apple": "Yes, still.<div><br><blockquote type=cite><div>On 19 Nov 2026, at 14:07, S wrote:"
    "</div><br><div>Did it help?</div></blockquote></div>",
    "yandex": '<div>Yes, still.</div><div>19.11.2026, 14:07, "Поддержка" &lt;s@desk.test&gt;:</div>'
    "<blockquote><p>Did it help?</p></blockquote><div>-- <br>Ann</div>",
    "signature": "<div>Yes, still.</div><div class=gmail_signature>Ann Smith<br>Director</div>",
}


@pytest.mark.parametrize("page", HTML_ANSWERS.values(), ids=HTML_ANSWERS)
def test_an_answer_in_html_alone_loses_its_quote_too(page: str) -> None:
    raw = (
        HEAD + b"In-Reply-To: <x@desk.test>\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + page.encode()
    )
    mail = understand(raw)
    assert mail.reply == "Yes, still."
    assert "Director" in mail.text or "Did it help?" in mail.text


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


def test_rfc2231_names_in_pieces_are_read() -> None:
    raw = HEAD + (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pdf;\r\n"
        b" name*0*=koi8-r''%CF%D4%DE;\r\n name*1*=%A3%D4.pdf\r\n"
        b"Content-Disposition: attachment\r\n\r\nx\r\n--b--\r\n"
    )
    assert [each.label for each in understand(raw).attachments] == ["отчёт.pdf"]


def test_a_forwarded_mail_inside_is_a_file_named_by_its_subject() -> None:
    inner = a_mail("From: bank@bank.test", "Subject: Refused", body="No.")
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nSee below\r\n"
    raw += b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
    mail = understand(raw)
    assert mail.text == "See below"
    assert [(each.label, each.media_type) for each in mail.attachments] == [("Refused.eml", "message/rfc822")]
    assert b"No." in mail.attachments[0].content


def test_flowed_text_is_joined_and_keeps_its_quotes() -> None:
    raw = (
        HEAD + b"Content-Type: text/plain; format=flowed\r\n\r\nOne \r\ntwo\r\n> a \r\n> b\r\n-- \r\nAnn\r\n"
    )
    assert understand(raw).text == "One two\n> a b\n-- \nAnn"


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ([], Kind.PERSON),
        (["Auto-Submitted: no"], Kind.PERSON),
        (["Auto-Submitted: auto-replied (vacation)"], Kind.AUTO_REPLY),
        (["Auto-Submitted: auto-generated"], Kind.AUTO_REPLY),
        (["X-Autoreply: yes"], Kind.AUTO_REPLY),
        (["Precedence: auto_reply"], Kind.AUTO_REPLY),
        (["X-Auto-Response-Suppress: All"], Kind.AUTO_REPLY),
        (["Return-Path: <>"], Kind.AUTO_REPLY),
        (["Subject: Автоответ: в отпуске"], Kind.AUTO_REPLY),
        (["List-Id: <users.lists.test>"], Kind.LIST),
        (["Precedence: bulk"], Kind.LIST),
        (["List-Unsubscribe: <mailto:x@y.test>"], Kind.LIST),
        (["List-Id: <users.lists.test>", "Auto-Submitted: auto-generated"], Kind.LIST),
        (["List-Id: <users.lists.test>", "Auto-Submitted: auto-replied"], Kind.AUTO_REPLY),
        (["Return-Path: <>", "Subject: Undelivered Mail Returned to Sender"], Kind.BOUNCE),
        (["X-Failed-Recipients: gone@client.test"], Kind.BOUNCE),
        (["Content-Type: multipart/report; report-type=delivery-status; boundary=x"], Kind.BOUNCE),
        (
            ["Content-Type: multipart/report; report-type=disposition-notification; boundary=x"],
            Kind.AUTO_REPLY,
        ),
    ],
)
def test_robots_are_told_from_people(headers: list[str], kind: Kind) -> None:
    """Row 31: whoever is marked here gets no auto-reply."""
    assert understand(a_mail("From: a@b.test", *headers)).kind is kind


def test_the_null_sender_of_the_envelope_marks_a_robot() -> None:
    assert understand(HEAD + b"\r\nx", mail_from="").kind is Kind.AUTO_REPLY
    assert understand(HEAD + b"\r\nx", mail_from="ann@client.test").kind is Kind.PERSON
    assert understand(b"From: MAILER-DAEMON@mx.test\r\n\r\nx", mail_from="").kind is Kind.BOUNCE


def test_tokens_are_found_in_address_subject_and_references() -> None:
    place, mac = "abcdefghijkl2345", "b" * 26
    raw = a_mail(
        "From: a@b.test",
        f"To: Support <support+{place}.{mac}@desk.test>",
        f"Subject: Re: [EXT] Fwd: Printer [#SUP-1 {place}.{'c' * 16}]",
        f"In-Reply-To: <{place}.{mac}.77@desk.test>",
    )
    mail = understand(raw)
    thread = mail.to_dict()["thread"]
    assert thread["reply_token"] == f"{place}.{mac}" == thread["message_tokens"][0]
    assert thread["subject_token"] == f"{place}.{'c' * 16}"
    assert mail.topic == "[EXT] Fwd: Printer"


@pytest.mark.parametrize(
    "subject", ["RE: Fwd: Принтер", "Отв: Принтер", "Re[2]: Принтер", "FW: RE: Принтер", "AW: Принтер"]
)
def test_prefixes_are_cut_from_the_topic(subject: str) -> None:
    assert understand(a_mail("From: a@b.test", f"Subject: {subject}")).topic == "Принтер"


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


def test_the_same_comes_back_from_the_reading_process() -> None:
    message = EmailMessage()
    message["From"] = "Анна <a@b.test>"
    message["Date"] = "Fri, 20 Nov 2026 09:00:00 +0300"
    message.set_content("x")
    message.add_attachment(b"\0\xff1", maintype="image", subtype="png", filename="a.png")
    message.add_attachment(b"", maintype="image", subtype="png", filename="b.png")
    mail = understand(message.as_bytes(), mail_from="a@b.test", recipients=("support@desk.test",))
    assert load(dump(mail)) == mail
    lost = unreadable(message.as_bytes(), "why")
    assert load(dump(lost)) == lost


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


def test_signed_parts_keep_the_text() -> None:
    text = MIMEText("Signed words", "plain", "utf-8").as_bytes()
    raw = HEAD + b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" + text + b"\r\n--b\r\n"
    raw += b"Content-Type: application/pgp-signature; name=signature.asc\r\n\r\n-----BEGIN\r\n--b--\r\n"
    mail = understand(raw)
    assert mail.text == "Signed words"
    assert [each.label for each in mail.attachments] == ["signature.asc"]
