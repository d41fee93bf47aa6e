"""Macros of a queue's setup: taken, refused, used."""

from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

from services.tickets.tests.builders import Desk
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import events_pb2, fields_pb2, macros_pb2, setup_pb2, ticket_pb2

BAD, STATE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
LOG = {
    "key": "need_log",
    "name": {"ru": "Журнал", "en": "Log"},
    "texts": [
        {
            "language": "ru",
            "text": "{{ customer.name }}, пришлите журнал к {{ ticket.key }}. {{ agent.name }}",
        },
        {
            "language": "en",
            "text": "{{ customer.name }}, send the log.{% if due %} Until {{ due }}.{% endif %}",
        },
    ],
    "status": "waiting",
    "priority": "PRIORITY_HIGH",
    "add_tags": ["log"],
    "remove_tags": ["new"],
}


async def put(desk: Desk, *macros: dict[str, Any]) -> setup_pb2.Setup:
    setup: setup_pb2.Setup = (await desk.call("GetSetup", "lead:olga", queue="SUP")).setup
    setup.queue = "SUP"
    del setup.macros[:]
    setup.macros.extend(ParseDict(each, macros_pb2.Macro()) for each in macros)
    return setup


async def use(desk: Desk, *macros: dict[str, Any]) -> None:
    await desk.call("PutSetup", "lead:olga", setup=await put(desk, *macros))


async def test_a_macro_does_all_it_says_in_one_go(desk: Desk) -> None:
    """YT-18, CP-05: text, status, priority and labels; each change is an event of its own."""
    await use(desk, LOG)
    ticket = await desk.receive(language="ru", conversation_id="conv")
    await desk.call("TakeTicket", ticket=ticket.id)
    listed = (await desk.call("ListMacros", ticket=ticket.id)).macros
    assert [each.key for each in listed] == ["error_fixed", "need_log", "wish_delivered"]
    assert listed[1] == ParseDict(LOG, macros_pb2.Macro())
    await desk.call("SaveDraft", ticket=ticket.id, text="Begun")
    answer = await desk.call("ApplyMacro", ticket=ticket.id, macro="need_log")
    assert answer.message.text == answer.text == "Kim Client, пришлите журнал к SUP-1. Anna"
    now = answer.ticket
    assert (now.status, now.priority, list(now.tags)) == ("waiting", common.PRIORITY_HIGH, ["log"])
    told = [
        (await desk.watch.next(kind)).ticket.version
        for kind in (events_pb2.TicketReplied, events_pb2.TicketUpdated, events_pb2.TicketStatusChanged)
    ]
    assert told == [3, 4, 5]
    assert not (await desk.call("ListDrafts", ticket=ticket.id)).drafts


async def test_a_macro_may_be_a_note_or_only_a_move(desk: Desk) -> None:
    note = {**LOG, "key": "note", "internal": True, "status": "resolved", "priority": "PRIORITY_NORMAL"}
    await use(desk, note, {"key": "wait", "name": {"en": "Wait"}, "status": "waiting"})
    ticket = await desk.create()
    moved = await desk.call("ApplyMacro", ticket=ticket.id, macro="wait")
    assert (moved.HasField("message"), moved.text, moved.ticket.status) == (False, "", "waiting")
    answer = await desk.call("ApplyMacro", ticket=ticket.id, macro="note")
    assert (answer.message.visibility, answer.language) == (2, "en")
    assert (answer.ticket.status, answer.ticket.assignee) == ("resolved", "anna")
    await desk.watch.next(events_pb2.TicketResolved)
    assert not any("send the log" in str(event) for event in desk.watch.seen)


async def test_a_macro_that_fails_changes_nothing(desk: Desk) -> None:
    """A field that the ticket does not have, a move that the workflow does not have: nothing is sent."""
    fails = {**LOG, "key": "fails", "texts": [{"language": "en", "text": "Hello,\n{{ 1 / 0 }}"}]}
    stuck = {**LOG, "key": "stuck", "status": "closed"}
    await use(desk, fails, stuck)
    ticket = await desk.create()
    for preview in (True, False):
        refusal = await desk.refusal("ApplyMacro", ticket=ticket.id, macro="fails", preview=preview)
        assert (refusal.code, refusal.reason) == (STATE, "MACRO_FAILED")
        assert (refusal.metadata["line"], refusal.metadata["macro"]) == ("2", "fails")
    refusal = await desk.refusal("ApplyMacro", ticket=ticket.id, macro="stuck")
    assert (refusal.code, refusal.reason) == (STATE, "TRANSITION_NOT_ALLOWED")
    stale = await desk.refusal("ApplyMacro", ticket=ticket.id, macro="stuck", version=7)
    assert stale.reason == "STALE_VERSION"
    assert await desk.ticket(ticket.id) == ticket
    assert len(await desk.messages(ticket.id)) == 1


async def test_a_macro_fills_in_custom_fields_of_the_queue(desk: Desk) -> None:
    """YT-18: values are of the field's type; an agent who has left is no value, and nothing is sent then."""
    fills = {"city": {"text": "Omsk"}, "tester": {"user": "dina"}}
    setup = await put(desk, {**LOG, "status": "", "fields": fills})
    for key, kind in (("city", fields_pb2.FIELD_TYPE_TEXT), ("tester", fields_pb2.FIELD_TYPE_USER)):
        setup.fields.add(key=key, type=kind).name.en = key
    wrong = setup_pb2.Setup()
    wrong.CopyFrom(setup)
    wrong.macros[0].fields["city"].number = 5
    refusal = await desk.refusal("PutSetup", "lead:olga", setup=wrong)
    assert refusal.fields == ["setup.macros[0].fields.city"]
    await desk.call("PutSetup", "lead:olga", setup=setup)
    ticket, other = await desk.create(), await desk.create()
    now = (await desk.call("ApplyMacro", ticket=ticket.id, macro="need_log")).ticket
    assert (now.fields["city"].text, now.fields["tester"].user) == ("Omsk", "dina")
    event = await desk.watch.next(events_pb2.TicketUpdated)
    assert list(event.changed) == ["tags", "fields.city", "fields.tester", "priority"]
    await desk.call("PutAgent", "admin:demo", agent=ticket_pb2.Agent(id="dina", name="Dina", active=False))
    refusal = await desk.refusal("ApplyMacro", ticket=other.id, macro="need_log")
    assert (refusal.code, refusal.fields) == (BAD, ["fields.tester"])
    assert await desk.ticket(other.id) == other


def text_of(text: str) -> dict[str, Any]:
    return {"texts": [{"language": "ru", "text": "x"}, {"language": "en", "text": text}]}


BAD_MACROS: list[tuple[dict[str, Any], str, str]] = [
    (text_of("Hi\n{{ customer.nmae }}"), "texts[1].text", "line 2: there is no variable customer.nmae"),
    (text_of("{{ field.none }}"), "texts[1].text", "line 1"),
    (text_of("\n\n{% if due %}"), "texts[1].text", "line 3"),
    (text_of("{% include 'x' %}"), "texts[1].text", "include"),
    ({"texts": [{"language": "ru", "text": "x"}] * 2}, "texts", "one text"),
    ({"status": "nowhere"}, "status", "must be one of"),
    ({"remove_tags": ["log"]}, "remove_tags", "adds"),
    ({"fields": {"none": {"text": "x"}}}, "fields.none", "no field"),
]


async def test_a_setup_with_a_bad_macro_is_refused_with_its_path_and_line(desk: Desk) -> None:
    for fields, path, words in BAD_MACROS:
        setup = await put(desk, {"key": "good", "name": {"en": "Good"}}, {**LOG, **fields})
        refusal = await desk.refusal("PutSetup", "lead:olga", setup=setup)
        assert (refusal.code, refusal.fields) == (BAD, [f"setup.macros[1].{path}"]), fields
        assert words in refusal.message
    twice = await desk.refusal("PutSetup", "lead:olga", setup=await put(desk, LOG, LOG))
    assert twice.fields == ["setup.macros[1].key"]
    ticket = await desk.create()
    assert len((await desk.call("ListMacros", ticket=ticket.id)).macros) == 2


async def test_a_queue_may_say_in_its_own_words_that_the_tasks_are_done(desk: Desk) -> None:
    """MP-20: and what cannot be made of them is said in ours."""
    own = {
        "key": "error_fixed",
        "name": {"en": "Fixed"},
        "texts": [{"language": "en", "text": "Fixed: {{ due }}"}],
    }
    broken = {**own, "key": "wish_delivered", "texts": [{"language": "en", "text": "{{ 1 / 0 }}"}]}
    await use(desk, own, broken)
    for kind, text in ((1, "Fixed:"), (5, "wished for")):
        ticket = await desk.create(type=kind)
        url = f"https://tracker.example.com/{kind}"
        await desk.call("PutExternalLink", ticket=ticket.id, url=url, kind=2)
        await desk.call("SetTaskState", "adapter:crm", url=url, state=3)
        assert text in (await desk.messages(ticket.id))[-1].text
