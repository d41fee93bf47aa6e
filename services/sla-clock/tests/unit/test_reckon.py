"""Reckoning over real calendars: pauses, where the time went, and a slow reference for everything."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sla_clock.calendar import MICROS, Calendar, moment
from sla_clock.domain import Pause, Segment, State, Timeline
from sla_clock.hours import Day, Shift
from sla_clock.policy import RULES, Policy, Row, clocks, default_marks
from sla_clock.reckon import Length, Spent, spent

from .stories import MESSAGE, REOPENED, REPLY, RESOLVED, created, only, plain, status, story
from .test_calendar import INSTANTS, ZONES, calendars
from .test_domain import timelines
from .times import HOUR, MINUTE, a_calendar, at, shifts, weekdays

OFFICE = a_calendar(weekdays("09:00-18:00"))


def a_policy(calendar: Calendar, target: int) -> Policy:
    row = Row("all", {"resolution": target, "first_response": target}, calendar)
    marks = {name: default_marks(name) for name in row.targets}
    return Policy("test", (row,), RULES, marks, {"test": calendar})


def test_a_pause_keeps_the_fact_that_held_the_clock() -> None:
    asked, solved = status("waiting"), status("resolved")
    clock = only(
        story(
            ("2026-11-20 09:00", created()),
            ("2026-11-20 10:00", asked),
            ("2026-11-20 11:00", MESSAGE),
            ("2026-11-20 12:00", status("open")),
            ("2026-11-20 15:00", asked),
        ),
        a_policy(OFFICE, 10 * HOUR),
        "resolution",
    )
    assert [(pause.start, pause.end, pause.fact.values["to"]) for pause in clock.pauses] == [
        (at("2026-11-20 10:00"), at("2026-11-20 12:00"), "waiting"),
        (at("2026-11-20 15:00"), None, "waiting"),
    ]
    assert solved not in [pause.fact for pause in clock.pauses]


def test_a_clock_that_is_born_paused_is_held_by_its_birth() -> None:
    timeline = story(("2026-11-20 09:00", created(status_kind="waiting")), ("2026-11-20 10:00", RESOLVED))
    clock = only(timeline, a_policy(OFFICE, HOUR), "resolution")
    assert clock.pauses == (Pause(at("2026-11-20 09:00"), at("2026-11-20 10:00"), timeline.facts[0]),)
    assert (clock.segments, clock.state, clock.elapsed) == ((), State.MET, 0)


@settings(max_examples=60, deadline=None)
@given(timelines())
def test_segments_and_pauses_fill_a_cycle_without_gap_or_overlap(timeline: Timeline) -> None:
    for clock in clocks(timeline, a_policy(OFFICE, 10 * HOUR)):
        for one in (clock, *clock.past):
            if one.started is None:
                continue
            spans: list[Segment | Pause] = [*one.segments, *one.pauses]
            spans.sort(key=lambda span: (span.start, span.end or span.start))
            assert spans[0].start == one.started
            assert all(a.end == b.start for a, b in zip(spans, spans[1:], strict=False))
            assert spans[-1].end == one.ended


PAUSES = st.lists(st.tuples(st.integers(0, 40 * HOUR), st.integers(0, 40 * HOUR)), max_size=4)


def paused_story(start: int, pauses: list[tuple[int, int]]) -> Timeline:
    facts, now = [replace(created(), at=start)], start
    for before, length in pauses:
        facts.append(replace(status("waiting"), at=now + before))
        now += before + length
        facts.append(replace(status("open"), at=now))
    return Timeline(tuple(facts))


@settings(max_examples=60, deadline=None)
@given(calendars(), INSTANTS, PAUSES, st.integers(1, 100 * HOUR))
def test_up_to_due_exactly_the_target_was_worked_whatever_the_zone_and_the_pauses(
    calendar: Calendar, start: int, pauses: list[tuple[int, int]], target: int
) -> None:
    clock = only(paused_story(start, pauses), a_policy(calendar, target), "resolution")
    assert clock.due is not None
    ends = [(s.start, clock.due if s.end is None else min(s.end, clock.due)) for s in clock.segments]
    assert sum(calendar.between(a, b) for a, b in ends) == target
    assert sum(calendar.between(a, min(b, clock.due - 1)) for a, b in ends) == target - 1
    if clock.since is not None:
        assert clock.remaining_at(max(clock.due, clock.since)) <= 0 or clock.due < clock.since


@settings(max_examples=60, deadline=None)
@given(calendars(), INSTANTS, PAUSES, st.integers(1, 60 * HOUR), st.integers(0, 100))
def test_a_pause_of_no_length_anywhere_changes_nothing(
    calendar: Calendar, start: int, pauses: list[tuple[int, int]], target: int, share: int
) -> None:
    """Splitting a timeline: a stretch that is cut in two counts what it counted whole."""
    timeline = paused_story(start, pauses)
    last = timeline.facts[-1].at
    cut = last + (HOUR * share)
    split = (replace(status("waiting"), at=cut), replace(status("open"), at=cut))
    whole = only(timeline, a_policy(calendar, target), "resolution")
    parts = only(replace(timeline, facts=(*timeline.facts, *split)), a_policy(calendar, target), "resolution")
    assert (parts.due, [mark.at for mark in parts.marks]) == (whole.due, [mark.at for mark in whole.marks])
    assert parts.elapsed_at(cut + HOUR) == whole.elapsed_at(cut + HOUR)


def by_seconds(calendar: Calendar, start: int, end: int) -> int:
    """Working microseconds of whole seconds, by asking the wall clock second after second."""
    return sum(open_at(calendar, now) for now in range(start, end, MICROS)) * MICROS


def open_at(calendar: Calendar, now: int) -> bool:
    """Whether the wall clock stands within hours, read in its first or only meaning."""
    local = moment(now).astimezone(calendar.zone)
    for back in (0, 1):
        on = local.date() - timedelta(days=back)
        passed = (local.replace(tzinfo=None) - datetime.fromisoformat(on.isoformat())).total_seconds()
        if any(hours.opens <= passed < hours.closes for hours in calendar.day(on).shifts):
            return not local.fold
    return False


SECOND_SHIFTS = st.builds(
    lambda opens, length: Shift(opens, min(opens + length, opens + 86_400)),
    st.integers(0, 86_399),
    st.integers(1, 40_000),
)


@settings(max_examples=12, deadline=None)
@given(
    SECOND_SHIFTS,
    SECOND_SHIFTS,
    ZONES,
    st.sampled_from(["2026-06-15", "2026-12-31", "2026-02-28"]),
    st.integers(0, 86_400),
    st.integers(0, 7200),
)
def test_a_second_by_second_walk_agrees(
    one: Shift, two: Shift, zone: str, day: str, offset: int, length: int
) -> None:
    """Away from clock changes, where each second has one reading; those are walked in test_calendar."""
    special = {date.fromisoformat(day): Day("special", (two,))}
    calendar = a_calendar(((one,),) * 7, zone, special)
    start = at(day) + offset * MICROS
    end = start + length * MICROS
    assert calendar.between(start, end) == by_seconds(calendar, start, end)


def test_time_is_told_by_status_and_line_both_real_and_worked() -> None:
    """CP-12: it is visible which line stretches the time."""
    timeline = story(
        ("2026-11-20 09:00", created(line="l1", status="new")),
        ("2026-11-20 10:00", status("open")),
        ("2026-11-20 17:00", replace(plain("line_changed"), values={"from": "l1", "to": "l2"})),
        ("2026-11-23 10:00", status("waiting")),
        ("2026-11-23 12:00", status("open")),
        ("2026-11-23 13:00", REPLY),
        ("2026-11-23 13:00", status("resolved")),
    )
    assert spent(timeline, OFFICE, at("2026-11-23 14:00")) == Spent(
        statuses={
            "new": Length(HOUR, HOUR),
            "open": Length(73 * HOUR, 10 * HOUR),
            "waiting": Length(2 * HOUR, 2 * HOUR),
            "resolved": Length(HOUR, HOUR),
        },
        lines={"l1": Length(8 * HOUR, 8 * HOUR), "l2": Length(69 * HOUR, 6 * HOUR)},
    )


def test_time_is_told_up_to_the_instant_asked_for() -> None:
    timeline = story(("2026-11-20 09:00", created()), ("2026-11-20 10:00", status("open")))
    assert spent(timeline, OFFICE, at("2026-11-20 09:30")).statuses == {
        "new": Length(30 * MINUTE, 30 * MINUTE)
    }
    assert spent(timeline, OFFICE, at("2026-11-20 08:00")) == Spent({}, {})


@settings(max_examples=40, deadline=None)
@given(timelines(), calendars(), st.integers(0, 400 * HOUR))
def test_the_time_in_statuses_and_on_lines_is_all_of_the_time(
    timeline: Timeline, calendar: Calendar, length: int
) -> None:
    start = timeline.facts[0].at
    found = spent(timeline, calendar, start + length)
    for lengths in (found.statuses.values(), found.lines.values()):
        assert sum(one.real for one in lengths) == length
        assert sum(one.business for one in lengths) == calendar.between(start, start + length)


def test_what_is_left_falls_below_nothing() -> None:
    """CA-14."""
    clock = only(story(("2026-11-20 09:00", created())), a_policy(OFFICE, 2 * HOUR), "resolution")
    left = [clock.remaining_at(at(f"2026-11-20 {hour}:00")) // HOUR for hour in ("09", "10", "11", "13")]
    assert left == [2, 1, 0, -2]
    again = story(
        ("2026-11-20 09:00", created()), ("2026-11-20 10:00", RESOLVED), ("2026-11-20 12:00", REOPENED)
    )
    newest = only(again, a_policy(OFFICE, 2 * HOUR), "resolution")
    assert newest.remaining_at(at("2026-11-20 13:00")) == HOUR


def test_hours_are_half_open() -> None:
    calendar = a_calendar(weekdays("09:00-18:00"))
    assert calendar.between(at("2026-11-20 18:00"), at("2026-11-20 19:00")) == 0
    assert list(calendar.spans(at("2026-11-20 18:00"), at("2026-11-23 09:00"))) == []
    assert shifts("09:00-18:00")[0].closes == 18 * 3600
