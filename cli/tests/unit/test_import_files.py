"""Tickets of other desks out of files of every sort."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tickdesk.common.v1 import common_pb2
from tickdesk.tickets.v1 import export_pb2, fields_pb2, ticket_pb2, timeline_pb2
from tickdesk_cli.exports import resume, to_line
from tickdesk_cli.importfiles import Reading, Row, columns_of, read
from tickdesk_cli.terminal import Problem

ZENDESK = "ID,Subject,Description,Requester email,Status,Priority,Type,Tags,Created at,Solved at\n"
ZAMMAD = "Number;Title;Customer;State;Priority;Owner;Created at;Body\n"


def rows(tmp_path: Path, text: str | bytes, name: str = "tickets.csv", **fields: Any) -> list[Row]:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read(path, Reading(**{"queue": "SUP", **fields})))


def test_an_export_of_zendesk_is_read_by_its_headers(tmp_path: Path) -> None:
    """MP-30."""
    line = '12,"Printer, on fire",It burns.,kim@client.example,Solved,Urgent,Incident,fire hot,'
    [row] = rows(tmp_path, f"\ufeff{ZENDESK}{line}2024-03-04 09:00:00 UTC,2024-03-05T10:00:00Z\n")
    ticket = row.ticket
    assert (row.line, row.faults, ticket.external_id, ticket.queue) == (2, [], "csv:12", "SUP")
    assert (ticket.subject, ticket.contact.address) == ("Printer, on fire", "kim@client.example")
    assert (ticket.status, ticket.status_kind) == ("", timeline_pb2.STATUS_KIND_RESOLVED)
    assert (ticket.priority, ticket.type) == (
        common_pb2.PRIORITY_CRITICAL,
        ticket_pb2.TICKET_TYPE_INCIDENT,
    )
    assert list(ticket.tags) == ["fire", "hot"]
    assert ticket.created_time.ToDatetime(tzinfo=UTC) == datetime(2024, 3, 4, 9, tzinfo=UTC)
    assert ticket.resolved_time.ToDatetime(tzinfo=UTC) == datetime(2024, 3, 5, 10, tzinfo=UTC)
    assert [each.text for each in ticket.messages] == ["It burns."]


def test_an_export_of_zammad_is_read_by_its_headers(tmp_path: Path) -> None:
    """MP-30: semicolons, numbered priorities, days as people write them, a zone."""
    line = "10012;Printer;kim@client.example;pending reminder;2 normal;anna;04.03.2024 12:00;It burns.\n"
    [row] = rows(tmp_path, ZAMMAD + line, zone=ZoneInfo("Europe/Moscow"), source="zammad")
    ticket = row.ticket
    assert (ticket.external_id, ticket.assignee) == ("zammad:10012", "anna")
    assert (ticket.priority, ticket.status_kind) == (
        common_pb2.PRIORITY_NORMAL,
        timeline_pb2.STATUS_KIND_WAITING,
    )
    assert ticket.created_time.ToDatetime(tzinfo=UTC) == datetime(2024, 3, 4, 9, tzinfo=UTC)


def test_rows_of_one_ticket_are_its_messages_and_lines_are_counted_as_editors_count(tmp_path: Path) -> None:
    head = "id,subject,email,created,text,author,internal,message time,field.colour\n"
    text = (
        '1,A,a@b.example,2024-03-04,"Two\nlines",,,,red\n'
        "1,A,a@b.example,2024-03-04,Answer,anna,,2024-03-05,\n"
        "\n"
        "1,A,a@b.example,2024-03-04,Note,anna,true,2024-03-06,\n"
        "2,B,a@b.example,soon,,,,,\n"
    )
    first, second = rows(tmp_path, head + text)
    assert (first.line, second.line) == (2, 7)
    kinds = [(each.text, each.author.id, each.visibility) for each in first.ticket.messages]
    public, internal = ticket_pb2.VISIBILITY_PUBLIC, ticket_pb2.VISIBILITY_INTERNAL
    assert kinds == [("Two\nlines", "", public), ("Answer", "anna", public), ("Note", "anna", internal)]
    assert first.ticket.fields["colour"].text == "red"
    assert second.faults == [("created", '"soon" is no time: write it like 2026-11-22 09:30')]
    assert second.ticket.messages[0].text == "B"


PLAIN = "id,subject,email,created,text,internal\n"
A_DAY = "1,A,a@b.example,2024-03-04"


@pytest.mark.parametrize("word", ["да", "Y", "Private", "ИСТИНА", "true", "1"])
def test_a_note_is_told_by_any_usual_word(tmp_path: Path, word: str) -> None:
    [row] = rows(tmp_path, f"{PLAIN}{A_DAY},Odd,{word}\n")
    assert row.ticket.messages[0].visibility == ticket_pb2.VISIBILITY_INTERNAL


def test_what_may_be_a_note_is_no_letter(tmp_path: Path) -> None:
    """KT-12: a word that nobody knows makes no public message."""
    [row] = rows(tmp_path, f"{PLAIN}{A_DAY},Odd,only us\n")
    assert row.faults == [("internal", '"only us" is neither yes nor no')]
    assert row.ticket.messages[0].visibility == ticket_pb2.VISIBILITY_INTERNAL


def test_rows_of_one_id_that_stand_apart_or_have_none_are_no_tickets(tmp_path: Path) -> None:
    """The first rows would come in, and the others be taken for known; without ids strangers would be one."""
    text = "".join(f"{each},A,{each}@b.example,2024-03-04,x,\n" for each in ("1", "2", "1", "", ""))
    found = rows(tmp_path, PLAIN + text)
    told = [(each.line, [text for _, text in each.faults]) for each in found]
    apart = "has rows that stand apart: sort the file by it"
    assert told == [(2, [apart]), (3, []), (4, [apart]), (5, ["is empty"]), (6, ["is empty"])]
    assert [len(each.ticket.messages) for each in found] == [1] * 5


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2024-04-03 12:00:00 UTC", 12),
        ("2024-04-03 12:00:00", 9),
        ("2024-04-03 12:00:00 -0500", 17),
        ("03.04.2024 12:00", 9),
        ("03/04/2024 12:00", 9),
    ],
)
def test_times_are_read_as_they_are_meant(tmp_path: Path, text: str, hour: int) -> None:
    """A zone that is said counts for more than --zone."""
    line = f"1,A,a@b.example,{text},x,\n"
    [row] = rows(tmp_path, PLAIN + line, zone=ZoneInfo("Europe/Moscow"), day_first=True)
    assert row.ticket.created_time.ToDatetime(tzinfo=UTC) == datetime(2024, 4, 3, hour, tzinfo=UTC)


def test_a_time_beyond_all_years_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    [row] = rows(tmp_path, f"{PLAIN}1,A,a@b.example,0001-01-01,x,\n", zone=ZoneInfo("Europe/Moscow"))
    assert row.faults == [("created", '"0001-01-01" is no time: write it like 2026-11-22 09:30')]


def test_custom_fields_are_read_by_their_types(tmp_path: Path) -> None:
    types = {
        "sum": fields_pb2.FIELD_TYPE_NUMBER,
        "day": fields_pb2.FIELD_TYPE_DATE,
        "parts": fields_pb2.FIELD_TYPE_MANY_OF,
        "who": fields_pb2.FIELD_TYPE_USER,
    }
    head = "id;subject;email;created;field.sum;field.day;field.parts;field.who;field.text\n"
    lines = "1;A;a@b.example;2024-03-04;12,50;04.03.2024;a, b;anna;t\n2;A;a@b.example;2024-03-04;1,234;;;;\n"
    good, bad = rows(tmp_path, head + lines, types=types, zone=ZoneInfo("Europe/Moscow"))
    fields = good.ticket.fields
    assert (fields["sum"].number, fields["who"].user, fields["text"].text) == (12.5, "anna", "t")
    assert fields["day"].time.ToDatetime(tzinfo=UTC) == datetime(2024, 3, 4, tzinfo=UTC)
    assert list(fields["parts"].choices.values) == ["a", "b"]
    assert bad.faults == [("field.sum", '"1,234" is no number: write it like 1234.5')]


def test_columns_are_chosen_and_left_out_by_hand() -> None:
    headers = ["Nr", "Thema", "Mail", "Am", "Status"]
    chosen = {"external_id": "Nr", "subject": "Thema", "email": "Mail", "created_time": "Am", "status": ""}
    assert columns_of(headers, chosen) == {name: header for name, header in chosen.items() if header}
    for wrong, words in (
        ({}, "no column for external_id, subject, email, created_time"),
        ({**chosen, "subject": "Topic"}, "no such column"),
        ({**chosen, "colour": "Nr"}, "knows no colour"),
    ):
        with pytest.raises(Problem, match=words) as caught:
            columns_of(headers, wrong)
        assert caught.value.code == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ((ZENDESK + "1,Принтер").encode("cp1251"), "not text in UTF-8"),
        (b"PK\x03\x04" + b"\0" * 100, "is an archive"),
        (b"\x1f\x8b" + b"\0" * 100, "is an archive"),
        (b"", "has no header"),
        (ZENDESK.encode() + b'1,"' + b"x" * 5_000_000 + b'"', "field larger"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_a_remedy(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(Problem, match=words):
        rows(tmp_path, content)


def test_a_file_of_a_russian_windows_is_read_when_that_is_said(tmp_path: Path) -> None:
    line = "1,Принтер,Горит,a@b.example,new,low,question,,2024-03-04,\n"
    [row] = rows(tmp_path, (ZENDESK + line).encode("cp1251"), encoding="cp1251")
    assert row.ticket.subject == "Принтер"


def a_record(**fields: Any) -> bytes:
    return to_line(export_pb2.ExportRecord(**fields))


def test_what_was_exported_is_read_back(tmp_path: Path) -> None:
    """MP-30: the shape of an export is the shape of an import."""
    ticket = ticket_pb2.Ticket(id="the-id", queue="OLD", subject="A", status="waiting", tags=["x"])
    ticket.customer.name = "Kim"
    ticket.customer.contacts.add(channel=common_pb2.CHANNEL_TELEGRAM, address="77")
    ticket.customer.contacts.add(channel=common_pb2.CHANNEL_EMAIL, address="kim@client.example")
    ticket.channel = common_pb2.CHANNEL_EMAIL
    ticket.created_time.FromDatetime(datetime(2024, 3, 4, tzinfo=UTC))
    message = ticket_pb2.TicketMessage(ticket_id="the-id", text="Hi", visibility=ticket_pb2.VISIBILITY_PUBLIC)
    message.author.kind, message.author.id = common_pb2.Actor.KIND_CUSTOMER, "their-id"
    lines = b"{]\n" + b"[]\n" + a_record(agent=ticket_pb2.Agent(id="anna"))
    lines += a_record(ticket=ticket, page_token="t") + a_record(message=message) * 2
    *bad, first = rows(tmp_path, lines, "tickets.jsonl", queue="")
    assert (first.ticket.external_id, first.ticket.queue, first.ticket.status) == ("the-id", "OLD", "waiting")
    assert (first.ticket.contact.address, first.ticket.customer_name) == ("kim@client.example", "Kim")
    assert [(each.text, each.author.id) for each in first.ticket.messages] == [("Hi", "")] * 2
    assert [(each.line, each.faults[0][1].partition(":")[0]) for each in bad] == [
        (1, "is no JSON"),
        (2, "must be an object"),
        (3, "is a agent; only tickets and their messages are imported"),
    ]


def test_a_ticket_does_not_come_in_without_a_message_that_cannot_be_read(tmp_path: Path) -> None:
    """Known from then on, it would never get the message."""
    ticket = a_record(ticket=a_customers("1"))
    message = a_record(message=ticket_pb2.TicketMessage(text="Hi"))
    first, second = rows(
        tmp_path,
        ticket + message + message[:20] + b"\n" + message + a_record(ticket=a_customers("2")),
        "a.jsonl",
    )
    assert [each.text for each in first.ticket.messages] == ["Hi", "Hi"]
    assert first.faults[0][1].startswith("line 3 is no JSON")
    assert (second.ticket.external_id, second.faults) == ("2", [])


def a_customers(name: str) -> ticket_pb2.Ticket:
    ticket = ticket_pb2.Ticket(id=name, subject="A")
    ticket.customer.contacts.add(channel=common_pb2.CHANNEL_EMAIL, address="kim@client.example")
    return ticket


def test_an_interrupted_file_goes_on_with_its_last_whole_ticket(tmp_path: Path) -> None:
    """MP-30: nothing is missing and nothing is there twice."""
    lines = [
        a_record(ticket=ticket_pb2.Ticket(id=name), page_token=f"token-{name}")
        + a_record(message=ticket_pb2.TicketMessage(id=f"of-{name}", text='"page_token":'))
        for name in "ab"
    ]
    path = tmp_path / "tickets.part"
    for cut in range(len(lines[1])):
        path.write_bytes(lines[0] + lines[1][:cut])
        with path.open("r+b") as file:
            token = resume(file)
            kept = path.read_bytes()
        whole = lines[1][:cut].count(b"\n") > 0
        assert (token, kept) == (("token-b", lines[0]) if whole else ("token-a", b""))
    assert [json.loads(each)["kind"] for each in lines[0].splitlines()] == ["ticket", "message"]
