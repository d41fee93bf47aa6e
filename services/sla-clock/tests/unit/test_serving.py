"""Whom to serve next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from sla_clock.calendar import MICROS, micros
from sla_clock.serving import NO_ZONE, Candidate, days_left, serve_next

NOW = micros(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
HOUR = 3600 * MICROS


def running(number: int, left: float = 0.5, **changes: object) -> Candidate:
    """A clock of ten hours with that share left."""
    remaining = round(left * 10 * HOUR)
    one = Candidate(UUID(int=number), "resolution", NOW + remaining, remaining, 10 * HOUR)
    return replace(one, **changes)  # type: ignore[arg-type]


def order(*candidates: Candidate) -> list[int]:
    return [one.ticket_id.int for one in serve_next(reversed(candidates), NOW)]


def test_missed_targets_come_first_the_longest_missed_in_front() -> None:
    """CA-14."""
    assert order(running(1, -2), running(2, -0.1), running(3, 0.01, vip=True)) == [1, 2, 3]
    at_due = running(4, 0)
    assert order(at_due, running(5, 0.05, vip=True)) == [4, 5], "due now is missed"


def test_a_smaller_remaining_share_goes_before_an_earlier_due_instant() -> None:
    """CA-14: 30 % of three days are more urgent than 60 % of an hour."""
    short = Candidate(UUID(int=2), "resolution", NOW + HOUR * 6 // 10, HOUR * 6 // 10, HOUR)
    long = Candidate(UUID(int=1), "resolution", NOW + 50 * HOUR, 22 * HOUR, 72 * HOUR)
    assert order(long, short) == [1, 2]


def test_within_a_tenth_a_vip_goes_first_and_beyond_it_does_not() -> None:
    """CA-34."""
    assert order(running(1, 0.58, vip=True), running(2, 0.51)) == [1, 2]
    assert order(running(1, 0.49), running(2, 0.51, vip=True)) == [1, 2]


def test_then_the_customer_whose_working_day_ends_sooner() -> None:
    """MP-08: at 09:00 UTC it is 21:00 in Kamchatka, 15:00 in Omsk, 12:00 in Moscow, 04:00 in New York."""
    kamchatka, omsk, moscow, new_york = (
        "Asia/Kamchatka",
        "Asia/Omsk",
        "Europe/Moscow",
        "America/New_York",
    )
    assert order(
        running(1, zone=omsk),
        running(2, zone=moscow),
        running(3, zone=new_york),
        running(4, zone=kamchatka),
        running(5, zone=""),
    ) == [1, 2, 3, 4, 5]
    assert order(running(1, 0.59, vip=True), running(2, 0.51, zone=omsk)) == [1, 2], "VIP before the zone"


def test_a_zone_that_is_not_known_counts_as_none() -> None:
    """What a customer's record says may be anything."""
    left = days_left(NOW)
    assert left["Europe/Moscow"] == 6 * 3600
    assert left["Asia/Kamchatka"] == 21 * 3600
    assert max(left.values()) < NO_ZONE
    assert order(running(1, zone="Asia/Omsk"), running(2, zone="Mars/Base")) == [1, 2]


def test_a_day_that_ends_this_second_has_a_whole_day_left() -> None:
    at_six = micros(datetime(2026, 11, 23, 18, 0, tzinfo=UTC))
    assert days_left(at_six)["UTC"] == 86_400
    assert days_left(at_six - MICROS)["UTC"] == 1


def test_all_else_equal_the_earlier_due_instant_goes_first() -> None:
    assert order(running(1, 0.52), running(2, 0.58)) == [1, 2]


def test_a_ticket_is_served_for_its_most_urgent_clock() -> None:
    calm, urgent = running(1, 0.9), running(1, 0.2, clock="first_response")
    (one,) = serve_next([calm, urgent], NOW)
    assert one.clock == "first_response"
