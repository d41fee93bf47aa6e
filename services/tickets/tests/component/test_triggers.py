"""Triggers of a queue: when, if, then, in the transaction of the change."""

import asyncio
from typing import Any

import grpc
from google.protobuf.json_format import ParseDict

from chassis.testing import eventually
from services.tickets.tests.builders import Desk, a_contact, an_inbound, kinds, set_up
from services.tickets.tests.component.test_flow import of_calls, statements
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.intake.v1 import message_pb2 as intake
from tickdesk.sla.v1 import clock_pb2
from tickdesk.sla.v1 import events_pb2 as sla
from tickdesk.tickets.v1 import events_pb2, ticket_pb2, triggers_pb2

DONE, FAILED, NOT_RUN = (
    triggers_pb2.RuleRun.OUTCOME_DONE,
    triggers_pb2.RuleRun.OUTCOME_FAILED,
    triggers_pb2.RuleRun.OUTCOME_NOT_RUN,
)
LINE = {
    "key": "line",
    "name": {"en": "Line"},
    "type": "FIELD_TYPE_ONE_OF",
    "choices": [{"key": "first", "name": {"en": "1st"}}, {"key": "second", "name": {"en": "2nd"}}],
}


def a_rule(key: str, *then: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"key": key, "then": list(then), **parts}


def words(text: str, language: str = "en") -> dict[str, Any]:
    return {"texts": [{"language": language, "text": text}]}


async def with_rules(desk: Desk, *rules: dict[str, Any], **parts: Any) -> None:
    await set_up(desk, triggers=list(rules), **parts)


async def runs(desk: Desk, ticket: ticket_pb2.Ticket) -> list[tuple[str, int, list[str]]]:
    """The trail of a ticket, oldest first."""
    found = (await desk.call("ListRuleRuns", ticket=ticket.id)).runs
    return [(each.rule, each.outcome, list(each.actions)) for each in reversed(found)]


async def test_a_field_that_becomes_a_value_sets_a_status(desk: Desk) -> None:
    """YT-13, YT-16: one rule per line, on a form's ticket and on an existing one."""
    rules = [
        a_rule(name, {"status": status}, when=["TicketOpened", "TicketUpdated"],
               **{"if": f'change.new["fields.line"] == "{name}"'})
        for name, status in (("first", "waiting"), ("second", "new"))
    ]  # fmt: skip
    await with_rules(desk, *rules, fields=[LINE])
    field = {"line": ticket_pb2.FieldValue(text="first")}
    opened = await desk.create(fields=field)
    assert (opened.status, opened.version) == ("waiting", 2)
    later = await desk.create()
    assert later.status == "new"
    changed = (await desk.call("UpdateTicket", ticket=later.id, set_fields=field)).ticket
    assert changed.status == "waiting"
    assert await runs(desk, later) == [("first", DONE, ["status waiting"])]
    told = await desk.watch.next(events_pb2.TicketStatusChanged)
    assert (told.actor.kind, told.actor.id) == (common.Actor.KIND_ROBOT, "rule/first")


async def test_a_rule_gives_the_ticket_to_the_owner_of_the_component_that_it_sets(desk: Desk) -> None:
    """YT-17."""
    rule = a_rule("own", {"set": {"component": "b"}}, {"assign": {"component_owner": True}})
    owners = [{"key": key, "name": {"en": key}, "owner": who} for key, who in (("a", "anna"), ("b", "boris"))]
    await with_rules(desk, {**rule, "when": ["TicketOpened"]}, components=owners)
    assert (await desk.create()).assignee == "boris"
    assert (await desk.create(component="a")).assignee == "boris"


async def test_rules_run_in_order_and_each_sees_what_those_before_it_did(desk: Desk) -> None:
    await with_rules(
        desk,
        a_rule("a", {"set": {"add_tags": ["a"]}}, when=["TicketOpened"]),
        a_rule("b", {"set": {"add_tags": ["b"]}}, when=["TicketOpened"], **{"if": '"a" in ticket.tags'}),
        a_rule("c", {"set": {"add_tags": ["c"]}}, when=["TicketOpened"], **{"if": '"d" in ticket.tags'}),
        a_rule("d", {"set": {"add_tags": ["d"]}}, when=["TicketOpened"]),
        a_rule("off", {"set": {"add_tags": ["off"]}}, off=True),
    )
    ticket = await desk.create()
    assert list(ticket.tags) == ["a", "b", "d"]
    assert [rule for rule, _, _ in await runs(desk, ticket)] == ["a", "b", "d"]


async def test_two_rules_that_wake_each_other_end_and_say_so(desk: Desk) -> None:
    """Faults: a trigger that never ends."""
    await with_rules(
        desk,
        a_rule("up", {"set": {"priority": "PRIORITY_HIGH"}}, when=["TicketUpdated"],
               **{"if": 'ticket.priority == "low"'}),
        a_rule("down", {"set": {"priority": "PRIORITY_LOW"}}, when=["TicketUpdated"],
               **{"if": 'ticket.priority == "high"'}),
    )  # fmt: skip
    ticket = await desk.create()
    answer = await desk.call("PrioritizeTicket", ticket=ticket.id, priority=common.PRIORITY_LOW)
    assert answer.ticket.version == 22
    trail = await runs(desk, ticket)
    assert [outcome for _, outcome, _ in trail] == [DONE] * 20 + [NOT_RUN]
    last = (await desk.call("ListRuleRuns", ticket=ticket.id, page_size=1)).runs[0]
    assert "20 rules" in last.reason


async def test_a_rule_that_fails_changes_nothing_and_what_woke_it_stands(desk: Desk) -> None:
    """Faults: a template that fails, a condition that cannot be decided, a move that is refused."""
    tag = {"set": {"add_tags": ["half"]}}
    await with_rules(
        desk,
        a_rule("condition", tag, when=["TicketTaken"], **{"if": "1 / (ticket.cycle - 1) == 1"}),
        a_rule("template", tag, {"note": words("{% if due %}x{% endif %}")}, when=["TicketTaken"]),
        a_rule("move", tag, {"status": "closed"}, when=["TicketTaken"]),
        a_rule("fine", {"set": {"add_tags": ["fine"]}}, when=["TicketTaken"]),
    )
    ticket = await desk.create()
    taken = (await desk.call("TakeTicket", ticket=ticket.id)).ticket
    assert (taken.assignee, list(taken.tags)) == ("anna", ["fine"])
    assert [outcome for _, outcome, _ in await runs(desk, ticket)] == [FAILED, FAILED, FAILED, DONE]
    found = (await desk.call("ListRuleRuns", ticket=ticket.id)).runs
    reasons = {each.rule: each.reason for each in found}
    assert "divide" in reasons["condition"]
    assert "0 characters" in reasons["template"]
    assert "cannot become closed" in reasons["move"]
    assert len(await desk.messages(ticket.id)) == 1


async def test_a_reply_of_a_rule_is_a_robots_in_the_customers_language(desk: Desk) -> None:
    """YT-17: auto-mail on an event. No clock of an answer stops for it."""
    texts = [{"language": "ru", "text": "Взяли {{ ticket.key }}"}, {"language": "en", "text": "Taken"}]
    await with_rules(desk, a_rule("greet", {"reply": {"texts": texts}}, when=["TicketTaken"]))
    ticket = await desk.receive(language="ru")
    taken = (await desk.call("TakeTicket", ticket=ticket.id)).ticket
    assert "robot_replies" in kinds(taken)
    assert "staff_replies" not in kinds(taken)
    letter = (await desk.watch.next(events_pb2.TicketReplied)).message
    assert (letter.text, letter.author.id) == ("Взяли SUP-1", "rule/greet")
    assert letter.author.kind == common.Actor.KIND_ROBOT


async def test_a_rule_answers_no_machine(desk: Desk) -> None:
    """Two machines must not write to each other for ever."""
    rule = a_rule("echo", {"reply": words("Hello")}, {"set": {"add_tags": ["seen"]}})
    await with_rules(desk, {**rule, "when": ["TicketOpened", "NoteAdded", "CustomerReplied"]})
    robot = await desk.receive(author_kind=intake.AUTHOR_KIND_AUTO_REPLY)
    assert [each.author.id for each in await desk.messages(robot.id)] == ["client@client.example"]
    assert (await desk.ticket(robot.id)).tags == ["seen"]
    ticket = await desk.receive(conversation_id="conv", subject="Another")
    for _ in range(7):
        again = an_inbound(conversation_id="conv")
        await desk.tell(intake_events.MessageReceived(message=again), key="conv")
        await desk.watch.next(events_pb2.CustomerReplied)

    async def all_came() -> bool:
        return len([each for each in await desk.messages(ticket.id) if each.text == "It burns."]) == 8

    await eventually(all_came)
    letters = [each for each in await desk.messages(ticket.id) if each.author.id == "rule/echo"]
    assert len(letters) == 5


async def test_rules_assign_by_name_and_by_component(desk: Desk) -> None:
    """YT-17: an assignee when a component is added to an existing ticket."""
    components = [{"key": "api", "name": {"en": "API"}, "owner": "boris"}]
    await with_rules(
        desk,
        a_rule("owner", {"assign": {"component_owner": True}}, when=["TicketUpdated"],
               **{"if": '"component" in change.names'}),
        a_rule("gone", {"assign": {"agent": "nobody-here"}}, when=["TicketReopened"]),
        components=components,
    )  # fmt: skip
    ticket = await desk.create()
    assert ticket.assignee == ""
    changed = (await desk.call("UpdateTicket", ticket=ticket.id, component="api")).ticket
    assert changed.assignee == "boris"
    assert await runs(desk, ticket) == [("owner", DONE, ["assign boris"])]


async def test_a_rule_escalates_notes_calls_and_tells(desk: Desk) -> None:
    """CA-21; what leaves the desk leaves as an event."""
    await with_rules(
        desk,
        a_rule(
            "all",
            {"escalate": {"line": "LINE_L2", "note": "the rule says so"}},
            {"note": words("Looks bad")},
            {"webhook": "crm"},
            {"notify": {"agents": ["olga"], **words("{{ ticket.key }}!")}},
            when=["CustomerReplied", "TicketUpdated"],
            **{"if": 'customer.tier == "standard" && ticket.priority == "critical"'},
        ),
    )  # fmt: skip
    ticket = await desk.create()
    answer = await desk.call("PrioritizeTicket", ticket=ticket.id, priority=common.PRIORITY_CRITICAL)
    assert answer.ticket.line == common.LINE_L2
    called = await desk.watch.next(events_pb2.WebhookRequested)
    assert (called.endpoint, called.actor.id, called.ticket.key) == ("crm", "rule/all", "SUP-1")
    told = await desk.watch.next(events_pb2.NoticeRequested)
    assert (list(told.agent_ids), [each.text for each in told.texts]) == (["olga"], ["SUP-1!"])
    notes = [each.text for each in await desk.messages(ticket.id)]
    assert "Looks bad" in notes
    trail = await runs(desk, ticket)
    assert trail == [("all", DONE, ["escalation, L2", "note", "webhook crm", "notice"])]


async def test_a_mark_of_a_clock_sets_a_rule_off(desk: Desk) -> None:
    """CA-21: rules run for what clocks say, once, though the event comes twice."""
    rule = a_rule("late", {"set": {"add_tags": ["late"]}}, when=["MarkReached"])
    await with_rules(desk, {**rule, "if": 'change.clock == "resolution" && change.mark == "80%"'})
    ticket = await desk.create()
    reached = sla.MarkReached(
        ticket=clock_pb2.TicketRef(id=ticket.id, key=ticket.key, queue="SUP", version=1),
        clock="resolution",
        cycle=1,
        mark=clock_pb2.Mark(name="80%", action=clock_pb2.MARK_ACTION_REMIND),
    )
    for _ in range(2):
        await desk.tell(reached, event_id="01990000-0000-7000-8000-000000000001")

    async def marked() -> bool:
        return list((await desk.ticket(ticket.id)).tags) == ["late"]

    await eventually(marked)
    last = an_inbound(conversation_id=ticket.conversation_ids[0])
    await desk.tell(intake_events.MessageReceived(message=last), key="x")
    await desk.watch.next(events_pb2.CustomerReplied)
    assert await runs(desk, ticket) == [("late", DONE, ["set tags"])]


async def test_a_query_filters_what_a_trigger_sees(desk: Desk) -> None:
    """The same text as in lists, asked of the ticket as the rules before left it."""
    await with_rules(
        desk,
        a_rule("tag", {"set": {"add_tags": ["fire"]}}, when=["TicketOpened"]),
        a_rule("hot", {"set": {"priority": "PRIORITY_HIGH"}}, when=["TicketOpened"],
               query='Tag: fire AND Subject: "printer"'),
        a_rule("cold", {"set": {"priority": "PRIORITY_LOW"}}, when=["TicketOpened"], query="Tag: ice"),
    )  # fmt: skip
    assert (await desk.create()).priority == common.PRIORITY_HIGH


async def test_two_callers_at_once_set_a_rule_off_for_each_change(desk: Desk) -> None:
    rule = a_rule("count", {"set": {"add_tags": ["noted"]}}, {"webhook": "crm"}, when=["NoteAdded"])
    await with_rules(desk, rule)
    ticket = await desk.create()
    await asyncio.gather(*(desk.call("AddNote", ticket=ticket.id, text=str(n)) for n in range(2)))
    found = await runs(desk, ticket)
    assert sorted(actions for _, _, actions in found) == [["set tags", "webhook crm"], ["webhook crm"]]


async def test_opening_a_ticket_takes_three_statements_with_triggers_on(desk: Desk) -> None:
    """ADR 0019: rules come from memory, and their trail goes with the ticket."""
    await with_rules(
        desk,
        a_rule("tag", {"set": {"add_tags": ["a"]}}, {"status": "waiting"}, {"webhook": "crm"},
               when=["TicketOpened"], **{"if": 'ticket.channel == "email"'}),
    )  # fmt: skip
    await desk.create(contact=a_contact("first@client.example"))
    with statements() as seen:
        ticket = await desk.create(contact=a_contact("new@client.example"))
    assert (ticket.status, list(ticket.tags)) == ("waiting", ["a"])
    assert len(of_calls(seen)) == 3, [each[:60] for each in of_calls(seen)]
    assert await runs(desk, ticket) == [("tag", DONE, ["set tags", "status waiting", "webhook crm"])]


async def test_bad_rules_are_refused_with_the_path_of_each_fault(desk: Desk) -> None:
    setup = (await desk.call("GetSetup", queue="SUP")).setup
    bad = a_rule(
        "bad",
        {"status": "nowhere"},
        {"set": {"fields": {"nothing": {"text": "x"}}}},
        {"reply": words("{{ customer.secret }}")},
        when=["TicketExploded"],
        query="Nonsense: 1",
        **{"if": "ticket.nothing == 1"},
    )
    ParseDict(
        {"triggers": [bad, {**bad, "when": [], "if": "ticket.subject", "query": "Assignee: me()"}]}, setup
    )
    refused = await desk.refusal("PutSetup", "admin:demo", setup=setup)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SETUP_INVALID")
    wrong = ("key", "when[0]", "if", "query", "then[0].status", "then[1].set.fields.nothing")
    paths = [*(f"triggers[0].{path}" for path in wrong), "triggers[0].then[2].reply.texts[0].text"]
    assert refused.fields[:7] == [f"setup.{path}" for path in paths]
    found = (await desk.call("CheckSetup", "admin:demo", setup=setup)).findings
    told = {each.path: each.message for each in found}
    assert "true or false" in told["triggers[1].if"]
    assert "me()" in told["triggers[1].query"]
    assert "undeclared reference to 'ticket.nothing'" in refused.message
    assert (await desk.call("GetSetup", queue="SUP")).setup.version == 0


async def test_the_template_tracker_makes_a_line_of_a_field(desk: Desk) -> None:
    """YT-14, YT-16: the status of another line takes the ticket there."""
    await desk.call("CreateQueue", "admin:demo", template="tracker", key="TRK", name="Tracker")
    second, third = (ticket_pb2.FieldValue(text=each) for each in ("second", "third"))
    ticket = await desk.create(queue="TRK", fields={"line": second})
    assert (ticket.status, ticket.line) == ("second_line", common.LINE_L2)
    changed = await desk.call("UpdateTicket", ticket=ticket.id, set_fields={"line": third})
    assert (changed.ticket.status, changed.ticket.line) == ("third_line", common.LINE_L3)
    assert [rule for rule, _, _ in await runs(desk, ticket)] == ["second-line", "third-line"]


async def test_the_template_megaplan_tells_of_the_development(desk: Desk) -> None:
    """MP-20."""
    await desk.call("CreateQueue", "admin:demo", template="megaplan", key="MEGA", name="Mega")
    ticket = await desk.create(queue="MEGA")
    await desk.call("AssignTicket", ticket=ticket.id, assignee="dina")
    who = {"who": "lead:olga", "agent_id": "dina", "ticket": ticket.id}
    await desk.call("ChangeTicketStatus", status="development", **who)
    letter = (await desk.watch.next(events_pb2.TicketReplied)).message
    assert letter.author.id == "rule/in-development"
    assert "SUP" not in letter.text
    assert "MEGA-1" in letter.text


async def test_a_guard_of_a_transition_binds_people_and_no_rules(desk: Desk) -> None:
    """CP-08: moves with conditions beside required fields."""
    setup = (await desk.call("GetSetup", queue="SUP")).setup
    setup.workflow.transitions[2].guard = 'ticket.priority == "high" || customer.tier == "vip"'
    setup.workflow.transitions[4].guard = "ticket.nothing"
    refused = await desk.refusal("PutSetup", "admin:demo", setup=setup)
    assert refused.fields == ["setup.workflow.transitions[4].guard"]
    setup.workflow.transitions[4].guard = ""
    rule = a_rule("wait", {"status": "waiting"}, when=["NoteAdded"])
    ParseDict({"triggers": [rule]}, setup)
    await desk.call("PutSetup", "admin:demo", setup=setup)
    ticket = await desk.create()
    refused = await desk.refusal("ChangeTicketStatus", ticket=ticket.id, status="waiting")
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "GUARD_NOT_MET")
    assert 'ticket.priority == "high"' in refused.message
    await desk.call("PrioritizeTicket", ticket=ticket.id, priority=common.PRIORITY_HIGH)
    moved = await desk.call("ChangeTicketStatus", ticket=ticket.id, status="waiting")
    assert moved.ticket.status == "waiting"
    other = await desk.create(contact=a_contact("other@client.example"))
    await desk.call("AddNote", ticket=other.id, text="Hm")
    assert (await desk.ticket(other.id)).status == "waiting"


async def test_what_follows_from_a_rule_comes_after_all_of_it(desk: Desk) -> None:
    """CA-20: a VIP's ticket that becomes critical is escalated; the rule was rehearsed without that."""
    rule = a_rule(
        "worst", {"set": {"priority": "PRIORITY_CRITICAL"}}, {"status": "waiting"}, when=["NoteAdded"]
    )
    await with_rules(desk, rule)
    ticket = await desk.create()
    await desk.call(
        "UpdateCustomer", "lead:olga", customer_id=ticket.customer.id, tier=common.CUSTOMER_TIER_VIP
    )
    await desk.call("AddNote", ticket=ticket.id, text="Hm")
    assert await runs(desk, ticket) == [("worst", DONE, ["set priority", "status waiting"])]
    assert (await desk.ticket(ticket.id)).HasField("escalation")


async def test_conditions_get_a_second_of_the_processor_and_the_change_stands(desk: Desk) -> None:
    """Two hundred of these would hold the whole service up for two minutes."""
    long, inner = ",".join(["1"] * 100), ",".join(["1"] * 700)
    slow = f"[{long}].all(a, [{long}].all(b, [{inner}] != [1]))"
    rules = [a_rule(f"slow{n}", {"webhook": "crm"}, when=["TicketOpened"], **{"if": slow}) for n in range(20)]
    await with_rules(desk, *rules, a_rule("last", {"webhook": "crm"}, when=["TicketOpened"]))
    ticket = await desk.create()
    found = (await desk.call("ListRuleRuns", ticket=ticket.id)).runs
    assert (found[0].outcome, found[0].reason) == (
        NOT_RUN, "conditions took more than 1 s of this unit of work"
    )  # fmt: skip
    assert 2 <= len(found) < 20
    assert "last" not in [each.rule for each in found]
    tried = (await desk.call("DryRunRules", "admin:demo", queue="SUP")).runs
    assert (tried[-1].outcome, tried[-1].reason) == (NOT_RUN, found[0].reason)
