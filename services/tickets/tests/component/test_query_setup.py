"""Queries name what queues have of their own: statuses and custom fields."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from services.tickets.tests.builders import Desk
from tickdesk.tickets.v1 import fields_pb2, label_pb2, ticket_pb2, timeline_pb2


async def test_custom_fields_and_statuses_of_a_queue_are_asked_for_like_all_others(desk: Desk) -> None:
    """YT-14, YT-15, YT-33: by key or by what people read, in a list, in counts and in pivots."""
    await _set_up(desk)
    value, day = ticket_pb2.FieldValue, Timestamp()
    day.FromDatetime(datetime(2026, 11, 5, tzinfo=UTC))
    await desk.create(
        fields={
            "sum": value(number=9.5),
            "day": value(time=day),
            "boss": value(user="anna"),
            "place": value(text="cloud"),
            "parts": value(choices=ticket_pb2.Choices(values=["cloud"])),
        }
    )
    other = await desk.create()
    await desk.call("ChangeTicketStatus", ticket=other.id, status="triage")
    for query in (
        "sum: 9.5",
        "Sum: > 9 AND sum: 0..10",
        "day: 2026-11-05",
        "Day: >= 2026-11-05 AND NOT day: > 2026-11-05",
        "boss: me()",
        "Место: cloud",
        'place: "В облаке"',
        "parts: cloud",
        "NOT sum: empty()",
    ):
        for zone in ("America/New_York", "Asia/Tokyo"):
            answer = await desk.call("SearchTickets", query=query, timezone=zone)
            assert [ticket.key for ticket in answer.tickets] == ["SUP-1"], (query, zone)
    for query in ("Status: triage", "Статус: Разбор", "Status: sorting", "boss: empty()"):
        answer = await desk.call("SearchTickets", query=query)
        assert [ticket.key for ticket in answer.tickets] == ["SUP-2"], query
    counts = await desk.call("CountTickets", group_by="Status")
    assert sorted((cell.group, cell.count) for cell in counts.groups) == [("new", 1), ("triage", 1)]
    pivot = await desk.call("CountTickets", group_by="Место", split_by="Boss")
    assert {(each.group, each.split) for each in pivot.cells} == {("cloud", "anna"), ("", "")}
    assert sorted((cell.group, cell.count) for cell in pivot.groups) == [("", 1), ("cloud", 1)]
    refusal = await desk.refusal("CountTickets", group_by="sum")
    assert refusal.reason == "FIELD_NOT_GROUPED"
    refusal = await desk.refusal("SearchTickets", query="place: cellar")
    assert refusal.message.startswith('line 1, column 8: place is never "cellar"; expected cloud')


async def _set_up(desk: Desk) -> None:
    setup = (await desk.call("GetSetup", queue="SUP")).setup
    name = label_pb2.Label(en="Sorting", ru="Разбор")
    setup.workflow.statuses.add(key="triage", kind=timeline_pb2.STATUS_KIND_NEW, name=name)
    setup.workflow.transitions.add(to="triage")
    label = label_pb2.Label
    cloud = fields_pb2.Choice(key="cloud", name=label(en="In the cloud", ru="В облаке"))
    setup.fields.extend(
        [
            fields_pb2.Field(key="sum", name=label(en="Sum"), type=fields_pb2.FIELD_TYPE_NUMBER),
            fields_pb2.Field(key="day", name=label(en="Day"), type=fields_pb2.FIELD_TYPE_DATE),
            fields_pb2.Field(key="boss", name=label(en="Boss"), type=fields_pb2.FIELD_TYPE_USER),
            fields_pb2.Field(
                key="place", name=label(ru="Место"), type=fields_pb2.FIELD_TYPE_ONE_OF, choices=[cloud]
            ),
            fields_pb2.Field(
                key="parts", name=label(en="Parts"), type=fields_pb2.FIELD_TYPE_MANY_OF, choices=[cloud]
            ),
        ]
    )
    await desk.call("PutSetup", "lead:olga", setup=setup)
