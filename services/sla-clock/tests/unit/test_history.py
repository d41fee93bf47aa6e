"""Histories of other desks out of CSV: one row a ticket, clear words for what cannot be used."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from chassis.errors import InvalidInput
from sla_clock.domain import Attributes, Timeline
from sla_clock.history import Skipped, read

from .times import MOSCOW, at, shown

ZONE = ZoneInfo(MOSCOW)


def rows(*lines: str) -> list[Timeline | Skipped]:
    told = read((line + "\n" for line in lines), ZONE)
    return [one if isinstance(one, Skipped) else one[1] for one in told]


def test_a_row_is_called_by_its_line_and_ticket() -> None:
    (told,) = read(["id,created\n", "\n", "A-7,2026-11-20\n"], ZONE)
    assert not isinstance(told, Skipped)
    assert told[0] == "line 3, ticket A-7"


def one(*lines: str) -> Timeline:
    (told,) = rows(*lines)
    assert isinstance(told, Timeline), told
    return told


def facts(timeline: Timeline) -> list[tuple[str, str]]:
    return [(shown(fact.at, MOSCOW)[11:], fact.kind) for fact in timeline.facts]


def test_a_row_becomes_the_facts_that_a_desk_would_have_recorded() -> None:
    told = one(
        "id,created,taken,first_reply,waiting,resolved,closed,priority,tier,tags,fields.contract",
        "7,2026-11-20 09:00,2026-11-20 09:05,2026-11-20 09:30,2026-11-20 10:00/2026-11-20 11:00,"
        "2026-11-20 12:00,2026-11-20 13:00,HIGH,vip,urgent|new,A-1",
    )
    assert facts(told) == [
        ("09:00", "created"),
        ("09:05", "taken"),
        ("09:05", "status_changed"),
        ("09:30", "staff_replies"),
        ("10:00", "status_changed"),
        ("11:00", "status_changed"),
        ("12:00", "status_changed"),
        ("12:00", "resolved"),
        ("13:00", "status_changed"),
        ("13:00", "closed"),
    ]
    assert told.attributes == Attributes(
        priority="high", tier="vip", line="l1", tags=("urgent", "new"), fields={"contract": "A-1"}
    )


def test_times_with_an_offset_are_instants_and_without_one_wall_times_of_the_zone() -> None:
    for text in ("2026-11-20 09:00", "2026-11-20T06:00:00Z", "2026-11-20T09:00:00+03:00"):
        assert one("id;created", f"1;{text}").facts[0].at == at("2026-11-20 09:00", MOSCOW)


def test_several_cycles_and_replies_stand_in_one_cell() -> None:
    told = one(
        "id\tcreated\treplies\tresolved\treopened\tcustomer_messages",
        "1\t2026-11-20 09:00\t2026-11-20 09:30 | 2026-11-20 12:00\t2026-11-20 10:00|2026-11-20 12:00\t"
        "2026-11-20 11:00\t2026-11-20 11:00",
    )
    assert facts(told) == [
        ("09:00", "created"),
        ("09:30", "staff_replies"),
        ("10:00", "status_changed"),
        ("10:00", "resolved"),
        ("11:00", "reopened"),
        ("11:00", "status_changed"),
        ("11:00", "customer_messages"),
        ("12:00", "staff_replies"),
        ("12:00", "status_changed"),
        ("12:00", "resolved"),
    ]


def test_a_wait_that_outlasts_its_ticket_ends_with_it() -> None:
    told = one(
        "id,created,waiting,resolved",
        "1,2026-11-20 09:00,2026-11-20 10:00/2026-11-20 12:00,2026-11-20 11:00",
    )
    assert facts(told)[1:] == [
        ("10:00", "status_changed"),
        ("11:00", "status_changed"),
        ("11:00", "resolved"),
    ]
    assert [fact.values.get("to") for fact in told.facts[1:3]] == ["waiting", "resolved"]


def test_a_byte_order_mark_empty_rows_and_quoted_line_ends_do_no_harm() -> None:
    told = rows("\ufeffid,created", "", '"a', 'b",2026-11-20', "2,2026-11-21")
    assert [len(each.facts) for each in told if isinstance(each, Timeline)] == [1, 1]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (
            "1,soon,,,",
            "line 2, column created: 'soon' is not a time; write 2026-11-20 18:50 or 2026-11-20T18:50+03:00",
        ),
        ("1,,,,", "line 2, column created: is empty"),
        ("1,0001-01-01,,,", "line 2, column created: '0001-01-01' is not within the years 1970 to 8999"),
        ("1,2026-11-20,2026-11-19,,", "line 2, column taken: happened before the ticket was created"),
        ("1,2026-11-20,2026-11-20|2026-11-21,,", "line 2, column taken: holds one time only"),
        ("1,2026-11-20,,2026-11-21,", "line 2, column waiting: '2026-11-21' is not FROM/TO"),
        (
            "1,2026-11-20,,2026-11-22/2026-11-21,",
            "line 2, column waiting: '2026-11-22/2026-11-21' ends before it begins",
        ),
        (
            "1,2026-11-20,,,urgent",
            "line 2, column priority: 'urgent' is not one of low, normal, high, critical",
        ),
        ("1,2026-11-20", "line 2, column id: the row has 2 cells, the header 5"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_line_and_column(row: str, fault: str) -> None:
    bad, good = rows("id,created,taken,waiting,priority", row, "2,2026-11-20,,,")
    assert str(bad) == fault
    assert isinstance(good, Timeline)


@pytest.mark.parametrize(
    ("header", "message", "field"),
    [
        ("id", "line 1, column 1: 'created' is missing: each row needs it", "1:1 header"),
        ("id,created,id", "line 1, column 3: 'id' stands here twice", "1:3 header"),
        (
            "id,created,frist_reply",
            "line 1, column 3: 'frist_reply' is not known; did you mean 'first_reply'?",
            "1:3 header",
        ),
        (
            "id,created,owner",
            "line 1, column 3: 'owner' is not known; leave it out, or call it fields.owner",
            "1:3 header",
        ),
    ],
)
def test_a_header_that_cannot_be_used_is_refused_as_a_whole(header: str, message: str, field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        rows(header)
    assert str(refused.value) == message
    assert refused.value.reason == "HISTORY_INVALID"
    assert [one.field for one in refused.value.violations] == [field]


def test_of_many_columns_that_cannot_be_used_the_first_are_named_and_the_others_counted() -> None:
    header = ",".join(["id", "created", "id", *(f"extra {number}" for number in range(5000))])
    with pytest.raises(InvalidInput) as refused:
        rows(header)
    lines = str(refused.value).splitlines()
    assert lines[0] == "line 1, column 3: 'id' stands here twice"
    assert lines[9:] == [
        "line 1, column 12: 'extra 8' is not known; leave it out, or call it fields.extra 8",
        "line 1, column 13: from here on 4991 more cannot be used",
    ]
    assert len(refused.value.violations) == 11


def test_a_row_holds_so_many_times_and_no_more() -> None:
    times = "|".join(["2026-11-20 10:00"] * 1001)
    (told,) = rows("id,created,replies", f"1,2026-11-20 09:00,{times}")
    assert str(told) == "line 2, column id: the ticket has more than 1000 times"


def test_an_empty_file_lacks_its_header() -> None:
    with pytest.raises(InvalidInput, match="'id' is missing"):
        rows()
