"""What is known of a ticket: fields, topics and templates over RPCs, forms and the table."""

import asyncio
from typing import Any

import grpc
import grpc.aio
import sqlalchemy as sa
from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp

from services.tickets.tests.builders import Desk, a_contact, kinds, set_up
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.intake.v1 import message_pb2 as intake
from tickdesk.tickets.v1 import events_pb2, ticket_pb2
from tickdesk.tickets.v1.ticket_pb2 import Choices, FieldValue
from tickets.store import tables

BAD, STATE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
NOON = Timestamp(seconds=1_763_640_000)


def named(ru: str, en: str) -> dict[str, str]:
    return {"ru": ru, "en": en}


FIELDS: list[dict[str, Any]] = [
    {"key": "complaint", "name": named("Жалоба", "Complaint"), "type": "FIELD_TYPE_TEXT"},
    {"key": "error_time", "name": named("Время ошибки", "Time of the error"), "type": "FIELD_TYPE_TIME"},
    {"key": "sum", "name": named("Сумма", "Sum"), "type": "FIELD_TYPE_NUMBER", "min": 0},
    {"key": "day", "name": named("День", "Day"), "type": "FIELD_TYPE_DATE"},
    {"key": "owner", "name": named("Владелец", "Owner"), "type": "FIELD_TYPE_USER"},
    {
        "key": "impact",
        "name": named("Кого затронуло", "Who is hit"),
        "type": "FIELD_TYPE_ONE_OF",
        "choices": [
            {"key": "all_down", "name": named("Всех", "Everybody")},
            {"key": "question", "name": named("Вопрос", "A question")},
        ],
    },
    {
        "key": "parts",
        "name": named("Части", "Parts"),
        "type": "FIELD_TYPE_MANY_OF",
        "choices": [{"key": key, "name": named(key, key)} for key in ("web", "mail", "bot")],
    },
]
VALUES = {
    "complaint": FieldValue(text="It burns"),
    "error_time": FieldValue(time=NOON),
    "sum": FieldValue(number=1990.5),
    "day": FieldValue(time=Timestamp(seconds=1_763_596_800)),
    "owner": FieldValue(user="boris"),
    "impact": FieldValue(text="all_down"),
    "parts": FieldValue(choices=Choices(values=["web", "bot"])),
}
PARTS: dict[str, Any] = {
    "fields": FIELDS,
    "categories": [
        {
            "key": "payment",
            "name": named("Оплата", "Payment"),
            "route": {"line": "LINE_L2", "component": "billing", "priority": "PRIORITY_HIGH"},
        },
        {
            "key": "payment/refund",
            "name": named("Возврат", "Refund"),
            "route": {"type": "TICKET_TYPE_COMPLAINT"},
        },
        {"key": "orders", "name": named("Заказы", "Orders")},
    ],
    "components": [
        {"key": "billing", "name": named("Биллинг", "Billing"), "owner": "dina", "assign_by_default": True},
        {"key": "site", "name": named("Сайт", "Site"), "owner": "dina"},
    ],
    "templates": [
        {
            "key": "incident",
            "name": named("Инцидент", "Incident"),
            "subject": "Incident",
            "type": "TICKET_TYPE_INCIDENT",
            "category": "orders",
            "tags": ["incident"],
            "required": ["fields.complaint", "fields.error_time", "customer_number"],
        }
    ],
    "routing": {
        "priorities": [{"field": "impact", "choice": "all_down", "priority": "PRIORITY_CRITICAL"}],
    },
}


GOOD = {"queue": "SUP", "subject": "s", "text": "t", "contact": a_contact()}


async def test_values_of_every_type_are_kept_told_and_found(desk: Desk) -> None:
    """YT-15; CP-02: an answer decides the priority."""
    await set_up(desk, **PARTS)
    ticket = await desk.create(fields=VALUES)
    assert dict(ticket.fields) == VALUES
    assert ticket.priority == common.PRIORITY_CRITICAL
    assert await desk.ticket(ticket.id) == ticket
    assert (await desk.watch.next(events_pb2.TicketOpened)).ticket == ticket
    other = await desk.create(fields={"sum": FieldValue(number=1990)})
    wanted: list[tuple[dict[str, Any], list[str]]] = [
        ({"sum": {"number": 1990.5}}, [ticket.id]),
        ({"sum": {"number": 1990}}, [other.id]),
        ({"parts": {"choices": ["bot"]}}, [ticket.id]),
        ({"owner": {"user": "boris"}, "impact": {"text": "all_down"}}, [ticket.id]),
        ({"error_time": {"time": 1_763_640_000_000_000}}, [ticket.id]),
    ]
    async with desk.db.tx() as tx:
        for condition, ids in wanted:
            query = sa.select(tables.ticket.c.id).where(tables.ticket.c.fields.contains(condition))
            assert list((await tx.execute(query)).scalars()) == ids


async def test_a_template_fills_a_ticket_and_says_what_must_be_told(desk: Desk) -> None:
    """CP-04, CP-05: complaint, client id, date and time of the error."""
    await set_up(desk, **PARTS)
    refusal = await desk.refusal("CreateTicket", **{**GOOD, "subject": "", "template": "incident"})
    wanted = ["fields.complaint", "fields.error_time", "customer_number"]
    assert (refusal.code, refusal.fields) == (BAD, wanted)
    told = {key: VALUES[key] for key in ("complaint", "error_time")}
    ticket = await desk.create(
        subject="", template="incident", fields=told, customer_number="77", tags=["vip"]
    )
    assert (ticket.subject, ticket.category, list(ticket.tags)) == ("Incident", "orders", ["vip", "incident"])
    assert (ticket.type, ticket.customer_number) == (ticket_pb2.TICKET_TYPE_INCIDENT, "77")


BAD_TICKETS: list[tuple[dict[str, Any], list[str]]] = [
    ({"template": "nope"}, ["template"]),
    ({"category": "nope", "component": "nope"}, ["category", "component"]),
    ({"fields": {"sum": FieldValue(number=-1)}}, ["fields.sum"]),
    ({"fields": {"sum": FieldValue(number=float("nan"))}}, ["fields['sum'].number"]),
    ({"fields": {"sum": FieldValue(text="5"), "nope": FieldValue(text="x")}}, ["fields.nope", "fields.sum"]),
    ({"fields": {"sum": FieldValue()}}, ["fields.sum"]),
    ({"fields": {"owner": FieldValue(user="ghost")}}, ["fields.owner"]),
    ({"fields": {"complaint": FieldValue(text="x" * 10_001)}}, ["fields['complaint'].text"]),
    ({"fields": {"complaint": FieldValue(text="a\0b")}}, ["fields.text"]),
    ({"fields": {"day": FieldValue(time=NOON)}}, ["fields.day"]),
    ({"fields": {"parts": FieldValue(choices=Choices(values=["web", "fax"]))}}, ["fields.parts"]),
]


async def test_a_ticket_that_breaks_the_setup_is_refused_and_nothing_is_kept(desk: Desk) -> None:
    await set_up(desk, **PARTS)
    for fields, where in BAD_TICKETS:
        refusal = await desk.refusal("CreateTicket", **{**GOOD, **fields})
        assert (refusal.code, refusal.fields) == (BAD, where), fields
    assert (await desk.call("ListTickets")).total_size == 0


async def test_an_update_changes_what_it_names_and_tells_it_once(desk: Desk) -> None:
    """CA-10, CA-11: the clocks hear of what they look at."""
    await set_up(desk, **PARTS)
    ticket = await desk.create(category="orders", edition="cloud", fields={"sum": VALUES["sum"]}, tags=["a"])
    answer = await desk.call(
        "UpdateTicket", ticket=ticket.id, version=1, subject="  Printer\n cold ", type=4,
        category="payment/refund", component="site", edition="", customer_number="5",
        add_tags=["b"], remove_tags=["a"], set_fields={"owner": VALUES["owner"]}, clear_fields=["sum"],
    )  # fmt: skip
    changed = answer.ticket
    assert (changed.subject, changed.type, changed.category) == ("Printer cold", 4, "payment/refund")
    assert (changed.component, changed.edition, changed.customer_number) == ("site", "", "5")
    assert (list(changed.tags), dict(changed.fields)) == (["b"], {"owner": VALUES["owner"]})
    assert list(changed.customer.numbers) == ["5"]
    told = await desk.watch.next(events_pb2.TicketUpdated)
    assert list(told.changed) == [
        "subject", "type", "category", "component", "edition", "customer_number", "tags",
        "fields.owner", "fields.sum",
    ]  # fmt: skip
    assert (told.ticket, told.actor.id, changed.version) == (changed, "anna", 2)
    noted = changed.timeline.facts[-1].attributes_changed
    assert list(noted.names) == ["type", "category", "component", "edition", "tags", "fields"]
    assert await desk.ticket(ticket.id) == changed
    customer = await desk.call("GetCustomer", customer_id=changed.customer.id)
    assert list(customer.customer.numbers) == ["5"]


async def test_an_update_without_a_difference_changes_nothing(desk: Desk) -> None:
    await set_up(desk, **PARTS)
    ticket = await desk.create(category="orders", fields={"sum": VALUES["sum"]}, tags=["a"])
    same: dict[str, Any] = {
        "category": "orders",
        "set_fields": {"sum": VALUES["sum"]},
        "add_tags": ["a"],
        "clear_fields": ["owner"],
    }
    assert (await desk.call("UpdateTicket", ticket=ticket.id, **same)).ticket == ticket


BAD_CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({"subject": ""}, ["subject"]),
    ({"subject": " \n"}, ["subject"]),
    ({"type": 99}, ["type"]),
    ({"category": "nope", "component": "nope"}, ["category", "component"]),
    (
        {"set_fields": {"sum": FieldValue(number=-1), "nope": FieldValue(text="x")}},
        ["fields.nope", "fields.sum"],
    ),
    ({"set_fields": {"owner": FieldValue(user="ghost")}}, ["fields.owner"]),
    ({"clear_fields": ["nope"]}, ["fields.nope"]),
    ({"set_fields": {"sum": VALUES["sum"]}, "clear_fields": ["sum"]}, ["fields.sum"]),
    ({"add_tags": [str(number) for number in range(51)]}, ["add_tags"]),
    ({"add_tags": [str(number) for number in range(50)]}, ["add_tags"]),
]


async def test_an_update_that_breaks_the_setup_is_refused_and_changes_nothing(desk: Desk) -> None:
    await set_up(desk, **PARTS)
    ticket = await desk.create(tags=["a"])
    for fields, where in BAD_CHANGES:
        refusal = await desk.refusal("UpdateTicket", ticket=ticket.id, **fields)
        assert (refusal.code, refusal.fields) == (BAD, where), fields
    assert await desk.ticket(ticket.id) == ticket


async def test_a_closed_ticket_is_not_updated(desk: Desk) -> None:
    ticket = await desk.create()
    await desk.call("ResolveTicket", ticket=ticket.id)
    resolved = await desk.call("UpdateTicket", ticket=ticket.id, category="late")
    assert resolved.ticket.category == "late"
    await desk.call("CloseTicket", ticket=ticket.id)
    refusal = await desk.refusal("UpdateTicket", ticket=ticket.id, category="later")
    assert (refusal.code, refusal.reason) == (STATE, "TICKET_CLOSED")


async def test_of_two_updates_of_one_version_one_is_refused(desk: Desk) -> None:
    ticket = await desk.create()
    both = (desk.call("UpdateTicket", ticket=ticket.id, version=1, add_tags=[tag]) for tag in ("a", "b"))
    results = await asyncio.gather(*both, return_exceptions=True)
    lost = [each for each in results if isinstance(each, grpc.aio.AioRpcError)]
    assert [each.code() for each in lost] == [grpc.StatusCode.ABORTED]
    assert len((await desk.ticket(ticket.id)).tags) == 1


async def test_updates_at_once_all_count(desk: Desk) -> None:
    ticket = await desk.create()
    await asyncio.gather(*(desk.call("UpdateTicket", ticket=ticket.id, add_tags=[str(n)]) for n in range(8)))
    now = await desk.ticket(ticket.id)
    assert (sorted(now.tags), now.version) == ([str(n) for n in range(8)], 9)


async def test_answers_of_a_form_become_values_and_what_fits_no_field_a_note(desk: Desk) -> None:
    """YT-11: nothing is lost; YT-13: a form sets a field named status, never the status."""
    await set_up(desk, **PARTS)
    answers = {
        "error_time": "2025-11-20T12:00:00Z", "sum": "1 990,50", "parts": "bot; web", "impact": "Вопрос",
        "owner": "ghost", "day": "скоро", "status": "closed",
    }  # fmt: skip
    ticket = await desk.receive(conversation_id="conv", fields=answers, topic="payment/refund", language="ru")
    now = await desk.ticket(ticket.id)
    assert dict(now.fields) == {
        "error_time": FieldValue(time=NOON),
        "sum": VALUES["sum"],
        "parts": FieldValue(choices=Choices(values=["bot", "web"])),
        "impact": FieldValue(text="question"),
        "status": FieldValue(text="closed"),
    }
    assert (now.category, now.type) == ("payment/refund", ticket_pb2.TICKET_TYPE_COMPLAINT)
    assert kinds(now)[:1] == ["created"]
    assert now.timeline.facts[0].created.status == "new"
    note = (await desk.messages(ticket.id))[1]
    assert note.visibility == ticket_pb2.VISIBILITY_INTERNAL
    assert note.text == "Ответы формы, которым не нашлось поля:\nДень: скоро\nВладелец: ghost"


async def test_a_topic_leads_to_its_queue_and_an_unknown_one_is_noted(desk: Desk) -> None:
    """KT-07, YT-12: topic to queue, line, component and assignee."""
    pay = ticket_pb2.Queue(key="PAY", name="Payments")
    await desk.call("PutQueue", "admin:demo", queue=pay)
    route = {"queue": "PAY"}
    ghost = {"key": "ghost", "name": named("", "Ghost"), "route": {"queue": "GHOST"}}
    await set_up(
        desk, categories=[{"key": "payment", "name": named("Оплата", "Payment"), "route": route}, ghost]
    )
    await set_up(desk, "PAY", categories=PARTS["categories"], components=PARTS["components"])
    ticket = await desk.receive(topic="payment", customer_number="77")
    assert (ticket.queue, ticket.category, ticket.customer_number) == ("PAY", "payment", "77")
    assert (ticket.line, ticket.priority, ticket.component) == (2, common.PRIORITY_HIGH, "billing")
    assert (await desk.watch.next(events_pb2.TicketAssigned)).ticket.assignee == "dina"
    here = await desk.receive(topic="ghost", sender=intake.Party(address="lee@client.example"))
    assert (here.queue, here.category) == ("SUP", "ghost")
    lost = await desk.receive(topic="fax", sender=intake.Party(address="max@client.example"))
    assert (lost.queue, lost.category) == ("SUP", "")
    assert [each.text for each in await desk.messages(lost.id)][1:] == [
        "Answers of the form that fit no field:\ntopic: fax"
    ]


BAD_PARTS: list[tuple[dict[str, Any], str]] = [
    ({"fields": [FIELDS[0], FIELDS[0]]}, "setup.fields[0].key"),
    ({"fields": [{**FIELDS[5], "choices": []}]}, "setup.fields[0].choices"),
    ({"categories": [{"key": "a/b", "name": named("", "B")}]}, "setup.categories[0].key"),
    (
        {"components": [{"key": "a", "name": named("", "A"), "assign_by_default": True}]},
        "setup.components[0].owner",
    ),
    (
        {"templates": [{"key": "a", "name": named("", "A"), "required": ["nope"]}]},
        "setup.templates[0].required[0]",
    ),
    (
        {"routing": {"shifts": [{"agents": ["anna"], "timezone": "Mars", "days": "mon"}]}},
        "setup.routing.shifts[0].timezone",
    ),
]


async def test_a_setup_whose_parts_cannot_work_is_refused_with_their_place(desk: Desk) -> None:
    for parts, where in BAD_PARTS:
        setup = (await desk.call("GetSetup", queue="SUP")).setup
        ParseDict(parts, setup)
        refusal = await desk.refusal("PutSetup", "admin:demo", setup=setup)
        assert (refusal.code, refusal.reason) == (BAD, "SETUP_INVALID"), parts
        assert where in refusal.fields


async def test_a_setup_that_names_nobody_is_taken_with_a_warning(desk: Desk) -> None:
    setup = (await desk.call("GetSetup", queue="SUP")).setup
    owner = {"key": "a", "name": named("", "A"), "owner": "ghost"}
    away = {"key": "b", "name": named("", "B"), "route": {"queue": "GONE", "assignee": "anna"}}
    ParseDict({"components": [owner], "categories": [away]}, setup)
    warnings = (await desk.call("PutSetup", "admin:demo", setup=setup)).warnings
    assert [(each.path, each.message) for each in warnings] == [
        ("components[0].owner", "ghost is no active agent"),
        ("categories[0].route.queue", "there is no queue GONE"),
    ]


async def test_a_field_keeps_its_type_from_setup_to_setup(desk: Desk) -> None:
    await set_up(desk, fields=FIELDS)
    setup = (await desk.call("GetSetup", queue="SUP")).setup
    setup.fields[0].type = 2
    refusal = await desk.refusal("PutSetup", "admin:demo", setup=setup)
    assert refusal.fields == ["setup.fields[0].type"]
