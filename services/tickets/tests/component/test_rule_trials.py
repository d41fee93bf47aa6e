"""Dry runs of rules against what happened."""

from datetime import UTC, datetime
from typing import Any

import grpc
import sqlalchemy as sa
from google.protobuf.json_format import ParseDict

from services.tickets.tests.builders import Desk, set_up
from services.tickets.tests.component.test_triggers import DONE, FAILED, LINE, a_rule, words
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.tickets.v1 import ticket_pb2


async def proposed(desk: Desk, **parts: Any) -> Any:
    setup = (await desk.call("GetSetup", queue="SUP")).setup
    ParseDict(parts, setup)
    return setup


async def everything(desk: Desk) -> str:
    """All rows of the tables that a run would write."""
    told = []
    async with desk.db.tx() as tx:
        # When an event left is the relay's to note.
        events = "(select id, key, type, payload from outbox)"
        for table in ("ticket", "message", "audit", events, "rule_mark", "queue_setup"):
            rows = await tx.execute(sa.text(f"select t::text from {table} t order by 1"))
            told += list(rows.scalars())
    return "\n".join(told)


async def test_a_dry_run_says_what_rules_would_have_done_and_changes_nothing(desk: Desk) -> None:
    """Tickets are taken as they were: this one is neither new nor of low priority any more."""
    await set_up(desk, fields=[LINE])
    ticket = await desk.create(fields={"line": ticket_pb2.FieldValue(text="second")})
    await desk.call("PrioritizeTicket", ticket=ticket.id, priority=common.PRIORITY_LOW)
    await desk.call("PrioritizeTicket", ticket=ticket.id, priority=common.PRIORITY_HIGH)
    await desk.call("TakeTicket", ticket=ticket.id)
    rules = [
        a_rule("line", {"status": "waiting"}, when=["TicketOpened"],
               **{"if": 'change.new["fields.line"] == "second" && change.text.contains("burns")'}),
        a_rule("low", {"set": {"add_tags": ["low"]}}, when=["TicketUpdated"],
               **{"if": 'ticket.priority == "low" && ticket.status == "new"'}),
        a_rule("next", {"note": words("Tagged")}, when=["TicketUpdated"], **{"if": '"tags" in change.names'}),
        a_rule("bad", {"status": "closed"}, when=["TicketTaken"]),
        a_rule("off", {"webhook": "crm"}, off=True),
    ]  # fmt: skip
    every = [a_rule("daily", {"webhook": "crm"}, every="86400s", query="Priority: high")]
    setup = await proposed(desk, triggers=rules, scheduled_rules=every)
    before = await everything(desk)
    answer = await desk.call("DryRunRules", "admin:demo", queue="SUP", setup=setup)
    assert await everything(desk) == before
    told = [(each.rule, each.event, each.outcome, list(each.actions)) for each in answer.runs]
    assert told == [
        ("daily", "Schedule", DONE, ["webhook crm"]),
        ("bad", "TicketTaken", FAILED, []),
        ("low", "TicketUpdated", DONE, ["set tags"]),
        ("next", "TicketUpdated", DONE, ["note"]),
        ("line", "TicketOpened", DONE, ["status waiting"]),
    ]
    assert {each.ticket_key for each in answer.runs} == {"SUP-1"}


async def test_a_dry_run_has_pages_and_takes_rules_by_key(desk: Desk) -> None:
    await set_up(desk, triggers=[a_rule("a", {"webhook": "a"}), a_rule("b", {"webhook": "b"}, off=True)])
    await desk.create()
    await desk.create()
    request: dict[str, Any] = {"queue": "SUP", "rules": ["b"], "page_size": 1}
    seen = []
    while True:
        page = await desk.call("DryRunRules", "lead:olga", **request)
        seen.append([(each.rule, each.ticket_key) for each in page.runs])
        if not page.next_page_token:
            break
        request["page_token"] = page.next_page_token
    assert seen == [[("b", "SUP-2")], [("b", "SUP-1")]]


async def test_a_dry_run_of_bad_rules_is_refused(desk: Desk) -> None:
    setup = await proposed(desk, triggers=[a_rule("bad", {"status": "nowhere"})])
    refused = await desk.refusal("DryRunRules", "admin:demo", queue="SUP", setup=setup)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SETUP_INVALID")
    refused = await desk.refusal("DryRunRules", "admin:demo", queue="NOPE")
    assert refused.code == grpc.StatusCode.NOT_FOUND


async def test_fields_are_tried_as_they_were_whatever_their_type(desk: Desk) -> None:
    """Times too; a value that was shortened, or has another type by now, is taken for none."""
    plain: list[dict[str, Any]] = [
        {"key": "day", "type": "FIELD_TYPE_DATE"},
        {"key": "sum", "type": "FIELD_TYPE_NUMBER"},
        {"key": "loose", "type": "FIELD_TYPE_TEXT"},
    ]
    fields = [{**each, "name": {"en": each["key"]}} for each in plain]
    rule = a_rule(
        "then", {"webhook": "crm"}, when=["TicketOpened"],
        **{"if": 'ticket.fields.day < timestamp("2024-01-02T00:00:00Z") && ticket.fields.sum == 1.5'},
    )  # fmt: skip
    await set_up(desk, fields=fields, triggers=[rule])
    first, second = ticket_pb2.FieldValue(), ticket_pb2.FieldValue()
    first.time.FromDatetime(datetime(2024, 1, 1, tzinfo=UTC))
    second.time.FromDatetime(datetime(2024, 1, 3, tzinfo=UTC))
    given = {"day": first, "sum": ticket_pb2.FieldValue(number=1.5), "loose": ticket_pb2.FieldValue(text="a")}
    ticket = await desk.create(fields=given)
    later = {"day": second, "sum": ticket_pb2.FieldValue(number=2)}
    await desk.call("UpdateTicket", ticket=ticket.id, set_fields=later, clear_fields=["loose"])
    fields[2]["type"] = "FIELD_TYPE_NUMBER"
    setup = await proposed(desk)
    for name in ("fields", "triggers"):
        setup.ClearField(name)
    ParseDict({"fields": fields[:2], "triggers": []}, setup)
    await desk.call("PutSetup", "admin:demo", setup=setup)
    changed = await proposed(desk)
    changed.ClearField("fields")
    ParseDict({"fields": fields, "triggers": [rule]}, changed)
    answer = await desk.call("DryRunRules", "admin:demo", queue="SUP", setup=changed)
    assert [(each.rule, each.outcome) for each in answer.runs] == [("then", DONE)]
