"""Guards and pure rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier import domain
from notifier.domain import Audience, Channel, Delivery, identity

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def a_delivery(**changes: object) -> Delivery:
    delivery = Delivery(
        id=identity("test"),
        channel=Channel.EMAIL,
        audience=Audience.CUSTOMER,
        recipient="client@mail.test",
        template="reply",
        language="en",
        ticket_id="t",
        ticket_key="SUP-1",
        created_at=NOW,
        next_at=NOW,
        give_up_at=NOW + timedelta(hours=72),
        attempts=1,
    )
    return replace(delivery, **changes)  # type: ignore[arg-type]


@given(st.text(max_size=300))
def test_a_header_line_holds_no_control_and_no_encoded_word(text: str) -> None:
    """faults section 6: what a mail library could turn into another header is gone."""
    line = domain.one_line(text)
    assert "=?" not in line
    assert len(line.splitlines()) <= 1
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 or sign in "\u2028\u2029\u202e" for sign in line)


@pytest.mark.parametrize(
    "address",
    ["a@b.test", "first.last+tag@sub.mail.test", "x_y-z@mail.test", "desk@localhost", "o'neil@mail.test"],
)
def test_ordinary_addresses_are_usable(address: str) -> None:
    assert domain.is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "a",
        "@b.test",
        "a@",
        "a@b@c.test",
        "a b@c.test",
        "a@b.test\n",
        "a@b.test\r\nBcc: x@y.test",
        '"a"@b.test',
    ]
    + [
        "a..b@c.test",
        ".a@c.test",
        "a@c.test, b@c.test",
        "<a@b.test>",
        "a@b.test>",
        "имя@почта.рф",
        "a@-b.test",
    ],
)
def test_anything_else_is_not_an_address(address: str) -> None:
    """faults section 6: no list, no quoting, no line end reaches a header or an envelope."""
    assert not domain.is_address(address)


@pytest.mark.parametrize(
    "local",
    ["noreply", "no-reply", "NO_REPLY", "donotreply", "do-not-reply", "mailer-daemon", "postmaster", "bounce"]
    + [
        "bounces+x=y",
        "no-reply+123",
        "news-request",
        "owner-list",
        "list-owner",
        "shop-noreply",
        "notifications",
    ],
)
def test_addresses_nobody_reads_are_known(local: str) -> None:
    """faults 31: an auto-reply to a robot is the first half of a loop."""
    assert domain.is_robot_address(f"{local}@shop.test")


@pytest.mark.parametrize(
    "local", ["ivan", "nora.eply", "bounceland", "boris.owner.jones", "reply", "robotics"]
)
def test_people_with_odd_names_are_people(local: str) -> None:
    assert not domain.is_robot_address(f"{local}@shop.test")


def test_pauses_double_up_to_an_hour_and_end() -> None:
    """faults 21: backoff with jitter, and an end."""
    first = timedelta(seconds=15)
    pauses = [domain.retry_at(a_delivery(attempts=n), NOW, first, 1.0) for n in range(1, 20)]
    seconds = [(at - NOW).total_seconds() for at in pauses if at]
    assert seconds[:4] == [15, 30, 60, 120]
    assert max(seconds) == 3600
    assert domain.retry_at(a_delivery(), NOW, first, 0.0) == NOW + timedelta(seconds=7.5)
    assert domain.retry_at(a_delivery(give_up_at=NOW), NOW, first, 1.0) is None


@pytest.mark.parametrize(
    ("seconds", "english", "russian"),
    [
        (7, "7 s", "7 с"),
        (600, "10 min", "10 мин"),
        (7800, "2 h 10 min", "2 ч 10 мин"),
        (90061, "1 d 1 h", "1 д 1 ч"),
    ]
    + [(-600, "10 min", "10 мин"), (0, "0 s", "0 с"), (3600, "1 h", "1 ч")],
)
def test_time_left_is_told_in_two_units(seconds: int, english: str, russian: str) -> None:
    """CA-15: states the time left."""
    assert domain.duration_words(seconds, "en") == english
    assert domain.duration_words(seconds, "ru") == russian


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Re: RE: Fwd: Отв: Printer", "Printer"),
        ("Re[2]: Printer [#SUP-12 abcdefghij234567.abcdefghij234567]", "Printer"),
        ("Fire: everywhere", "Fire: everywhere"),
        ("", ""),
    ],
)
def test_a_subject_loses_our_tag_and_old_prefixes(subject: str, expected: str) -> None:
    assert domain.topic(subject) == expected


def test_rows_of_one_window_are_due_together() -> None:
    """faults 19: at most one digest in a window."""
    window = timedelta(minutes=1)
    ends = {domain.window_end(NOW + timedelta(seconds=second), window) for second in range(60)}
    assert ends == {NOW + window}


def test_an_own_domain_includes_its_parts_and_no_lookalike() -> None:
    own = frozenset({"desk.test"})
    assert domain.in_domains("a@Desk.test", own)
    assert domain.in_domains("a@mail.desk.test", own)
    assert not domain.in_domains("a@notdesk.test", own)
