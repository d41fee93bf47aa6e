"""What is said of every kind of wrong policy: the place, the fault, the remedy, word for word."""

from __future__ import annotations

import pickle

import pytest

from chassis.errors import InvalidInput
from sla_clock.policyfile import load
from sla_clock.yamltree import MAX_FAULTS

from .policies import SMALL, changed, faults


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "",
            "1:1: the file is empty",
        ),
        (
            "[" * 5000,
            "1:1: the file is nested too deeply",
        ),
        (
            "a: [1\nb: 2",
            "2:2: expected ',' or ']', but got ':'",
        ),
        (
            "just words",
            "1:1: keys with values are wanted here",
        ),
        (
            "name: x\n---\nname: y",
            "2:1: another document begins here; a file holds one",
        ),
        (
            changed("name: small", "name: " + "x" * 4097),
            "1:7: name: the value is longer than 4096 characters",
        ),
        (
            "a: &a [*a]",
            "1:1: the file has more than 100000 values, its aliases followed",
        ),
        (
            "a: *b",
            "1:4: found undefined alias 'b'",
        ),
        (
            "a: \ud800",
            "1:1: unacceptable character #xd800: special characters are not allowed",
        ),
        (
            "a: \x00",
            "1:1: unacceptable character #x0000: special characters are not allowed",
        ),
        (
            "\t- x",
            "1:1: found character '\\t' that cannot start any token",
        ),
        (
            changed("name: small\n", ""),
            "1:1: 'name' is missing",
        ),
        (
            changed("small", "Small Desk"),
            "1:7: name: 'Small Desk' is not a name; use small letters, digits and _, at most 40",
        ),
        (
            SMALL + "name: again\n",
            "10:1: 'name' stands here twice",
        ),
        (
            SMALL + "mode: best\n",
            "10:7: mode: 'best' is not one of first, strictest",
        ),
        (
            SMALL + "modes: first\n",
            "10:1: modes: 'modes' is not known here; did you mean 'mode'?",
        ),
        (
            SMALL + "business_day: 8\n",
            "10:15: business_day: '8' is not a duration; write 2h 30m, 90s or 3bd",
        ),
        (
            SMALL + "calendar: home\n",
            "10:11: calendar: there is no calendar 'home' (known: office)",
        ),
        (
            changed("targets:\n  - name: all\n    targets: {first_response: 1h}\n", "targets: []\n"),
            "7:10: targets: a policy has between 1 and 1000 rows",
        ),
        (
            changed("targets:\n  - name: all\n    targets: {first_response: 1h}\n", "targets: {name: all}\n"),
            "7:10: targets: 'targets' is missing",
        ),
        (
            changed("zone: ", "tone: "),
            "4:5: calendars.office.tone: 'tone' is not known here; did you mean 'zone'?",
        ),
        (
            changed("zone: Europe/Moscow", "zone:"),
            "5:5: calendars.office.zone: a value is missing here",
        ),
        (
            changed("    zone: Europe/Moscow\n", ""),
            "4:5: calendars.office: 'zone' is missing",
        ),
        (
            changed("Moscow", "Moskow"),
            "4:11: calendars.office.zone: there is no time zone 'Europe/Moskow'; write one like"
            " Europe/Moscow",
        ),
        (
            changed("mon-fri", "mon-fry"),
            "6:7: calendars.office.hours.mon-fry: 'mon-fry' is not a weekday; write mon, mon-fri or sat,sun",
        ),
        (
            changed("      mon-fri: 09:00-18:00", "      mon-fri: 09:00-18:00\n      fri: closed"),
            "7:7: calendars.office.hours.fri: fri has its hours already",
        ),
        (
            changed("18:00", "25:00"),
            "6:16: calendars.office.hours.mon-fri: '25:00' is not a time of day between 00:00 and 24:00",
        ),
        (
            changed("09:00-18:00", "9-18"),
            "6:16: calendars.office.hours.mon-fri: '9' is not a time of day; write it as 09:00",
        ),
        (
            changed("09:00-18:00", "09:00"),
            "6:16: calendars.office.hours.mon-fri: '09:00' is not hours; write them as 09:00-18:00",
        ),
        (
            changed("09:00-18:00", "09:00-09:00"),
            "6:16: calendars.office.hours.mon-fri: '09:00-09:00' opens and closes at once; round the"
            " clock is 00:00-24:00",
        ),
        (
            changed("09:00-18:00", "[09:00-13:00, 12:00-18:00]"),
            "6:16: calendars.office.hours.mon-fri: the hours overlap at 12:00",
        ),
        (
            changed("09:00-18:00", "closed"),
            "6:7: calendars.office.hours: no weekday has hours, so nothing would ever fall due",
        ),
        (
            changed("hours:\n      mon-fri: 09:00-18:00", "hours: sometimes"),
            "5:12: calendars.office.hours: hours stand by weekday, such as mon-fri: 09:00-18:00, or are"
            " always",
        ),
        (
            changed("1h", "1 hour"),
            "9:31: targets[0].targets.first_response: '1 hour' is not a duration; write 2h 30m, 90s or 3bd",
        ),
        (
            changed("1h", "3d"),
            "9:31: targets[0].targets.first_response: '3d' is not a duration; write 2h 30m, 90s or 3bd"
            " (a day is 24h, or 1bd for a business day)",
        ),
        (
            changed("1h", "0h"),
            "9:31: targets[0].targets.first_response: '0h' is not between 1s and ten years",
        ),
        (
            changed("1h", "100000h"),
            "9:31: targets[0].targets.first_response: '100000h' is not between 1s and ten years",
        ),
        (
            changed("1h", "[1h, 2h]"),
            "9:31: targets[0].targets.first_response: one value is wanted here, not a list or a mapping",
        ),
        (
            changed("first_response", "first_reponse"),
            "9:15: targets[0].targets.first_reponse: 'first_reponse' is not known here; did you mean"
            " 'first_response'?",
        ),
        (
            changed("first_response", "speed"),
            "9:15: targets[0].targets.speed: 'speed' is not known here (known: pickup, acknowledge,"
            " first_response, accepted_response, next_response, resolution)",
        ),
        (
            changed("{first_response: 1h}", "{}"),
            "9:14: targets[0].targets: a row gives at least one target; tickets without clocks have"
            " targets: none",
        ),
        (
            changed("{first_response: 1h}", "fast"),
            "9:14: targets[0].targets: targets are clocks with durations, or none for tickets without clocks",
        ),
        (
            changed("    targets: {", "    priority: urgent\n    targets: {"),
            "9:15: targets[0].priority: 'urgent' is not one of low, normal, high, critical",
        ),
        (
            changed("    targets: {", "    queue: []\n    targets: {"),
            "9:12: targets[0].queue: an empty list fits no ticket; leave queue out to fit every one",
        ),
        (
            changed("    targets: {", "    robot: perhaps\n    targets: {"),
            "9:12: targets[0].robot: 'perhaps' is not one of yes, no, true, false",
        ),
        (
            changed("    targets: {", "    calendar: home\n    targets: {"),
            "9:15: targets[0].calendar: there is no calendar 'home' (known: office)",
        ),
        (
            changed("    targets: {", "    ladder: steep\n    targets: {"),
            "9:13: targets[0].ladder: there is no ladder 'steep' (write it under ladders)",
        ),
        (
            changed("    targets: {", "    ladder: {speed: steep}\n    targets: {"),
            "9:14: targets[0].ladder.speed: 'speed' is not known here (known: pickup, acknowledge,"
            " first_response, accepted_response, next_response, resolution)",
        ),
        (
            changed("    targets: {", "    qeue: SUP\n    targets: {"),
            "9:5: targets[0].qeue: 'qeue' is not known here; did you mean 'queue'?",
        ),
        (
            changed(
                "  - name: all\n    targets: {first_response: 1h}\n",
                "  - {name: a, targets: {resolution: 1h}}\n  - {name: a, targets: {resolution: 1h}}\n",
            ),
            "8:3: targets: two rows are called 'a'",
        ),
        (
            changed("    targets: {", "    when: nosuch == 1\n    targets: {"),
            "9:11: targets[0].when: at 1:1: undeclared reference to 'nosuch' (known: priority, tier,"
            " channel, queue, category, line, ticket_type, component, edition, customer, organisation,"
            " language, robot, tags, fields)",
        ),
        (
            changed("    targets: {", "    when: priority\n    targets: {"),
            "9:11: targets[0].when: a condition is true or false, this one is string",
        ),
        (
            changed("    targets: {", "    when: priority == 1\n    targets: {"),
            "9:11: targets[0].when: at 1:10: found no matching overload for '_==_' applied to '(string,"
            " int)'",
        ),
        (
            changed("    targets: {", "    when: priority ==\n    targets: {"),
            "9:11: targets[0].when: at 1:12: Syntax error: mismatched input the end",
        ),
        (
            changed("    targets: {", "    when: '" + "1 == 1 || " * 300 + "true'\n    targets: {"),
            "9:11: targets[0].when: a condition has at most 2000 characters, this one 3004",
        ),
        (
            changed("mon-fri: 09:00-18:00", "mon: 09:00-09:01").replace("1h", "500h"),
            "9:31: targets[0].targets.first_response: calendar office has not 500h and its marks in 100"
            " years; give it more hours",
        ),
        (
            changed("    zone:", "    holidays: XX\n    zone:"),
            "4:15: calendars.office.holidays: there are no holidays for 'XX'; use a two-letter code such"
            " as RU",
        ),
        (
            changed("    zone:", "    holidays: {country: RU, language: fr}\n    zone:"),
            "4:39: calendars.office.holidays.language: holidays of RU have no names in 'fr'; there are"
            " en_US, ru, th, zh_CN",
        ),
        (
            changed("    zone:", "    holidays: {country: RU, subdivision: ZZ}\n    zone:"),
            "4:42: calendars.office.holidays.subdivision: RU has no subdivision 'ZZ'",
        ),
        (
            changed("    zone:", "    holidays: {country: RU, workdays_like: someday}\n    zone:"),
            "4:44: calendars.office.holidays.workdays_like: 'someday' is not one of mon, tue, wed, thu,"
            " fri, sat, sun",
        ),
        (
            changed("    zone:", "    days: {2026-02-30: closed}\n    zone:"),
            "4:12: calendars.office.days.2026-02-30: '2026-02-30' is not a date; write 2026-12-31 or"
            " 2026-12-31..2027-01-08",
        ),
        (
            changed("    zone:", "    days: {2026-12-31..2026-12-30: closed}\n    zone:"),
            "4:12: calendars.office.days.2026-12-31..2026-12-30: '2026-12-31..2026-12-30' does not run"
            " forward over at most 366 days",
        ),
        (
            changed("    zone:", "    days: {2026-12-31: shut}\n    zone:"),
            "4:24: calendars.office.days.2026-12-31: 'shut' is not hours; write them as 09:00-18:00",
        ),
        (
            changed("    zone:", "    days: {2026-12-30..2026-12-31: closed, 2026-12-31: closed}\n    zone:"),
            "4:44: calendars.office.days.2026-12-31: 2026-12-31 stands here twice",
        ),
        (
            changed(
                "    zone:",
                "    days: {"
                + ", ".join(f"{year}-01-01..{year}-12-31: closed" for year in range(2000, 2012))
                + "}\n    zone:",
            ),
            "4:332: calendars.office.days.2010-01-01..2010-12-31: a calendar has at most 4000 dated"
            " days; give each year what it needs",
        ),
        (
            changed(
                "09:00-18:00",
                "["
                + ", ".join(
                    f"{at // 60:02}:{at % 60:02}-{at // 60:02}:{at % 60 + 1:02}" for at in range(0, 98, 2)
                )
                + "]",
            ),
            "6:16: calendars.office.hours.mon-fri: a day has at most 48 stretches of work",
        ),
        (
            changed(
                "calendars:\n",
                "calendar: office\ncalendars:\n"
                + "".join(f"  c{n}: {{zone: UTC, hours: always}}\n" for n in range(100)),
            ),
            "4:3: calendars: a policy has at most 100 calendars",
        ),
        (
            changed("targets:\n", "  home: {zone: UTC, hours: always}\ntargets:\n"),
            "3:3: calendars: say which of them is used: calendar: NAME",
        ),
        (
            changed(
                "  - name: all\n    targets: {first_response: 1h}\n",
                "  - {name: a, targets: {resolution: 1h}}\n" * 1001,
            ),
            "8:3: targets: a policy has between 1 and 1000 rows",
        ),
        (
            "#" * 131_073,
            "1:1: the file is longer than 131072 characters",
        ),
    ],
)
def test_each_fault_is_told_with_its_place(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    assert faults(changed("Moscow", "Moskow").replace("1h", "soon")) == [
        "4:11: calendars.office.zone: there is no time zone 'Europe/Moskow'; write one like Europe/Moscow",
        "9:31: targets[0].targets.first_response: 'soon' is not a duration; write 2h 30m, 90s or 3bd",
    ]


def test_a_violation_names_line_column_and_field() -> None:
    with pytest.raises(InvalidInput) as raised:
        load(changed("Moscow", "Moskow"))
    assert [violation.field for violation in raised.value.violations] == ["4:11 calendars.office.zone"]


def test_aliases_may_repeat_what_stands_above_within_bounds() -> None:
    text = changed("{first_response: 1h}", "&all {first_response: 1h}")
    policy = load(text + "  - {name: others, targets: *all}\n")
    assert [row.targets for row in policy.rows] == [policy.rows[0].targets] * 2
    tags = ", ".join(f"t{number}" for number in range(1000))
    bomb = text + f"  - &row {{name: a, tags: [{tags}], targets: *all}}\n" + "  - *row\n" * 500
    assert faults(bomb) == ["1:1: the file has more than 100000 values, its aliases followed"]


def test_faults_are_the_same_in_another_process() -> None:
    with pytest.raises(InvalidInput) as caught:
        load(SMALL.replace("Europe/Moscow", "Mars"), file="policy.yaml")
    told = pickle.loads(pickle.dumps(caught.value))
    assert (str(told), told.reason, told.violations) == (
        str(caught.value),
        caught.value.reason,
        caught.value.violations,
    )


def test_the_first_hundred_faults_are_told_and_how_many_more_there_are() -> None:
    """A policy of 10 KB whose aliases repeat one fault 900 times would be answered with megabytes."""
    rows = f"  - &a {{name: row, targets: {{resolution: {'x' * 4000}}}}}\n" + "  - *a\n" * 900
    text = "name: many\ncalendars:\n  always: {zone: UTC, hours: always}\ntargets:\n" + rows
    with pytest.raises(InvalidInput) as raised:
        load(text)
    told = raised.value
    assert len(told.violations) == len(str(told).splitlines()) == MAX_FAULTS + 1
    assert (
        told.violations[-1].description == "from here on there are 802 more faults: mend those before first"
    )
    assert len(str(told)) + len(repr(told.violations)) < 1_500_000


def test_a_hundred_faults_are_told_as_they_are() -> None:
    rows = "".join(f"  - {{name: r{at}, targets: {{resolution: soon}}}}\n" for at in range(MAX_FAULTS))
    with pytest.raises(InvalidInput) as raised:
        load("name: many\ncalendars:\n  always: {zone: UTC, hours: always}\ntargets:\n" + rows)
    assert len(raised.value.violations) == MAX_FAULTS
    assert "more faults" not in str(raised.value)
