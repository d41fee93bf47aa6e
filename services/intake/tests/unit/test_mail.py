"""A whole mail as an agent would read it."""

import base64
import json
from email.message import EmailMessage
from email.mime.text import MIMEText

import pytest

from intake.adapters.child import dump, load
from intake.domain import Kind
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


def test_signed_parts_keep_the_text() -> None:
    text = MIMEText("Signed words", "plain", "utf-8").as_bytes()
    raw = HEAD + b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" + text + b"\r\n--b\r\n"
    raw += b"Content-Type: application/pgp-signature; name=signature.asc\r\n\r\n-----BEGIN\r\n--b--\r\n"
    mail = understand(raw)
    assert mail.text == "Signed words"
    assert [each.label for each in mail.attachments] == ["signature.asc"]
