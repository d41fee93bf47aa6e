"""Templates in both languages, and the message around them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from chassis.errors import Refused
from chassis.sign import sign, verify
from notifier.adapters import letters, signed
from notifier.adapters.guard import is_public
from notifier.adapters.letters import compose, instant_words
from notifier.adapters.mail import Desk, Relay, build
from notifier.domain import Audience, Parcel
from notifier.settings import Webhook
from services.notifier.tests.unit.test_domain import NOW, a_delivery

VALUES: dict[str, dict[str, Any]] = {
    "auto_reply": {"number": "SUP-1", "desk": "Desk", "subject": "x", "promised": NOW},
    "reply": {"text": "Hello {{ 7*7 }}", "agent": "Anna", "desk": "Desk", "subject": "Fire"},
    "mention": {
        "number": "SUP-1",
        "author": "Anna",
        "subject": "Fire",
        "queue": "SUP",
        "line": "L1",
        "priority": "high",
    },
    "survey": {
        "url": "https://d.test/s/x",
        "number": "SUP-1",
        "name": "Ivan",
        "ticket_subject": "Fire",
        "desk": "",
    },
    "escalation": {
        "number": "SUP-1",
        "subject": "Fire",
        "from_line": "L1",
        "to_line": "L2",
        "reasons": ["keyword", "sla_mark"],
        "note": "look",
        "clock": "first_response",
        "mark": "80%",
        "form": dict.fromkeys(("done", "checked", "missing", "ask", "urgency", "promises"), "words"),
        "queue": "SUP",
        "line": "L2",
        "priority": "high",
    },
}
MARK = {
    "number": "SUP-1",
    "subject": "Fire",
    "clock": "resolution",
    "mark": "90%",
    "remaining": 600.0,
    "due": NOW.isoformat(),
    "assignee": "",
    "queue": "SUP",
    "line": "L1",
    "priority": "high",
}
VALUES |= {"reminder": MARK, "breach": MARK, "overrun": MARK, "overdue": MARK}
KEYS = "key-one"


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("template", sorted(VALUES))
def test_every_template_renders_in_both_languages(template: str, language: str) -> None:
    """A missing value is an error, so this is proof that none is missing."""
    parcel = Parcel((a_delivery(template=template, language=language),), NOW, values=dict(VALUES[template]))
    letter = compose(parcel, "Europe/Moscow")
    assert letter.subject
    assert letter.text.strip()
    assert "undefined" not in letter.text
    assert "\n\n\n" not in letter.text
    cyrillic = any("а" <= sign <= "я" for sign in (letter.subject + letter.text).lower())
    assert cyrillic == (language == "ru" and template != "reply")


def test_both_languages_have_the_same_templates_and_words() -> None:
    names = letters._names()
    assert {name[3:] for name in names if name.startswith("ru/")} == {
        name[3:] for name in names if name[:3] == "en/"
    }
    assert {kind: set(words) for kind, words in letters._words("ru").items()} == {
        kind: set(words) for kind, words in letters._words("en").items()
    }


def test_what_people_write_is_never_a_template() -> None:
    """faults section 5, template injection: values stay values."""
    parcel = Parcel((a_delivery(),), NOW, values=dict(VALUES["reply"]))
    assert "Hello {{ 7*7 }}" in compose(parcel, "UTC").text


def test_a_missing_value_refuses_the_delivery_and_nothing_else() -> None:
    with pytest.raises(Refused, match="en/reply"):
        compose(Parcel((a_delivery(),), NOW, values={"subject": "x"}), "UTC")


def test_a_digest_names_each_and_counts_the_rest() -> None:
    """faults 19: a digest stays readable however many it holds."""
    notices = tuple(
        a_delivery(template="breach", ticket_key=f"SUP-{number}", context=MARK, audience=Audience.LEAD)
        for number in range(120)
    )
    letter = compose(Parcel(notices, NOW), "UTC")
    assert letter.subject == "120 notices"
    assert "- SUP-49: the resolution target is missed" in letter.text
    assert "SUP-50" not in letter.text
    assert "and 70 more" in letter.text


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Moscow", "21 November 2026, 15:00 (Moscow, UTC+3)"),
        ("Asia/Kolkata", "21 November 2026, 17:30 (Kolkata, UTC+5:30)"),
        ("America/New_York", "21 November 2026, 07:00 (New York, UTC-5)"),
        ("UTC", "21 November 2026, 12:00 (UTC)"),
        ("Mars/Olympus", "21 November 2026, 12:00 (UTC)"),
    ],
)
def test_a_promised_time_names_its_zone(zone: str, expected: str) -> None:
    """CA-35: a time without a zone is no promise."""
    assert instant_words(datetime(2026, 11, 21, 12, tzinfo=UTC), zone, "en") == expected


def test_the_signature_is_good_for_one_reader_only() -> None:
    """faults section 5: a token of recipient A used by B does not verify."""
    mac = signed.mac(KEYS, "abcdefghij234567", "A@mail.test")
    assert mac == sign(KEYS, "reply", "abcdefghij234567", "a@mail.test", size=26)
    assert not verify(KEYS, "reply", "abcdefghij234567", "b@mail.test", signature=mac, size=26)
    assert (
        signed.reply_address("support@d.test", "abcdefghij234567", mac)
        == f"support+abcdefghij234567.{mac}@d.test"
    )
    assert signed.subject_tag("SUP-1", "abcdefghij234567", mac) == f"[#SUP-1 abcdefghij234567.{mac[:16]}]"


@pytest.mark.parametrize(
    "evil", ["x\r\nBcc: a@b.test", "=?utf-8?q?a=0d=0aBcc=3a_v=40x.example?=", "\u2028Bcc: a", "\x00"]
)
def test_no_value_becomes_a_header(evil: str) -> None:
    """faults section 6, header injection: asserted on the bytes."""
    delivery = a_delivery(ticket_key="SUP-1")
    values = {"text": "x", "agent": "", "desk": "", "subject": evil}
    parcel = Parcel(
        (delivery,), NOW, values=values, sender_name=evil, sender_address="s@d.test", answers=evil
    )
    letter = compose(parcel, "UTC")
    _, message = build(parcel, letter, Desk(KEYS, "Desk <desk@d.test>", "UTC"))
    head = message.as_bytes().partition(b"\n\n")[0].replace(b"\r\n", b"\n")
    starts = [line.partition(b":")[0].lower() for line in head.split(b"\n") if line[:1] not in b" \t"]
    assert b"bcc" not in starts


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
    ]
    + [
        "255.255.255.255",
        "192.0.0.8",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "64:ff9b::7f00:1",
    ]
    + [
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "2001::1",
        "fe80::1%eth0",
        "name",
        "",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    """faults section 5, SSRF: ranges that the standard library calls global too."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("url", ["http://hook.test:99999/", "https://[::1", "ftp://hook.test/", "https:///x"])
def test_an_endpoint_that_is_no_web_address_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        Webhook.model_validate(
            {"url": url, "events": (), "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
        )


def test_a_relay_is_read_out_of_its_url() -> None:
    relay = Relay.of("smtp://us%40er:p%3Aw@relay.test:587?starttls=always")
    assert (relay.host, relay.port, relay.username, relay.password) == ("relay.test", 587, "us@er", "p:w")
    assert relay.starttls is True
    assert Relay.of("smtps://relay.test").port == 465
    with pytest.raises(ValueError, match="starttls"):
        Relay.of("smtp://relay.test?starttls=maybe")
