"""Times and durations as people write them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidInput
from sla_clock.calendar import MICROS
from sla_clock.durations import MAX_TARGET, duration, said
from sla_clock.walltime import read_when, shown

from .times import HOUR, MINUTE, MOSCOW, at

ZONE = ZoneInfo(MOSCOW)
FRIDAY = at("2026-11-20 18:50", MOSCOW)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("18:50", "2026-11-20 18:50"),
        ("18:51", "2026-11-20 18:51"),
        ("09:05", "2026-11-21 09:05"),
        ("24:00", "2026-11-21 00:00"),
        ("Fri 18:50", "2026-11-20 18:50"),
        ("fri 18:49", "2026-11-27 18:49"),
        ("Monday 09:05", "2026-11-23 09:05"),
        ("2026-11-19 09:05", "2026-11-19 09:05"),
        ("Thu 2026-11-19 09:05", "2026-11-19 09:05"),
        ("2026-11-19T09:05", "2026-11-19 09:05"),
        ("18:50:00.000001", "2026-11-20 18:50:00.000001"),
        ("18:50:07", "2026-11-20 18:50:07"),
        ("+1h 30m", "2026-11-20 20:20"),
    ],
)
def test_what_is_left_out_follows_from_the_instant_before(text: str, instant: str) -> None:
    assert read_when(text).after(FRIDAY, ZONE) == at(instant, MOSCOW)


def test_an_offset_says_which_instant_is_meant() -> None:
    assert read_when("2026-11-20T15:50:00+00:00").after(0, ZoneInfo("Asia/Tokyo")) == FRIDAY


def test_a_wall_time_in_a_gap_or_a_fold_follows_the_calendars_rule() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert read_when("2026-03-29 02:30").after(0, berlin) == at("2026-03-29 03:00", "Europe/Berlin")
    assert read_when("2026-10-25 02:30").after(0, berlin) == at("2026-10-25 02:30", "Europe/Berlin", fold=0)


HINT = "write Fri 18:50, 2026-11-20 18:50, 09:05 or +2h 30m"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"'' is not a time; {HINT}"),
        ("noon", f"'noon' is not a time; {HINT}"),
        ("9:05", f"'9:05' is not a time; {HINT}"),
        ("Frost 09:05", f"'Frost 09:05' is not a time; {HINT}"),
        ("25:00", "'25:00' has no time of day between 00:00 and 24:00"),
        ("09:60", "'09:60' has no time of day between 00:00 and 24:00"),
        ("2026-02-30 09:00", "2026-02-30 in '2026-02-30 09:00' is not a date"),
        ("1800-01-01 09:00", "1800-01-01 in '1800-01-01 09:00' is not between 1901 and 2199"),
        ("2026-11-20T09:00:00Zz", f"'2026-11-20T09:00:00Zz' is not a time; {HINT}"),
        ("Mon 2026-11-20 09:00", "2026-11-20 is a Fri, not a Mon"),
        ("+soon", "'soon' is not a duration; write 2h 30m, 90s or 3bd"),
    ],
)
def test_a_time_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_when(text)
    assert str(raised.value) == message


@given(st.integers(at("1902-01-01"), at("2198-12-31")))
def test_what_is_shown_reads_back(instant: int) -> None:
    utc = ZoneInfo("UTC")
    assert read_when(shown(instant, utc)).after(0, utc) == instant


@pytest.mark.parametrize(
    ("text", "hours"),
    [("2h 30m", 2.5), ("8h", 8), ("90m", 1.5), ("3bd", 24), ("1bd 30m", 8.5), ("3600s", 1)],
)
def test_durations_are_read(text: str, hours: float) -> None:
    """YT-23."""
    assert duration(text) == hours * HOUR


WRITE = "write 2h 30m, 90s or 3bd"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"'' is not a duration; {WRITE}"),
        ("2", f"'2' is not a duration; {WRITE}"),
        ("-1h", f"'-1h' is not a duration; {WRITE}"),
        ("2 hours", f"'2 hours' is not a duration; {WRITE}"),
        ("1.5h", f"'1.5h' is not a duration; {WRITE}"),
        ("٣h", f"'٣h' is not a duration; {WRITE}"),
        ("3d", f"'3d' is not a duration; {WRITE} (a day is 24h, or 1bd for a business day)"),
        ("0s", "'0s' is not between 1s and ten years"),
        ("999999h", "'999999h' is not between 1s and ten years"),
    ],
)
def test_durations_that_are_none_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        duration(text)
    assert (str(raised.value), raised.value.reason) == (message, "DURATION_INVALID")


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0, "0s"),
        (90 * MINUTE, "1h 30m"),
        (-HOUR, "-1h"),
        (MICROS // 2, "0.5s"),
        (61 * MINUTE + 1, "1h 1m 0.000001s"),
        (25 * HOUR + 5 * MICROS, "25h 5s"),
    ],
)
def test_a_length_is_said_in_words(length: int, text: str) -> None:
    assert said(length) == text


@given(st.integers(1, MAX_TARGET // MICROS))
def test_whole_seconds_that_are_said_read_back(seconds: int) -> None:
    assert duration(said(seconds * MICROS)) == seconds * MICROS
