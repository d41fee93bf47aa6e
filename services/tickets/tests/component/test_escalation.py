"""Lines over RPCs and events: handing on, coming back, and what escalates by itself."""

from datetime import datetime, timedelta
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.clock import utcnow
from chassis.testing import eventually
from services.tickets.tests.builders import Desk, a_contact, an_inbound, kinds
from services.tickets.tests.component.test_knowledge import publish
from tickdesk.common.v1 import common_pb2 as common
from tickdesk.intake.v1 import events_pb2 as intake_events
from tickdesk.survey.v1 import events_pb2 as survey
from tickdesk.survey.v1 import survey_pb2
from tickdesk.tickets.v1 import escalation_pb2, events_pb2, ticket_pb2
from tickdesk.tickets.v1.timeline_pb2 import EscalationReason as Reason

BAD, STATE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION
L1, L2, L3 = common.LINE_L1, common.LINE_L2, common.LINE_L3
DONE = escalation_pb2.RETURN_REASON_DONE


def stamp(time: datetime) -> Timestamp:
    result = Timestamp()
    result.FromDatetime(time)
    return result


async def test_the_form_travels_as_a_note_and_in_the_event(desk: Desk) -> None:
    """CA-01, CA-22: the next line does not start from zero."""
    ticket = await desk.create()
    form = ticket_pb2.EscalationForm(done="Cable checked", ask="Look at the fuser", checked="4.2")
    form.deadline.FromDatetime(utcnow() + timedelta(hours=2))
    answer = await desk.call("EscalateTicket", ticket=ticket.id, reason=1, form=form)
    assert (answer.ticket.line, answer.ticket.escalation.form) == (L2, form)
    event = await desk.watch.next(events_pb2.TicketEscalated)
    assert (event.ticket.escalation.form, event.note, event.started) == (form, "Look at the fuser", True)
    note = (await desk.messages(ticket.id))[-1]
    assert note.visibility == ticket_pb2.VISIBILITY_INTERNAL
    assert note.text.splitlines()[:2] == ["Handed to L2.", "Done so far: Cable checked"]
    assert answer.ticket.version == 3


async def test_a_ticket_comes_back_to_who_had_it_with_an_answer(desk: Desk) -> None:
    """MP-15: L2 passes it to L3, which returns it; the history can be read."""
    ticket = await desk.escalated()
    await desk.call("TakeTicket", "agent:dina", ticket=ticket.id)
    await desk.call("EscalateTicket", "agent:dina", ticket=ticket.id, reason=10)
    back = (
        await desk.call("ReturnTicket", "agent:dina", ticket=ticket.id, reason=DONE, answer="Mended")
    ).ticket
    assert (back.line, back.assignee, back.status) == (L2, "dina", "in_progress")
    assert not back.HasField("escalation")
    assert kinds(back)[-4:] == ["line_changed", "escalation_ended", "taken", "status_changed"]
    event = await desk.watch.next(events_pb2.TicketReturned)
    assert (event.from_line, event.reason, event.note, event.actor.id) == (L3, DONE, "Mended", "dina")
    assert (await desk.messages(ticket.id))[-1].text == "Returned by L3: Mended"
    await desk.call("ReturnTicket", "agent:dina", ticket=ticket.id, reason=2, answer="Which printer?")
    now = await desk.ticket(ticket.id)
    assert (now.line, now.assignee) == (L1, "anna")
    finished = (await desk.call("ListEscalations", ticket=ticket.id)).escalations
    assert [(each.answer, list(each.escalation.reasons)) for each in finished] == [
        ("Mended", [Reason.ESCALATION_REASON_SECURITY]),
        ("", [Reason.ESCALATION_REASON_BY_AGENT]),
    ]


async def test_a_line_whose_agent_left_gets_the_ticket_for_anybody(desk: Desk) -> None:
    """MP-15."""
    ticket = await desk.escalated()
    gone = ticket_pb2.Agent(id="anna", name="Anna", lines=[L1], active=False)
    await desk.call("PutAgent", "admin:demo", agent=gone)
    answer = await desk.call("ReturnTicket", "agent:dina", ticket=ticket.id, reason=DONE, answer="Done")
    assert (answer.ticket.line, answer.ticket.assignee, answer.ticket.status) == (L1, "", "new")


async def test_returning_is_refused_with_what_is_wrong(desk: Desk) -> None:
    ticket = await desk.create()
    cases: tuple[tuple[dict[str, Any], grpc.StatusCode, str, list[str]], ...] = (
        ({"reason": 0, "answer": "x"}, BAD, "INVALID_INPUT", ["reason"]),
        ({"reason": 99, "answer": "x"}, BAD, "INVALID_INPUT", ["reason"]),
        ({"reason": 1, "answer": ""}, BAD, "INVALID_INPUT", ["answer"]),
        ({"reason": 1, "answer": "x" * 4001}, BAD, "INVALID_INPUT", ["answer"]),
        ({"reason": 1, "answer": "x"}, STATE, "NO_PREVIOUS_LINE", []),
    )
    for fields, code, reason, where in cases:
        refusal = await desk.refusal("ReturnTicket", ticket=ticket.id, **fields)
        assert (refusal.code, refusal.reason, refusal.fields) == (code, reason, where), fields
    await desk.call("ResolveTicket", ticket=ticket.id)
    refusal = await desk.refusal("ReturnTicket", ticket=ticket.id, reason=1, answer="x")
    assert refusal.reason == "TICKET_CLOSED"
    assert (await desk.ticket(ticket.id)).version == 2


async def test_telling_management_leaves_the_ticket_where_it_is(desk: Desk) -> None:
    """CA-20: hierarchical escalation, apart from handing on."""
    ticket = await desk.create()
    await desk.call("TakeTicket", ticket=ticket.id)
    answer = await desk.call("EscalateTicket", ticket=ticket.id, reason=1, management=True, stay=True)
    now = answer.ticket
    assert (now.line, now.assignee, now.status, now.escalation.management) == (
        L1,
        "anna",
        "in_progress",
        True,
    )
    for fields in ({"stay": True}, {"stay": True, "management": True, "to_line": L2}):
        refusal = await desk.refusal("EscalateTicket", ticket=ticket.id, reason=1, **fields)
        assert (refusal.code, refusal.fields) == (BAD, ["stay"])


async def test_words_of_a_customer_escalate_in_the_transaction_of_the_message(desk: Desk) -> None:
    """CA-20, CA-21: a complaint goes to the next line, a legal threat to management; quotes do not count."""
    calm = await desk.create(text="It burns.\n> I'll sue you in court")
    assert not calm.HasField("escalation")
    unhappy = await desk.create(text="This is my complaint about the printer.")
    assert (unhappy.line, unhappy.status, unhappy.version) == (L2, "escalated", 2)
    assert list(unhappy.escalation.reasons) == [Reason.ESCALATION_REASON_KEYWORD]
    event = await desk.watch.next(events_pb2.TicketEscalated)
    assert (event.note, event.actor.kind) == ("unhappy: complaint", common.Actor.KIND_ROBOT)
    threat = await desk.receive(
        text="Подам в суд", reply_text="Подам в суд", conversation_id="conv", subject="Печать"
    )
    assert threat.version == 1
    event = await desk.watch.next(events_pb2.TicketEscalated)
    assert (event.note, event.ticket.line, event.ticket.escalation.management) == ("legal: суд", L1, True)
    again = an_inbound(conversation_id="conv", reply_text="Уйду и подам в суд")
    await desk.tell(intake_events.MessageReceived(message=again), key="conv")
    event = await desk.watch.next(events_pb2.CustomerReplied)
    now = await desk.ticket(threat.id)
    assert list(now.escalation.reasons) == [Reason.ESCALATION_REASON_KEYWORD]
    assert now.line == L2


async def test_a_robots_words_escalate_nothing(desk: Desk) -> None:
    ticket = await desk.receive(author_kind=2, reply_text="We will see you in court")
    assert not (await desk.ticket(ticket.id)).HasField("escalation")


async def said(desk: Desk, at: datetime, **fields: Any) -> None:
    message = an_inbound(received_time=stamp(at), **fields)
    await desk.tell(intake_events.MessageReceived(message=message), key=message.conversation_id)


async def test_the_third_contact_on_one_problem_escalates_over_messages_and_tickets(desk: Desk) -> None:
    """CA-21: messages close together are one contact; what was solved for the desk only still counts."""
    now = utcnow()
    await said(desk, now - timedelta(days=3), conversation_id="one")
    first = (await desk.watch.next(events_pb2.TicketOpened)).ticket
    await said(desk, now - timedelta(days=3, minutes=-5), conversation_id="one")
    await desk.watch.next(events_pb2.CustomerReplied)
    await said(desk, now - timedelta(days=2), conversation_id="one")
    assert not (await desk.watch.next(events_pb2.CustomerReplied)).ticket.HasField("escalation")
    await desk.call("ResolveTicket", ticket=first.id)
    third = await desk.create(subject="RE: printer on fire")
    assert list(third.escalation.reasons) == [Reason.ESCALATION_REASON_THIRD_CONTACT]
    assert (third.line, third.escalation.to_line) == (L2, L2)
    event = await desk.watch.next(events_pb2.TicketEscalated)
    assert event.note == "contacts on one problem: 3"
    await desk.call("CloseTicket", ticket=first.id, confirmed=True)
    fresh = await desk.create(subject="Printer on fire", contact=a_contact("other@client.example"))
    assert not fresh.HasField("escalation")


async def test_answers_to_our_questions_are_no_contacts(desk: Desk) -> None:
    """CA-21: a dialogue is no sign of trouble."""
    now = utcnow()
    await said(desk, now - timedelta(days=3), conversation_id="one")
    ticket = (await desk.watch.next(events_pb2.TicketOpened)).ticket
    for days in (2, 1, 0):
        await desk.call("ReplyToTicket", ticket=ticket.id, text="Which one?", status="waiting")
        await said(desk, now - timedelta(days=days), conversation_id="one")
        await desk.watch.next(events_pb2.CustomerReplied)
    assert not (await desk.ticket(ticket.id)).HasField("escalation")


async def test_a_vip_with_a_critical_problem_is_told_to_management_once(desk: Desk) -> None:
    """CA-20: whichever of the two comes last."""
    ticket = await desk.create()
    await desk.call("UpdateCustomer", customer_id=ticket.customer.id, tier=common.CUSTOMER_TIER_VIP)
    assert not (await desk.ticket(ticket.id)).HasField("escalation")
    answer = await desk.call("PrioritizeTicket", ticket=ticket.id, priority=common.PRIORITY_CRITICAL)
    assert list(answer.ticket.escalation.reasons) == [Reason.ESCALATION_REASON_VIP_CRITICAL]
    assert (answer.ticket.escalation.management, answer.ticket.line) == (True, L1)
    born = await desk.create(subject="Other", priority=common.PRIORITY_CRITICAL)
    assert list(born.escalation.reasons) == [Reason.ESCALATION_REASON_VIP_CRITICAL]
    plain = await desk.create(contact=a_contact("b@client.example"), priority=common.PRIORITY_CRITICAL)
    await desk.call("UpdateCustomer", customer_id=plain.customer.id, tier=common.CUSTOMER_TIER_VIP)

    async def told_management() -> bool:
        return bool((await desk.ticket(plain.id)).escalation.management)

    await eventually(told_management)
    told = desk.watch.of(events_pb2.TicketEscalated)
    assert len([each for each in told if each.ticket.id == ticket.id]) <= 1


async def test_a_low_score_tells_the_head_of_the_line(desk: Desk) -> None:
    """CA-21, CA-25: below three of five."""
    for raw, low in ((3, True), (2, True)):
        ticket = await desk.create(subject=str(raw))
        answer = survey_pb2.Survey(
            id=f"survey-{raw}",
            kind=survey_pb2.SURVEY_KIND_CUSTOMER,
            ticket_id=ticket.id,
            cycle=1,
            scale=5,
            raw=raw,
            score=25 * (raw - 1),
            low=low,
        )
        await desk.tell(survey.SurveyAnswered(survey=answer))
    event = await desk.watch.next(events_pb2.TicketEscalated)
    assert event.reason == Reason.ESCALATION_REASON_LOW_SCORE
    assert event.ticket.subject.endswith("2 of 5")
    assert (event.ticket.line, event.ticket.status, event.started) == (L1, "new", True)
    assert len(desk.watch.of(events_pb2.TicketEscalated)) == 1


async def test_the_last_line_is_told_how_its_answer_reaches_the_customer(desk: Desk) -> None:
    """CA-04."""
    ticket = await desk.create()
    await desk.call("EscalateTicket", ticket=ticket.id, reason=1, to_line=L3)
    refusal = await desk.refusal("ReplyToTicket", "agent:dina", ticket=ticket.id, text="Hello")
    assert (refusal.code, refusal.reason) == (STATE, "LINE_MAY_NOT_REPLY")
    assert refusal.metadata["remedy"] == "ReturnTicket"
    form = await desk.call("GetEscalationForm", ticket=ticket.id)
    assert (form.to_line, form.may_reply, form.may_resolve) == (0, False, True)
    form = await desk.call("GetEscalationForm", ticket=(await desk.create(subject="b")).id)
    assert (form.to_line, form.may_reply, list(form.required)) == (L2, True, [])


async def put_rules(desk: Desk, **fields: Any) -> None:
    setup = (await desk.call("GetSetup", queue="SUP")).setup
    setup.escalations.CopyFrom(escalation_pb2.Escalations(**fields))
    await desk.call("PutSetup", "lead:olga", setup=setup)


async def crmai(desk: Desk) -> None:
    """A queue CRM out of the template that has the playbook's criteria, form and guards."""
    await desk.call("CreateQueue", "lead:olga", key="CRM", name="CrmAI", template="crmai")


async def test_handing_on_takes_the_form_and_the_criterion_of_the_step(desk: Desk) -> None:
    """CA-18, CA-19, CA-22: what is offered is what is required; every missing part is named."""
    await crmai(desk)
    ticket = await desk.create(queue="CRM")
    offered = await desk.call("GetEscalationForm", ticket=ticket.id)
    assert [each.key for each in offered.criteria] == [
        "no_answer",
        "access",
        "compensation",
        "unhappy",
    ]
    assert offered.criteria[0].name.ru == "В базе знаний нет ответа"
    assert [escalation_pb2.FormPart.Name(each) for each in offered.required] == [
        f"FORM_PART_{part}" for part in ("DONE", "ASK", "URGENCY", "PROMISES")
    ]
    form = ticket_pb2.EscalationForm(done="Looked", missing="Log", urgency="today")
    refusal = await desk.refusal("EscalateTicket", ticket=ticket.id, reason=1, form=form)
    assert (refusal.code, refusal.reason) == (BAD, "FORM_INCOMPLETE")
    assert refusal.fields == ["form.ask", "form.promises"]
    form.ask, form.promises = "Pay back", "An answer today"
    for criterion, reason in (("", "CRITERION_REQUIRED"), ("bug", "UNKNOWN_CRITERION")):
        refusal = await desk.refusal(
            "EscalateTicket", ticket=ticket.id, reason=1, form=form, criterion=criterion
        )
        assert (refusal.code, refusal.reason, refusal.fields) == (BAD, reason, ["criterion"])
    assert (await desk.ticket(ticket.id)).version == 1
    answer = await desk.call(
        "EscalateTicket", ticket=ticket.id, reason=1, form=form, criterion="compensation"
    )
    escalation = answer.ticket.escalation
    assert list(escalation.reasons) == [Reason.ESCALATION_REASON_COMPENSATION]
    assert escalation.criterion == "compensation"
    told = await desk.call("EscalateTicket", ticket=ticket.id, reason=1, management=True, stay=True)
    assert told.ticket.escalation.management


async def test_a_report_of_a_missing_article_is_the_criterion_of_who_names_none(desk: Desk) -> None:
    """CA-18: no answer in the knowledge base; another criterion may still be named."""
    await crmai(desk)
    told, other, silent = [await desk.create(queue="CRM", subject=each) for each in ("a", "b", "c")]
    for ticket in (told, other):
        await desk.call("ReportMissingArticle", "agent:boris", ticket=ticket.id, words="flying printer")
    whole: dict[str, Any] = {
        "reason": 1,
        "form": ticket_pb2.EscalationForm(done="a", ask="c", urgency="d", promises="e"),
    }
    answer = await desk.call("EscalateTicket", ticket=told.id, **whole)
    assert (answer.ticket.line, answer.ticket.escalation.criterion) == (common.LINE_L2, "no_answer")
    answer = await desk.call("EscalateTicket", ticket=other.id, criterion="access", **whole)
    assert answer.ticket.escalation.criterion == "access"
    refusal = await desk.refusal("EscalateTicket", ticket=silent.id, **whole)
    assert (refusal.code, refusal.reason) == (BAD, "CRITERION_REQUIRED")


async def test_a_report_that_an_article_answered_is_no_criterion(desk: Desk) -> None:
    """CA-18: the knowledge base has the answer by now."""
    await crmai(desk)
    await publish(desk)
    ticket = await desk.create(queue="CRM")
    await desk.call("ReportMissingArticle", ticket=ticket.id, words="flying printer")
    await desk.call("LinkArticle", ticket=ticket.id, article="fire-en")
    form = ticket_pb2.EscalationForm(done="a", ask="c", urgency="d", promises="e")
    refusal = await desk.refusal("EscalateTicket", ticket=ticket.id, reason=1, form=form)
    assert refusal.reason == "CRITERION_REQUIRED"


async def test_what_the_first_line_must_not_do_is_refused_with_the_remedy(desk: Desk) -> None:
    """CA-02: the verb is refused and the way out named; the next line may."""
    await crmai(desk)
    ticket = await desk.create(queue="CRM", category="consultation", tags=["discount"])
    for method, fields in (("ReplyToTicket", {"text": "Here you are"}), ("ResolveTicket", {"text": "Done"})):
        refusal = await desk.refusal(method, ticket=ticket.id, **fields)
        assert (refusal.code, refusal.reason) == (STATE, "LINE_GUARDED")
        assert refusal.metadata == {"guard": "refunds", "line": "L1", "remedy": "EscalateTicket"}
    form = await desk.call("GetEscalationForm", ticket=ticket.id)
    assert ([each.key for each in form.guards], form.may_reply, form.may_resolve) == (
        ["refunds"],
        False,
        False,
    )
    assert len(await desk.messages(ticket.id)) == 1
    whole = ticket_pb2.EscalationForm(done="a", missing="b", ask="c", urgency="d", promises="e")
    await desk.call("EscalateTicket", ticket=ticket.id, reason=9, form=whole)
    await desk.call("TakeTicket", "agent:dina", ticket=ticket.id)
    await desk.call("ReplyToTicket", "agent:dina", ticket=ticket.id, text="Paid back.")
    await desk.call("ResolveTicket", "agent:dina", ticket=ticket.id)


async def test_rules_of_the_setup_replace_the_usual_ones(desk: Desk) -> None:
    """CA-20, CA-21: keywords, contacts, VIPs and compensations are the lead's to set."""
    rule = escalation_pb2.KeywordRule(key="chief", phrases=["your chief"], target=2)  # type: ignore[arg-type]
    await put_rules(
        desk,
        keywords=escalation_pb2.Keywords(rules=[rule]),
        vip_critical=escalation_pb2.ESCALATION_TARGET_NOBODY,
    )
    calm = await desk.create(text="I will see you in court", subject="a")
    assert not calm.HasField("escalation")
    told = await desk.create(text="Let me talk to your chief", subject="b")
    assert (told.line, told.escalation.management) == (L1, False)
    assert list(told.escalation.reasons) == [Reason.ESCALATION_REASON_KEYWORD]
    await desk.call("UpdateCustomer", customer_id=calm.customer.id, tier=common.CUSTOMER_TIER_VIP)
    born = await desk.create(subject="c", priority=common.PRIORITY_CRITICAL)
    assert not born.HasField("escalation")


async def test_a_compensation_above_the_limit_is_told_to_management(desk: Desk) -> None:
    """CA-20."""
    setup = (await desk.call("GetSetup", queue="SUP")).setup
    field = setup.fields.add(key="amount", type=2)
    field.name.en = "Amount"
    rule = escalation_pb2.CompensationRule(field="amount", limit=500)
    setup.escalations.CopyFrom(escalation_pb2.Escalations(compensation=rule))
    await desk.call("PutSetup", "lead:olga", setup=setup)
    ticket = await desk.create()
    for amount, told in ((500, False), (501, True)):
        fields = {"amount": ticket_pb2.FieldValue(number=amount)}
        answer = await desk.call("UpdateTicket", ticket=ticket.id, set_fields=fields)
        assert answer.ticket.escalation.management is told
    now = await desk.ticket(ticket.id)
    assert list(now.escalation.reasons) == [Reason.ESCALATION_REASON_COMPENSATION]


async def test_a_setup_with_wrong_escalations_is_refused_with_their_paths(desk: Desk) -> None:
    setup = (await desk.call("GetSetup", queue="SUP")).setup
    setup.escalations.guards.add(key="g").name.en = "Guard"
    setup.escalations.keywords.rules.add(key="k", phrases=["!!"])
    refusal = await desk.refusal("PutSetup", "lead:olga", setup=setup)
    assert (refusal.code, refusal.reason) == (BAD, "SETUP_INVALID")
    assert refusal.fields == ["setup.escalations.guards[0]", "setup.escalations.keywords.rules[0].phrases[0]"]
